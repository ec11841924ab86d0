"""Numbers of every single prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_known
from kinatlas._core import superposition_names, superposition_prompts
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import FormatError
from kinatlas.superposition.record import SuperpositionRecord

__all__ = ["PromptMetrics", "coverage_rule", "prompt_metrics"]

Floats = npt.NDArray[np.float64]

_NAMES = tuple(superposition_names()[0])


@dataclass(frozen=True, eq=False, repr=False)
class PromptMetrics(Tabular):
    """One row a prompt; ``metrics["kl"]`` is a column, ``shares`` the normalised probabilities.

    Columns: ``total_mass`` S = sum P_k; ``other`` = 1 - S; ``kl`` = sum pi ln(pi / P) of the paper,
    which is ``kl_shape`` = KL(pi || Pt) plus ``leak`` = -ln S; ``total_variation``,
    ``jensen_shannon`` and ``brier`` of Pt against pi; ``entropy`` of Pt, ``entropy_ratio`` to that
    of pi, ``effective_tasks`` = exp entropy; ``coverage`` = part of tasks with Pt_k >= tau pi_k.
    Natural logarithms. A prompt without any answer (S = 0) has infinite ``kl`` and ``leak`` and NaN
    for everything about the shape.
    """

    values: Floats
    shares: Floats
    record: SuperpositionRecord

    def __getitem__(self, name: str) -> Floats:
        column: Floats = self.values[:, check_known(name, _NAMES, "metric")]
        return column

    def __len__(self) -> int:
        return len(self.values)

    def _columns(self) -> dict[str, list[Any]]:
        record = self.record
        columns: dict[str, list[Any]] = {
            "condition": [record.conditions[code] for code in record.condition],
            "query": record.query.tolist(),
            "collision": record.collisions.tolist(),
        }
        columns |= {name: self[name].tolist() for name in _NAMES}
        for task, name in enumerate(record.tasks):
            columns[f"probability {name}"] = np.exp(record.log_probabilities[:, task]).tolist()
            columns[f"share {name}"] = self.shares[:, task].tolist()
        return columns

    def __repr__(self) -> str:
        shown = {name: self[name].tolist() for name in _NAMES[:5]}
        return f"PromptMetrics of {len(self)} prompts\n{as_text(shown, max_rows=8)}"

    def _repr_html_(self) -> str:
        shown = {name: self[name].tolist() for name in _NAMES}
        return as_html(shown, f"PromptMetrics of {len(self)} prompts", max_rows=8)


def prompt_metrics(
    record: SuperpositionRecord,
    *,
    coverage_threshold: float = 0.1,
    absent_tasks: bool = False,
    n_threads: int | None = None,
) -> PromptMetrics:
    """Return what every single prompt did with its tasks.

    Parameters
    ----------
    record
        Prompts and answers.
    coverage_threshold
        tau: a task is covered when its share is at least tau times its share of the examples.
    absent_tasks
        Whether tasks without an example stay in the denominator of the coverage.

    Examples
    --------
    >>> import numpy as np
    >>> record = SuperpositionRecord(np.log([[0.25, 0.25], [0.5, 1e-9]]), [0.5, 0.5])
    >>> found = prompt_metrics(record)
    >>> found["leak"].round(4), found["kl_shape"].round(4)
    (array([0.6931, 0.6931]), array([0.    , 9.3219]))
    >>> found["coverage"]
    array([1. , 0.5])
    """
    rule = coverage_rule(coverage_threshold, absent_tasks)
    flat, shares = superposition_prompts(record._arrays(), rule, n_threads)
    values = flat.reshape(len(record), len(_NAMES))
    return PromptMetrics(values, shares.reshape(len(record), record.n_tasks), record)


def coverage_rule(threshold: float, absent_tasks: bool) -> tuple[float, bool]:
    """Return the coverage rule as the core takes it, after checking tau.

    Examples
    --------
    >>> coverage_rule(0.1, False)
    (0.1, False)
    """
    if not 0.0 < threshold <= 1.0:
        raise FormatError(f"coverage_threshold: got {threshold}, expected a number in (0, 1]")
    return float(threshold), bool(absent_tasks)
