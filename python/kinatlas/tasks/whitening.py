"""Whitening of tokens with a shrunk covariance, and the way back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_same_space
from kinatlas.errors import ShapeError
from kinatlas.interop import widened

if TYPE_CHECKING:
    from kinatlas.tasks.atlas import Atlas

__all__ = ["Whitening"]

_Floats = npt.NDArray[np.float64]

# Three matrices of this width take 1.5 GiB.
_LARGEST_DIM = 8192


@dataclass(frozen=True, eq=False)
class Whitening:
    """A fitted whitening of one space: y = S^(-1/2) (x - mean), S the shrunk covariance.

    Attributes
    ----------
    space
        The space it was fitted in; no other is accepted.
    mean, matrix, inverse
        Mean token [dim], S^(-1/2) [dim, dim] and S^(1/2) [dim, dim].
    shrinkage
        Weight of the round covariance: S = (1 - shrinkage) C + shrinkage (trace C / dim) I.

    References
    ----------
    Ledoit and Wolf 2004, for ``shrinkage="auto"``; the symmetric root is the whitening that moves
    tokens least.

    Examples
    --------
    >>> from kinatlas import Atlas
    >>> tokens = np.random.default_rng(0).standard_normal((50, 3)) * [1.0, 10.0, 100.0]
    >>> atlas = Atlas.from_arrays({"mnli": tokens}, space="bert")
    >>> whitening = Whitening.fit(atlas, 0.01)
    >>> back = whitening.invert(whitening.apply(atlas))
    >>> back.space, bool(np.allclose(back["mnli"].tokens, tokens))
    ('bert', True)
    """

    space: str
    mean: _Floats
    matrix: _Floats
    inverse: _Floats
    shrinkage: float

    @classmethod
    def fit(cls, atlas: Atlas, shrinkage: float | Literal["auto"] = "auto") -> Whitening:
        """Fit the whitening of all tokens of an atlas.

        Raises
        ------
        ValueError
            If ``shrinkage`` is not in [0, 1], the shrunk covariance is singular, or its numbers
            leave the range of float64.
        ShapeError
            If dim is too large for matrices [dim, dim].

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"a": [[4.0, 0.0], [0.0, 1.0], [-4.0, 0.0], [0.0, -1.0]]})
        >>> Whitening.fit(atlas, 0.0).inverse.round(4)
        array([[2.8284, 0.    ],
               [0.    , 0.7071]])
        """
        if atlas.dim > _LARGEST_DIM:
            raise ShapeError(
                f"whitening of {atlas.dim} coordinates needs matrices of that width, the most is "
                f"{_LARGEST_DIM}; project the embeddings to fewer coordinates first"
            )
        tokens = _wide(atlas)
        mean = tokens.mean(axis=0)
        centred = tokens - mean
        largest = np.abs(centred).max()
        # Fourth powers of the numbers are summed for Ledoit and Wolf's estimate.
        if not 1e-70 < largest < 1e70 and largest != 0:
            raise ValueError(
                f"tokens lie up to {largest:.3g} from their mean, whose powers leave the range of "
                "float64; rescale them first"
            )
        covariance = centred.T @ centred / len(centred)
        weight = _ledoit_wolf(centred, covariance) if shrinkage == "auto" else _checked(shrinkage)
        round_variance = np.trace(covariance) / len(covariance)
        shrunk = (1 - weight) * covariance + weight * round_variance * np.eye(len(covariance))
        variances, axes = np.linalg.eigh(shrunk)
        if variances[0] <= len(variances) * np.finfo(float).eps * variances[-1]:
            raise ValueError(
                f"{len(tokens)} tokens of {atlas.dim} coordinates leave a direction without "
                f"variance under shrinkage={weight:.3g}; use a larger shrinkage"
            )
        root = np.sqrt(variances)
        return cls(atlas.space, mean, (axes / root) @ axes.T, (axes * root) @ axes.T, float(weight))

    def apply(self, atlas: Atlas) -> Atlas:
        """Return an atlas of the same space, whitened.

        Raises `SpaceError` for an atlas of another space.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> half, two = np.full((1, 1), 0.5), np.full((1, 1), 2.0)
        >>> whitening = Whitening("bert", np.zeros(1), half, two, 0)
        >>> whitening.apply(Atlas.from_arrays({"a": [4.0]}, space="bert"))["a"].tokens
        array([[2.]])
        """
        check_same_space(self.space, atlas.space, "whitening", "tasks")
        return atlas._with_tokens((_wide(atlas) - self.mean) @ self.matrix, self._note)

    def invert(self, atlas: Atlas) -> Atlas:
        """Return a whitened atlas in its old coordinates, up to rounding.

        Raises `SpaceError` for an atlas that this whitening did not make.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> half, two = np.full((1, 1), 0.5), np.full((1, 1), 2.0)
        >>> whitening = Whitening("bert", np.ones(1), half, two, 0)
        >>> white = whitening.apply(Atlas.from_arrays({"a": [4.0]}, space="bert"))
        >>> whitening.invert(white)["a"].tokens
        array([[4.]])
        """
        check_same_space(f"{self.space}|{self._note}", atlas.space, "whitening", "tasks")
        tokens = _wide(atlas) @ self.inverse + self.mean
        return atlas._with_tokens(tokens, "whitening inverted", self.space)

    @property
    def _note(self) -> str:
        digest = hashlib.sha256(self.mean.tobytes() + self.matrix.tobytes()).hexdigest()[:8]
        return f"whitened(shrinkage={self.shrinkage:.3g})|{digest}"


def _checked(shrinkage: Any) -> float:
    if not isinstance(shrinkage, (int, float)) or not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage={shrinkage!r}: expected a number from 0 to 1, or 'auto'")
    return float(shrinkage)


def _ledoit_wolf(centred: _Floats, covariance: _Floats) -> float:
    """Squared error of the covariance over its squared distance from a round one, at most 1."""
    count, dim = centred.shape
    round_variance = np.trace(covariance) / dim
    distance = np.sum(covariance**2) - dim * round_variance**2
    fourth = np.sum((centred**2).sum(axis=1) ** 2) / count
    error = (fourth - np.sum(covariance**2)) / count
    return float(min(error, distance) / distance) if distance > 0 else 1.0


def _wide(atlas: Atlas) -> _Floats:
    return np.asarray(widened(atlas._buffer, atlas.dtype), dtype=np.float64)
