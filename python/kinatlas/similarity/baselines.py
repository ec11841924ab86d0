"""The similarity that looks at nothing but the size of data sets."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from kinatlas._checks import check_names
from kinatlas.errors import ShapeError
from kinatlas.similarity.matrix import SimilarityMatrix

__all__ = ["data_size_similarity"]


def data_size_similarity(
    sizes: Mapping[str, int], targets: Mapping[str, Any] | list[str] | None = None
) -> SimilarityMatrix:
    """Return log(number of examples) of every source, for every target alike.

    The baseline that says "transfer from the largest data set". Zero-based ranks and ties are as
    for any other matrix; the values do not depend on the target.

    Parameters
    ----------
    sizes
        ``{source: number of examples}``.
    targets
        Names of the targets; None takes the sources.

    Raises
    ------
    ShapeError
        If there is no source or no target.
    ValueError
        If a size is not a whole number of at least 1.

    References
    ----------
    Vu et al. 2020 and Lin et al. 2024 report it beside every embedding.

    Examples
    --------
    >>> matrix = data_size_similarity({"mnli": 1000, "rte": 10}, ["cb"])
    >>> matrix.values.round(3), matrix.sources
    (array([[6.908, 2.303]]), ('mnli', 'rte'))
    """
    sources = check_names(sizes, "source")
    rows = sources if targets is None else check_names(targets, "target")
    if not sources or not rows:
        raise ShapeError("sizes: got no source or no target, expected at least one of each")
    counts = [_count(name, sizes[name]) for name in sources]
    values = np.tile(np.log(np.array(counts, dtype=np.float64)), (len(rows), 1))
    return SimilarityMatrix(values, rows, sources, "data_size", {"unit": "log(n_examples)"})


def _count(name: str, size: Any) -> int:
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if isinstance(size, bool) or number < 1:
        raise ValueError(f"size of {name!r} is {size!r}: expected a whole number of at least 1")
    return number
