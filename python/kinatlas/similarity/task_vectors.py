"""Exact similarity of task vectors, straight from checkpoints of any size."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, check_names
from kinatlas.errors import ShapeError
from kinatlas.similarity.matrix import SimilarityMatrix

__all__ = ["task_vector_similarity"]

_KERNELS = ("task_vector_cosine", "task_vector_inner")


def task_vector_similarity(
    base: str | os.PathLike[str],
    tuned: Mapping[str, str | os.PathLike[str]],
    *,
    kernel: str = "task_vector_cosine",
    n_threads: int | None = None,
    progress: Any = None,
) -> tuple[SimilarityMatrix, dict[str, SimilarityMatrix]]:
    """Return the matrix [n_tasks, n_tasks] over all tensors together, and one for each tensor.

    A task vector is a fine-tuned model less the base model. All models are read once, piece by
    piece, and none is in memory as a whole; inner products are exact sums in float64.

    Parameters
    ----------
    base, tuned
        Checkpoints as in `embed_task_vector`; ``tuned`` maps task names to them.
    kernel
        ``"task_vector_cosine"`` (0 for a tensor that did not change) or ``"task_vector_inner"``.
    progress
        A callable that receives the number of parameters read so far.

    Raises
    ------
    FormatError, ShapeError, NonFiniteError, OSError
        As in `embed_task_vector`.
    UnknownNameError
        For an unknown kernel.

    References
    ----------
    Ilharco et al. 2023, Editing models with task arithmetic, section 4.

    Examples
    --------
    >>> import tempfile
    >>> import kinatlas as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, weight in (("base", [1.0, 1.0]), ("a", [2.0, 1.0]), ("b", [1.0, 3.0])):
    ...         model = ka.Atlas.from_arrays({"weight": weight})
    ...         _ = ka.save_atlas(model, f"{folder}/{name}.safetensors")
    ...     tuned = {name: f"{folder}/{name}.safetensors" for name in ("a", "b")}
    ...     whole, each = task_vector_similarity(f"{folder}/base.safetensors", tuned)
    >>> whole.values, list(each)
    (array([[1., 0.],
           [0., 1.]]), ['weight'])
    """
    check_choice(kernel, _KERNELS, "kernel")
    names = check_names(tuned, "task")
    if not names:
        raise ShapeError("tuned: got no checkpoint, expected at least one")
    paths = [os.fspath(tuned[name]) for name in names]
    flat, tensors = _core.task_vector_products(
        os.fspath(base), paths, check_n_threads(n_threads), progress
    )
    products = flat.reshape(len(tensors), len(names), len(names))

    def matrix(values: npt.NDArray[np.float64], part: str | None) -> SimilarityMatrix:
        options = {"direction": "symmetric", "normalize": None, "center": None, "tensor": part}
        scores = _cosines(values) if kernel == "task_vector_cosine" else values
        return SimilarityMatrix(scores, names, names, kernel, options)

    each = {name: matrix(values, name) for name, values in zip(tensors, products, strict=True)}
    return matrix(products.sum(axis=0), None), each


def _cosines(products: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.sqrt(np.diag(products))
    # An unchanged tensor has no direction.
    scale = np.where(norms == 0, 1.0, norms)
    cosines: npt.NDArray[np.float64] = np.clip(products / np.outer(scale, scale), -1, 1)
    np.fill_diagonal(cosines, np.where(norms == 0, 0.0, 1.0))
    return cosines
