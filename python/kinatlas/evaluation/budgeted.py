"""Whether planning pays: regret after each measured source, against random and score order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.evaluation.budget import Knowledge, knowledge
from kinatlas.evaluation.cells import Floats, paired_cells, percent_lost
from kinatlas.evaluation.evaluate import evaluate
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["BudgetCurve", "evaluate_budget"]


@dataclass(frozen=True, repr=False)
class BudgetCurve(Tabular):
    """Regret in percent after 1, 2, ... measured sources; made by `evaluate_budget`.

    Attributes
    ----------
    kernel, targets
        What predicted, and the targets measured.
    planned, by_score, random
        Regret [n_targets, n_runs] when the next source is the plan's, the best score's, or any
        at random (exact expectation).

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.1]], ["rte"], ["a", "b", "c"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 3, ["a", "b", "c"], [60.0, 80.0, 40.0])
    >>> evaluate_budget(matrix, table).by_score
    array([[25.,  0.,  0.]])
    """

    kernel: str
    targets: tuple[str, ...]
    planned: Floats
    by_score: Floats
    random: Floats

    def _columns(self) -> dict[str, list[Any]]:
        n_runs = self.planned.shape[1]
        orders = {"planned": self.planned, "by_score": self.by_score, "random": self.random}
        columns: dict[str, list[Any]] = {"n_runs": list(range(1, n_runs + 1))}
        return columns | {name: values.mean(axis=0).tolist() for name, values in orders.items()}

    def summary(self) -> dict[str, float]:
        """Return mean regret over all numbers of runs, and on how many targets planning wins.

        Examples
        --------
        >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.1]], ["rte"], ["a", "b", "c"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 3, ["a", "b", "c"], [60.0, 80.0, 40.0])
        >>> round(evaluate_budget(matrix, table).summary()["random"], 3)
        11.111
        """
        means = {
            name: getattr(self, name).mean(axis=1) for name in ("planned", "by_score", "random")
        }
        wins = means["planned"] < means["random"]
        numbers = {name: float(values.mean()) for name, values in means.items()}
        return {**numbers, "n_targets": float(len(wins)), "n_targets_won": float(wins.sum())}

    def explain(self) -> str:
        """Return in one sentence whether the plan beats random order.

        Examples
        --------
        >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.1]], ["rte"], ["a", "b", "c"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 3, ["a", "b", "c"], [60.0, 80.0, 40.0])
        >>> print(evaluate_budget(matrix, table).explain()[:56])
        Averaged over all numbers of runs, the planned order los
        """
        numbers = self.summary()
        verdict = "beats" if numbers["planned"] < numbers["random"] else "does not beat"
        lost = {name: f"{numbers[name]:.2f} %" for name in ("planned", "by_score", "random")}
        return (
            f"Averaged over all numbers of runs, the planned order loses {lost['planned']} of the "
            f"best score, the order of scores {lost['by_score']}, a random order "
            f"{lost['random']}: the plan {verdict} random order, on "
            f"{numbers['n_targets_won']:.0f} of {numbers['n_targets']:.0f} targets."
        )

    def __repr__(self) -> str:
        table = as_text(self._columns(), max_rows=18)
        return f"BudgetCurve of '{self.kernel}'\n{table}\n{self.explain()}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self.explain())


def evaluate_budget(matrix: SimilarityMatrix, transfer: TransferTable) -> BudgetCurve:
    """Return how fast planned runs find a good source, target by target.

    Every target in turn is unknown while all others are measured; its sources are then measured
    one after another as `plan_budget` says, planning again after each result. Scores are means
    over seeds; every source costs 1. Curves end where the shortest target runs out of sources.
    Equal scores are taken in alphabetical order. Raises as `evaluate` and `plan_budget`, and
    `ValueError` where the best score of a target is not positive.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.1]], ["rte"], ["a", "b", "c"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 3, ["a", "b", "c"], [60.0, 80.0, 40.0])
    >>> evaluate_budget(matrix, table).random.round(2)
    array([[25.  ,  8.33,  0.  ]])
    """
    cells = paired_cells(matrix, transfer, "score")
    measured = np.where(cells.used, cells.measured, np.nan)
    rows = [row for row in range(len(cells.targets)) if cells.used[row].any()]
    n_runs = int(min(cells.used[row].sum() for row in rows))
    z = knowledge(matrix, None).scores
    names = np.argsort(np.argsort(np.array(matrix.sources)))
    planned, by_score = np.zeros((len(rows), n_runs)), np.zeros((len(rows), n_runs))
    for place, row in enumerate(rows):
        columns = np.flatnonzero(cells.used[row])
        truth = measured[row]
        best = float(truth[columns].max())
        plan = _planned(z, measured, row, columns, names, n_runs)
        score_order = [int(at) for at in columns[np.lexsort((names[columns], -z[row, columns]))]]
        for curve, order in ((planned, plan), (by_score, score_order)):
            for count in range(n_runs):
                reached = float(truth[order[: count + 1]].max())
                curve[place, count] = percent_lost(cells.targets[row], best, reached)
    targets = tuple(cells.targets[row] for row in rows)
    ks = range(1, n_runs + 1)
    numbers = evaluate(matrix.select(targets=targets), transfer, k=ks, seeds="mean").per_target()
    random = np.array([[line[f"regret@{k}_chance"] for k in ks] for line in numbers])
    return BudgetCurve(matrix.kernel, targets, planned, by_score, random)


def _planned(z: Floats, measured: Floats, row: int, columns: Any, names: Any, n: int) -> list[int]:
    """Return the sources of one target in the order the plan measures them."""
    known = measured.copy()
    known[row] = np.nan
    left, order = list(columns), []
    for _ in range(n):
        worth = z[row, left]
        if (~np.isnan(known)).sum() >= 3:
            cells = (np.full(len(left), row), np.array(left))
            worth = Knowledge(z, known, None).forecast(*cells)[2]
        best = min(range(len(left)), key=lambda at: (-worth[at], names[left[at]]))
        order.append(left.pop(best))
        known[row, order[-1]] = measured[row, order[-1]]
    return order
