"""What each number of an evaluation says, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["sentence"]

_GAINS = {
    "exp2_percent": "2^percent - 1, doubling with every point",
    "exp2_fraction": "2^fraction - 1, nearly linear",
    "linear": "the score itself",
    "rank": "2^(candidates - true rank) - 1, free of the scale of scores",
    "clipped_gain": "points above the baseline, harm counting as 0",
}


def sentence(metric: str, numbers: Sequence[float], gain: str) -> str:
    """Return what a metric says; ``numbers`` are value, chance, best, chance-corrected.

    Examples
    --------
    >>> sentence("regret@1", [2.0, 4.0, 0.0, 0.5], "linear")
    'regret@1 is 2.00: the best of the first 1 stays 2.00 % below the best source; a random \
order loses 4.00 %, and 50 % of that way to the best possible order is covered.'
    """
    value, chance, _, corrected = numbers
    if math.isnan(value):
        return f"{metric} has no value: no target defines it, see the reasons in `undefined`."
    shown = f"{metric} is {_shown(metric, value)}"
    level = _shown(metric, chance)
    middle = _meaning(metric, value, level, gain)
    if math.isnan(corrected):
        return f"{shown}: {middle}; chance cannot be told from the best possible order."
    if corrected < 0:
        return f"{shown}: {middle}, so this order is worse than chance."
    return (
        f"{shown}: {middle}, and {100 * corrected:.0f} % of that way to the best possible "
        "order is covered."
    )


def _shown(metric: str, number: float) -> str:
    return f"{number:.2f}" if "@" in metric or metric == "average_rank" else f"{number:.3f}"


def _meaning(metric: str, value: float, chance: str, gain: str) -> str:
    name, _, k = metric.partition("@")
    shown = _shown(metric, value)
    if name == "ndcg":
        return (
            f"{100 * value:.1f} % of the discounted gain of the true order, where gain is "
            f"{_GAINS[gain]}; a random order gets {chance}"
        )
    if name == "regret":
        return (
            f"the best of the first {k} stays {shown} % below the best source; a random order "
            f"loses {chance} %"
        )
    if name == "top":
        return f"the first {k} score {shown} % on average over them; a random order gets {chance} %"
    if name == "average_rank":
        return (
            f"the truly best source stands at place {shown}, counting from 1; a random order "
            f"puts it at {chance}"
        )
    whole = "Pearson correlation of ranks" if name == "spearman" else "pairs in order less not"
    return f"{whole}, 1 for the true order; a random order gets {chance}"
