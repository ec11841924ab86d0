"""Metrics of an order of sources in the form that ``sklearn.metrics.make_scorer`` takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas.errors import ShapeError
from kinatlas.evaluation import TransferTable, evaluate
from kinatlas.similarity import SimilarityMatrix

__all__ = ["ndcg_of_sources", "regret_at_k"]


def regret_at_k(y_true: Any, y_score: Any, *, k: int = 1) -> float:
    """Return the mean regret at ``k`` over targets; lower is better.

    ``make_scorer(regret_at_k, greater_is_better=False)`` makes a scorer of it.

    Parameters
    ----------
    y_true
        Measured transfer [n_targets, n_sources], in percent or as fractions.
    y_score
        Predicted scores [n_targets, n_sources], higher is closer.

    Raises
    ------
    ShapeError
        If the two are not matrices of one shape.

    Examples
    --------
    >>> regret_at_k([[80.0, 60.0]], [[0.1, 0.9]])
    25.0
    """
    return float(_summary(y_true, y_score, "linear", k)[f"regret@{k}"])


def ndcg_of_sources(y_true: Any, y_score: Any, *, gain: str = "exp2_percent") -> float:
    """Return the mean NDCG over targets under a named gain; higher is better.

    Raises
    ------
    ShapeError
        If the two are not matrices of one shape.

    Examples
    --------
    >>> ndcg_of_sources([[80.0, 60.0]], [[0.9, 0.1]])
    1.0
    """
    return float(_summary(y_true, y_score, gain, 1)["ndcg"])


def _summary(y_true: Any, y_score: Any, gain: Any, k: int) -> Any:
    truth, scores = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != scores.shape:
        raise ShapeError(
            f"y_true has shape {truth.shape}, y_score {scores.shape}; expected both "
            "[n_targets, n_sources]"
        )
    # Names of their own, so that no source is taken for a target and left out.
    targets = tuple(f"target {row}" for row in range(len(truth)))
    sources = tuple(f"source {column}" for column in range(truth.shape[1]))
    rows = [target for target in targets for _ in sources]
    table = TransferTable.from_arrays(rows, sources * len(targets), truth.reshape(-1))
    matrix = SimilarityMatrix(scores, targets, sources, "predicted")
    return evaluate(matrix, table, gain=gain, k=k).summary()
