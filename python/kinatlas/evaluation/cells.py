"""Predicted scores beside mean measured transfer, cell by cell, for decisions over targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["Cells", "paired_cells", "percent_lost", "tied_best"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Scores and measured means [n_targets, n_sources]; ``used`` marks those with both.

    A task is never its own source.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    scores: Floats
    measured: Floats
    used: npt.NDArray[np.bool_]


def paired_cells(matrix: SimilarityMatrix, transfer: TransferTable, value: str) -> Cells:
    """Return the cells of a matrix beside measured scores or gains, averaged over seeds.

    ``value`` is ``score`` or ``gain``. Raises `DTypeError` for other objects,
    `UnknownNameError` for names the table lacks, `FormatError` for gains without baseline,
    `NonFiniteError` for a missing predicted score of a measured cell, and `ShapeError` if no
    cell has both.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.1]], ["rte"], ["mnli", "qqp"], "flatten")
    >>> table = TransferTable.from_arrays(["rte", "rte"], ["mnli", "qqp"], [71.0, 64.5])
    >>> paired_cells(matrix, table, "score").measured
    array([[71. , 64.5]])
    """
    if not isinstance(matrix, SimilarityMatrix) or not isinstance(transfer, TransferTable):
        raise DTypeError(
            f"got {type(matrix).__name__} and {type(transfer).__name__}, expected a "
            "SimilarityMatrix of predicted scores and a TransferTable of measured ones"
        )
    part = transfer.select(targets=matrix.targets, sources=matrix.sources)
    measured = part.to_matrix("gain" if value == "gain" else "score").values
    others = np.not_equal.outer(np.array(matrix.targets), np.array(matrix.sources))
    known = others & ~np.isnan(measured)
    missing = known & np.isnan(matrix.values)
    if missing.any():
        target, source = np.argwhere(missing)[0]
        raise NonFiniteError(
            f"the matrix has no score of source '{matrix.sources[source]}' for target "
            f"'{matrix.targets[target]}', which was measured; leave it out with matrix.select"
        )
    if not known.any():
        raise ShapeError("no cell of the matrix was measured, expected at least one")
    return Cells(matrix.targets, matrix.sources, matrix.values, measured, known)


def tied_best(scores: Floats) -> npt.NDArray[np.int64]:
    """Return the places [n_best] of the largest score, all of them where several are equal.

    Examples
    --------
    >>> tied_best(np.array([0.5, 0.9, 0.9]))
    array([1, 2])
    """
    return np.flatnonzero(scores == scores.max())


def percent_lost(target: str, best: float, reached: float) -> float:
    """Return what is lost against the best score of a target, in percent of it.

    Raises `ValueError` where the best score is not positive, and a percentage means nothing.

    Examples
    --------
    >>> percent_lost("rte", best=80.0, reached=60.0)
    25.0
    """
    if best <= 0:
        raise ValueError(
            f"target '{target}': the best measured score is {best:g}, so a loss in percent of it "
            "is undefined; leave the target out with matrix.select"
        )
    return float(100 * (best - reached) / best)
