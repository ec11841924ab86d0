"""One task embedding."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_names, check_space
from kinatlas.interop import as_stored, widened
from kinatlas.tasks.packing import pack
from kinatlas.tasks.provenance import Provenance

__all__ = ["Task"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Task:
    """One task embedding: named tokens [n_tokens, dim] of one space, with their provenance.

    Parameters
    ----------
    name
        Non-empty name.
    tokens
        Array-like [n_tokens, dim] or [dim]: NumPy, torch (bfloat16 too), DLPack, lists. Copied.
    space
        What the coordinates mean, for example the base model. Two spaces never meet.
    provenance
        Base model, method, seed, step, file and its hash, as far as known.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        If the tokens are empty, not floating point, or hold NaN or infinity.

    Examples
    --------
    >>> task = Task("mnli", [[1.0, 0.0], [0.0, 1.0]], space="t5-base")
    >>> task
    Task 'mnli': 2 tokens of dim 2, float64, space 't5-base'
    >>> task.tokens.shape
    (2, 2)
    """

    name: str
    space: str
    dtype: str
    provenance: Provenance
    _stored: npt.NDArray[Any]

    def __init__(
        self,
        name: str,
        tokens: Any,
        *,
        space: str = "unspecified",
        provenance: Provenance | None = None,
    ) -> None:
        names = check_names([name], "task")
        stored = as_stored(tokens, f"task {name!r}")
        (buffer, _), dtype = pack(names, [stored])
        self._fill(name, check_space(space), dtype, provenance or Provenance(), buffer)

    @classmethod
    def _wrap(
        cls, name: str, space: str, dtype: str, provenance: Provenance, stored: npt.NDArray[Any]
    ) -> Task:
        task = cls.__new__(cls)
        task._fill(name, space, dtype, provenance, stored)
        return task

    def _fill(
        self, name: str, space: str, dtype: str, provenance: Provenance, stored: npt.NDArray[Any]
    ) -> None:
        stored.flags.writeable = False
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "provenance", provenance)
        object.__setattr__(self, "_stored", stored)

    @property
    def tokens(self) -> npt.NDArray[Any]:
        """Tokens [n_tokens, dim], read-only; bfloat16 is shown as the same float32 values."""
        shown: npt.NDArray[Any] = widened(self._stored, self.dtype).view()
        shown.flags.writeable = False
        return shown

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return int(self._stored.shape[0])

    @property
    def dim(self) -> int:
        """Width of every token."""
        return int(self._stored.shape[1])

    def __len__(self) -> int:
        return self.n_tokens

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        tokens = self.tokens
        if dtype is not None and np.dtype(dtype) != tokens.dtype:
            converted: npt.NDArray[Any] = tokens.astype(dtype)
            return converted
        return tokens.copy() if copy else tokens

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Task):
            return NotImplemented
        return (
            (self.name, self.space, self.dtype, self.provenance)
            == (other.name, other.space, other.dtype, other.provenance)
            and self._stored.shape == other._stored.shape
            and self._stored.tobytes() == other._stored.tobytes()
        )

    def __hash__(self) -> int:
        return hash((self.name, self.space, self.dtype, self._stored.shape))

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.name, self.space, self.dtype, self.provenance, self._stored)
        return Task._wrap, fields

    def __repr__(self) -> str:
        return (
            f"Task {self.name!r}: {self.n_tokens} tokens of dim {self.dim}, {self.dtype}, "
            f"space {self.space!r}"
        )

    def _repr_html_(self) -> str:
        origin = self.provenance.describe()
        return f"<p>{html.escape(repr(self))}{f', {html.escape(origin)}' if origin else ''}</p>"
