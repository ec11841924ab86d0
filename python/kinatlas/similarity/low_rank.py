"""Exact similarity of low-rank updates, which never become full matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_same_space
from kinatlas._progress import bar
from kinatlas.errors import DTypeError
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.tasks import LowRankAtlas

__all__ = ["compare_updates", "module_similarity"]


def module_similarity(
    sources: LowRankAtlas,
    targets: LowRankAtlas | None = None,
    *,
    kernel: str = "low_rank_cosine",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> dict[str, SimilarityMatrix]:
    """Return one matrix [n_targets, n_sources] for each adapted module.

    A module that only one of two tasks adapts scores 0: it is a zero update on the other side.
    ``similarity_matrix`` compares the updates of all modules together.

    Raises
    ------
    SpaceError
        If sources and targets belong to different base models.
    UnknownNameError
        If the kernel does not compare low-rank updates.

    References
    ----------
    <s1 B1 A1, s2 B2 A2> = s1 s2 tr((A1 A2^T)(B2^T B1)): cyclic invariance of the trace.

    Examples
    --------
    >>> atlas = LowRankAtlas.from_factors({
    ...     "mnli": {"q": ([[1.0, 0.0]], [[2.0]]), "v": ([[1.0, 0.0]], [[1.0]])},
    ...     "rte": {"q": ([[3.0, 0.0]], [[1.0]]), "v": ([[0.0, 1.0]], [[1.0]])},
    ... })
    >>> matrices = module_similarity(atlas)
    >>> matrices["q"].row("rte"), matrices["v"].row("rte")
    (array([1., 1.]), array([0., 1.]))
    """
    rows, columns, modules = aligned(sources, targets)
    total = len(modules) * len(sources) * len(sources if targets is None else targets)
    check_choice(kernel, _core.low_rank_kernels(), "kernel")
    with bar(progress, total) as report:
        cubes = _core.low_rank_modules(rows, columns, kernel, n_threads, report)
    return {
        module: _matrix(values, sources, targets, kernel, (module,))
        for module, values in zip(modules, cubes, strict=True)
    }


def compare_updates(
    sources: LowRankAtlas,
    targets: LowRankAtlas | None,
    kernel: str,
    n_threads: int | None,
    progress: bool | None,
) -> SimilarityMatrix:
    """Return the matrix [n_targets, n_sources] over all modules together.

    Examples
    --------
    >>> atlas = LowRankAtlas.from_factors({"mnli": {"q": ([[1.0, 0.0]], [[2.0]])}})
    >>> compare_updates(atlas, None, "low_rank_inner", None, None).values
    array([[4.]])
    """
    check_choice(kernel, _core.low_rank_kernels(), "kernel")
    rows, columns, modules = aligned(sources, targets)
    with bar(progress, len(sources) * len(sources if targets is None else targets)) as report:
        values = _core.low_rank_matrix(rows, columns, kernel, n_threads, report)
    return _matrix(values, sources, targets, kernel, modules)


def aligned(sources: LowRankAtlas, targets: LowRankAtlas | None) -> tuple[Any, Any, Any]:
    for label, atlas in (("sources", sources), ("targets", targets)):
        if not (isinstance(atlas, LowRankAtlas) or (atlas is None and label == "targets")):
            raise DTypeError(
                f"{label}: got {type(atlas).__name__}, expected a LowRankAtlas; low-rank updates "
                "and tokens cannot be compared with each other"
            )
    if targets is None:
        return sources._aligned(sources.modules), None, sources.modules
    check_same_space(sources.space, targets.space, "sources", "targets")
    # One atlas over both sides proves that every shared module has one size.
    everything = {("source", name): sources[name] for name in sources}
    everything |= {("target", name): targets[name] for name in targets}
    joined = LowRankAtlas.from_factors(
        {f"{side} {name}": update for (side, name), update in everything.items()}
    )
    modules = joined.modules
    return targets._aligned(modules), sources._aligned(modules), modules


def _matrix(
    values: npt.NDArray[np.float64],
    sources: LowRankAtlas,
    targets: LowRankAtlas | None,
    kernel: str,
    modules: tuple[str, ...],
) -> SimilarityMatrix:
    names = sources.names if targets is None else targets.names
    options = {"direction": "symmetric", "normalize": None, "center": None, "modules": modules}
    return SimilarityMatrix(values, names, sources.names, kernel, options)
