"""What a prompt must show before a channel serves it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kinatlas._checks import check_number
from kinatlas.errors import GateError
from kinatlas.io.prompts.record import SHOWN, PromptRecord

__all__ = ["check_gates"]


def check_gates(
    record: PromptRecord,
    served: PromptRecord | None,
    at_least: Mapping[str, float],
    may_drop: Mapping[str, float],
) -> dict[str, object]:
    """Return what was asked and found, if every check is true and every metric reaches its bar.

    ``at_least`` are bars for metrics where more is better; of a metric with an interval its low
    end counts. ``may_drop`` says how far below the prompt served now its value may lie.

    Raises
    ------
    GateError
        If a check failed, a bar is missed, or a metric was not measured; all reasons are named.

    Examples
    --------
    >>> record = PromptRecord("ab", "ctr", "base", metrics={"auc": (0.7, 0.6, 0.8)})
    >>> check_gates(record, None, {"auc": 0.65}, {})
    Traceback (most recent call last):
    kinatlas.errors.GateError: prompt ab is not promoted: auc is 0.6 (the low end of its interval),
    asked is at least 0.65
    """
    wrong = [f"the check {name!r} failed" for name, held in record.checks.items() if not held]
    for metric, bar in at_least.items():
        bar = check_number(bar, f"at_least[{metric!r}]", "a number", math.isfinite)
        found = record.metrics.get(metric, math.nan)
        low = float(found[1] if isinstance(found, tuple) else found)
        which = " (the low end of its interval)" if isinstance(found, tuple) else ""
        if math.isnan(low):
            wrong.append(f"{metric} was not measured, asked is at least {bar:g}")
        elif low < bar:
            wrong.append(f"{metric} is {low:g}{which}, asked is at least {bar:g}")
    for metric, drop in may_drop.items():
        drop = check_number(
            drop,
            f"may_drop[{metric!r}]",
            "a finite number of at least 0",
            lambda allowed: 0 <= allowed < math.inf,
        )
        if served is None:
            continue
        new, old = record.value(metric), served.value(metric) if served else math.nan
        if math.isnan(new) or math.isnan(old):
            wrong.append(f"{metric} was not measured for both this prompt and the one served now")
        elif new < old - drop:
            wrong.append(f"{metric} falls from {old:g} to {new:g}, allowed is a fall of {drop:g}")
    if wrong:
        raise GateError(f"prompt {record.id[:SHOWN]} is not promoted: {'; '.join(wrong)}")
    return {"at_least": dict(at_least), "may_drop": dict(may_drop), "checks": dict(record.checks)}
