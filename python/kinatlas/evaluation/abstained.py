"""The numbers of an abstention study: one row a target, shares with intervals, a curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text

__all__ = ["Abstention"]


@dataclass(frozen=True, repr=False)
class Abstention(Tabular):
    """What comes of trusting the top source of every target; made by `evaluate_abstention`.

    Attributes
    ----------
    kernel, targets
        What scored the sources, and the targets that were measured.
    picks
        For every target the top source, or several where scores are equal.
    scores, probabilities
        Score of the pick, and the probability that it helps, fitted without this target.
    base_rates
        The probability that knows no score: how often the picks of the other targets help, one
        success and one failure added.
    gains, best_gains
        Gain of the pick (mean of equals), and of the best source.
    help_shares, loss_shares
        Chance that the pick helps, and that it loses against no transfer: 0 or 1, or a share of
        the equals, one of which is drawn.
    harm_shares
        Share of the target's sources that lose against no transfer.
    curve
        Intercept and slope of the curve fitted to all targets, for new ones.
    settings
        Margin, threshold, confidence, units and counts.

    Examples
    --------
    >>> from kinatlas.evaluation import TransferTable, evaluate_abstention
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
    >>> table = TransferTable.from_arrays(
    ...     list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4)
    >>> found = evaluate_abstention(matrix, table)
    >>> found.to_dict()["pick"], found.to_dict()["gain"]
    (['s', 't'], [10.0, -3.0])
    """

    kernel: str
    targets: tuple[str, ...]
    picks: tuple[tuple[str, ...], ...]
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    base_rates: tuple[float, ...]
    gains: tuple[float, ...]
    best_gains: tuple[float, ...]
    help_shares: tuple[float, ...]
    loss_shares: tuple[float, ...]
    harm_shares: tuple[float, ...]
    curve: tuple[float, float]
    settings: Mapping[str, Any]

    @property
    def neutral(self) -> float | None:
        """Score at which a new target's source helps with probability ``threshold``, or None.

        ``dataclasses.replace(matrix, neutral=found.neutral)`` makes "no transfer" a candidate of
        `rank_sources` at that score. None where scores do not speak for help.
        """
        intercept, slope = self.curve
        wanted = self.settings["threshold"]
        return None if slope == 0 else float((np.log(wanted / (1 - wanted)) - intercept) / slope)

    def probability(self, score: float) -> float:
        """Return the probability that a source of this score helps a new target.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate_abstention
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
        >>> table = TransferTable.from_arrays(
        ...     list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4)
        >>> found = evaluate_abstention(matrix, table)
        >>> found.probability(0.9) > found.probability(0.1)
        True
        """
        return _core.help_probability(*self.curve, float(score))

    def _helps(self) -> Any:
        return np.array(self.help_shares)

    def _accepted(self) -> Any:
        return np.array(self.probabilities) >= self.settings["threshold"]

    def risk_coverage(self) -> dict[str, list[float]]:
        """Return columns coverage, risk, best and chance: share of useless picks among the surest.

        Targets are taken by descending score of their pick, equals at random; the risk of a random
        order is the same at every coverage.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate_abstention
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
        >>> table = TransferTable.from_arrays(
        ...     list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4)
        >>> evaluate_abstention(matrix, table).risk_coverage()["risk"]
        [0.0, 0.5]
        """
        losses = 1.0 - self._helps()
        risk, best, area = _core.coverage_curve(np.array(self.scores), losses)
        n = len(losses)
        return {
            "coverage": [(place + 1) / n for place in range(n)],
            "risk": risk.tolist(),
            "best": best.tolist(),
            "chance": [area[1]] * n,
        }

    def summary(self) -> dict[str, float]:
        """Return every number by name; shares end in ``_low`` and ``_high`` for their interval.

        NaN where there is nothing to divide by: ``precision`` if nothing was accepted.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate_abstention
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
        >>> table = TransferTable.from_arrays(
        ...     list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4)
        >>> evaluate_abstention(matrix, table).summary()["negative_rate"]
        0.5
        """
        helps, accepted, gains = self._helps(), self._accepted(), np.array(self.gains)
        area = _core.coverage_curve(np.array(self.scores), 1.0 - helps)[2]
        # A pick drawn among equals helps or does not: its variance is missed by any probability.
        drawn = float((helps * (1 - helps)).mean())
        misses = [np.array(side) - helps for side in (self.probabilities, self.base_rates)]
        room = area[1] - area[2]
        return {
            "n_targets": float(len(gains)),
            **self._share("help_rate", helps),
            **self._share("negative_rate", np.array(self.loss_shares)),
            "negative_rate_chance": float(np.mean(self.harm_shares)),
            "n_accepted": float(accepted.sum()),
            **self._share("precision", helps[accepted]),
            "precision_chance": float(helps.mean()),
            "brier": float((misses[0] ** 2).mean()) + drawn,
            "brier_chance": float((misses[1] ** 2).mean()) + drawn,
            "aurc": area[0],
            "aurc_chance": area[1],
            "aurc_best": area[2],
            "aurc_corrected": (area[1] - area[0]) / room if room > 0 else float("nan"),
            "gain_always": float(gains.mean()),
            "gain_if_confident": float(np.where(accepted, gains, 0.0).mean()),
            "gain_best": float(np.maximum(self.best_gains, 0.0).mean()),
        }

    def _share(self, name: str, outcomes: Any) -> dict[str, float]:
        n, count = len(outcomes), float(outcomes.sum())
        if n == 0:
            return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
        low, high = _core.wilson(count, n, self.settings["confidence"])
        return {name: count / n, f"{name}_low": low, f"{name}_high": high}

    def explain(self, metric: str | None = None) -> str:
        """Return a sentence on one number, or on the main ones, a line each.

        Raises `UnknownNameError` for a number without a sentence.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate_abstention
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
        >>> table = TransferTable.from_arrays(
        ...     list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4)
        >>> print(evaluate_abstention(matrix, table).explain("help_rate"))
        The top source helps on 1 of 2 targets (50 %, 95 % interval 9 to 91 %).
        """
        from kinatlas.evaluation.abstained_words import SENTENCES

        wanted = SENTENCES if metric is None else [metric]
        numbers = {**self.summary(), "level": 100 * self.settings["confidence"]}
        numbers |= {"units": self.settings["units"], "threshold": self.settings["threshold"]}
        for name in wanted:
            check_known(name, tuple(SENTENCES), "metric")
        return "\n".join(SENTENCES[name](numbers) for name in wanted)

    def _columns(self) -> dict[str, list[Any]]:
        decisions = ["transfer" if accepted else "abstain" for accepted in self._accepted()]
        return {
            "target": list(self.targets),
            "pick": [" or ".join(pick) for pick in self.picks],
            "score": list(self.scores),
            "probability": list(self.probabilities),
            "decision": decisions,
            "gain": list(self.gains),
            "best_gain": list(self.best_gains),
        }

    def _title(self) -> str:
        return f"Abstention by '{self.kernel}': {len(self.targets)} targets"

    def __repr__(self) -> str:
        table = as_text(self._columns(), max_rows=14)
        return f"{self._title()}\n{table}\n{self.explain()}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), f"{self._title()}. {self.explain()}")
