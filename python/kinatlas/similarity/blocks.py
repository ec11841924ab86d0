"""Plans of large comparisons, single blocks of them, and the matrix that blocks merge into."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import (
    check_choice,
    check_n_threads,
    check_number,
    check_same_space,
    check_whole,
)
from kinatlas.errors import DTypeError, FormatError, ShapeError
from kinatlas.similarity.block_plan import AnyAtlas, Block, BlockPlan, within
from kinatlas.similarity.diagnostics import described
from kinatlas.similarity.fit import check_fit, refuse_token_options, tokens_of, updates_of
from kinatlas.similarity.frames import fit_frame
from kinatlas.similarity.low_rank import aligned, precision_of_updates
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.similarity.options import Direction, Options
from kinatlas.similarity.parts import packed_tasks
from kinatlas.similarity.task2vec import is_task2vec
from kinatlas.tasks import Atlas, LowRankAtlas

__all__ = ["DEFAULT_MEMORY", "merge_blocks", "plan_blocks", "similarity_block"]

# Rust holds a block's tokens widened to float64, centred, and packed in panels.
_COPIES = 3
# Two to four seconds of one core at 50 to 100 GFLOP/s: long against the cost of a file and of a
# task on a cluster (a few milliseconds), short against the patience of who waits for the last one.
_BLOCK_FLOPS = 2e11
_MOST_TASKS = 4096
_LOW_RANK_TASKS = 256
DEFAULT_MEMORY = 2 << 30


def plan_blocks(
    sources: AnyAtlas,
    targets: AnyAtlas | None = None,
    *,
    kernel: str,
    direction: Direction = "source_to_target",
    normalize: str | None = "tokens",
    center: Any = None,
    k: int | None = None,
    temperature: float | None = None,
    precision: str = "auto",
    block_size: int | tuple[int, int] | None = None,
    max_memory: float = DEFAULT_MEMORY,
) -> BlockPlan:
    """Return a plan that cuts a comparison into blocks; the options are those of a whole matrix.

    The origin is fitted to all sources once, here, so a block never depends on its neighbours.

    Parameters
    ----------
    block_size
        Targets and sources in a block, one number or both; None takes blocks of some seconds.
    max_memory
        Bytes that one block, or the fit of the origin, may use beyond the atlas itself.

    Raises
    ------
    SpaceError, ShapeError, UnknownNameError, ValueError
        As `similarity_matrix`; also where a block of the given size needs more than ``max_memory``.

    Examples
    --------
    >>> from kinatlas import Atlas
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]], "cb": [[1.0, 1.0]]})
    >>> [block.name for block in plan_blocks(atlas, kernel="flatten", block_size=(3, 2))]
    ['r0000000-0000003.c0000000-0000002', 'r0000000-0000003.c0000002-0000003']
    """
    rows = sources if targets is None else targets
    max_memory = int(check_number(max_memory, "max_memory", "a number of bytes", math.isfinite))
    if isinstance(sources, LowRankAtlas):
        refuse_token_options(center, k, temperature)
        check_choice(kernel, _core.low_rank_kernels(), "kernel")
        modules = aligned(sources, updates_of(targets))[2]
        recorded: dict[str, Any] = {"direction": "symmetric", "normalize": None, "center": None}
        recorded["precision"] = precision_of_updates(precision)
        most = max(
            1, max_memory // (2 * _bytes_of_updates(sources, updates_of(targets) or sources))
        )
        shape = _shape(block_size, len(rows), len(sources), _LOW_RANK_TASKS, most)
        sizes = (len(rows), len(sources), shape, targets is None)
        return BlockPlan(kernel, None, recorded, None, modules, *sizes)
    if is_task2vec(kernel):
        raise ValueError(
            f"kernel={kernel!r}: a task has one token here, so similarity_matrix compares even "
            "10^5 tasks in minutes; blocks are for kernels of many tokens and of low-rank updates"
        )
    options = Options.checked(kernel, direction, normalize, center, k, temperature, precision)
    sources, rows = tokens_of(sources, "sources"), tokens_of(rows, "targets")
    if targets is not None:
        check_same_space(sources.space, rows.space, "sources", "targets")
    check_fit(sources, rows, options)
    longest = max(*sources.n_tokens, *rows.n_tokens)
    each = _COPIES * 8 * longest * sources.dim
    most = int(max_memory // (2 * each))
    if most < 1:
        raise ValueError(
            f"max_memory={int(max_memory):,}: one pair of tasks of {longest} tokens of dim "
            f"{sources.dim} needs {2 * each:,} bytes; allow more"
        )
    wanted = math.isqrt(int(_BLOCK_FLOPS // (2 * longest * longest * sources.dim)) or 1)
    shape = _shape(block_size, len(rows), len(sources), wanted, most)
    frame, decision = fit_frame(sources, None if targets is None else rows, options, max_memory)
    recorded = options.recorded() | decision | {"dtype": sources.dtype}
    first = packed_tasks(sources, (0, 1)), packed_tasks(rows, (0, 1))
    is_single = _core.multiplies_in_float32(*first, options.core())
    narrow = "bf16" if precision == "bf16" else "float32"
    recorded["precision"] = narrow if is_single else "float64"
    sizes = (len(rows), len(sources), shape, targets is None)
    return BlockPlan(kernel, options, recorded, frame, None, *sizes)


def similarity_block(
    sources: AnyAtlas,
    targets: AnyAtlas | None = None,
    *,
    rows: slice,
    cols: slice,
    n_threads: int | None = None,
    **options: Any,
) -> npt.NDArray[np.float64]:
    """Return the scores [n_rows, n_cols] of some targets and some sources of a comparison.

    The numbers are those that ``similarity_matrix(sources, targets, **options)`` has there, to
    the last bit, whichever rows and columns are asked for. To compute many blocks, make one plan
    with `plan_blocks`: it fits the origin once.

    Raises
    ------
    ShapeError
        If ``rows`` or ``cols`` is empty or has a step.
    SpaceError, UnknownNameError, ValueError, NonFiniteError
        As `similarity_matrix`.

    Examples
    --------
    >>> from kinatlas import Atlas
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]], "cb": [[1.0, 1.0]]})
    >>> similarity_block(atlas, rows=slice(0, 1), cols=slice(1, 3), kernel="max_pairwise").round(4)
    array([[0.    , 0.7071]])
    """
    plan = plan_blocks(sources, targets, **options)
    block = Block(_bounds(rows, plan.n_targets, "rows"), _bounds(cols, plan.n_sources, "cols"))
    return plan.compute(block, sources, targets, n_threads=check_n_threads(n_threads))


def merge_blocks(
    plan: BlockPlan,
    parts: Iterable[tuple[Block, npt.NDArray[np.float64]]],
    sources: AnyAtlas | Sequence[str],
    targets: AnyAtlas | Sequence[str] | None = None,
) -> SimilarityMatrix:
    """Return the matrix that blocks cover between them, in whichever order they come.

    ``sources`` and ``targets`` are the atlases, or only their names.

    Raises
    ------
    ShapeError
        If a block has the wrong shape or lies outside the grid.
    DTypeError
        If a block holds anything but real numbers.
    FormatError
        If a cell is missing, or two blocks disagree about it.

    Examples
    --------
    >>> from kinatlas import Atlas
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]]})
    >>> plan = plan_blocks(atlas, kernel="max_pairwise", block_size=1)
    >>> parts = [(block, plan.compute(block, atlas)) for block in plan]
    >>> merge_blocks(plan, reversed(parts), atlas).values
    array([[1., 0.],
           [0., 1.]])
    """
    values = np.full((plan.n_targets, plan.n_sources), np.nan)
    for block, given in parts:
        scores = np.asarray(given)
        if scores.dtype.kind not in "fiu":
            raise DTypeError(f"block {block.name} holds {scores.dtype}, expected numbers")
        if scores.shape != block.shape or not (
            within(block.rows, plan.n_targets) and within(block.cols, plan.n_sources)
        ):
            raise ShapeError(
                f"block {block.name} has shape {scores.shape}, expected {block.shape} within "
                f"{values.shape}"
            )
        place = values[slice(*block.rows), slice(*block.cols)]
        if not (np.isnan(place) | (place == scores)).all():
            raise FormatError(f"block {block.name} disagrees with another about the same cells")
        place[...] = scores
    n_missing = int(np.isnan(values).sum())
    if n_missing:
        raise FormatError(f"{n_missing} of {values.size} scores are covered by no block")
    columns = _names(sources)
    names = columns if targets is None else _names(targets)
    found = None
    if plan.options is not None:
        found = described(values, names, columns, plan.options, None)
    recorded = plan.recorded | ({} if plan.modules is None else {"modules": plan.modules})
    return SimilarityMatrix(values, names, columns, plan.kernel, recorded, found)


def _shape(
    size: int | tuple[int, int] | None, n_rows: int, n_columns: int, wanted: int, most: int
) -> tuple[int, int]:
    if size is None:
        side = max(1, min(wanted, most, _MOST_TASKS))
        # Few rows leave room, and work, for more columns; and the other way round.
        longer = min(_MOST_TASKS, side * side // min(side, n_rows, n_columns))
        height = min(n_rows, longer if n_columns < side else side)
        width = min(n_columns, longer if n_rows < side else side, max(1, 2 * most - height))
        return height, width
    both: Any = size if isinstance(size, (tuple, list)) else (size, size)
    if len(both) != 2:
        raise ValueError(f"block_size={size!r}: expected one whole number, or targets and sources")
    height, width = (check_whole(each, "block_size") for each in both)
    height, width = min(height, n_rows), min(width, n_columns)
    if (height + width) > 2 * most:
        raise ValueError(
            f"block_size={size!r}: max_memory holds {2 * most} tasks, rows and columns of a block "
            "together; allow more memory or take smaller blocks"
        )
    return height, width


def _bytes_of_updates(*atlases: LowRankAtlas) -> int:
    """Bytes of the largest update, all modules together."""
    updates = [update for atlas in atlases for update in atlas._updates]
    each = (sum(part.a.nbytes + part.b.nbytes for part in update.values()) for update in updates)
    return max(each)


def _bounds(chosen: slice, count: int, label: str) -> tuple[int, int]:
    if not isinstance(chosen, slice):
        raise ShapeError(f"{label}={chosen!r}: expected a slice, such as slice(0, 64)")
    start, stop, step = chosen.indices(count)
    if step != 1 or start >= stop:
        raise ShapeError(f"{label}={chosen}: expected a slice of step 1 with at least one task")
    return start, stop


def _names(side: AnyAtlas | Sequence[str]) -> tuple[str, ...]:
    return side.names if isinstance(side, (Atlas, LowRankAtlas)) else tuple(side)
