"""Which sources to train next, given what was measured, what is predicted, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known, check_known_all, check_number
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import DTypeError, NonFiniteError
from kinatlas.evaluation.cells import Floats
from kinatlas.similarity import SimilarityMatrix

__all__ = ["BudgetPlan", "Knowledge", "knowledge", "plan_budget"]

# With fewer measured cells no variance can be told, and the order is that of the scores.
_FEWEST = 3
_MODEL = (
    "Model: gain = mean + target effect + source effect + slope x score + noise, all Gaussian and "
    "independent, variances by evidence; cells are valued one by one, not jointly."
)


@dataclass(frozen=True, repr=False)
class BudgetPlan(Tabular):
    """Runs in the order to make them, until the budget is spent; made by `plan_budget`.

    Attributes
    ----------
    targets, sources, costs
        The runs.
    expected, deviations
        Forecast of their measurement, and its standard deviation; NaN without a model.
    improvements
        Expected improvement over the best known so far.
    n_measured
        Cells the forecast stands on.

    Examples
    --------
    >>> predicted = SimilarityMatrix([[0.9, 0.1]], ["rte"], ["mnli", "qqp"], "flatten")
    >>> plan_budget(predicted, None, budget=1).sources
    ('mnli',)
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    costs: tuple[float, ...]
    expected: tuple[float, ...]
    deviations: tuple[float, ...]
    improvements: tuple[float, ...]
    n_measured: int

    def explain(self) -> str:
        """Return what the plan stands on, in plain words.

        Examples
        --------
        >>> predicted = SimilarityMatrix([[0.9, 0.1]], ["rte"], ["mnli", "qqp"], "flatten")
        >>> print(plan_budget(predicted, None, budget=1).explain())
        1 run costs 1 in all; too little is measured (0 cells) for a forecast, so the order is \
that of the predicted scores.
        """
        runs = f"{len(self.sources)} run{'s' * (len(self.sources) != 1)}"
        head = f"{runs} cost{'s' * (len(self.sources) == 1)} {sum(self.costs):g} in all"
        if self.n_measured < _FEWEST:
            return (
                f"{head}; too little is measured ({self.n_measured} cells) for a forecast, so the "
                "order is that of the predicted scores."
            )
        return f"{head}, by expected improvement per cost from {self.n_measured} cells. {_MODEL}"

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "target": list(self.targets),
            "source": list(self.sources),
            "cost": list(self.costs),
            "expected": list(self.expected),
            "deviation": list(self.deviations),
            "improvement": list(self.improvements),
        }

    def __repr__(self) -> str:
        return f"BudgetPlan\n{as_text(self._columns(), max_rows=16)}\n{self.explain()}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self.explain())


@dataclass(frozen=True)
class Knowledge:
    """Scores z-scored inside targets, measurements (NaN where unknown), and the best so far.

    ``floor`` is what is in hand before any run of a target: 0 for gains.
    """

    scores: Floats
    measured: Floats
    floor: float | None

    def forecast(self, rows: Any, columns: Any) -> tuple[Floats, Floats, Floats]:
        """Return mean, deviation and expected improvement of cells, by the fitted model.

        Examples
        --------
        >>> import numpy as np
        >>> known = Knowledge(np.zeros((1, 4)), np.array([[1.0, 2.0, 3.0, np.nan]]), 0.0)
        >>> known.forecast(np.array([0]), np.array([3]))[0].round(2)
        array([2.])
        """
        known = np.argwhere(~np.isnan(self.measured)).astype(np.int64)
        gains = self.measured[known[:, 0], known[:, 1]]
        found = _core.forecast_gains(
            self._cells(known[:, 0], known[:, 1]),
            gains,
            self._cells(rows, columns),
            np.array([self._best(row, gains) for row in rows]),
        )
        mean, deviation, ahead = np.array(found).T
        return mean, deviation, ahead

    def _cells(self, rows: Any, columns: Any) -> tuple[Any, Any, Floats]:
        numbers = [np.ascontiguousarray(part, dtype=np.int64) for part in (rows, columns)]
        return numbers[0], numbers[1], np.ascontiguousarray(self.scores[rows, columns])

    def _best(self, row: int, gains: Floats) -> float:
        own = self.measured[row][~np.isnan(self.measured[row])].tolist()
        own += [] if self.floor is None else [self.floor]
        # Nothing in hand for this target: the usual measurement is what a run is set against.
        return float(max(own)) if own else float(gains.mean())


def plan_budget(
    predicted: SimilarityMatrix,
    measured: SimilarityMatrix | None,
    *,
    budget: float,
    costs: Mapping[str, float] | None = None,
    target: str | None = None,
) -> BudgetPlan:
    """Return which runs to make next within a budget, most expected improvement per cost first.

    What a run would measure is forecast by a Gaussian model of everything measured so far: a
    mean, an effect of the target, one of the source, a slope on the predicted score, and noise.
    Its worth is the expected improvement over the best already in hand for its target. Runs are
    valued one by one: plan again after each result. With fewer than three measurements the order
    is that of the predicted scores.

    Parameters
    ----------
    predicted
        Scores [n_targets, n_sources], compared within targets only.
    measured
        Measurements so far, NaN where there is none: ``transfer.to_matrix("gain")``, or a matrix
        of your own; None for nothing. Its names must be among those of ``predicted``.
    budget
        What may be spent.
    costs
        Cost of a run by source; 1 where it is not given.
    target
        The one target to plan for; by default all of them.

    Raises
    ------
    DTypeError
        If a matrix is something else.
    UnknownNameError
        If a name is not in ``predicted``.
    NonFiniteError
        If a predicted score is missing.
    ValueError
        If the budget is negative or a cost is not positive.

    References
    ----------
    Jones, Schonlau, Welch (1998), expected improvement; Rasmussen and Williams (2006), chapter 2.

    Examples
    --------
    >>> predicted = SimilarityMatrix([[0.9, 0.8, 0.1], [0.2, 0.9, 0.3]], ["rte", "cb"],
    ...                              ["mnli", "qqp", "sst2"], "flatten")
    >>> nan = float("nan")
    >>> measured = SimilarityMatrix([[4.0, nan, -2.0], [5.0, 1.0, nan]], ["rte", "cb"],
    ...                             ["mnli", "qqp", "sst2"], "measured_gain", neutral=0.0)
    >>> plan_budget(predicted, measured, budget=1, target="rte").sources
    ('qqp',)
    """
    _check_matrices(predicted, measured)
    # Sorted, so that the caller's order changes no bit of the forecast.
    predicted = predicted.select(
        targets=sorted(predicted.targets), sources=sorted(predicted.sources)
    )
    known = knowledge(predicted, measured)
    check_number(budget, "budget", "0 or more, and finite", lambda size: 0 <= size < np.inf)
    price = _prices(predicted.sources, costs)
    wanted = predicted.targets if target is None else (target,)
    asked = check_known_all(wanted, predicted.targets, "target")
    others = np.not_equal.outer(np.array(predicted.targets), np.array(predicted.sources))
    open_cells = np.argwhere(others & np.isnan(known.measured))
    open_cells = open_cells[np.isin(open_cells[:, 0], asked)]
    rows, columns = open_cells[:, 0], open_cells[:, 1]
    n_measured = int((~np.isnan(known.measured)).sum())
    if n_measured < _FEWEST or not len(rows):
        mean = deviation = ahead = np.full(len(rows), np.nan)
        worth = known.scores[rows, columns]
    else:
        mean, deviation, ahead = known.forecast(rows, columns)
        worth = ahead / price[columns]
    names = [(predicted.targets[row], predicted.sources[column]) for row, column in open_cells]
    order = sorted(range(len(names)), key=lambda at: (-worth[at], names[at]))
    taken, left = [], budget
    for at in order:
        if price[columns[at]] <= left:
            taken.append(at)
            left -= price[columns[at]]
    return BudgetPlan(
        targets=tuple(names[at][0] for at in taken),
        sources=tuple(names[at][1] for at in taken),
        costs=tuple(float(price[columns[at]]) for at in taken),
        expected=tuple(float(mean[at]) for at in taken),
        deviations=tuple(float(deviation[at]) for at in taken),
        improvements=tuple(float(ahead[at]) for at in taken),
        n_measured=n_measured,
    )


def knowledge(predicted: SimilarityMatrix, measured: SimilarityMatrix | None) -> Knowledge:
    """Return what is known, in the order of ``predicted``; raises as `plan_budget`.

    Examples
    --------
    >>> predicted = SimilarityMatrix([[0.9, 0.1]], ["rte"], ["mnli", "qqp"], "flatten")
    >>> knowledge(predicted, None).scores
    array([[ 1., -1.]])
    """
    _check_matrices(predicted, measured)
    others = np.not_equal.outer(np.array(predicted.targets), np.array(predicted.sources))
    if np.isnan(predicted.values[others]).any():
        raise NonFiniteError("predicted: a score is missing (NaN), expected one for every cell")
    found = np.full(predicted.values.shape, np.nan)
    if measured is not None:
        rows = check_known_all(measured.targets, predicted.targets, "measured target")
        columns = check_known_all(measured.sources, predicted.sources, "measured source")
        found[np.ix_(rows, columns)] = measured.values
    found[~others] = np.nan
    scores = np.where(others, predicted.values, np.nan)
    return Knowledge(_within(scores), found, None if measured is None else measured.neutral)


def _check_matrices(predicted: object, measured: object) -> None:
    for label, matrix in (("predicted", predicted), ("measured", measured)):
        is_absent = matrix is None and label == "measured"
        if not is_absent and not isinstance(matrix, SimilarityMatrix):
            raise DTypeError(
                f"{label}: got {type(matrix).__name__}, expected a SimilarityMatrix (of a "
                "TransferTable: its to_matrix)"
            )


def _within(scores: Floats) -> Floats:
    """Z-scores inside every row; 0 where a row has no spread, and on the diagonal."""
    result = np.zeros_like(scores)
    for row, values in zip(result, scores, strict=True):
        own = values[~np.isnan(values)]
        if len(own) and np.ptp(own) > 0:
            row[~np.isnan(values)] = (own - own.mean()) / own.std()
    return result


def _prices(sources: tuple[str, ...], costs: Mapping[str, float] | None) -> npt.NDArray[Any]:
    if costs is not None and not isinstance(costs, Mapping):
        raise DTypeError(f"costs: got {type(costs).__name__}, expected {{source: cost}}")
    given = dict(costs or {})
    for name, cost in given.items():
        check_known(name, sources, "costs: source")
        label = f"cost of source '{name}'"
        check_number(cost, label, "a positive number", lambda size: 0 < size < np.inf)
    return np.array([float(given.get(name, 1.0)) for name in sources])
