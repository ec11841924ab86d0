"""What fixes one comparison, cut into blocks: any rows, any columns, in any order, the same bits.

A block is a pure function of the plan and of the two atlases, so it may be computed twice, on
another machine, or again next week. ``kinatlas.distributed`` keeps blocks as files.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.similarity.frames import Frame
from kinatlas.similarity.low_rank import factors_of
from kinatlas.similarity.options import Options
from kinatlas.similarity.parts import packed_tasks
from kinatlas.tasks import Atlas, LowRankAtlas
from kinatlas.tasks.mapping import files_of, let_go

__all__ = ["AnyAtlas", "Block", "BlockPlan", "within"]

AnyAtlas: TypeAlias = Atlas | LowRankAtlas

# Sums over all pairs of tokens, row by row: with rows and columns exchanged, another order.
_LAST_DIGITS_TURN = {"euclidean_average"}


@dataclass(frozen=True, order=True)
class Block:
    """Some targets against some sources: ``rows`` and ``cols`` are half-open ranges of numbers.

    Examples
    --------
    >>> Block((0, 64), (128, 192)).name
    'r0000000-0000064.c0000128-0000192'
    """

    rows: tuple[int, int]
    cols: tuple[int, int]

    @property
    def name(self) -> str:
        """A name that sorts by rows, then by columns."""
        (top, bottom), (left, right) = self.rows, self.cols
        return f"r{top:07d}-{bottom:07d}.c{left:07d}-{right:07d}"

    @property
    def shape(self) -> tuple[int, int]:
        """Number of targets and of sources."""
        return self.rows[1] - self.rows[0], self.cols[1] - self.cols[0]

    @property
    def n_pairs(self) -> int:
        """Number of scores."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class BlockPlan:
    """Everything that fixes every score of a comparison, except the tokens; made by `plan_blocks`.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]], "cb": [[1.0, 1.0]]})
    >>> from kinatlas.similarity import plan_blocks
    >>> plan = plan_blocks(atlas, kernel="max_pairwise", block_size=2)
    >>> [block.shape for block in plan]
    [(2, 2), (2, 1), (1, 2), (1, 1)]
    >>> plan.compute(next(iter(plan)), atlas)
    array([[1., 0.],
           [0., 1.]])
    """

    kernel: str
    options: Options | None
    recorded: dict[str, Any]
    frame: Frame | None
    modules: tuple[str, ...] | None
    n_targets: int
    n_sources: int
    block_shape: tuple[int, int]
    #: Whether the sources are compared among themselves.
    is_square: bool = False

    def __iter__(self) -> Iterator[Block]:
        """Give every block, row by row."""
        height, width = self.block_shape
        for top in range(0, self.n_targets, height):
            rows = (top, min(top + height, self.n_targets))
            for left in range(0, self.n_sources, width):
                yield Block(rows, (left, min(left + width, self.n_sources)))

    def __len__(self) -> int:
        height, width = self.block_shape
        return math.ceil(self.n_targets / height) * math.ceil(self.n_sources / width)

    def compute(
        self,
        block: Block,
        sources: AnyAtlas,
        targets: AnyAtlas | None = None,
        *,
        n_threads: int | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the scores [n_rows, n_cols] of one block; any number of threads, the same bits.

        `compute_bounded` also returns the bound on their error.

        Raises
        ------
        NonFiniteError
            If a token of the block is NaN or infinite, which a mapped file may hide until now.
        ShapeError, DTypeError
            If the block does not lie in the grid, or the atlases are of another size or kind.
        """
        return self.compute_bounded(block, sources, targets, n_threads=n_threads)[0]

    def compute_bounded(
        self,
        block: Block,
        sources: AnyAtlas,
        targets: AnyAtlas | None = None,
        *,
        n_threads: int | None = None,
    ) -> tuple[npt.NDArray[np.float64], tuple[float, str] | None]:
        """Return the scores of `compute`; and for float32 and bf16, their error bound and simd."""
        if not (within(block.rows, self.n_targets) and within(block.cols, self.n_sources)):
            raise ShapeError(
                f"block {block.name} lies outside the grid of {self.n_targets} targets and "
                f"{self.n_sources} sources"
            )
        rows = sources if targets is None else targets
        if (len(rows), len(sources)) != (self.n_targets, self.n_sources):
            raise ShapeError(
                f"got {len(rows)} targets and {len(sources)} sources, the plan was made for "
                f"{self.n_targets} and {self.n_sources}"
            )
        is_diagonal = targets is None and block.rows == block.cols
        if self.modules is not None and _both(rows, sources, LowRankAtlas):
            right = _updates(sources, block.cols)
            left = None if is_diagonal else _updates(rows, block.rows)
            ours = right._aligned(self.modules)
            theirs = None if left is None else left._aligned(self.modules)
            precision = self.recorded.get("precision", "float64")
            sides = (theirs or ours, None if theirs is None else ours)
            scores = _core.low_rank_matrix(
                sides[0], sides[1], self.kernel, n_threads, None, precision
            )
            for file in files_of(factors_of(left, right)):
                let_go(file)
            return scores, None
        if self.options is not None and self.frame is None:
            raise ShapeError(
                "this plan was read from a folder, which does not keep the origin; "
                "similarity_blocks with resume=True computes blocks there, plan_blocks a new plan"
            )
        if self.options is None or self.frame is None or not _both(rows, sources, Atlas):
            raise DTypeError(
                f"this plan compares {'tokens' if self.modules is None else 'low-rank updates'}, "
                f"got {type(sources).__name__} and {type(rows).__name__}"
            )
        packed = packed_tasks(sources, block.cols)
        beside = None if is_diagonal else packed_tasks(rows, block.rows)
        options = self.options.core()
        flat, single = _core.block_scores(packed, beside, options, self.frame, n_threads)
        for part in (packed, beside or packed):
            let_go(part[0])
        return flat.reshape(block.shape), single

    def without_mirrors(self, blocks: Iterable[Block]) -> list[tuple[Block, Block | None]]:
        """Return which blocks to compute, each with the one that its transposed scores fill too.

        That is another block only where sources are compared among themselves by a kernel that
        has no direction, on a square grid.

        Examples
        --------
        >>> from kinatlas.similarity import plan_blocks
        >>> atlas = Atlas.from_arrays({name: [[1.0, 0.0]] for name in ("mnli", "rte", "cb")})
        >>> plan = plan_blocks(atlas, kernel="chamfer", block_size=2)
        >>> [(one.name[:8], two and two.name[:8]) for one, two in plan.without_mirrors(plan)]
        [('r0000000', None), ('r0000000', 'r0000002'), ('r0000002', None)]
        """
        wanted, chosen = dict.fromkeys(blocks), dict[Block, Block | None]()
        for block in wanted:
            twin = Block(block.cols, block.rows) if self._is_even() else block
            if chosen.get(twin) is None or twin == block:
                chosen[block] = twin if twin in wanted and twin != block else None
        return list(chosen.items())

    def _is_even(self) -> bool:
        """Whether rows and columns exchanged give the same scores, block by block."""
        if not self.is_square or len(set(self.block_shape)) > 1:
            return False
        options = self.options
        if options is None:
            return True
        is_even = options.info.symmetric or options.direction == "symmetric"
        return is_even and self.kernel not in _LAST_DIGITS_TURN

    def compute_some(
        self,
        row: int,
        cols: npt.NDArray[np.int64],
        sources: Atlas,
        targets: Atlas,
        *,
        n_threads: int | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the scores [n_cols] of one target for chosen sources, by their numbers."""
        if self.options is None or self.frame is None:
            raise DTypeError("this plan compares low-rank updates, expected tokens")
        bounds = sources._offsets
        spans = [slice(int(bounds[col]), int(bounds[col + 1])) for col in cols]
        rows = np.concatenate([np.asarray(sources._buffer[span]) for span in spans])
        offsets = np.cumsum([0, *(span.stop - span.start for span in spans)], dtype=np.int64)
        target = packed_tasks(targets, (row, row + 1))
        options = self.options.core()
        return _core.block_scores((rows, offsets), target, options, self.frame, n_threads)[0]

    def identity(self) -> dict[str, Any]:
        """Return plain values that are equal exactly when two plans give the same scores."""
        digest = hashlib.sha256()
        for part in self.frame or ():
            digest.update(part.tobytes() + b"|")
        record = self.recorded | {"frame": digest.hexdigest(), "modules": self.modules}
        if self.recorded.get("precision") == "float32":
            # The portable path may round a product twice where the others do so once.
            record["is_fused"] = _core._simd_paths()[0][0] != "portable"
        elif self.recorded.get("precision") == "bf16":
            # Each set of instructions for bfloat16 adds in an order of its own.
            record["simd"] = _core._simd_paths()[1][0]
        return {
            "kernel": self.kernel,
            "options": {key: repr(value) for key, value in sorted(record.items())},
            "n_targets": self.n_targets,
            "n_sources": self.n_sources,
            "block_shape": list(self.block_shape),
        }


def within(bounds: tuple[int, int], count: int) -> bool:
    """Return whether a half-open range holds something and lies below ``count``."""
    return 0 <= bounds[0] < bounds[1] <= count


def _both(rows: Any, columns: Any, kind: type) -> bool:
    return isinstance(rows, kind) and isinstance(columns, kind)


def _updates(atlas: Any, bounds: tuple[int, int]) -> LowRankAtlas:
    part = slice(*bounds)
    fields = (atlas.names[part], atlas.modules, atlas.space, atlas.provenance[part])
    return LowRankAtlas(*fields, atlas._updates[part])
