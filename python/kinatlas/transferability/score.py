"""The one call of all scores: inputs and labels in, one number out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, check_number, check_whole
from kinatlas.transferability.inputs import Cell, as_cell, as_codes
from kinatlas.transferability.methods import DEFAULTS, checked_options, method_info
from kinatlas.transferability.mixture import mixture_posteriors

__all__ = ["score", "score_many"]


def score(inputs: Any, labels: Any, *, method: str = "logme", **options: Any) -> float:
    """Return how useful a source looks for a target; higher is better.

    A score compares sources of one target and nothing else; `method_table` says what each
    method reads, takes and is free of.

    Parameters
    ----------
    inputs
        What ``method`` needs: features [n, dim] of the target's examples under the source, the
        source's own class probabilities [n, n_source_classes], or its labels [n].
    labels
        Class [n] of every example: whole numbers or texts. Names and order do not matter.
    method
        One of `method_names`.
    options
        ``k`` (knn, 5), ``epsilon`` (trans_rate, 1e-4), ``temperature`` (energy, 1),
        ``covariance`` (gbc, "spherical" or "diagonal"); nleep: ``n_components`` (5 a class),
        ``variance_kept`` (0.8) and ``rng`` (0).

    Raises
    ------
    UnknownNameError
        For a method or option that does not exist.
    ShapeError
        If inputs are not [n, dim], do not fit the labels, or all labels are equal.
    DTypeError
        If features are whole numbers, or labels are not classes.
    NonFiniteError
        If a feature is NaN or infinite.
    ValueError
        If an option is out of range, or probabilities do not sum to 1 within 0.01.
    MissingDependencyError
        If nleep is asked for without scikit-learn.

    References
    ----------
    One paper a method, named by `method_table`.

    Examples
    --------
    >>> features = [[0.0, 0.1], [0.2, 0.0], [5.0, 5.1], [5.2, 4.9]]
    >>> score(features, ["cat", "cat", "dog", "dog"], method="knn", k=1)
    1.0
    >>> score(features, ["cat", "dog", "cat", "dog"], method="knn", k=1)
    0.0
    """
    return score_many([(inputs, labels)], method=method, **options)[0]


def score_many(
    cells: Iterable[tuple[Any, Any]],
    *,
    method: str = "logme",
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
    names: Sequence[str] | None = None,
    **options: Any,
) -> list[float]:
    """Return the scores of many pairs of inputs and labels, computed beside each other.

    Every score runs on one thread, so the number of threads changes no bit. ``progress``
    receives the number of finished pairs; ``names`` say whose inputs an error message means.
    Otherwise as `score`.

    Examples
    --------
    >>> cells = [([0, 0, 1], ["a", "a", "b"]), ([0, 1, 1], ["a", "a", "b"])]
    >>> [round(found, 3) for found in score_many(cells, method="nce")]
    [0.0, -0.462]
    """
    info = method_info(method)
    chosen = checked_options(info, options)
    read = []
    for place, (inputs, labels) in enumerate(cells):
        of = "" if names is None else f" of {names[place]}"
        codes = as_codes(labels, f"labels{of}")
        label = info.needs.replace("_", " ") + of
        read.append(as_cell(inputs, codes, info.needs, label))
    if method == "nleep":
        read = [_clustered(cell, chosen) for cell in read]
        method = "leep"
    numbers = {**DEFAULTS, **chosen}
    # Ranges are checked beside the formulas, which alone know them.
    arguments = (
        check_whole(numbers["k"], "k", 0),
        check_number(numbers["epsilon"], "epsilon", "a positive number", lambda _: True),
        check_number(numbers["temperature"], "temperature", "a positive number", lambda _: True),
        check_choice(numbers["covariance"], ("spherical", "diagonal"), "covariance"),
    )
    return _core.transferability_scores(
        read, method, arguments, check_n_threads(n_threads), progress
    )


def _clustered(cell: Cell, chosen: dict[str, Any]) -> Cell:
    packed, codes = cell
    n_classes = len(np.unique(codes))
    posteriors: npt.NDArray[np.float64] = mixture_posteriors(packed, n_classes, **chosen)
    return (posteriors, packed[1]), codes
