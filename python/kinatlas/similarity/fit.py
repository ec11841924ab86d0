"""Whether tasks, a centre and parameters fit together, before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas._checks import check_same_dim
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.similarity.options import Options
from kinatlas.tasks import Atlas, LowRankAtlas

__all__ = [
    "check_fit",
    "refuse_task2vec_options",
    "refuse_token_options",
    "tokens_of",
    "updates_of",
]


def check_fit(sources: Atlas, targets: Atlas, options: Options) -> None:
    """Refuse widths, lengths and centres that do not fit together, naming the tasks.

    Examples
    --------
    >>> sources, targets = Atlas.from_arrays({"a": [1.0]}), Atlas.from_arrays({"b": [1.0, 2.0]})
    >>> check_fit(sources, targets, Options.checked("flatten", "symmetric", "tokens", None))
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: sources have dim 1, targets have dim 2, expected equal widths
    """
    check_same_dim(sources.dim, targets.dim, "sources", "targets")
    if not (options.info.needs_equal_length or _looks_at_lengths(options.center)):
        return  # nothing depends on lengths, and an atlas may have a million of them
    sizes = {
        f"{role} {name!r}": count
        for role, atlas in (("source", sources), ("target", targets))
        for name, count in zip(atlas.names, atlas.n_tokens, strict=True)
    }
    first, longest = next(iter(sizes)), max(sources.n_tokens)
    for label, count in sizes.items():
        if options.info.needs_equal_length and count != sizes[first]:
            raise ShapeError(
                f"{options.info.name} sets equal positions against each other, but {first} has "
                f"{sizes[first]} tokens and {label} has {count}; use a kernel that takes any "
                "lengths, such as 'max_pairwise'"
            )
        _check_center(options.center, label, count, (sources.dim, longest))


def _looks_at_lengths(center: Any) -> bool:
    return isinstance(center, np.ndarray) or center == "positions"


def _check_center(center: Any, label: str, n_tokens: int, sizes: tuple[int, int]) -> None:
    dim, longest = sizes
    if isinstance(center, str) and center == "positions" and n_tokens > longest:
        raise ShapeError(
            f"center='positions': {label} has {n_tokens} tokens, but no source has more than "
            f"{longest}, so some positions have no mean; use center='features'"
        )
    if isinstance(center, np.ndarray):
        check_same_dim(dim, center.shape[1], "sources", "center")
        if len(center) not in (1, n_tokens):
            raise ShapeError(
                f"center has {len(center)} tokens, {label} has {n_tokens}; expected equal numbers, "
                "or one token for all positions"
            )


def tokens_of(atlas: object, label: str) -> Atlas:
    """Return an atlas of tokens, or say by ``label`` what was given instead.

    Examples
    --------
    >>> tokens_of([1.0], "sources")
    Traceback (most recent call last):
    kinatlas.errors.DTypeError: sources: got list, expected an Atlas; build...
    """
    if not isinstance(atlas, Atlas):
        raise DTypeError(
            f"{label}: got {type(atlas).__name__}, expected an Atlas; build one with "
            "Atlas.from_arrays or load_atlas"
        )
    return atlas


def updates_of(atlas: object) -> LowRankAtlas | None:
    """Return low-rank targets, or refuse what is not.

    Examples
    --------
    >>> updates_of(1)
    Traceback (most recent call last):
    kinatlas.errors.DTypeError: targets: got int, expected a LowRankAtlas as the sources are
    """
    if not (atlas is None or isinstance(atlas, LowRankAtlas)):
        raise DTypeError(
            f"targets: got {type(atlas).__name__}, expected a LowRankAtlas as the sources are"
        )
    return atlas


def refuse_token_options(center: Any, k: int | None, temperature: float | None) -> None:
    """Refuse what low-rank updates have no tokens for.

    Examples
    --------
    >>> refuse_token_options(None, 3, None)
    Traceback (most recent call last):
    ValueError: k=3: low-rank updates have no tokens to apply it to
    """
    for name, value in (("center", center), ("k", k), ("temperature", temperature)):
        if value is not None:
            raise ValueError(f"{name}={value!r}: low-rank updates have no tokens to apply it to")


def refuse_task2vec_options(kernel: str, trivial: Any, alpha: float | None) -> None:
    """Refuse what only the Task2Vec kernels take.

    Examples
    --------
    >>> refuse_task2vec_options("flatten", None, 0.1)
    Traceback (most recent call last):
    ValueError: alpha: kernel 'flatten' has no such parameter; task2vec_asymmetric has
    """
    for name, value in (("trivial", trivial), ("alpha", alpha)):
        if value is not None:
            raise ValueError(
                f"{name}: kernel {kernel!r} has no such parameter; task2vec_asymmetric has"
            )
