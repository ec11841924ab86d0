"""Task vectors: what fine-tuning added to a model, read from checkpoints of any size."""

from __future__ import annotations

import os

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, check_whole
from kinatlas._progress import bar
from kinatlas.embeddings.coordinates import space_of
from kinatlas.tasks import Provenance, Task

__all__ = ["embed_task_vector"]

_FORMS = ("projected", "tensors", "flat")


def embed_task_vector(
    base: str | os.PathLike[str],
    tuned: str | os.PathLike[str],
    *,
    name: str,
    form: str = "projected",
    dim: int = 4096,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Task:
    """Return the difference of a fine-tuned model from its base model, as a task.

    The two are read piece by piece; neither is in memory as a whole. Every floating-point tensor
    counts, in order of names. The space holds a fingerprint of all numbers of the base model, so
    that task vectors of different base models never meet.

    Parameters
    ----------
    base, tuned
        A ``.safetensors`` file, an index of shards (``*.safetensors.index.json``), or a folder
        with one of them; float16, bfloat16, float32 or float64, the two may differ.
    form
        ``"projected"``: one token [1, dim], a random projection; inner products are unbiased, and
        for vectors x, x' their variance is at most 2 |x|^2 |x'|^2 / dim. ``"tensors"``: one
        projected token for every tensor [n_tensors, dim]. ``"flat"``: all numbers [1, n_numbers],
        in memory as float64. For exact inner products at any size see `task_vector_similarity`.
    dim, seed
        Of the projection.
    progress
        True shows a bar of the numbers read so far (needs tqdm).

    Raises
    ------
    FormatError
        If a shard is missing or cut short, or a tensor is in one of the two models only.
    ShapeError
        If a tensor has different shapes in the two models.
    NonFiniteError
        If a number is NaN or infinite.
    OSError
        If a file cannot be read.

    References
    ----------
    Ilharco et al. 2023, Editing models with task arithmetic, section 2.

    Examples
    --------
    >>> import tempfile
    >>> import kinatlas as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, weight in (("base", [1.0, 2.0]), ("tuned", [1.5, 2.0])):
    ...         model = ka.Atlas.from_arrays({"weight": weight})
    ...         _ = ka.save_atlas(model, f"{folder}/{name}.safetensors")
    ...     task = embed_task_vector(
    ...         f"{folder}/base.safetensors", f"{folder}/tuned.safetensors", name="rte", form="flat"
    ...     )
    >>> task.tokens
    array([[0.5, 0. ]])
    """
    check_choice(form, _FORMS, "form")
    wanted = (form, check_whole(dim, "dim", 1), check_whole(seed, "seed", 0))
    with bar(progress, None, unit="number") as report:
        values, tensors, fingerprint = _core.task_vector(
            os.fspath(base), os.fspath(tuned), wanted, check_n_threads(n_threads), report
        )
    settings = {
        "base": f"{fingerprint:016x}",
        "form": form,
        "dim": None if form == "flat" else dim,
        "seed": None if form == "flat" else seed,
    }
    model = os.path.basename(os.path.normpath(os.fspath(base)))
    notes = (f"n_tensors={len(tensors)}", f"n_numbers={sum(size for _, size in tensors)}")
    origin = Provenance(base_model=model, method="TASK_VECTOR", file=os.fspath(tuned), notes=notes)
    shape = (len(tensors) if form == "tensors" else 1, -1)
    space = space_of(model, "task_vector", settings, tensors)
    return Task(name, np.reshape(values, shape), space=space, provenance=origin)
