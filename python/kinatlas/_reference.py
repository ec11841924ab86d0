"""NumPy twins of the Rust kernels, written to be read. Nothing calls them but tests and people.

Every twin takes two prompts as they are compared, ``source [n_source, dim]`` and
``target [n_target, dim]`` in float64, and returns one number, source to target. Headers with
formula, source and promises stand in ``src/similarity/<name>.rs``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import numpy.typing as npt

__all__ = ["TWINS", "prepared", "twin_similarity"]

Tokens = npt.NDArray[np.float64]


def prepared(
    tokens: Tokens, origin: Tokens | float = 0.0, normalize: str | None = "tokens"
) -> Tokens:
    """Return tokens [n_tokens, dim] minus the origin, then each divided by its norm.

    Examples
    --------
    >>> prepared(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    moved = tokens - origin
    if normalize is None:
        return moved
    largest = np.abs(moved).max(axis=1, keepdims=True)
    scaled = moved / np.where(largest == 0, 1, largest)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(norms == 0, 1, norms)


def twin_similarity(
    kernel: str,
    source: Tokens,
    target: Tokens,
    direction: str = "source_to_target",
    **parameters: float,
) -> float:
    """Return the twin's score of two prompts [n_tokens, dim] in one of the three directions.

    Examples
    --------
    >>> source, target = np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> twin_similarity("max_pairwise", source, target, "symmetric")
    0.75
    """
    if not source.any() or not target.any():
        return 0.0
    twin = TWINS[kernel]
    forth = twin(source, target, **parameters)
    back = twin(target, source, **parameters)
    scores = {
        "source_to_target": forth,
        "target_to_source": back,
        "symmetric": (forth + back) / 2,
    }
    return float(scores[direction])


def _cosine(left: Tokens, right: Tokens) -> float:
    size = np.linalg.norm(left) * np.linalg.norm(right)
    return float((left * right).sum() / size) if size > 0 else 0.0


def _around_mean(tokens: Tokens) -> Tokens:
    moved = tokens - tokens.mean(axis=0)
    # What is left of a row that equals the mean up to rounding is no direction.
    rounding = len(tokens) * np.finfo(np.float64).eps * np.abs(tokens).max(axis=1)
    return np.where((np.abs(moved).max(axis=1) <= rounding)[:, None], 0.0, moved)


def _distances(source: Tokens, target: Tokens) -> Tokens:
    distances: Tokens = np.linalg.norm(source[:, None, :] - target[None, :, :], axis=2)
    return distances


def _feature_mean(source: Tokens, target: Tokens) -> float:
    return _cosine(source.mean(axis=0), target.mean(axis=0))


def _mean_pairwise(source: Tokens, target: Tokens) -> float:
    return float((source @ target.T).mean())


def _max_pairwise(source: Tokens, target: Tokens) -> float:
    return float((source @ target.T).max(axis=1).mean())


def _topk_mean(source: Tokens, target: Tokens, k: int = 5) -> float:
    largest_first = -np.sort(-(source @ target.T), axis=1)
    return float(largest_first[:, :k].mean())


def _soft_max(source: Tokens, target: Tokens, temperature: float = 0.1) -> float:
    scores = source @ target.T
    weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return float(((weights * scores).sum(axis=1) / weights.sum(axis=1)).mean())


def _optimal_assignment(source: Tokens, target: Tokens) -> float:
    scores = source @ target.T
    if len(source) > len(target):
        scores = scores.T
    n_rows, n_columns = scores.shape
    choices = permutations(range(n_columns), n_rows)
    return max(float(scores[range(n_rows), choice].mean()) for choice in choices)


def _chamfer(source: Tokens, target: Tokens) -> float:
    distances = _distances(source, target)
    return float(1 / (1 + (distances.min(axis=1).mean() + distances.min(axis=0).mean()) / 2))


def _flatten(source: Tokens, target: Tokens) -> float:
    return _cosine(source, target)


def _bigram(source: Tokens, target: Tokens) -> float:
    starts = range(0, len(source), 2)
    return float(np.mean([_cosine(source[i : i + 2], target[i : i + 2]) for i in starts]))


def _unigram(source: Tokens, target: Tokens) -> float:
    return _cosine(source.mean(axis=1), target.mean(axis=1))


def _linear_cka(source: Tokens, target: Tokens) -> float:
    left, right = _around_mean(source), _around_mean(target)
    size = np.linalg.norm(left.T @ left) * np.linalg.norm(right.T @ right)
    return float(np.linalg.norm(left.T @ right) ** 2 / size) if size > 0 else 0.0


def _euclidean_concat(source: Tokens, target: Tokens) -> float:
    return float(1 / (1 + np.linalg.norm(source - target)))


def _euclidean_average(source: Tokens, target: Tokens) -> float:
    return float(1 / (1 + _distances(source, target).mean()))


#: Kernel name to twin. The assignment tries every pairing, so it is for a handful of tokens only.
TWINS: dict[str, Callable[..., float]] = {
    "feature_mean": _feature_mean,
    "mean_pairwise": _mean_pairwise,
    "max_pairwise": _max_pairwise,
    "topk_mean": _topk_mean,
    "soft_max": _soft_max,
    "optimal_assignment": _optimal_assignment,
    "chamfer": _chamfer,
    "flatten": _flatten,
    "bigram": _bigram,
    "unigram": _unigram,
    "linear_cka": _linear_cka,
    "euclidean_concat": _euclidean_concat,
    "euclidean_average": _euclidean_average,
}
