"""Several similarity matrices of the same tasks become one, and remember from what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_names
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.similarity.matrix import SimilarityMatrix

__all__ = ["fuse_matrices"]

_Floats = npt.NDArray[np.float64]

_METHODS = ("reciprocal_rank", "z_score_mean", "mean")
# Cormack, Clarke and Buettcher 2009, section 3.
_DEFAULT_K = 60.0


def fuse_matrices(
    matrices: Mapping[str, SimilarityMatrix],
    *,
    method: str = "reciprocal_rank",
    k: float = _DEFAULT_K,
    weights: Mapping[str, float] | None = None,
) -> SimilarityMatrix:
    """Return one matrix [n_targets, n_sources] made of several of the same targets and sources.

    Give the matrices of `module_similarity` or `task_vector_similarity` to fuse layers.

    Parameters
    ----------
    matrices
        By name; the names are recorded.
    method
        ``"reciprocal_rank"``: the sum over matrices of 1 / (k + rank), sources of one target
        ranked from 1, ties sharing their mean rank, a target itself left out of its own ranking.
        ``"z_score_mean"``: scores of each target less their mean, divided by their standard
        deviation over the other sources; a constant row counts 0. ``"mean"``: plain mean of
        scores, for matrices of one scale.
    weights
        One number above 0 for each matrix (default 1); divided by their sum.

    Raises
    ------
    ShapeError
        If there is no matrix, or targets or sources differ in names or order.
    DTypeError
        If something else than a `SimilarityMatrix` is given.
    NonFiniteError
        If a score is missing.
    UnknownNameError, ValueError
        For an unknown method, weights of other names, or numbers not above 0.

    References
    ----------
    Cormack, Clarke and Buettcher 2009 (reciprocal rank fusion); Vu et al. 2020 fuse layers by it.

    Examples
    --------
    >>> def matrix(kernel, row):
    ...     return SimilarityMatrix([row], ["rte"], ["mnli", "qqp"], kernel)
    >>> fused = fuse_matrices(
    ...     {"prompt": matrix("flatten", [0.9, 0.1]), "text": matrix("flatten", [0.5, 0.4])}, k=1
    ... )
    >>> fused.values
    array([[0.5       , 0.33333333]])
    >>> fused.options["matrices"]["text"]
    'flatten'
    """
    check_choice(method, _METHODS, "method")
    if not _is_positive(k):
        raise ValueError(f"k={k!r}: expected a finite number above 0")
    first = _checked(matrices)
    shares = _shares(weights, tuple(matrices))
    own = np.array([[target == source for source in first.sources] for target in first.targets])
    if method == "reciprocal_rank":
        parts = [_reciprocal(matrix.values, own, k) for matrix in matrices.values()]
    elif method == "z_score_mean":
        parts = [_standard(matrix.values, own) for matrix in matrices.values()]
    else:
        parts = [matrix.values for matrix in matrices.values()]
    fused = np.zeros(first.values.shape)
    for share, part in zip(shares.values(), parts, strict=True):
        fused += share * part
    options: dict[str, Any] = {
        "matrices": {name: matrix.kernel for name, matrix in matrices.items()},
        "matrix_options": {name: dict(matrix.options) for name, matrix in matrices.items()},
        "weights": shares,
        "k": float(k) if method == "reciprocal_rank" else None,
    }
    return SimilarityMatrix(fused, first.targets, first.sources, f"fused_{method}", options)


def _checked(matrices: Mapping[str, SimilarityMatrix]) -> SimilarityMatrix:
    if not isinstance(matrices, Mapping):
        raise DTypeError(
            f"matrices: got {type(matrices).__name__}, expected a mapping of name to matrix"
        )
    names = check_names(matrices, "matrix")
    if not names:
        raise ShapeError("matrices: got none, expected at least one")
    for name, matrix in matrices.items():
        if not isinstance(matrix, SimilarityMatrix):
            raise DTypeError(
                f"matrix {name!r}: got {type(matrix).__name__}, expected a SimilarityMatrix"
            )
        first = matrices[names[0]]
        if (matrix.targets, matrix.sources) != (first.targets, first.sources):
            raise ShapeError(
                f"matrices {names[0]!r} and {name!r} have different targets or sources, or another "
                "order of them; bring them together with .select(targets=..., sources=...)"
            )
        if np.isnan(matrix.values).any():
            row, column = np.argwhere(np.isnan(matrix.values))[0]
            raise NonFiniteError(
                f"matrix {name!r}: the score of source {matrix.sources[column]!r} for target "
                f"{matrix.targets[row]!r} is missing; select the part that is complete"
            )
    return matrices[names[0]]


def _shares(weights: Mapping[str, float] | None, names: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(weights, (Mapping, type(None))):
        raise DTypeError(f"weights: got {type(weights).__name__}, expected name to number")
    given = dict.fromkeys(names, 1.0) if weights is None else dict(weights)
    if set(given) != set(names):
        raise ValueError(f"weights: got {sorted(given)}, expected one for each of {sorted(names)}")
    if not all(map(_is_positive, given.values())):
        raise ValueError(f"weights: got {given}, expected finite numbers above 0")
    # Only ratios count; a sum of unscaled numbers might leave the range of float64.
    largest = max(given.values())
    scaled = {name: given[name] / largest for name in names}
    total = sum(scaled.values())
    return {name: float(weight / total) for name, weight in scaled.items()}


def _is_positive(number: Any) -> bool:
    is_number = isinstance(number, (int, float, np.number)) and not isinstance(number, bool)
    return is_number and bool(0 < number < np.inf)


def _reciprocal(values: _Floats, own: npt.NDArray[np.bool_], k: float) -> _Floats:
    fused = np.empty_like(values)
    for row, (scores, is_own) in enumerate(zip(values, own, strict=True)):
        # A target would be its own best source; it keeps rank 0, above everybody.
        fused[row, is_own] = 1 / k
        if not is_own.all():
            ranks = _core.average_ranks(np.ascontiguousarray(scores[~is_own]))
            fused[row, ~is_own] = 1 / (k + 1 + ranks)
    return fused


def _standard(values: _Floats, own: npt.NDArray[np.bool_]) -> _Floats:
    fused = np.zeros_like(values)
    for row, (scores, is_own) in enumerate(zip(values, own, strict=True)):
        # z-scores have no scale, and squares of unscaled numbers might leave the range of float64.
        scores = scores / (np.abs(scores).max() or 1.0)
        others = scores if is_own.all() else scores[~is_own]
        deviation = others.std()
        if deviation > 1e-12 * np.abs(others).max():
            fused[row] = (scores - others.mean()) / deviation
    return fused
