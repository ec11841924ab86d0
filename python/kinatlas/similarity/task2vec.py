"""The distances of Task2Vec between Fisher diagonals, as similarities beside the token kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_same_dim, check_same_space
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.similarity.options import DIRECTIONS
from kinatlas.similarity.progress import bar
from kinatlas.tasks import Atlas, Task

__all__ = ["compare_diagonals", "is_task2vec"]

_ASYMMETRIC = "task2vec_asymmetric"
# Achille et al. 2019, for their probe network.
_DEFAULT_ALPHA = 0.15


def is_task2vec(kernel: str) -> bool:
    """Return whether a kernel compares Fisher diagonals.

    Examples
    --------
    >>> is_task2vec("task2vec_kl"), is_task2vec("flatten")
    (True, False)
    """
    return kernel in _core.task2vec_kernels()


def compare_diagonals(
    sources: Atlas,
    targets: Atlas | None,
    kernel: str,
    options: dict[str, Any],
    n_threads: int | None = None,
    progress: bool | None = None,
) -> SimilarityMatrix:
    """Return the matrix [n_targets, n_sources] of one Task2Vec similarity.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [1.0, 0.0], "rte": [0.0, 1.0]})
    >>> compare_diagonals(atlas, None, "task2vec_cosine", {"normalize": None}).values
    array([[1., 0.],
           [0., 1.]])
    """
    trivial = _checked(sources, targets, kernel, options)
    rows = sources if targets is None else targets
    with bar(progress, len(rows) * len(sources)) as report:
        scores = _core.task2vec_matrix(
            sources._packed,
            None if targets is None else targets._packed,
            kernel,
            trivial,
            n_threads,
            report,
        )
    recorded: dict[str, Any] = {"direction": "source_to_target", "normalize": None, "center": None}
    if trivial is not None:
        recorded |= {"trivial": "given", "alpha": trivial[1]}
    values = scores.reshape(len(rows), len(sources))
    return SimilarityMatrix(values, rows.names, sources.names, kernel, recorded)


def _checked(
    sources: Atlas, targets: Atlas | None, kernel: str, options: dict[str, Any]
) -> tuple[Any, float] | None:
    for label, atlas in (("sources", sources), ("targets", targets)):
        if not (isinstance(atlas, Atlas) or (atlas is None and label == "targets")):
            raise DTypeError(
                f"{label}: got {type(atlas).__name__}, expected an Atlas of Fisher diagonals"
            )
    if targets is not None:
        check_same_space(sources.space, targets.space, "sources", "targets")
        check_same_dim(sources.dim, targets.dim, "sources", "targets")
    _refuse_foreign(kernel, options)
    for atlas in (sources, *(() if targets is None else (targets,))):
        for name, count in zip(atlas.names, atlas.n_tokens, strict=True):
            if count != 1:
                raise ShapeError(
                    f"{kernel}: task {name!r} has {count} tokens; a Fisher diagonal is one token"
                )
        _refuse_numbers(atlas, kernel)
    return _trivial(sources, kernel, options)


def _refuse_foreign(kernel: str, options: dict[str, Any]) -> None:
    if options.get("normalize") is not None:
        raise ValueError(
            f"normalize={options['normalize']!r}: {kernel} compares sizes of Fisher numbers; pass "
            "normalize=None"
        )
    for name in ("center", "k", "temperature"):
        if options.get(name) is not None:
            raise ValueError(f"{name}={options[name]!r}: {kernel} has no parameter {name}")
    direction = check_choice(options.get("direction", DIRECTIONS[0]), DIRECTIONS, "direction")
    if kernel == _ASYMMETRIC and direction != DIRECTIONS[0]:
        raise ValueError(
            f"direction={direction!r}: {kernel} runs from source to target; exchange the two sides"
        )


def _refuse_numbers(atlas: Atlas, kernel: str) -> None:
    needs_positive = kernel in ("task2vec_kl", "task2vec_jsd")
    for task in atlas:
        row = task.tokens[0]
        bad = np.flatnonzero(row <= 0 if needs_positive else row < 0)
        if bad.size:
            raise ValueError(
                f"{kernel}: task {task.name!r}, coordinate {bad[0]} is {row[bad[0]]}; "
                + (
                    "variances are 1 / h, so every number must be above 0: leave out coordinates "
                    "that never get a gradient"
                    if needs_positive
                    else "a Fisher diagonal is never negative (a random projection of one may be)"
                )
            )


def _trivial(sources: Atlas, kernel: str, options: dict[str, Any]) -> tuple[Any, float] | None:
    trivial, alpha = options.get("trivial"), options.get("alpha")
    if kernel != _ASYMMETRIC:
        if trivial is not None or alpha is not None:
            raise ValueError(f"{kernel} has no parameters trivial and alpha; {_ASYMMETRIC} has")
        return None
    if trivial is None:
        raise ValueError(
            f"{kernel} needs trivial=, the Fisher diagonal of a task without structure, such as "
            "the same data under random labels"
        )
    if isinstance(trivial, Task):
        check_same_space(sources.space, trivial.space, "sources", "the trivial task")
    stored, dtype = as_stored(trivial, "trivial")
    row = np.ascontiguousarray(widened(stored, dtype).ravel(), dtype=np.float64)
    check_same_dim(sources.dim, row.size, "sources", "the trivial task")
    if not (row >= 0).all() or not np.isfinite(row).all():
        raise ValueError("trivial: expected finite numbers, none negative")
    weight = _DEFAULT_ALPHA if alpha is None else float(alpha)
    if not math.isfinite(weight):
        raise ValueError(f"alpha={alpha!r}: expected a finite number")
    return row, weight
