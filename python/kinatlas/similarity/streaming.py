"""A comparison in bounded memory: block after block, into one array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice, check_n_threads
from kinatlas._progress import bar
from kinatlas.similarity.block_plan import AnyAtlas, Block, BlockPlan
from kinatlas.similarity.blocks import merge_blocks, plan_blocks
from kinatlas.similarity.diagnostics import warn_if_degenerate
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.similarity.options import METHODS

__all__ = ["compare_in_blocks"]


def compare_in_blocks(
    sources: AnyAtlas,
    targets: AnyAtlas | None,
    n_threads: int | None,
    progress: bool | None,
    method: str = "auto",
    **options: Any,
) -> SimilarityMatrix:
    """Return the matrix of `similarity_matrix`; other options are those of `plan_blocks`.

    Raises
    ------
    ValueError
        For a method that blocks cannot promise: each decides by itself whether to screen.

    Examples
    --------
    >>> from kinatlas import Atlas
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]]})
    >>> compare_in_blocks(atlas, None, None, None, kernel="flatten", max_memory=1000).values
    array([[1., 0.],
           [0., 1.]])
    """
    n_threads = check_n_threads(n_threads)
    check_choice(method, METHODS, "method")
    if method in ("screened", "approximate"):
        raise ValueError(
            f"method={method!r} with max_memory: blocks take 'auto', which screens where that is "
            "faster and never changes a score"
        )
    plan = plan_blocks(sources, targets, **options)
    bounds: list[tuple[float, str]] = []
    with bar(progress, plan.n_targets * plan.n_sources) as report:
        parts = _computed(plan, sources, targets, (n_threads, report, bounds))
        matrix = merge_blocks(plan, parts, sources, targets)
    if plan.options is None or matrix.diagnostics is None:
        return matrix
    warn_if_degenerate(dict(matrix.diagnostics), plan.options, 0, stacklevel=3)
    known = dict(zip(("error_bound", "simd"), max(bounds), strict=True)) if bounds else {}
    return replace(matrix, diagnostics={**matrix.diagnostics, **known})


def _computed(
    plan: BlockPlan, sources: AnyAtlas, targets: AnyAtlas | None, context: Any
) -> Iterator[tuple[Block, npt.NDArray[np.float64]]]:
    (n_threads, report, bounds), n_done = context, 0
    for block, twin in plan.without_mirrors(plan):
        scores, single = plan.compute_bounded(block, sources, targets, n_threads=n_threads)
        bounds += [] if single is None else [single]
        for each, part in ((block, scores), (twin, scores.T)):
            if each is not None:
                yield each, part
                n_done += each.n_pairs
        if report is not None:
            report(n_done)
