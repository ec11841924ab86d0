"""Tasks as one vector each, in a scikit-learn pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kinatlas._checks import check_choice, check_same_dim, check_same_space, check_whole
from kinatlas.tasks import Atlas

__all__ = ["TaskEmbedder"]


class TaskEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Pool the tokens of every task to one vector [n_tasks, dim], less the mean of fitted tasks.

    Inner products of the result are the kernel ``feature_mean`` with ``center`` at the fitted
    mean vector, so any estimator on vectors may follow.

    Parameters
    ----------
    n_tokens
        Tokens in a row of a 2-D input [n_tasks, n_tokens * dim]; an `Atlas` needs no number.
    normalize
        ``"tokens"`` divides every token by its norm before pooling; None leaves raw tokens.
    center
        ``"features"`` subtracts the mean vector of the fitted tasks; None subtracts nothing.
    unit_norm
        ``"result"`` divides every vector by its norm at the end; None does not.

    Attributes
    ----------
    mean_
        What is subtracted [dim].

    Raises
    ------
    UnknownNameError
        For any other word, when fitted.
    ValueError
        If ``n_tokens`` is no whole number, or the columns are not as many tokens of one width,
        when fitted.

    Examples
    --------
    >>> import numpy as np
    >>> TaskEmbedder(n_tokens=2).fit_transform(np.eye(4)[:2]).shape
    (2, 2)
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0], [0.0, 1.0]], "rte": [[1.0, 0.0]]})
    >>> TaskEmbedder().fit_transform(atlas).shape
    (2, 2)
    """

    def __init__(
        self,
        n_tokens: int = 1,
        *,
        normalize: str | None = None,
        center: str | None = "features",
        unit_norm: str | None = "result",
    ) -> None:
        self.n_tokens = n_tokens
        self.normalize = normalize
        self.center = center
        self.unit_norm = unit_norm

    def fit(self, X: Any, y: Any = None) -> TaskEmbedder:
        """Learn the mean vector of the tasks; ``y`` is ignored."""
        for value, known, name in (
            (self.normalize, "tokens", "normalize"),
            (self.center, "features", "center"),
            (self.unit_norm, "result", "unit_norm"),
        ):
            if value is not None:
                check_choice(value, [known], name)
        check_whole(self.n_tokens, "n_tokens")
        self._space = X.space if isinstance(X, Atlas) else None
        pooled = self._pooled(X, reset=True)
        self.mean_ = pooled.mean(axis=0) if self.center else np.zeros(pooled.shape[1])
        self._n_features_out = pooled.shape[1]
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return one vector per task [n_tasks, dim].

        Raises
        ------
        SpaceError, ShapeError
            If an atlas lives in another space than the fitted one, or is of another width.
        """
        check_is_fitted(self)
        if isinstance(X, Atlas):
            check_same_dim(len(self.mean_), X.dim, "fitted tasks", "these tasks")
            check_same_space(self._space or X.space, X.space, "fitted tasks", "these tasks")
        moved = self._pooled(X, reset=False) - self.mean_
        return _unit(moved) if self.unit_norm else moved

    def _pooled(self, X: Any, *, reset: bool) -> npt.NDArray[np.float64]:
        if isinstance(X, Atlas):
            if reset:
                self.n_features_in_ = X.dim * self.n_tokens
                if hasattr(self, "feature_names_in_"):
                    del self.feature_names_in_
            tokens = [task.tokens.astype(np.float64) for task in X]
            return np.stack([self._each(rows).mean(axis=0) for rows in tokens])
        X = validate_data(self, X, dtype=np.float64, reset=reset)
        if X.shape[1] % self.n_tokens:
            raise ValueError(
                f"X has {X.shape[1]} columns, expected a multiple of n_tokens={self.n_tokens}: "
                "the tokens of a task behind each other"
            )
        tokens_3d = X.reshape(len(X), self.n_tokens, -1)
        pooled: npt.NDArray[np.float64] = self._each(tokens_3d).mean(axis=1)
        return pooled

    def _each(self, tokens: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return _unit(tokens) if self.normalize else tokens


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
