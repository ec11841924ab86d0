"""The origin of a comparison, fitted once for all its blocks, in bounded memory."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.similarity.options import Options
from kinatlas.similarity.parts import packed_tasks, refuse_nonfinite, stretches
from kinatlas.tasks import Atlas
from kinatlas.tasks.mapping import let_go

__all__ = ["Frame", "explained", "fit_frame"]

#: Rows [n_rows * dim], and how many tokens were averaged into each.
Frame: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]

# Sums of all tasks, the part that is being summed, and the columns that Rust sorts.
_COPIES = 3
# Tokens summed at a time: after each part, Ctrl-C is heard.
_PART_BYTES = 64 << 20


def fit_frame(
    sources: Atlas, targets: Atlas | None, options: Options, max_memory: int
) -> tuple[Frame, dict[str, Any]]:
    """Return the origin that ``options.center`` asks for, and what to record about the choice.

    Raises
    ------
    ValueError
        If ``center="auto"`` has to look at more tokens than ``max_memory`` holds.
    """
    center, found = options.center, {}
    if isinstance(center, str) and center == "auto":
        _refuse_large(sources, max_memory)
        decision = _core.decide_center(
            sources._packed, None if targets is None else targets._packed
        )
        center, found = ("positions" if decision[0] else None), explained(decision)
    if center is None:
        return (np.empty(0), np.empty(0, dtype=np.int64)), found
    if not isinstance(center, str):
        return (center.reshape(-1), np.empty(0, dtype=np.int64)), found
    fit = _mean_token if center == "features" else _by_position
    return fit(sources, max_memory), found


def explained(decision: tuple[bool, str, Any] | None) -> dict[str, Any]:
    """Return what a result records of ``center="auto"``."""
    if decision is None:
        return {}
    centred, reason, (mean, median, share, n_pairs) = decision
    return {
        "center": "positions" if centred else None,
        "center_asked": "auto",
        "center_reason": reason,
        "center_evidence": {
            "diagonal_fraction": mean,
            "median_diagonal_fraction": median,
            "position_share": share,
            "n_diagonal_pairs": n_pairs,
        },
    }


def _mean_token(sources: Atlas, max_memory: int) -> Frame:
    """Sums of all tasks pass once; where even they do not fit, some columns at a time.

    Every coordinate has a mean of its own, so no bit depends on the cut.
    """
    dim, n_tokens = sources.dim, len(sources._buffer)
    width = max(1, min(dim, max_memory // (_COPIES * 8 * len(sources))))
    parts = []
    for start in range(0, dim, width):
        sums = np.empty((len(sources), min(width, dim - start)))
        for first, stop in stretches(sources, min(max_memory // 4, _PART_BYTES)):
            part = packed_tasks(sources, (first, stop))
            found = _core.sum_tokens(part).reshape(stop - first, dim)
            sums[first:stop] = found[:, start : start + width]
            let_go(part[0])
        parts.append(_core.mean_token(sums, n_tokens))
    return np.concatenate(parts), np.array([n_tokens], dtype=np.int64)


def _by_position(sources: Atlas, max_memory: int) -> Frame:
    """Some positions of all tasks at a time, or where one does not fit, some of its columns."""
    dim, n_tasks, size = sources.dim, len(sources), sources._buffer.itemsize
    widened = 8 * _core.num_threads()
    width = max(1, min(dim, max_memory // (n_tasks * (2 * size + widened))))
    left = max_memory - n_tasks * width * widened
    height = max(1, left // (n_tasks * width * 2 * size)) if width == dim else 1
    longest = max(sources.n_tokens)
    rows, counts = np.empty((longest, dim)), np.empty(longest, dtype=np.int64)
    for top in range(0, longest, height):
        for start in range(0, dim, width):
            part = _gathered(sources, (top, top + height), slice(start, start + width), max_memory)
            found, n_rows = _core.fit_frame(part, "positions")
            place = rows[top : top + height, start : start + width]
            place[...] = found.reshape(place.shape)
            counts[top : top + height] = n_rows
    if not np.isfinite(rows).all():
        refuse_nonfinite(sources)
    return rows.reshape(-1), counts


def _gathered(
    sources: Atlas, positions: tuple[int, int], columns: slice, max_memory: int
) -> tuple[Any, Any]:
    """Tokens at some positions of all tasks that have them, packed."""
    buffer, offsets = np.asarray(sources._buffer), sources._offsets
    top, bottom = positions
    firsts, lasts = offsets[:-1] + top, np.minimum(offsets[:-1] + bottom, offsets[1:])
    has = lasts > firsts
    bounds = np.concatenate([[0], np.cumsum((lasts - firsts)[has])]).astype(np.int64)
    width = len(range(*columns.indices(sources.dim)))
    rows, place = np.empty((int(bounds[-1]), width), dtype=buffer.dtype), 0
    for first, stop in stretches(sources, max_memory // 8):
        for start, end in zip(firsts[first:stop].tolist(), lasts[first:stop].tolist(), strict=True):
            if end > start:
                rows[place : place + end - start] = buffer[start:end, columns]
                place += end - start
        let_go(sources._buffer[int(offsets[first]) : int(offsets[stop])])
    return rows, bounds


def _refuse_large(sources: Atlas, max_memory: int) -> None:
    needed = _COPIES * 8 * sources._buffer.size
    if needed > max_memory:
        raise ValueError(
            f"center='auto' looks at all sources at once, which takes {needed:,} bytes; "
            f"max_memory allows {int(max_memory):,}. Decide on a sample and pass "
            "center='positions' or None, or allow more memory"
        )
