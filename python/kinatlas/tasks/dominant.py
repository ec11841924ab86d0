"""Coordinates that carry most of every token's length, found, dropped and put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_same_dim, check_same_space
from kinatlas.interop import widened

if TYPE_CHECKING:
    from kinatlas.tasks.atlas import Atlas

__all__ = ["DominantCoordinates"]


@dataclass(frozen=True)
class DominantCoordinates:
    """Coordinates of one space that are dropped; ``fit`` finds those of the largest mean square.

    Examples
    --------
    >>> from kinatlas import Atlas
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 90.0, 3.0]]}, space="bert")
    >>> dominant = DominantCoordinates.fit(atlas, 1)
    >>> dominant.coordinates, dominant.drop(atlas)["mnli"].tokens
    ((1,), array([[1., 3.]]))
    """

    space: str
    dim: int
    coordinates: tuple[int, ...]

    @classmethod
    def fit(cls, atlas: Atlas, n: int) -> DominantCoordinates:
        """Find the ``n`` coordinates of the largest mean square over all tokens of an atlas.

        Raises `ValueError` unless at least one coordinate is dropped and one is left.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> DominantCoordinates.fit(Atlas.from_arrays({"a": [[5.0, 1.0]]}), 1).coordinates
        (0,)
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n < atlas.dim:
            raise ValueError(
                f"n={n!r}: expected a whole number from 1 to {atlas.dim - 1}, one less than dim"
            )
        tokens = _wide(atlas)
        # Only the order counts, and squares of unscaled numbers might leave the range of float64.
        tokens = tokens / (np.abs(tokens).max() or 1.0)
        # Stable, so that equal coordinates go in their order.
        order = np.argsort(-(tokens**2).mean(axis=0), kind="stable")[:n]
        return cls(atlas.space, atlas.dim, tuple(sorted(int(at) for at in order)))

    def drop(self, atlas: Atlas) -> Atlas:
        """Return an atlas of the same space without these coordinates.

        Raises `SpaceError` for an atlas of another space.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"a": [[5.0, 1.0]]}, space="bert")
        >>> DominantCoordinates("bert", 2, (0,)).drop(atlas).space
        'bert|without 0'
        """
        check_same_space(self.space, atlas.space, "dominant coordinates", "tasks")
        kept = np.delete(_wide(atlas), self.coordinates, axis=1)
        return atlas._with_tokens(np.ascontiguousarray(kept), self._note)

    def restore(self, atlas: Atlas, values: npt.NDArray[np.float64] | float = 0.0) -> Atlas:
        """Return an atlas with the coordinates back in their places, as zeros or given values.

        Raises `SpaceError` for an atlas these coordinates were not dropped from.

        Examples
        --------
        >>> from kinatlas import Atlas
        >>> atlas = Atlas.from_arrays({"a": [[5.0, 1.0]]}, space="bert")
        >>> dominant = DominantCoordinates("bert", 2, (0,))
        >>> dominant.restore(dominant.drop(atlas))["a"].tokens
        array([[0., 1.]])
        """
        check_same_space(f"{self.space}|{self._note}", atlas.space, "dominant coordinates", "tasks")
        check_same_dim(self.dim - len(self.coordinates), atlas.dim, "what was kept", "tasks")
        tokens = np.zeros((len(atlas._buffer), self.dim))
        tokens[:, np.delete(np.arange(self.dim), self.coordinates)] = _wide(atlas)
        tokens[:, self.coordinates] = values
        return atlas._with_tokens(tokens, "dominant coordinates restored", self.space)

    @property
    def _note(self) -> str:
        return f"without {','.join(map(str, self.coordinates))}"


def _wide(atlas: Atlas) -> npt.NDArray[np.float64]:
    return np.asarray(widened(atlas._buffer, atlas.dtype), dtype=np.float64)
