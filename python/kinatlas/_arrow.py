"""Arrow memory in and out through the PyCapsule protocol, by nanoarrow; pyarrow is never imported.

``nanoarrow`` (extra ``dataframe``) is a wrapper of a hundred kilobytes around the two C structures
of the protocol; buffers of ours are lent, not copied, and buffers of others are looked at in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas._checks import require
from kinatlas.errors import FormatError

__all__ = [
    "Named",
    "batches",
    "column_of",
    "held",
    "lists_of",
    "numbers_of",
    "refuse_nulls",
    "struct_stream",
    "text_column",
    "vectors_of",
]

#: What to call an element of a column in a message, by its place.
Named: TypeAlias = Callable[[int], str]

_MOST_SMALL = 2**31 - 1
_FLOATS = {"half_float": "float16", "float": "float32", "double": "float64"}


def nanoarrow() -> Any:
    """Return the module; raises `MissingDependencyError` without it."""
    return require("nanoarrow", "dataframe")


def struct_stream(columns: dict[str, Any]) -> Any:
    """Return a stream of one batch whose columns are nanoarrow arrays of one length."""
    na = nanoarrow()
    arrays = [na.c_array(column) for column in columns.values()]
    fields = {name: array.schema for name, array in zip(columns, arrays, strict=True)}
    length = len(arrays[0]) if arrays else 0
    schema = na.struct(fields)
    batch = na.c_array_from_buffers(schema, length, [None], children=arrays)
    return na.c_array_stream(batch)


def text_column(names: Sequence[str], *, each: int = 1, times: int = 1) -> Any:
    """Return a column of names, each ``each`` times in a row, the whole ``times`` times."""
    na = nanoarrow()
    encoded = [name.encode() for name in names]
    lengths = np.tile(np.repeat([len(text) for text in encoded], each), times)
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = b"".join(text * each for text in encoded) * times
    is_small = len(data) <= _MOST_SMALL
    stored = offsets.astype(np.int32) if is_small else offsets
    kind = na.string() if is_small else na.large_string()
    return na.c_array_from_buffers(kind, len(lengths), [None, stored, data])


def column_of(values: Sequence[Any] | npt.NDArray[Any]) -> Any:
    """Return a column of plain Python values: texts, numbers or truth values, None is missing."""
    na = nanoarrow()
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return na.c_array_from_buffers(na.float64(), len(values), [None, values])
    present = {type(value) for value in values if value is not None}
    if present <= {bool} and present:
        return na.c_array(list(values), na.bool_())
    if present <= {int} and present:
        return na.c_array(list(values), na.int64())
    if present <= {int, float, bool}:
        return na.c_array([None if v is None else float(v) for v in values], na.float64())
    return na.c_array([None if v is None else str(v) for v in values], na.string())


def lists_of(buffer: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> Any:
    """Return ``List<FixedSizeList<float, dim>>`` over a packed buffer, which is only lent."""
    na = nanoarrow()
    numbers = {"float16": na.float16(), "float32": na.float32(), "float64": na.float64()}
    number, (n_rows, dim) = numbers[buffer.dtype.name], buffer.shape
    flat = na.c_array_from_buffers(number, n_rows * dim, [None, buffer.reshape(-1)])
    token = na.fixed_size_list(number, dim)
    rows = na.c_array_from_buffers(token, n_rows, [None], children=[flat])
    is_small = n_rows <= _MOST_SMALL
    stored = offsets.astype(np.int32) if is_small else offsets
    kind = na.list_(token) if is_small else na.large_list(token)
    return na.c_array_from_buffers(kind, len(offsets) - 1, [None, stored], children=[rows])


def vectors_of(values: npt.NDArray[np.float32]) -> Any:
    """Return ``FixedSizeList<float32, n>`` over rows of numbers, which are only lent."""
    na = nanoarrow()
    n_rows, width = values.shape
    flat = na.c_array_from_buffers(na.float32(), values.size, [None, values.reshape(-1)])
    kind = na.fixed_size_list(na.float32(), width)
    return na.c_array_from_buffers(kind, n_rows, [None], children=[flat])


def batches(data: Any, label: str) -> Iterator[tuple[list[str], Any]]:
    """Give column names and the struct of every batch of anything that speaks the protocol."""
    if not (hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")):
        raise FormatError(
            f"{label}: got {type(data).__name__}, expected Arrow data: anything with "
            "__arrow_c_stream__ or __arrow_c_array__, such as a pyarrow, polars or duckdb table"
        )
    with nanoarrow().c_array_stream(data) as stream:
        schema = stream.get_schema()
        if schema.format != "+s":
            raise FormatError(f"{label}: the data are one column, expected a table with columns")
        names = [child.name for child in schema.children]
        for batch in stream:
            refuse_nulls(batch.view(), batch.offset, len(batch), label, _row)
            yield names, batch


def numbers_of(
    view: Any, offset: int, length: int, where: str, named: Named
) -> tuple[npt.NDArray[Any], str]:
    """Return some numbers of a float column, in place if they are aligned, and their type's name.

    Raises
    ------
    FormatError
        If they are no floating-point numbers, or one is missing.
    """
    if view.storage_type not in _FLOATS:
        raise FormatError(
            f"{where}: numbers are {view.storage_type}, expected float16, float32 or float64"
        )
    dtype = _FLOATS[view.storage_type]
    refuse_nulls(view, offset, length, where, named)
    values = np.frombuffer(view.buffer(1), dtype=dtype)[offset : offset + length]
    return (values if values.flags.aligned else values.copy()), dtype


def _row(at: int) -> str:
    return f"row {at} as a whole"


class _Holding:
    """Numbers together with what owns their memory, in the one form NumPy keeps a hold of."""

    def __init__(self, values: npt.NDArray[Any], owner: Any) -> None:
        self.__array_interface__ = values.__array_interface__
        self.owner = owner


def held(values: npt.NDArray[Any], owner: Any) -> npt.NDArray[Any]:
    """Return the same numbers in the same place, with ``owner`` kept alive as long as they are.

    A view of nanoarrow 0.9 on a nested column does not do that by itself.
    """
    return np.asarray(_Holding(values, owner))


def refuse_nulls(view: Any, offset: int, length: int, where: str, named: Named) -> None:
    """Raise `FormatError` that names the first missing value by its place, if there is one."""
    if view.null_count == 0 or view.n_buffers == 0 or not view.buffer(0).size_bytes:
        return
    bits = np.unpackbits(np.frombuffer(view.buffer(0), np.uint8), bitorder="little")
    missing = np.flatnonzero(bits[offset : offset + length] == 0)
    if len(missing):
        raise FormatError(
            f"{where}: {named(int(missing[0]))} is null, {len(missing)} in all; drop or fill these "
            "rows first"
        )
