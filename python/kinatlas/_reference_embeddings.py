"""NumPy twins of the embeddings and of their similarities, written to be read.

Nothing calls them but tests and people.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TASK2VEC_TWINS", "batch_mean_fisher", "fisher_of_head", "fisher_of_rows"]

_Floats = npt.NDArray[np.float64]


def fisher_of_rows(gradients: Any) -> _Floats:
    """Return the mean square of gradients [n_rows, *shape].

    Examples
    --------
    >>> fisher_of_rows([[1.0, 2.0], [3.0, 0.0]])
    array([5., 2.])
    """
    squares: _Floats = np.mean(np.asarray(gradients, dtype=np.float64) ** 2, axis=0)
    return squares


def batch_mean_fisher(batches: list[Any]) -> _Floats:
    """Return the mean over batches of the squared mean gradient, as published code does.

    Examples
    --------
    >>> batch_mean_fisher([[[1.0], [3.0]], [[-2.0]]])
    array([4.])
    """
    means = [np.mean(np.asarray(batch, dtype=np.float64), axis=0) for batch in batches]
    return fisher_of_rows(means)


def fisher_of_head(features: _Floats, outputs: _Floats, labels: _Floats | None = None) -> _Floats:
    """Return [n_features + 1, n_outputs] by writing out every gradient of a softmax head.

    Without labels the square is weighted over all classes by their probabilities.

    Examples
    --------
    >>> fisher_of_head(np.ones((1, 1)), np.array([[0.5, 0.5]]))
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    total = np.zeros((features.shape[1] + 1, outputs.shape[1]))
    for row, (token, p) in enumerate(zip(features, outputs, strict=True)):
        x = np.append(token, 1.0)
        classes = range(len(p)) if labels is None else [int(np.argmax(labels[row]))]
        for y in classes:
            gradient = np.outer(x, p - np.eye(len(p))[y])
            total += gradient**2 * (p[y] if labels is None else 1.0)
    mean: _Floats = total / len(features)
    return mean


def _cosine(h: _Floats, g: _Floats) -> float:
    u, w = h / (h + g + 1e-8), g / (h + g + 1e-8)
    norms = float(np.linalg.norm(u) * np.linalg.norm(w))
    return float(u @ w) / norms if norms > 0 else 0.0


def _asymmetric(h: _Floats, g: _Floats, trivial: _Floats, alpha: float) -> float:
    return alpha * (1 - _cosine(h, trivial)) - (1 - _cosine(h, g))


def _divergences(v: _Floats, w: _Floats) -> _Floats:
    found: _Floats = 0.5 * (v / w - 1 + np.log(w) - np.log(v))
    return found


def _kl(h: _Floats, g: _Floats) -> float:
    v, w = 1 / h, 1 / g
    return -float(np.maximum(_divergences(v, w), _divergences(w, v)).sum())


def _jsd(h: _Floats, g: _Floats) -> float:
    v, w = 1 / h, 1 / g
    middle = (v + w) / 2
    return -float((0.5 * (_divergences(v, middle) + _divergences(w, middle))).mean())


#: By kernel name: source [dim] and target [dim] to one number.
TASK2VEC_TWINS: dict[str, Any] = {
    "task2vec_cosine": _cosine,
    "task2vec_asymmetric": _asymmetric,
    "task2vec_kl": _kl,
    "task2vec_jsd": _jsd,
}
