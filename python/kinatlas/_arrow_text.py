"""Columns of texts, read from their buffers: plain, large, viewed or dictionary-encoded.

nanoarrow 0.9 can read them too, but its reader of viewed texts, which polars hands out, ends the
process.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from kinatlas.errors import FormatError

__all__ = ["text_of"]

_OFFSETS = {"string": np.int32, "large_string": np.int64}
_INLINE = 12  # bytes that stand in the view itself
_VIEW = np.dtype([("size", "<i4"), ("start", "V4"), ("buffer", "<i4"), ("offset", "<i4")])


def text_of(view: Any, offset: int, length: int) -> list[str | None] | None:
    """Return some texts of a column, missing ones as None; or None if the column holds no texts.

    Raises
    ------
    FormatError
        If a key points outside its dictionary.
    """
    if view.dictionary is not None:
        known = text_of(view.dictionary, view.dictionary.offset, view.dictionary.length)
        if known is None:
            return None
        # What stands where a value is missing is anything, also a key of no text.
        keys = np.frombuffer(view.buffer(1), dtype=str(view.storage_type))
        places = keys[offset : offset + length].tolist()
        absent = set(_missing(view, offset, length))
        found: list[str | None] = [
            None if at in absent else _known(known, place) for at, place in enumerate(places)
        ]
    elif view.storage_type in _OFFSETS:
        found = _by_offsets(view, offset, length)
    elif view.storage_type == "string_view":
        found = _by_views(view, offset, length)
    else:
        return None
    for at in _missing(view, offset, length):
        found[at] = None
    return found


def _known(texts: list[str | None], place: int) -> str | None:
    if not 0 <= place < len(texts):
        raise FormatError(f"a dictionary of {len(texts)} texts has no key {place}")
    return texts[place]


def _by_offsets(view: Any, offset: int, length: int) -> list[str | None]:
    if length == 0:
        return []
    bounds = np.frombuffer(view.buffer(1), dtype=_OFFSETS[view.storage_type])
    bounds = bounds[offset : offset + length + 1]
    data = bytes(memoryview(view.buffer(2)).cast("B")[int(bounds[0]) : int(bounds[-1])])
    starts = (bounds - bounds[0]).tolist()
    return [data[start:stop].decode() for start, stop in pairwise(starts)]


def _by_views(view: Any, offset: int, length: int) -> list[str | None]:
    raw = np.frombuffer(view.buffer(1), dtype=np.uint8)[16 * offset : 16 * (offset + length)]
    inline = raw.tobytes()
    # Between the views and the sizes at the end stand the buffers of long texts.
    long = [memoryview(view.buffer(at)).cast("B") for at in range(2, view.n_buffers - 1)]
    found: list[str | None] = []
    for at, (size, _, buffer, start) in enumerate(raw.view(_VIEW).tolist()):
        if size <= _INLINE:
            found.append(inline[16 * at + 4 : 16 * at + 4 + size].decode())
        else:
            found.append(bytes(long[buffer][start : start + size]).decode())
    return found


def _missing(view: Any, offset: int, length: int) -> list[int]:
    if view.null_count == 0 or not view.buffer(0).size_bytes:
        return []
    bits = np.unpackbits(np.frombuffer(view.buffer(0), np.uint8), bitorder="little")
    places: list[int] = np.flatnonzero(bits[offset : offset + length] == 0).tolist()
    return places
