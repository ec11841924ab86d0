"""Short vectors whose inner products estimate a kernel, for an index of vectors to search.

A sketch is a Gaussian random projection. It proposes candidates among a million tasks;
`nearest_sources` scores those exactly. Nothing is ever ranked by a sketch alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._arrow import struct_stream, text_column, vectors_of
from kinatlas._checks import (
    check_choice,
    check_n_threads,
    check_same_dim,
    check_same_space,
    check_whole,
    require,
)
from kinatlas._seeds import Rng, seed_of
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.similarity.block_plan import AnyAtlas
from kinatlas.similarity.blocks import DEFAULT_MEMORY
from kinatlas.similarity.frames import Frame, fit_frame
from kinatlas.similarity.options import Options
from kinatlas.similarity.parts import packed_tasks
from kinatlas.tasks import Atlas, LowRankAtlas
from kinatlas.tasks.mapping import let_go

__all__ = ["Sketches", "sketch_atlas"]

_KERNELS = ("mean_pairwise", "feature_mean", "flatten", "low_rank_inner")
# Rust holds the tokens of a chunk as stored and widened.
_COPIES = 2


@dataclass(frozen=True, eq=False, repr=False)
class Sketches:
    """Features [n_tasks, n_features] of every task of an atlas; made by `sketch_atlas`.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]]})
    >>> sketches = sketch_atlas(atlas, kernel="mean_pairwise", n_features=4096, rng=0)
    >>> sketches
    Sketches of 2 tasks, 4096 features, kernel 'mean_pairwise'
    >>> bool(abs(sketches.inner(sketches) - [[1, 0], [0, 1]]).max() < 4 * sketches.standard_error())
    True
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    kernel: str
    seed: int
    options: Options | None
    frame: Frame | None
    modules: tuple[str, ...] | None
    space: str = "unspecified"
    dim: int | None = None

    def __post_init__(self) -> None:
        self.values.flags.writeable = False

    @property
    def n_features(self) -> int:
        """Length of a sketch."""
        return int(self.values.shape[1])

    def of(self, atlas: AnyAtlas, *, n_threads: int | None = None) -> Sketches:
        """Return the sketches of another atlas by the same projection, from the same origin.

        Raises
        ------
        DTypeError
            If one of both holds tokens, and the other low-rank updates.
        SpaceError, ShapeError
            If it lives in another space, or is of another width.
        """
        kind = Atlas if self.modules is None else LowRankAtlas
        if not isinstance(atlas, kind):
            raise DTypeError(f"atlas: got {type(atlas).__name__}, expected {kind.__name__}")
        check_same_space(self.space, atlas.space, "sketches", "tasks")
        if isinstance(atlas, Atlas) and self.dim is not None:
            check_same_dim(self.dim, atlas.dim, "sketched tasks", "these tasks")
        fixed, size = (self.options, self.frame, self.modules), (self.n_features, self.seed)
        values = _features(atlas, fixed, size, check_n_threads(n_threads), DEFAULT_MEMORY)
        return replace(self, names=atlas.names, values=values)

    def inner(self, others: Sketches) -> npt.NDArray[np.float64]:
        """Return unbiased estimates [n_tasks, n_others] of the kernel.

        Raises
        ------
        ShapeError
            If the others were projected in another way; ``Sketches.of`` makes some that fit.
        """
        own, other = _projection(self), _projection(others)
        if own != other:
            raise ShapeError(
                f"sketches of (kernel, seed, n_features, space) {own} and {other} cannot be "
                "compared; make the second with first.of(atlas)"
            )
        return np.asarray(self.values @ others.values.T, dtype=np.float64)

    def standard_error(self, scale: float = 1.0) -> float:
        """Return the largest standard error of an estimate for vectors of norms up to ``scale``.

        sqrt(2 / n_features) |x| |y| for tokens, whose vectors have norm 1 or less after
        normalisation; sqrt(8 / n_features) |X| |Y| for low-rank updates.

        References
        ----------
        The fourth moment of a normal number is 3, of a product of two independent ones 9.
        """
        moment = 2.0 if self.modules is None else 8.0
        return float(np.sqrt(moment / self.n_features) * scale * scale)

    def to_faiss(self) -> Any:
        """Return a ``faiss.IndexFlatIP`` over the features; row numbers are places in ``names``."""
        index = require("faiss", "retrieval").IndexFlatIP(self.n_features)
        index.add(np.ascontiguousarray(self.values))
        return index

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Lend (name, vector) to any Arrow reader: the table of a vector database."""
        columns = {"name": text_column(self.names), "vector": vectors_of(self.values)}
        return struct_stream(columns).__arrow_c_stream__()

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Sketches of {len(self)} tasks, {self.n_features} features, kernel {self.kernel!r}"


def _projection(sketches: Sketches) -> tuple[str, int, int, str]:
    return sketches.kernel, sketches.seed, sketches.n_features, sketches.space


def sketch_atlas(
    atlas: AnyAtlas,
    *,
    kernel: str,
    n_features: int = 256,
    rng: Rng = None,
    normalize: str | None = "tokens",
    center: Any = None,
    n_threads: int | None = None,
    max_memory: int = DEFAULT_MEMORY,
) -> Sketches:
    """Return sketches whose inner products estimate a kernel without bias.

    Parameters
    ----------
    kernel
        ``mean_pairwise``, ``feature_mean``, ``flatten``, or ``low_rank_inner``.
    n_features
        Length of a sketch; the error falls with its root, see ``Sketches.standard_error``.
    rng
        Seed of the projection; two atlases are only comparable under one, see ``Sketches.of``.
    normalize, center
        As in ``similarity_matrix``.
    max_memory
        Bytes to use at a time; a mapped atlas passes through in parts.

    Raises
    ------
    UnknownNameError
        For a kernel that is no inner product of one vector a task.
    ValueError
        If ``n_features`` is not positive.
    MemoryError
        If the sketches do not fit in memory.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]]})
    >>> sketch_atlas(atlas, kernel="flatten", n_features=8, rng=1).values.shape
    (2, 8)
    """
    check_choice(kernel, _KERNELS, "kernel")
    n_features, seed = check_whole(n_features, "n_features"), seed_of(rng)
    fixed: tuple[Options | None, Frame | None, tuple[str, ...] | None]
    if kernel == "low_rank_inner":
        if not isinstance(atlas, LowRankAtlas):
            raise DTypeError(f"atlas: got {type(atlas).__name__}, expected a LowRankAtlas")
        fixed = (None, None, atlas.modules)
    else:
        if not isinstance(atlas, Atlas):
            raise DTypeError(f"atlas: got {type(atlas).__name__}, expected an Atlas of tokens")
        options = Options.checked(kernel, "source_to_target", normalize, center)
        fixed = (options, fit_frame(atlas, None, options, max_memory)[0], None)
    values = _features(atlas, fixed, (n_features, seed), check_n_threads(n_threads), max_memory)
    dim = atlas.dim if isinstance(atlas, Atlas) else None
    fields = (atlas.names, values, kernel, seed, fixed[0], fixed[1], fixed[2])
    return Sketches(*fields, space=atlas.space, dim=dim)


def _features(
    atlas: AnyAtlas, fixed: Any, size: tuple[int, int], n_threads: int | None, max_memory: int
) -> npt.NDArray[np.float32]:
    options, frame, modules = fixed
    # What does not fit ends the process where Rust asks for it, and is an error here.
    np.empty((len(atlas), size[0]), dtype=np.float64)
    if isinstance(atlas, LowRankAtlas):
        found = _core.sketch_updates(atlas._aligned(modules), size, n_threads)
        return found.reshape(len(atlas), size[0])
    each = _COPIES * 8 * max(atlas.n_tokens) * atlas.dim
    step = max(1, int(max_memory // each))
    parts = []
    for start in range(0, len(atlas), step):
        part = packed_tasks(atlas, (start, min(start + step, len(atlas))))
        parts.append(_core.sketch_tokens(part, options.core(), frame, size, n_threads))
        let_go(part[0])
    return np.concatenate(parts).reshape(len(atlas), size[0])
