"""The kernels by name, with what each promises; the registry itself is in Rust."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from kinatlas import _core
from kinatlas._checks import check_choice

__all__ = ["KernelInfo", "kernel_info", "kernel_names"]


@dataclass(frozen=True)
class KernelInfo:
    """What one kernel computes and promises.

    Attributes
    ----------
    name, formula, summary
        The one name, the score in one line, and in one sentence.
    range
        Lowest and highest score between tokens of norm 1.
    symmetric
        Exchanging source and target changes nothing; other kernels have a direction.
    scale_free
        Multiplying a prompt by a positive number changes nothing, even with ``normalize=None``.
    order_free
        Reordering the tokens of a prompt changes nothing.
    needs_equal_length
        Token i of one prompt is set against token i of the other.
    seeks_partners
        Every token looks for its best partners, so a shared initialisation can capture the search.
    parameters
        Parameters beyond the common ones.

    Examples
    --------
    >>> kernel_info("max_pairwise").formula
    'mean_i max_j p_i . q_j'
    """

    name: str
    formula: str
    summary: str
    range: tuple[float, float]
    symmetric: bool
    scale_free: bool
    order_free: bool
    needs_equal_length: bool
    seeks_partners: bool
    parameters: tuple[str, ...]


@cache
def _registry() -> dict[str, KernelInfo]:
    rows = [{**row, "parameters": tuple(row["parameters"])} for row in _core.kernels()]
    return {row["name"]: KernelInfo(**row) for row in rows}


def kernel_names(kind: Literal["tokens", "low_rank", "task2vec"] = "tokens") -> tuple[str, ...]:
    """Return the names of all kernels that compare tokens, low-rank updates or Fisher diagonals.

    Raises `UnknownNameError` for any other kind.

    Examples
    --------
    >>> kernel_names()[:3]
    ('feature_mean', 'mean_pairwise', 'max_pairwise')
    >>> kernel_names("low_rank")
    ('low_rank_inner', 'low_rank_cosine')
    """
    check_choice(kind, ("tokens", "low_rank", "task2vec"), "kind")
    if kind != "tokens":
        return tuple(_core.low_rank_kernels() if kind == "low_rank" else _core.task2vec_kernels())
    return tuple(_registry())


def kernel_info(name: str) -> KernelInfo:
    """Return what the kernel called ``name`` computes and promises.

    Raises `UnknownNameError`, with a suggestion, for a name that is no kernel.

    Examples
    --------
    >>> kernel_info("topk_mean").parameters
    ('k',)
    >>> kernel_info("flaten")
    Traceback (most recent call last):
    kinatlas.errors.UnknownNameError: kernel='flaten' is unknown; did you mean 'flatten'? ...
    """
    return _registry()[check_choice(name, kernel_names(), "kernel")]
