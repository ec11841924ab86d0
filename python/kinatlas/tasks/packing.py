"""Many token arrays become one buffer plus offsets; every check on tokens happens here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_same_dim
from kinatlas.errors import NonFiniteError, ShapeError
from kinatlas.interop import widened

__all__ = ["Packed", "Stored", "pack", "refuse_nonfinite"]

#: A 2-D array and the name of its number type; bfloat16 is held as uint16 bits.
Stored = tuple[npt.NDArray[Any], str]
#: Buffer [n_total_tokens, dim] and offsets [n_tasks + 1].
Packed = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


def pack(names: tuple[str, ...], stored: list[Stored]) -> tuple[Packed, str]:
    """Copy token arrays [n_tokens, dim] behind each other; return buffer, offsets and dtype.

    Raises
    ------
    ShapeError
        If there is no task or widths differ.
    NonFiniteError
        If a token holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> (buffer, offsets), dtype = pack(("a", "b"), [(np.ones((2, 3)), "float64")] * 2)
    >>> buffer.shape, offsets.tolist(), dtype
    ((4, 3), [0, 2, 4], 'float64')
    """
    if not names:
        raise ShapeError("an atlas needs at least one task, got none")
    for name, (array, _) in zip(names, stored, strict=True):
        if array.shape[0] == 0 or array.shape[1] == 0:
            raise ShapeError(
                f"task {name!r}: tokens have shape {array.shape}, expected at least one token and "
                "one dimension"
            )
    dim = stored[0][0].shape[1]
    for name, (array, _) in zip(names, stored, strict=True):
        check_same_dim(dim, array.shape[1], f"tokens of {names[0]!r}", f"tokens of {name!r}")
    dtype = _common_dtype({dtype for _, dtype in stored})
    columns = [
        array if own == dtype else widened(array, own).astype(dtype) for array, own in stored
    ]
    offsets = np.cumsum([0, *(len(array) for array, _ in stored)], dtype=np.int64)
    buffer = np.concatenate(columns, axis=0)
    refuse_nonfinite(buffer, offsets, names)
    return (buffer, offsets), dtype


def _common_dtype(dtypes: set[str]) -> str:
    if len(dtypes) == 1:
        return next(iter(dtypes))
    return "float64" if "float64" in dtypes else "float32"


def refuse_nonfinite(
    buffer: npt.NDArray[Any], offsets: npt.NDArray[np.int64], names: tuple[str, ...]
) -> None:
    """Raise `NonFiniteError` with task, token and coordinate of the first bad number."""
    found = _core.first_nonfinite((buffer, offsets))
    if found is not None:
        task, row, column = found
        raise NonFiniteError(
            f"task {names[task]!r}: token {row}, coordinate {column} is NaN or infinite; "
            "only finite numbers can be compared"
        )
