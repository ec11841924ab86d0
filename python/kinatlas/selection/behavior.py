"""Similarity of black boxes as a matrix that ranks sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinatlas._checks import check_choice
from kinatlas.similarity import SimilarityMatrix

if TYPE_CHECKING:
    from kinatlas.behavior import BehaviorSimilarity

__all__ = ["behavior_matrix"]


def behavior_matrix(similarity: BehaviorSimilarity, *, value: str = "values") -> SimilarityMatrix:
    """Return similarities of black boxes as a `SimilarityMatrix`, for `rank_sources`.

    Parameters
    ----------
    similarity
        What `behavior.paired_similarity` or `behavior.surrogate_similarity` found.
    value
        ``values``, or ``corrected`` for response noise; NaN where that is unknown.

    Raises
    ------
    UnknownNameError
        For any other word.

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = ka.behavior.Responses.from_arrays(
    ...     {"a": [[0.9, 0.1], [0.2, 0.8]], "b": [[0.7, 0.3], [0.4, 0.6]]}, labels=["n", "p"])
    >>> matrix = behavior_matrix(ka.behavior.paired_similarity(found, n_replicates=0))
    >>> ka.rank_sources(matrix, "a")[0].source
    'b'
    """
    check_choice(value, ("values", "corrected"), "value")
    return SimilarityMatrix(
        getattr(similarity, value), similarity.boxes, similarity.boxes,
        f"behavior_{similarity.kernel}", {**similarity.options, "value": value},
    )  # fmt: skip
