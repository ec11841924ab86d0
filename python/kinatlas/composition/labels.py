"""Labels of a binary task, checked before anything is trained or judged on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import DTypeError, NonFiniteError, ShapeError

__all__ = ["as_array", "as_labels"]


def as_array(values: Any, label: str) -> npt.NDArray[Any]:
    """Return an array of whatever is rectangular.

    Examples
    --------
    >>> as_array([[1], [2, 3]], "labels")
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: labels: rows differ in length ...
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{label}: rows differ in length ({error})") from None


def as_labels(labels: Any, n: int, label: str) -> npt.NDArray[np.bool_]:
    """Return labels [n] of 0 and 1 as booleans; both must occur.

    Raises
    ------
    ShapeError
        If there is not one label a row, or all are equal.
    DTypeError
        If they are not numbers or booleans, or not 0 and 1.
    NonFiniteError
        If one is NaN.

    Examples
    --------
    >>> as_labels([0, 1, 1], 3, "labels")
    array([False,  True,  True])
    >>> as_labels([1, 1, 1], 3, "labels")
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: labels: all 3 are 1, expected both classes; ...
    """
    array = as_array(labels, label)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{label}: are {array.dtype}, expected booleans, or numbers 0 and 1")
    if array.shape != (n,):
        raise ShapeError(f"{label}: have shape {array.shape}, expected ({n},), one for every row")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise NonFiniteError(f"{label}: row {row} is {array[row]}, expected 0 or 1")
    found = array == 1
    strange = ~(found | (array == 0))
    if strange.any():
        row = int(np.argmax(strange))
        raise DTypeError(f"{label}: row {row} is {array[row]}, expected 0 or 1")
    if found.all() or not found.any():
        raise ShapeError(
            f"{label}: all {n} are {int(found[0])}, expected both classes; with one class nothing "
            "can be learned and no AUC exists"
        )
    return np.ascontiguousarray(found)
