"""Some tasks of an atlas at a time, so that one larger than memory passes through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas.errors import NonFiniteError
from kinatlas.tasks import Atlas
from kinatlas.tasks.mapping import let_go

__all__ = ["packed_tasks", "refuse_nonfinite", "stretches"]


# Numbers checked between two looks at Ctrl-C: from a slow disk, not much longer than 100 ms.
_CHECKED_BYTES = 16 << 20


def packed_tasks(atlas: Any, bounds: tuple[int, int]) -> tuple[Any, Any]:
    """Return some tasks, packed; raises `NonFiniteError` for what a mapped file may hide."""
    for first, stop in stretches(atlas, _CHECKED_BYTES, *bounds):
        found = _core.first_nonfinite(_part(atlas, first, stop))
        if found is not None:
            raise NonFiniteError(
                f"task {atlas.names[first + found[0]]!r}: token {found[1]}, coordinate {found[2]} "
                "is NaN or infinite; only finite numbers can be compared"
            )
    return _part(atlas, *bounds)


def _part(atlas: Any, start: int, stop: int) -> tuple[Any, Any]:
    buffer, offsets = atlas._packed
    rows = np.asarray(buffer[int(offsets[start]) : int(offsets[stop])])
    return rows, offsets[start : stop + 1] - offsets[start]


def stretches(
    atlas: Atlas, n_bytes: int, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, int]]:
    """Give ranges of tasks whose tokens take at most ``n_bytes``, or one task each.

    Examples
    --------
    >>> list(stretches(Atlas.from_arrays({"a": [1.0], "b": [1.0], "c": [1.0]}), 16))
    [(0, 2), (2, 3)]
    """
    offsets, rows = atlas._offsets, max(1, n_bytes // (atlas.dim * atlas._buffer.itemsize))
    last = len(atlas) if stop is None else stop
    while start < last:
        end = int(np.searchsorted(offsets, offsets[start] + rows, side="right")) - 1
        end = min(last, max(start + 1, end))
        yield start, end
        start = end


def refuse_nonfinite(atlas: Atlas) -> None:
    """Raise `NonFiniteError` with task, token and coordinate of the first bad number."""
    for bounds in stretches(atlas, _CHECKED_BYTES):
        let_go(packed_tasks(atlas, bounds)[0])
