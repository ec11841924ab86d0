"""Array arguments of this room, checked at the door."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas.errors import DTypeError, MixtureError, ShapeError

__all__ = ["MOST_NUMBERS", "Floats", "count", "floats", "frozen", "n_axes_of", "positive"]

Floats: TypeAlias = npt.NDArray[np.float64]

#: Most numbers one drawn sequence may hold: 2 GB for every thread.
MOST_NUMBERS = 2**28


def floats(values: Any, name: str, n_axes: int, shape: str) -> Floats:
    """Return ``values`` as a float64 array with ``n_axes`` axes.

    Examples
    --------
    >>> floats([1, 2], "weights", 1, "[n_tasks]")
    array([1., 2.])
    >>> floats(1.0, "weights", 1, "[n_tasks]")
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: weights has shape (), expected [n_tasks]
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name} is ragged, expected {shape}") from error
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{name} holds {array.dtype}, expected real numbers {shape}")
    if array.ndim != n_axes:
        raise ShapeError(f"{name} has shape {array.shape}, expected {shape}")
    return np.ascontiguousarray(array, dtype=np.float64)


def frozen(array: Floats) -> Floats:
    """Return a read-only copy.

    Examples
    --------
    >>> frozen(np.ones(2)).flags.writeable
    False
    """
    copy: npt.NDArray[np.float64] = array.copy()
    copy.flags.writeable = False
    return copy


def count(value: Any, name: str, least: int = 0, most: int = 2**53 - 1) -> int:
    """Return ``value`` as a whole number from ``least`` to ``most``.

    Examples
    --------
    >>> count(3, "n_examples")
    3
    >>> count(-1, "n_examples")
    Traceback (most recent call last):
    kinatlas.errors.MixtureError: n_examples is -1, expected a whole number of at least 0
    """
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        limit = "" if most == 2**53 - 1 else f" and at most {most}"
        raise MixtureError(
            f"{name} is {value!r}, expected a whole number of at least {least}{limit}"
        )
    return int(value)


def n_axes_of(values: Any, name: str) -> int:
    """Return the number of axes, or say that ``values`` are ragged.

    Examples
    --------
    >>> n_axes_of([[1.0]], "input_covariance")
    2
    """
    try:
        return np.ndim(values)
    except ValueError as error:
        raise ShapeError(f"{name} is ragged, expected rows of one length") from error


def positive(value: Any, name: str) -> float:
    """Return ``value`` as a finite number of at least 0.

    Examples
    --------
    >>> positive(-1.0, "learning_rate")
    Traceback (most recent call last):
    kinatlas.errors.MixtureError: learning_rate is -1.0, expected a finite number of at least 0
    """
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):
        raise MixtureError(f"{name} is {value!r}, expected a finite number of at least 0")
    return float(value)
