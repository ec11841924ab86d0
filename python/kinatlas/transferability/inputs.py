"""Features, predictions and labels at the door, so that scores may compute without fear."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.interop import as_stored

__all__ = ["Cell", "Packed", "as_cell", "as_codes", "as_features", "widened_features"]

Packed: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
#: Inputs of one source for one target, and the class of every example.
Cell: TypeAlias = tuple[Packed, npt.NDArray[np.int64]]


def as_cell(inputs: Any, codes: npt.NDArray[np.int64], needs: str, label: str) -> Cell:
    """Return inputs and class numbers as ``_core`` takes them; ``label`` opens error messages.

    Examples
    --------
    >>> import numpy as np
    >>> as_cell([[0.0], [1.0]], np.array([0, 1]), "features", "features")[0][1]
    array([0, 2])
    """
    if needs == "source_labels":
        column = as_codes(inputs, label).astype(np.float64)[:, np.newaxis]
        packed = (column, np.array([0, len(column)], dtype=np.int64))
    else:
        packed = as_features(inputs, label)
    n_rows = int(packed[1][-1])
    if n_rows != len(codes):
        raise ShapeError(
            f"{label}: got {n_rows} rows and {len(codes)} labels, expected one row "
            "[n, dim] for every label [n]"
        )
    if len(set(codes.tolist())) < 2:
        raise ShapeError(
            f"{label}: all {len(codes)} labels are equal, expected two classes or more"
        )
    return packed, codes


def as_features(values: Any, label: str) -> Packed:
    """Return features [n, dim] as packed rows of finite numbers.

    Raises `ShapeError` unless they are two-dimensional with two examples or more, `DTypeError`
    for integers, and `NonFiniteError` with the place of a NaN.

    Examples
    --------
    >>> as_features([[0.0, 1.0], [1.0, 0.0]], "features")[0].shape
    (2, 2)
    """
    shape = getattr(values, "shape", None)
    array, _ = as_stored(values, label)
    if (shape is not None and len(shape) != 2) or len(array) < 2:
        raise ShapeError(
            f"{label}: got shape {array.shape if shape is None else tuple(shape)}, expected "
            "[n, dim], one row an example, at least two examples"
        )
    packed = (array, np.array([0, len(array)], dtype=np.int64))
    place = _core.first_nonfinite(packed)
    if place is not None:
        raise NonFiniteError(
            f"{label}: row {place[1]}, column {place[2]} is not a finite number; a score over "
            "NaN or infinity means nothing"
        )
    return packed


def widened_features(packed: Packed) -> npt.NDArray[np.float64]:
    """Return packed rows as float64 [n, dim], for libraries that take nothing else.

    Examples
    --------
    >>> widened_features(as_features([[0.0, 1.0], [1.0, 0.0]], "features")).dtype
    dtype('float64')
    """
    array = packed[0]
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float64)


def as_codes(labels: Any, label: str) -> npt.NDArray[np.int64]:
    """Return labels [n] as class numbers from 0, in order of first appearance.

    Names and gaps between numbers therefore never reach a score. Raises `DTypeError` for
    numbers that are not whole, `ShapeError` unless there is one label an example.

    Examples
    --------
    >>> as_codes(["dog", "cat", "dog"], "labels")
    array([0, 1, 0])
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ShapeError(f"{label}: cannot read as labels [n]: {error}") from None
    if array.ndim != 1 or len(array) < 2:
        raise ShapeError(f"{label}: got shape {array.shape}, expected [n], one label an example")
    is_text = array.dtype.kind == "O" and all(isinstance(name, str) for name in array)
    if array.dtype.kind not in "iubUS" and not is_text:
        raise DTypeError(
            f"{label}: are {array.dtype}, expected whole numbers or texts, one class an example"
        )
    # NumPy turns the number 1 beside a text into the text "1", another class.
    if array.dtype.kind in "US" and not isinstance(labels, np.ndarray):
        odd = next((name for name in labels if not isinstance(name, str | bytes)), None)
        if odd is not None:
            raise DTypeError(
                f"{label}: hold texts and {odd!r}; expected whole numbers or texts, not both"
            )
    places: dict[Any, int] = {}
    codes = [places.setdefault(name, len(places)) for name in array.tolist()]
    return np.array(codes, dtype=np.int64)
