"""Every condition of a record and what happens from condition to condition, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice, check_known
from kinatlas._core import superposition_analysis, superposition_names
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import FormatError
from kinatlas.superposition.metrics import coverage_rule
from kinatlas.superposition.record import SuperpositionRecord
from kinatlas.superposition.seeds import seed_of

__all__ = ["Analysis", "Estimate", "analyse_superposition"]

Floats = npt.NDArray[np.float64]

_, _CONDITION, _TASK, _ACROSS = (tuple(names) for names in superposition_names())
_SHOWN = ("total_mass", "kl_shape", "effective_tasks", "coverage", "dispersion_shares")


class Estimate(NamedTuple):
    """A number with its interval; NaN ends mean that no interval could be given."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class _Options(NamedTuple):
    coverage: tuple[float, bool]
    replicates: tuple[int, float, int]
    vote: tuple[int, str]


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Tabular):
    """Statistics of every condition and across them; build it with ``analyse_superposition``.

    ``condition_values`` [3, n_conditions, n_statistics] and ``across_values`` [3, n_tasks, 6] hold
    estimate, lower and upper end; ``at`` and ``across`` look numbers up by name.
    """

    condition_values: Floats
    across_values: Floats
    mixture: Floats
    conditions: tuple[str, ...]
    tasks: tuple[str, ...]
    n_prompts: tuple[int, ...]
    excluded: npt.NDArray[np.int64]
    n_unanswered: tuple[int, ...]
    n_clusters: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def at(self, name: str, condition: str | None = None, task: str | None = None) -> Estimate:
        """Return a statistic of a condition: one of ``names``, or with ``task`` of ``task_names``.

        Without ``condition`` the record must have a single one.

        Examples
        --------
        >>> import numpy as np
        >>> record = SuperpositionRecord(np.log([[0.6, 0.3], [0.4, 0.5]]), [0.5, 0.5], ["a", "b"])
        >>> analyse_superposition(record, n_bootstrap=0).at("probability", task="a").value
        0.5
        """
        if condition is None and len(self.conditions) > 1:
            raise FormatError(f"at: name one of the {len(self.conditions)} conditions")
        row = 0 if condition is None else check_known(condition, self.conditions, "condition")
        if task is None:
            place = check_known(name, _CONDITION, "statistic")
        else:
            statistic = check_known(name, _TASK, "statistic of a task")
            number = check_known(task, self.tasks, "task")
            place = len(_CONDITION) + statistic * len(self.tasks) + number
        return Estimate(*(float(value) for value in self.condition_values[:, row, place]))

    def across(self, name: str, task: str) -> Estimate:
        """Return a statistic of a task across conditions, one of ``across_names``.

        ``slope``, ``intercept`` and ``logit_slope`` of its mean share on its share of the examples
        (1 = calibrated; above 1 in logits = winner-take-all; NaN where a mean share is 0 or 1);
        ``n_eff``, ``threshold`` and ``vote_rmse`` of the vote model.

        Examples
        --------
        >>> import numpy as np
        >>> shares = np.array([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]])
        >>> record = SuperpositionRecord(np.log(shares), shares, ["a", "b"])
        >>> round(analyse_superposition(record, n_bootstrap=0).across("logit_slope", "a").value, 9)
        1.0
        """
        place = check_known(name, _ACROSS, "statistic across conditions")
        row = check_known(task, self.tasks, "task")
        return Estimate(*(float(v) for v in self.across_values[:, row, place]))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the statistics of a condition."""
        return _CONDITION

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the statistics of a task in a condition."""
        return _TASK

    @property
    def across_names(self) -> tuple[str, ...]:
        """Names of the statistics of a task across conditions."""
        return _ACROSS

    def _columns(self) -> dict[str, list[Any]]:
        names = [*_CONDITION, *(f"{name} {task}" for name in _TASK for task in self.tasks)]
        rows = len(self.conditions)
        columns: dict[str, list[Any]] = {
            "condition": [c for c in self.conditions for _ in names],
            "statistic": names * rows,
        }
        for place, end in enumerate(("estimate", "low", "high")):
            columns[end] = self.condition_values[place].ravel().tolist()
        return columns

    def _shown(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {"condition": list(self.conditions)}
        columns["prompts"] = list(self.n_prompts)
        for name in _SHOWN:
            columns[name] = [str(self.at(name, condition)) for condition in self.conditions]
        return columns

    def _title(self) -> str:
        left_out = f", {len(self.excluded)} with colliding answers left out"
        return (
            f"Analysis of {sum(self.n_prompts)} prompts in {len(self.conditions)} conditions"
            f"{left_out if len(self.excluded) else ''}; {self.options['confidence']:.0%} intervals"
        )

    def __repr__(self) -> str:
        return f"{self._title()}\n{as_text(self._shown(), max_rows=16)}"

    def _repr_html_(self) -> str:
        return as_html(self._shown(), self._title(), max_rows=16)


def analyse_superposition(
    record: SuperpositionRecord,
    *,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    collisions: Literal["exclude", "keep"] = "exclude",
    coverage_threshold: float = 0.1,
    absent_tasks: bool = False,
    vote_threshold: Literal["majority", "fitted"] = "majority",
    max_votes: int = 51,
    rng: Any = 0,
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Analysis:
    """Return means, dispersion, Jensen gap, order effects, calibration and votes of a record.

    Dispersion is V = Var(P) / (mean (1 - mean)) over prompts: 1 when every single prompt is one-hot
    and only the average looks superposed. ``dispersion`` is that of P (summed over tasks above and
    below the line), ``dispersion_shares`` that of the normalised Pt, which leaked mass cannot hide.
    Intervals are percentiles of a bootstrap that resamples queries; conditions that share queries
    are resampled together. Means of the shape are over answered prompts (S > 0).

    Parameters
    ----------
    record
        Prompts and answers.
    n_bootstrap
        Replicates; 0 leaves intervals out.
    collisions
        Whether prompts with colliding answers are left out (and listed in ``excluded``) or kept.
    vote_threshold
        ``fitted`` lets one task need more votes than the other.
    max_votes
        Largest n_eff tried.
    rng
        Seed: int, SeedSequence or Generator. The same seed gives the same bits on any number of
        threads.

    Raises
    ------
    FormatError
        If an option is out of range.
    ShapeError
        If a condition has no prompt left.

    Examples
    --------
    >>> import numpy as np
    >>> with np.errstate(divide="ignore"):
    ...     record = SuperpositionRecord(np.log([[1.0, 0.0], [0.0, 1.0]] * 50), [0.5, 0.5])
    >>> found = analyse_superposition(record, n_bootstrap=100)
    >>> found.at("share", task="task 0").value, found.at("dispersion").value
    (0.5, 1.0)
    """
    if n_bootstrap < 0 or not 0.0 < confidence < 1.0 or max_votes < 1:
        raise FormatError(
            f"n_bootstrap={n_bootstrap}, confidence={confidence}, max_votes={max_votes}; expected "
            "at least 0, a number in (0, 1), and at least 1"
        )
    check_choice(collisions, ("exclude", "keep"), "collisions")
    keep = np.ones(len(record), np.bool_) if collisions == "keep" else ~record.collisions
    seed = seed_of(rng)
    options = _Options(
        coverage_rule(coverage_threshold, absent_tasks),
        (int(n_bootstrap), float(confidence), seed),
        (int(max_votes), str(vote_threshold)),
    )
    arrays = record._arrays()
    conditions, across, mixture, n_clusters = superposition_analysis(
        arrays, keep, options, n_threads, progress
    )
    n_conditions, n_tasks = len(record.conditions), record.n_tasks
    unanswered = np.isneginf(record.log_probabilities).all(axis=1) & keep
    return Analysis(
        np.stack(conditions).reshape(3, n_conditions, -1),
        np.stack(across).reshape(3, n_tasks, len(_ACROSS)),
        mixture.reshape(n_conditions, n_tasks),
        record.conditions,
        record.tasks,
        tuple(np.bincount(record.condition[keep], minlength=n_conditions).tolist()),
        np.flatnonzero(~keep),
        tuple(np.bincount(record.condition[unanswered], minlength=n_conditions).tolist()),
        tuple(n_clusters),
        {
            "n_bootstrap": n_bootstrap,
            "confidence": confidence,
            "collisions": collisions,
            "coverage_threshold": coverage_threshold,
            "absent_tasks": absent_tasks,
            "vote_threshold": vote_threshold,
            "seed": seed,
            "floor": record.floor,
            "has_order": record.order is not None,
        },
    )
