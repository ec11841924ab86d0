"""What each number of an abstention study says, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["SENTENCES"]

Numbers = Mapping[str, Any]


def _share(numbers: Numbers, name: str, n: str) -> str:
    count = round(numbers[name] * numbers[n], 2)
    low, high = (100 * numbers[f"{name}_{side}"] for side in ("low", "high"))
    return (
        f"{count:g} of {numbers[n]:.0f} targets ({100 * numbers[name]:.0f} %, "
        f"{numbers['level']:.0f} % interval {low:.0f} to {high:.0f} %)"
    )


def _help_rate(numbers: Numbers) -> str:
    return f"The top source helps on {_share(numbers, 'help_rate', 'n_targets')}."


def _negative_rate(numbers: Numbers) -> str:
    return (
        "The top source loses against no transfer on "
        f"{_share(numbers, 'negative_rate', 'n_targets')}; a source drawn at random loses on "
        f"{100 * numbers['negative_rate_chance']:.0f} %."
    )


def _precision(numbers: Numbers) -> str:
    if math.isnan(numbers["precision"]):
        return f"No pick reaches a probability of {numbers['threshold']:g}: abstain everywhere."
    return (
        f"Of the picks called helpful, {_share(numbers, 'precision', 'n_accepted')} do help; "
        f"calling at random would be right on {100 * numbers['precision_chance']:.0f} %."
    )


def _brier(numbers: Numbers) -> str:
    better = "better" if numbers["brier"] < numbers["brier_chance"] else "no better"
    return (
        f"The probabilities miss by {numbers['brier']:.3f} (Brier), {better} than the "
        f"{numbers['brier_chance']:.3f} of the base rate alone."
    )


def _aurc(numbers: Numbers) -> str:
    head = (
        f"Over all coverages {100 * numbers['aurc']:.0f} % of the surest picks do not help; a "
        f"random order has {100 * numbers['aurc_chance']:.0f} %, the best possible "
        f"{100 * numbers['aurc_best']:.0f} %"
    )
    if math.isnan(numbers["aurc_corrected"]):
        return f"{head}: every order is equally good."
    if numbers["aurc_corrected"] <= 0:
        return f"{head}: the score is no guide to when to abstain."
    return f"{head}: {100 * numbers['aurc_corrected']:.0f} % of the way from one to the other."


def _gain(numbers: Numbers) -> str:
    unit = "points" if numbers["units"] == "percent" else "(fractions)"
    return (
        f"Always taking the top source gains {numbers['gain_always']:.3g} {unit} a target, taking "
        f"it only where called helpful {numbers['gain_if_confident']:.3g}, the best source or "
        f"none {numbers['gain_best']:.3g}, never transferring 0."
    )


#: A sentence for every number that has one.
SENTENCES: Mapping[str, Callable[[Numbers], str]] = {
    "help_rate": _help_rate,
    "negative_rate": _negative_rate,
    "precision": _precision,
    "brier": _brier,
    "aurc": _aurc,
    "gain_if_confident": _gain,
}
