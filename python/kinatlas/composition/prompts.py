"""Prompts of several sources as one block of numbers, checked once for every rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_names
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.tasks import Atlas

__all__ = ["Prompts", "as_numbers", "read_prompts", "stored"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prompts:
    """Values [n_sources, ...] in double precision, by sorted name, and what they were before."""

    names: tuple[str, ...]
    values: Floats
    given: tuple[str, ...]
    dtype: np.dtype[Any]

    @property
    def places(self) -> list[int]:
        """Where each source stood in what was given, one a source."""
        return [self.names.index(name) for name in self.given]

    def pooled(self, pooling: str) -> Floats:
        """Return one key a source [n_sources, dim]: its rows' maximum or mean, or all of them."""
        if self.values.ndim == 2:
            return self.values
        if pooling == "flat":
            return self.values.reshape(len(self.names), -1)
        keys: Floats = self.values.max(axis=1) if pooling == "max" else self.values.mean(axis=1)
        return keys

    @property
    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Groups of sources that are the same, number by number."""
        groups: dict[bytes, list[str]] = {}
        for name, values in zip(self.names, self.values, strict=True):
            groups.setdefault(values.tobytes(), []).append(name)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def read_prompts(prompts: Mapping[str, Any] | Atlas) -> Prompts:
    """Return the prompts of an atlas, or of a mapping of name to array [n_tokens, dim] or [dim].

    Raises
    ------
    ShapeError
        If there is none, or shapes differ.
    DTypeError, NonFiniteError
        If numbers are not floating point, or not finite.
    """
    if isinstance(prompts, Atlas):
        prompts = {task.name: task.tokens for task in prompts}
    if not isinstance(prompts, Mapping):
        raise DTypeError(
            f"prompts: got {type(prompts).__name__}, expected an Atlas or {{name: array}}"
        )
    given = check_names(prompts, "source")
    if not given:
        raise ShapeError("prompts hold no source, expected at least one")
    arrays = {name: as_numbers(prompts[name], f"source {name!r}") for name in given}
    first = arrays[given[0]]
    for name, array in arrays.items():
        if array.shape != first.shape:
            raise ShapeError(
                f"source {name!r} has shape {array.shape}, {given[0]!r} has {first.shape}, "
                "expected equal shapes"
            )
    names = tuple(sorted(given))
    values = np.stack([arrays[name].astype(np.float64) for name in names])
    return Prompts(names, values, given, np.result_type(*(a.dtype for a in arrays.values())))


def as_numbers(values: Any, label: str) -> npt.NDArray[Any]:
    """Return floating-point numbers of one or two dimensions, all finite.

    Examples
    --------
    >>> as_numbers([1.0, 2.0], "query")
    array([1., 2.])
    """
    stored, dtype = as_stored(values, label)
    array = widened(stored, dtype)
    if not np.isfinite(array).all():
        row, column = (int(place) for place in np.argwhere(~np.isfinite(array))[0])
        raise NonFiniteError(
            f"{label}: row {row}, column {column} is {array[row, column]}, expected finite numbers"
        )
    is_vector = getattr(values, "ndim", np.ndim(values)) == 1
    return array[0] if is_vector else array


def stored(values: Floats, dtype: np.dtype[Any], label: str) -> npt.NDArray[Any]:
    """Return a result in the precision of what it was made of, if that can hold it.

    Examples
    --------
    >>> stored(np.array([1e5]), np.dtype("float16"), "arithmetic")
    Traceback (most recent call last):
    kinatlas.errors.NonFiniteError: arithmetic: the result is too large for float16; ...
    """
    with np.errstate(over="ignore"):
        found = values.astype(dtype)
    if not np.isfinite(found).all():
        raise NonFiniteError(
            f"{label}: the result is too large for {dtype}; give prompts of a wider type, or "
            "smaller ones"
        )
    return found
