"""Transferability scores of every source for every target, as one matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kinatlas import transferability
from kinatlas._checks import check_known, check_names
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.similarity import SimilarityMatrix
from kinatlas.transferability.methods import checked_options

__all__ = ["transferability_matrix"]


def transferability_matrix(
    inputs: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, Any],
    *,
    method: str = "logme",
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> SimilarityMatrix:
    """Return scores [n_targets, n_sources] of every source for every target, higher is better.

    A source is anything that turns the target's examples into features: a model, a prompt, a
    model trained on another data set. Scores compare sources within one row; between rows they
    mean nothing, since every target has labels of its own.

    Parameters
    ----------
    inputs
        For every target, for every source, what ``method`` needs: features [n, dim], source
        probabilities [n, n_source_classes] or source labels [n]. Widths may differ between
        sources. Targets are read one after another, so a mapping that loads them when they are
        asked for keeps memory small. A source that a target lacks is missing (NaN).
    labels
        For every target, the class [n] of its examples.
    method, options
        As in `kinatlas.transferability.score`.
    n_threads
        Threads that share the sources of a target; changes no bit.
    progress
        Receives the number of scores finished so far.

    Raises
    ------
    ShapeError
        If there is no target or no source, or inputs do not fit the labels.
    UnknownNameError
        If a target has no labels, or a method or option does not exist.

    Examples
    --------
    >>> line = [[0.0], [1.0], [5.0], [6.0]]
    >>> inputs = {"rte": {"mnli": line, "sst2": [[0.0], [5.0], [1.0], [6.0]]}}
    >>> matrix = transferability_matrix(inputs, {"rte": [0, 0, 1, 1]}, method="logme")
    >>> matrix.row("rte").round(3)
    array([-0.514, -1.061])
    """
    for name, given in (("inputs", inputs), ("labels", labels)):
        if not isinstance(given, Mapping):
            raise DTypeError(f"{name}: got {type(given).__name__}, expected one entry a target")
    check_names(inputs, "target")
    found: dict[str, None] = {}
    for target in inputs:
        given = inputs[target]
        if not isinstance(given, Mapping):
            raise DTypeError(
                f"inputs of target '{target}': got {type(given).__name__}, expected "
                "{source: features}"
            )
        found |= dict.fromkeys(given)
    sources = check_names(found, "source")
    if not sources:
        raise ShapeError("inputs: got no features at all, expected {target: {source: features}}")
    values = np.full((len(inputs), len(sources)), np.nan)
    done = 0
    for row, target in enumerate(inputs):
        check_known(target, tuple(labels), "labels of target")
        given = inputs[target]
        kept = [place for place, name in enumerate(sources) if name in given]
        values[row, kept] = transferability.score_many(
            [(given[sources[place]], labels[target]) for place in kept],
            method=method,
            n_threads=n_threads,
            progress=None if progress is None else _after(done, progress),
            names=[f"source '{sources[place]}' for target '{target}'" for place in kept],
            **options,
        )
        done += len(kept)
    info = transferability.method_info(method)
    return SimilarityMatrix(
        values=values,
        targets=tuple(inputs),
        sources=sources,
        kernel=method,
        options={"needs": info.needs, **checked_options(info, options)},
    )


def _after(done: int, progress: Callable[[int], object]) -> Callable[[int], object]:
    return lambda finished: progress(done + finished)
