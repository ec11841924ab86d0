"""What a record shows: several tasks in one call, only on average, or one winner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kinatlas._frames import as_html, as_text
from kinatlas.errors import FormatError
from kinatlas.superposition.analysis import Analysis, Estimate

__all__ = ["ConditionVerdict", "Finding", "Verdict", "judge"]

Finding = Literal[
    "superposed_per_prompt", "only_on_average", "winner_take_all", "unanswered", "undecided"
]

_SENTENCES = {
    "superposed_per_prompt": "single prompts give mass to every task of the mixture",
    "only_on_average": "single prompts answer one task; only their average looks superposed",
    "winner_take_all": "one task takes the prompts, and the average as well",
    "unanswered": "most of the mass is on none of the tasks",
    "undecided": "the numbers lie between the limits, or their intervals reach over them",
}


@dataclass(frozen=True)
class ConditionVerdict:
    """The finding in one condition, and the numbers it rests on."""

    condition: str
    finding: Finding
    dispersion: Estimate
    coverage: Estimate
    coverage_of_mean: Estimate
    effective_tasks: Estimate
    effective_tasks_of_mean: Estimate
    total_mass: Estimate


@dataclass(frozen=True, repr=False)
class Verdict:
    """Findings of all mixed conditions; ``finding`` is theirs if they agree, else "undecided"."""

    finding: Finding
    conditions: tuple[ConditionVerdict, ...]
    skipped: tuple[str, ...]
    limits: dict[str, float]

    @property
    def explanation(self) -> str:
        """One sentence."""
        if self.finding == "undecided" and len({c.finding for c in self.conditions}) > 1:
            return "conditions differ; read them one by one"
        return _SENTENCES[self.finding]

    def _columns(self) -> dict[str, list[str]]:
        rows = self.conditions
        return {
            "condition": [row.condition for row in rows],
            "finding": [row.finding for row in rows],
            "V of shares": [str(row.dispersion) for row in rows],
            "coverage": [str(row.coverage) for row in rows],
            "tasks a prompt": [f"{row.effective_tasks.value:.2f}" for row in rows],
            "tasks of mean": [f"{row.effective_tasks_of_mean.value:.2f}" for row in rows],
            "mass": [f"{row.total_mass.value:.2f}" for row in rows],
        }

    def __repr__(self) -> str:
        title = f"Verdict: {self.finding} ({self.explanation})"
        skipped = f"\nnot judged, one task only: {', '.join(self.skipped)}" if self.skipped else ""
        return f"{title}\n{as_text(self._columns(), max_rows=14)}{skipped}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), f"{self.finding}: {self.explanation}", max_rows=14)


def judge(
    analysis: Analysis,
    *,
    low_dispersion: float = 0.25,
    high_dispersion: float = 0.5,
    min_coverage: float = 0.9,
    min_mass: float = 0.5,
) -> Verdict:
    """Return what was shown, condition by condition, with the evidence.

    - ``unanswered``: the total mass lies below ``min_mass``.
    - ``superposed_per_prompt``: dispersion of shares below ``low_dispersion`` and coverage of
      single prompts above ``min_coverage``: a claim about one call, never about a mean.
    - ``only_on_average``: dispersion above ``high_dispersion``, although the mean covers all tasks.
    - ``winner_take_all``: the mean itself leaves a task below the coverage threshold.
    - ``undecided``: an interval reaches over its limit, or the numbers lie between the limits.

    Whole intervals must clear the limits; without intervals (``n_bootstrap=0``) the estimates must.
    Conditions of one task are listed in ``skipped``. The limits are conventions, set between what
    was measured: 0.87 to 1.0 for models trained on one task a sequence, below 0.1 for models
    trained on mixtures.

    Raises
    ------
    FormatError
        If no condition has two tasks, or limits are not in order.

    Examples
    --------
    >>> import numpy as np
    >>> from kinatlas.superposition import SuperpositionRecord, analyse_superposition
    >>> each = SuperpositionRecord(np.log([[0.49, 0.49]] * 60), [0.5, 0.5])
    >>> judge(analyse_superposition(each, n_bootstrap=100)).finding
    'superposed_per_prompt'
    >>> one = SuperpositionRecord(np.log([[0.98, 0.01], [0.01, 0.98]] * 30), [0.5, 0.5])
    >>> judge(analyse_superposition(one, n_bootstrap=100)).finding
    'only_on_average'
    """
    if not 0 < low_dispersion <= high_dispersion < 1 or not 0 < min_coverage <= 1:
        raise FormatError(
            f"limits: low_dispersion={low_dispersion}, high_dispersion={high_dispersion}, "
            f"min_coverage={min_coverage}; expected 0 < low <= high < 1 and a coverage in (0, 1]"
        )
    limits = {"low_dispersion": low_dispersion, "high_dispersion": high_dispersion}
    limits |= {"min_coverage": min_coverage, "min_mass": min_mass}
    mixed = (analysis.mixture > 0).sum(axis=1) > 1
    skipped = tuple(c for c, two in zip(analysis.conditions, mixed, strict=True) if not two)
    if not mixed.any():
        raise FormatError(
            "no condition mixes two tasks, so there is nothing to judge; single-task conditions "
            "are the baseline of a study, not its evidence"
        )
    rows = tuple(
        _judged(analysis, condition, limits)
        for condition, two in zip(analysis.conditions, mixed, strict=True)
        if two
    )
    findings = {row.finding for row in rows}
    overall: Finding = rows[0].finding if len(findings) == 1 else "undecided"
    return Verdict(overall, rows, skipped, limits)


def _judged(analysis: Analysis, condition: str, limits: dict[str, float]) -> ConditionVerdict:
    def at(name: str) -> Estimate:
        found = analysis.at(name, condition)
        if np.isnan(found.low) or np.isnan(found.high):
            return Estimate(found.value, found.value, found.value)
        return found

    evidence = {
        name: at(source)
        for name, source in {
            "dispersion": "dispersion_shares",
            "coverage": "coverage",
            "coverage_of_mean": "coverage_of_mean",
            "effective_tasks": "effective_tasks",
            "effective_tasks_of_mean": "effective_tasks_of_mean",
            "total_mass": "total_mass",
        }.items()
    }
    return ConditionVerdict(condition, _finding(evidence, limits), **evidence)


def _finding(evidence: dict[str, Estimate], limits: dict[str, float]) -> Finding:
    mass, dispersion = evidence["total_mass"], evidence["dispersion"]
    if mass.high < limits["min_mass"]:
        return "unanswered"
    if mass.low < limits["min_mass"]:
        return "undecided"
    if evidence["coverage_of_mean"].high < 1.0:
        return "winner_take_all"
    if dispersion.low > limits["high_dispersion"] and evidence["coverage_of_mean"].low == 1.0:
        return "only_on_average"
    is_steady = dispersion.high < limits["low_dispersion"]
    if is_steady and evidence["coverage"].low >= limits["min_coverage"]:
        return "superposed_per_prompt"
    return "undecided"
