"""From cheap to expensive predictors: what each stage costs, and what is still lost after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_names, check_number
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.evaluation.cells import (
    Cells,
    Floats,
    paired_cells,
    percent_lost,
    tied_best,
)
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["Cascade", "Stage", "evaluate_cascade"]


@dataclass(frozen=True)
class Stage:
    """A predictor, what scoring one source with it costs, and how many sources go on.

    ``keep=None`` lets all of them go on.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.1]], ["rte"], ["mnli", "qqp"], "flatten")
    >>> Stage("prompts", matrix, cost=0.01, keep=1).keep
    1
    """

    name: str
    matrix: SimilarityMatrix
    cost: float
    keep: int | None = None


@dataclass(frozen=True, repr=False)
class Cascade(Tabular):
    """Cost and regret after each stage; made by `evaluate_cascade`.

    Attributes
    ----------
    stages, targets
        Names in order.
    costs, regrets
        Spent so far, and percent of the best score that stopping here would lose
        [n_stages, n_targets].
    n_scored
        Sources each stage looked at [n_stages, n_targets].
    chance
        Regret of a source drawn at random, at no cost [n_targets].

    Examples
    --------
    >>> size = SimilarityMatrix([[3.0, 2.0, 1.0]], ["rte"], ["mnli", "qqp", "sst2"], "size")
    >>> table = TransferTable.from_arrays(["rte"] * 3, list(size.sources), [60.0, 80.0, 40.0])
    >>> found = evaluate_cascade([Stage("size", size, 0.0)], table)
    >>> found.regrets, found.chance
    (array([[25.]]), array([25.]))
    """

    stages: tuple[str, ...]
    targets: tuple[str, ...]
    costs: Floats
    regrets: Floats
    n_scored: Floats
    chance: Floats

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "stage": ["random source", *self.stages],
            "n_scored": [0.0, *self.n_scored.mean(axis=1).tolist()],
            "cost": [0.0, *self.costs.mean(axis=1).tolist()],
            "regret": [float(self.chance.mean()), *self.regrets.mean(axis=1).tolist()],
            "n_targets": [len(self.targets)] * (len(self.stages) + 1),
        }

    def explain(self) -> str:
        """Return a sentence a stage.

        Examples
        --------
        >>> size = SimilarityMatrix([[3.0, 2.0, 1.0]], ["rte"], ["mnli", "qqp", "sst2"], "size")
        >>> table = TransferTable.from_arrays(["rte"] * 3, list(size.sources), [60.0, 80.0, 40.0])
        >>> print(evaluate_cascade([Stage("size", size, 0.0)], table).explain())
        A source drawn at random loses 25.00 % of the best score.
        After 'size', at a cost of 0 a target, the pick loses 25.00 %.
        """
        lines = [f"A source drawn at random loses {self.chance.mean():.2f} % of the best score."]
        for name, cost, regret in zip(
            self.stages, self.costs.mean(axis=1), self.regrets.mean(axis=1), strict=True
        ):
            lines.append(
                f"After '{name}', at a cost of {cost:g} a target, the pick loses {regret:.2f} %."
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Cascade of {len(self.stages)} stages\n{as_text(self._columns())}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), f"Cascade of {len(self.stages)} stages")


def evaluate_cascade(
    stages: Sequence[Stage],
    transfer: TransferTable,
    *,
    combine: Literal["last", "stack"] = "last",
) -> Cascade:
    """Return cost and regret after each stage of a cascade, on measured transfer.

    The first stage scores every source, each next one those that went on. After a stage the pick
    is the best of the sources it scored. Equal scores at the cut all go on; among equal picks the
    mean counts. Cells without a score at every stage or without a run are left out.

    Parameters
    ----------
    stages
        Cheapest first; every matrix has the same targets and sources. A stage may be a short
        probing run: a matrix of measured scores from seeds that ``transfer`` does not hold.
    transfer
        Measured scores, averaged over seeds.
    combine
        ``last``: a stage orders by its own scores, nothing is fitted. ``stack``: by a ridge
        combination of all stages so far, fitted on the *other* targets.

    Raises
    ------
    ShapeError
        If there is no stage, stages have different names, a cut is below 1, or nothing was
        measured.
    DTypeError
        If a stage is not a `Stage`.
    ValueError
        If a cost is negative or not finite.
    UnknownNameError
        If a name is not in the table, repeated, or ``combine`` is no choice.

    Examples
    --------
    >>> names = ["mnli", "qqp", "sst2"]
    >>> size = SimilarityMatrix([[3.0, 2.0, 1.0]], ["rte"], names, "size")
    >>> probe = SimilarityMatrix([[0.55, 0.7, 0.5]], ["rte"], names, "probe")
    >>> table = TransferTable.from_arrays(["rte"] * 3, names, [60.0, 80.0, 40.0])
    >>> evaluate_cascade([Stage("size", size, 0.0, keep=2), Stage("probe", probe, 1.0)], table)
    Cascade of 2 stages
    stage          n_scored    cost   regret  n_targets
    random source    0.0000  0.0000  25.0000          1
    size             3.0000  0.0000  25.0000          1
    probe            2.0000  2.0000   0.0000          1
    """
    check_choice(combine, ("last", "stack"), "combine")
    cells, predictions = _checked(stages, transfer, combine)
    rows = [row for row in range(len(cells.targets)) if cells.used[row].any()]
    shape = (len(stages), len(rows))
    costs, regrets, n_scored = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    chance = np.zeros(len(rows))
    for place, row in enumerate(rows):
        left, spent = np.flatnonzero(cells.used[row]), 0.0
        truth = cells.measured[row]
        target, best = cells.targets[row], float(truth[left].max())
        chance[place] = percent_lost(target, best, truth[left].mean())
        for number, (stage, scores) in enumerate(zip(stages, predictions, strict=True)):
            spent += stage.cost * len(left)
            picked = left[tied_best(scores[row, left])]
            costs[number, place], n_scored[number, place] = spent, len(left)
            regrets[number, place] = percent_lost(target, best, truth[picked].mean())
            left = _going_on(left, scores[row], stage.keep)
    names = tuple(cells.targets[row] for row in rows)
    return Cascade(tuple(s.name for s in stages), names, costs, regrets, n_scored, chance)


def _going_on(left: Any, scores: Floats, keep: int | None) -> Any:
    if keep is None or keep >= len(left):
        return left
    cut = np.sort(scores[left])[-keep]
    return left[scores[left] >= cut]


def _checked(
    stages: Sequence[Stage], transfer: TransferTable, combine: str
) -> tuple[Cells, list[Floats]]:
    if not isinstance(stages, Sequence):
        raise DTypeError(f"stages: got {type(stages).__name__}, expected a list of Stage")
    if not stages:
        raise ShapeError("stages is empty, expected at least one Stage")
    for stage in stages:
        if not isinstance(stage, Stage):
            raise DTypeError(
                f"stages: got {type(stage).__name__}, expected Stage(name, matrix, cost)"
            )
        if not isinstance(stage.matrix, SimilarityMatrix):
            raise DTypeError(
                f"stage '{stage.name}': matrix is a {type(stage.matrix).__name__}, expected a "
                "SimilarityMatrix"
            )
        check_number(
            stage.cost, f"stage '{stage.name}': cost", "0 or more", lambda cost: 0 <= cost < np.inf
        )
        is_whole = isinstance(stage.keep, int | np.integer) and not isinstance(stage.keep, bool)
        if stage.keep is not None and (not is_whole or stage.keep < 1):
            raise ShapeError(
                f"stage '{stage.name}': keep is {stage.keep!r}, expected a whole number of at "
                "least 1, or None for all"
            )
        first = stages[0].matrix
        if (stage.matrix.targets, stage.matrix.sources) != (first.targets, first.sources):
            raise ShapeError(
                f"stages '{stages[0].name}' and '{stage.name}' have different targets or sources; "
                "bring them in one order with matrix.select"
            )
    check_names([stage.name for stage in stages], "stage")
    values = np.stack([stage.matrix.values for stage in stages])
    present = ~np.isnan(values).any(axis=0)
    first = stages[0].matrix
    whole = SimilarityMatrix(
        np.where(present, values[0], 0.0), first.targets, first.sources, first.kernel
    )
    cells = paired_cells(whole, transfer, "score")
    used = cells.used & present
    if not used.any():
        raise ShapeError("no cell was both measured and scored at every stage")
    cells = Cells(cells.targets, cells.sources, values[0], cells.measured, used)
    if combine == "last":
        return cells, list(values)
    values = np.where(used, values, np.nan)
    truth = np.where(used, cells.measured, np.nan)
    stacks = [
        _core.stack_predictors(np.ascontiguousarray(values[: number + 1]), truth).reshape(
            truth.shape
        )
        for number in range(len(stages))
    ]
    return cells, stacks
