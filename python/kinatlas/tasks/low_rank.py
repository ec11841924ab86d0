"""Low-rank updates: the one kind of task embedding that keeps its factors.

The update of a weight is ``scale * B @ A``. Its inner product with another update needs only
rank x rank matrices, so the dense weight change is never formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import NonFiniteError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.tasks.mapping import is_mapped, let_go

__all__ = ["LowRank"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class LowRank:
    """The update ``scale * B @ A`` of one weight, kept as its factors.

    Parameters
    ----------
    a
        A [rank, n_in], copied unless it lies in a mapped file; bfloat16 becomes the same values in
        float32.
    b
        B [n_out, rank], as A.
    scale
        The number in front, for LoRA ``lora_alpha / r``.
    is_transposed
        Whether the base model stores this weight as [n_in, n_out]. Only ``dense`` looks at it.

    Raises
    ------
    ShapeError
        If the ranks of A and B differ.
    DTypeError
        If numbers are not floating point.
    NonFiniteError
        If a factor or the scale is NaN or infinite.

    Examples
    --------
    >>> update = LowRank([[1.0, 0.0]], [[2.0], [3.0]], scale=0.5)
    >>> update.rank, update.shape
    (1, (2, 2))
    >>> update.dense()
    array([[1. , 0. ],
           [1.5, 0. ]])
    """

    a: npt.NDArray[Any]
    b: npt.NDArray[Any]
    scale: float
    is_transposed: bool

    def __init__(self, a: Any, b: Any, *, scale: float = 1.0, is_transposed: bool = False) -> None:
        a, b = _matrix(a, "factor A"), _matrix(b, "factor B")
        if a.shape[0] != b.shape[1]:
            raise ShapeError(
                f"factor A has shape {a.shape}, factor B {b.shape}; expected [rank, n_in] and "
                "[n_out, rank] with the same rank"
            )
        if not np.isfinite(scale):
            raise NonFiniteError(f"scale is {scale}, expected a finite number")
        object.__setattr__(self, "a", a)
        object.__setattr__(self, "b", b)
        object.__setattr__(self, "scale", float(scale))
        object.__setattr__(self, "is_transposed", bool(is_transposed))

    @property
    def rank(self) -> int:
        """Number of rows of A; the true rank may be lower."""
        return int(self.a.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the update as a map, [n_out, n_in]."""
        return int(self.b.shape[0]), int(self.a.shape[1])

    def dense(self) -> npt.NDArray[np.float64]:
        """Multiply out, float64, in the layout in which the base model stores the weight.

        Shape [n_out, n_in], or [n_in, n_out] where ``is_transposed``. Similarities never need it.

        Examples
        --------
        >>> LowRank([[1.0, 2.0]], [[3.0]], is_transposed=True).dense()
        array([[3.],
               [6.]])
        """
        product = self.b.astype(np.float64) @ self.a.astype(np.float64) * self.scale
        update: npt.NDArray[np.float64] = product.T if self.is_transposed else product
        return update

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.a, self.b, self.scale, self.is_transposed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LowRank):
            return NotImplemented
        return (self.scale, self.is_transposed) == (other.scale, other.is_transposed) and all(
            one.dtype == two.dtype and np.array_equal(one, two)
            for one, two in ((self.a, other.a), (self.b, other.b))
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.rank, self.scale))

    def __repr__(self) -> str:
        n_out, n_in = self.shape
        return f"LowRank [{n_out}, {n_in}] of rank {self.rank}, scale {self.scale:g}"


def _rebuilt(a: Any, b: Any, scale: float, is_transposed: bool) -> LowRank:
    return LowRank(a, b, scale=scale, is_transposed=is_transposed)


def _matrix(values: Any, label: str) -> npt.NDArray[Any]:
    array, dtype = as_stored(values, label)
    lent = array.flags.c_contiguous and dtype != "bfloat16" and is_mapped(array)
    array = np.asarray(array) if lent else np.array(widened(array, dtype), order="C", copy=True)
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{label} holds NaN or infinity; only finite numbers can be compared")
    array.flags.writeable = False
    let_go(array)
    return array
