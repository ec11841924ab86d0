"""A similarity matrix as the precomputed input of clustering, neighbours and maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.similarity import SimilarityMatrix

__all__ = ["precomputed_affinity", "precomputed_distance"]


def precomputed_distance(matrix: SimilarityMatrix) -> npt.NDArray[np.float64]:
    """Return distances [n_tasks, n_tasks] for ``metric="precomputed"``: symmetric, zero diagonal.

    The distance is how far the mean of both directions lies below the largest score; it keeps the
    order of scores and need not obey the triangle inequality.

    Raises
    ------
    ShapeError
        If targets and sources are not the same tasks in the same order.
    NonFiniteError
        If a score is missing.
    DTypeError
        If ``matrix`` is no similarity matrix.

    Examples
    --------
    >>> names = ["rte", "mnli"]
    >>> precomputed_distance(SimilarityMatrix([[1.0, 0.2], [0.4, 1.0]], names, names, "flatten"))
    array([[0. , 0.7],
           [0.7, 0. ]])
    """
    both = _both_ways(matrix)
    distance: npt.NDArray[np.float64] = both.max() - both
    np.fill_diagonal(distance, 0.0)
    return distance


def precomputed_affinity(matrix: SimilarityMatrix) -> npt.NDArray[np.float64]:
    """Return affinities [n_tasks, n_tasks] in [0, 1] for ``affinity="precomputed"``.

    Scores of both directions are averaged and scaled linearly, smallest to 0, largest to 1.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError
        As `precomputed_distance`.

    Examples
    --------
    >>> names = ["rte", "mnli"]
    >>> precomputed_affinity(SimilarityMatrix([[1.0, 0.2], [0.4, 1.0]], names, names, "flatten"))
    array([[1., 0.],
           [0., 1.]])
    """
    both = _both_ways(matrix)
    width = both.max() - both.min()
    scaled: npt.NDArray[np.float64] = (both - both.min()) / (width if width > 0 else 1.0)
    return scaled


def _both_ways(matrix: SimilarityMatrix) -> npt.NDArray[np.float64]:
    if not isinstance(matrix, SimilarityMatrix):
        raise DTypeError(f"matrix: got {type(matrix).__name__}, expected a SimilarityMatrix")
    if matrix.targets != matrix.sources:
        raise ShapeError(
            f"the matrix has {len(matrix.targets)} targets and {len(matrix.sources)} sources, "
            "expected the same tasks in the same order; use matrix.select(names, names)"
        )
    if np.isnan(matrix.values).any():
        raise NonFiniteError("the matrix has missing scores; estimators expect all of them")
    both: npt.NDArray[np.float64] = 0.5 * (matrix.values + matrix.values.T)
    return both
