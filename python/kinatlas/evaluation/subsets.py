"""Several sources at once: which to take together, and what of that was ever measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_known_all, check_number
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import DTypeError, FormatError, ShapeError
from kinatlas.evaluation.cells import Floats, paired_cells, percent_lost
from kinatlas.evaluation.evaluate import evaluate
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["SourceSubset", "SubsetEvaluation", "evaluate_subsets", "select_subset"]

_MEASURED = (
    "Measured: transfer from each source alone. Not measured: training on the subset, or mixing "
    "its prompts; 'best' is what trying each of them and keeping the best would have given."
)


@dataclass(frozen=True)
class SourceSubset:
    """Sources to take together for one target, in the order taken, with mixing weights.

    ``weights`` are proportional to scores above zero and sum to 1; equal where none is above.

    Examples
    --------
    >>> SourceSubset("rte", ("mnli",), (0.9,), (1.0,)).sources
    ('mnli',)
    """

    target: str
    sources: tuple[str, ...]
    scores: tuple[float, ...]
    weights: tuple[float, ...]


def select_subset(
    matrix: SimilarityMatrix,
    target: str,
    k: int,
    *,
    diversity: float = 0.0,
    between: SimilarityMatrix | None = None,
) -> SourceSubset:
    """Return ``k`` sources close to a target and, with ``diversity``, unlike each other.

    Each next source has the largest ``(1 - diversity) * score - diversity * closeness`` to the
    nearest source already taken. Equals are taken in alphabetical order.

    Parameters
    ----------
    matrix
        Predicted scores [n_targets, n_sources].
    target
        A row of it; never its own source.
    k
        How many sources.
    diversity
        0 takes the best ``k`` scores, 1 looks at the other sources alone after the first.
    between
        Closeness [n_sources, n_sources] of sources by the same kernel; by default the part of
        ``matrix`` that has sources as rows. Both directions are averaged.

    Raises
    ------
    UnknownNameError
        If the matrix has no such target, or ``between`` lacks a source.
    FormatError
        If diversity is asked for and closeness between sources is not known.
    ShapeError
        If ``k`` or ``diversity`` is out of range.
    NonFiniteError
        If a score is missing.

    References
    ----------
    Carbonell and Goldstein (1998), maximal marginal relevance. Weights: Vu et al. (2022), SPoT.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.6]], ["rte"], ["mnli", "snli", "sst2"], "flatten")
    >>> between = SimilarityMatrix([[1, 0.95, 0.1], [0.95, 1, 0.1], [0.1, 0.1, 1]],
    ...                            matrix.sources, matrix.sources, "flatten")
    >>> select_subset(matrix, "rte", 2).sources
    ('mnli', 'snli')
    >>> select_subset(matrix, "rte", 2, diversity=0.5, between=between).sources
    ('mnli', 'sst2')
    """
    if not isinstance(matrix, SimilarityMatrix):
        raise DTypeError(f"matrix: got {type(matrix).__name__}, expected a SimilarityMatrix")
    names = sorted(name for name in matrix.sources if name != target)
    return _subset(matrix, target, names, k, diversity, between)


def _subset(
    matrix: SimilarityMatrix,
    target: str,
    names: list[str],
    k: int,
    diversity: float,
    between: SimilarityMatrix | None,
) -> SourceSubset:
    places = check_known_all(names, matrix.sources, "source")
    scores = matrix.row(target)[places]
    check_number(diversity, "diversity", "a number from 0 to 1", np.isfinite)
    closeness = _closeness(matrix, between, names) if diversity else np.zeros((len(names),) * 2)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(names):
        raise ShapeError(
            f"k is {k!r}, expected a whole number from 1 to {len(names)}, the sources of '{target}'"
        )
    taken = _core.pick_diverse(scores, closeness, int(k), float(diversity))
    positive = np.maximum(scores[taken], 0.0)
    weights = positive / positive.sum() if positive.any() else np.full(len(taken), 1 / len(taken))
    return SourceSubset(
        target=target,
        sources=tuple(names[place] for place in taken),
        scores=tuple(scores[taken].tolist()),
        weights=tuple(weights.tolist()),
    )


def _closeness(
    matrix: SimilarityMatrix, between: SimilarityMatrix | None, names: list[str]
) -> Floats:
    if between is None:
        if not set(names) <= set(matrix.targets):
            raise FormatError(
                "diversity needs closeness between sources, and not all sources are rows of the "
                "matrix; pass between=similarity_matrix(sources)"
            )
        between = matrix
    values = between.select(targets=names, sources=names).values.copy()
    np.fill_diagonal(values, 0.0)
    return np.asarray((values + values.T) / 2)


@dataclass(frozen=True, repr=False)
class SubsetEvaluation(Tabular):
    """What subsets of several diversities would have kept of the best source.

    Attributes
    ----------
    k, targets, diversities
        Size of the subsets, targets, and the diversities compared.
    regrets
        For every diversity, the regret in percent of the best of the subset, one a target.
    weighted, means
        For every diversity, weighted and plain mean of the subset's single-source scores.
    chance
        Expected regret [n_targets] of ``k`` sources drawn at random, exactly.
    subsets
        For every diversity, the subsets themselves.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.6]], ["rte"], ["mnli", "snli", "sst2"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 3, list(matrix.sources), [60.0, 50.0, 80.0])
    >>> found = evaluate_subsets(matrix, table, k=2, diversities=[0.0])
    >>> found.regrets, found.chance.round(2)
    (((25.0,),), array([8.33]))
    """

    k: int
    targets: tuple[str, ...]
    diversities: tuple[float, ...]
    regrets: tuple[tuple[float, ...], ...]
    weighted: tuple[tuple[float, ...], ...]
    means: tuple[tuple[float, ...], ...]
    chance: Floats
    subsets: tuple[tuple[SourceSubset, ...], ...]

    def explain(self) -> str:
        """Return what the numbers say, and what was not measured.

        Examples
        --------
        >>> matrix = SimilarityMatrix([[0.9, 0.8]], ["rte"], ["mnli", "snli"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["mnli", "snli"], [60.0, 80.0])
        >>> print(evaluate_subsets(matrix, table, k=1, diversities=[0.0]).explain()[:60])
        With diversity 0 the best of 1 sources stays 25.00 % below t
        """
        lines = [
            f"With diversity {diversity:g} the best of {self.k} sources stays "
            f"{float(np.mean(regret)):.2f} % below the best of all, {self.k} drawn at random "
            f"{float(self.chance.mean()):.2f} %."
            for diversity, regret in zip(self.diversities, self.regrets, strict=True)
        ]
        return "\n".join([*lines, _MEASURED])

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "diversity": list(self.diversities),
            "regret": [float(np.mean(row)) for row in self.regrets],
            "chance": [float(self.chance.mean())] * len(self.diversities),
            "mean_score": [float(np.mean(row)) for row in self.means],
            "weighted_score": [float(np.mean(row)) for row in self.weighted],
            "n_targets": [len(self.targets)] * len(self.diversities),
        }

    def __repr__(self) -> str:
        return f"Subsets of {self.k} sources\n{as_text(self._columns())}\n{_MEASURED}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), f"Subsets of {self.k} sources. {_MEASURED}")


def evaluate_subsets(
    matrix: SimilarityMatrix,
    transfer: TransferTable,
    *,
    k: int = 3,
    diversities: Iterable[float] = (0.0, 0.25, 0.5),
    between: SimilarityMatrix | None = None,
) -> SubsetEvaluation:
    """Return how much of the best source subsets of ``k`` contain, for several diversities.

    Scores are means over seeds. Targets with fewer than ``k`` measured sources are left out.
    Without ties diversity 0 is regret@k of `evaluate` with ``seeds="mean"``; the chance level
    is the same number. Raises as `select_subset` and `evaluate`.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.8, 0.6]], ["rte"], ["mnli", "snli", "sst2"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 3, list(matrix.sources), [60.0, 50.0, 80.0])
    >>> evaluate_subsets(matrix, table, k=3, diversities=[0.0]).regrets
    ((0.0,),)
    """
    cells = paired_cells(matrix, transfer, "score")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ShapeError(f"k is {k!r}, expected a whole number of at least 1")
    if isinstance(diversities, str) or not isinstance(diversities, Iterable):
        raise DTypeError(f"diversities: got {diversities!r}, expected a list of numbers")
    rows = [row for row in range(len(cells.targets)) if cells.used[row].sum() >= k]
    if not rows:
        raise ShapeError(f"no target has {k} measured sources, expected at least one that has")
    order = list(map(float, diversities))
    found: dict[str, list[list[Any]]] = {"regret": [], "weighted": [], "mean": [], "subset": []}
    for diversity in order:
        lines: dict[str, list[Any]] = {name: [] for name in found}
        for row in rows:
            names = sorted(cells.sources[at] for at in np.flatnonzero(cells.used[row]))
            subset = _subset(matrix, cells.targets[row], names, k, diversity, between)
            reached = cells.measured[row][check_known_all(subset.sources, cells.sources, "source")]
            best = float(cells.measured[row][cells.used[row]].max())
            lines["regret"].append(percent_lost(subset.target, best, reached.max()))
            lines["weighted"].append(float(reached @ np.array(subset.weights)))
            lines["mean"].append(float(reached.mean()))
            lines["subset"].append(subset)
        for name, values in lines.items():
            found[name].append(values)
    targets = tuple(cells.targets[row] for row in rows)
    numbers = evaluate(matrix.select(targets=targets), transfer, k=k, seeds="mean").per_target()
    return SubsetEvaluation(
        k=k,
        targets=targets,
        diversities=tuple(order),
        regrets=tuple(map(tuple, found["regret"])),
        weighted=tuple(map(tuple, found["weighted"])),
        means=tuple(map(tuple, found["mean"])),
        chance=np.array([row[f"regret@{k}_chance"] for row in numbers]),
        subsets=tuple(map(tuple, found["subset"])),
    )
