"""The origin of a comparison, fitted once for all its blocks, in bounded memory."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.similarity.options import Options
from kinatlas.tasks import Atlas

__all__ = ["Frame", "explained", "fit_frame"]

#: Rows [n_rows * dim], and how many tokens were averaged into each.
Frame: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]

# Rust holds the widened tokens, and the columns it sorts, at the same time.
_COPIES = 3


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
    return _by_columns(sources, center, max_memory), found


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


def _by_columns(sources: Atlas, center: str, max_memory: int) -> Frame:
    """Fit some columns at a time: each has a mean of its own, so no bit depends on it."""
    buffer, offsets = sources._packed
    n_columns = max(1, int(max_memory // (_COPIES * 8 * len(buffer))))
    parts, counts = [], np.empty(0, dtype=np.int64)
    for start in range(0, sources.dim, n_columns):
        columns = np.ascontiguousarray(buffer[:, start : start + n_columns])
        rows, counts = _core.fit_frame((columns, offsets), center)
        parts.append(rows.reshape(-1, columns.shape[1]))
    return np.ascontiguousarray(np.concatenate(parts, axis=1)).reshape(-1), counts


def _refuse_large(sources: Atlas, max_memory: int) -> None:
    needed = _COPIES * 8 * sources._buffer.size
    if needed > max_memory:
        raise ValueError(
            f"center='auto' looks at all sources at once, which takes {needed:,} bytes; "
            f"max_memory allows {int(max_memory):,}. Decide on a sample and pass "
            "center='positions' or None, or allow more memory"
        )
