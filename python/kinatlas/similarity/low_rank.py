"""Exact similarity of low-rank updates, which never become full matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_same_space
from kinatlas._progress import bar
from kinatlas.errors import DTypeError
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.tasks import LowRankAtlas
from kinatlas.tasks.mapping import files_of, let_go

__all__ = ["compare_updates", "factors_of", "module_similarity", "precision_of_updates"]

_Report: TypeAlias = Callable[[int], object] | None


def module_similarity(
    sources: LowRankAtlas,
    targets: LowRankAtlas | None = None,
    *,
    kernel: str = "low_rank_cosine",
    precision: str = "auto",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> dict[str, SimilarityMatrix]:
    """Return one matrix [n_targets, n_sources] for each adapted module.

    A module that only one of two tasks adapts scores 0: it is a zero update on the other side.
    ``similarity_matrix`` compares the updates of all modules together.

    Parameters
    ----------
    precision
        ``"float64"`` or ``"auto"``: exact up to the rounding of float64. ``"float32"``: products in
        float32, several times faster, sums of them in float64; off by some 1e-7 of the factors'
        norms.

    Raises
    ------
    SpaceError
        If sources and targets belong to different base models.
    UnknownNameError
        If the kernel does not compare low-rank updates, or for another precision.

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
    used = precision_of_updates(precision)
    with bar(progress, total) as report:
        watched = _letting_go(report, sources, targets)
        cubes = _core.low_rank_modules(rows, columns, kernel, n_threads, watched, used)
    return {
        module: _matrix(values, sources, targets, kernel, (module,), used)
        for module, values in zip(modules, cubes, strict=True)
    }


def compare_updates(
    sources: LowRankAtlas,
    targets: LowRankAtlas | None,
    kernel: str,
    n_threads: int | None,
    progress: bool | None,
    precision: str = "auto",
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
    used = precision_of_updates(precision)
    total = len(sources) * len(sources if targets is None else targets)
    with bar(progress, total * len(modules)) as report:
        watched = _letting_go(report, sources, targets)
        values = _core.low_rank_matrix(rows, columns, kernel, n_threads, watched, used)
    return _matrix(values, sources, targets, kernel, modules, used)


def precision_of_updates(precision: str) -> str:
    """Return in which numbers low-rank updates are multiplied; only asked for, float32 is."""
    known = ("auto", "float32", "float64")
    return "float32" if check_choice(precision, known, "precision") == "float32" else "float64"


def factors_of(*atlases: LowRankAtlas | None) -> Iterator[npt.NDArray[Any]]:
    """Give both factors of every module of every task."""
    for atlas in atlases:
        for update in () if atlas is None else atlas._updates:
            for factors in update.values():
                yield factors.a
                yield factors.b


def _letting_go(report: _Report, *atlases: LowRankAtlas | None) -> _Report:
    """A report that lets go of mapped factors.

    Every time, although most are met again: systems that keep files in pieces of 2 MB map a whole
    piece for the 32 KB that one module takes of it. 1,000 adapters of 4.2 MB counted as 4.3 GB when
    let go module by module and as 1.2 so, at up to a fifth more processor time.
    """
    files = files_of(factors_of(*atlases))
    if not files:
        return report

    def watched(done: int) -> None:
        for file in files:
            let_go(file)
        if report is not None:
            report(done)

    return watched


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
    precision: str,
) -> SimilarityMatrix:
    names = sources.names if targets is None else targets.names
    options = {"direction": "symmetric", "normalize": None, "center": None, "modules": modules}
    options["precision"] = precision
    return SimilarityMatrix(values, names, sources.names, kernel, options)
