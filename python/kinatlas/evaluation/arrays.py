"""Arrays that a result keeps: checked against their names, then never written again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import FormatError, ShapeError

__all__ = ["is_same", "read_only"]


def read_only(values: Any, shape: tuple[int, ...], label: str) -> npt.NDArray[np.float64]:
    """Return a read-only float64 copy of ``shape``; ``label`` opens every error message.

    Examples
    --------
    >>> read_only([0.5], (1,), "baseline").flags.writeable
    False
    """
    try:
        array = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise FormatError(f"transfer table: {label} are not numbers: {error}") from None
    if array.shape != shape:
        raise ShapeError(f"transfer table: {label} has shape {array.shape}, expected {shape}")
    array.flags.writeable = False
    return array


def is_same(first: npt.NDArray[np.float64] | None, second: npt.NDArray[np.float64] | None) -> bool:
    """Return whether both are None, or equal with NaN where the other has NaN.

    Examples
    --------
    >>> is_same(None, None), is_same(np.array([np.nan]), np.array([np.nan]))
    (True, True)
    """
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second, equal_nan=True)
