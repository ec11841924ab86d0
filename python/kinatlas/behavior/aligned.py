"""Boxes whose labels differ: similarities that need no common names."""

from __future__ import annotations

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas.behavior.responses import Floats, Responses
from kinatlas.errors import ShapeError

__all__ = ["alignment"]


def alignment(
    first: Responses, second: Responses | None = None, *, kernel: str = "cka"
) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Return similarities [n_first, n_second] that need no common labels, and the box names.

    Parameters
    ----------
    first, second
        Responses to the same probes; ``second`` defaults to ``first``. Labels may differ in
        names and number; one side may be numbers or vectors.
    kernel
        ``cka`` (linear centred kernel alignment) or ``rsa`` (rank correlation over all pairs of
        probes; memory grows with their square, so use the first 1,024 or so).

    Raises
    ------
    ShapeError
        If fewer than two probes are shared.

    References
    ----------
    Kornblith et al. (2019); Kriegeskorte et al. (2008).

    Examples
    --------
    >>> two = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]}, labels=["p", "n"])
    >>> three = Responses.from_arrays(
    ...     {"b": [[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.3, 0.4, 0.3]]}, labels=["x", "y", "z"])
    >>> round(float(alignment(two, three)[0][0, 0]), 2)
    0.97
    """
    check_choice(kernel, ("cka", "rsa"), "kernel")
    other = first if second is None else second
    places = {key: at for at, key in enumerate(other.bank.keys)}
    both = [
        (at, places[key])
        for at, key in enumerate(first.bank.keys)
        if key in places
        and first.is_answered[:, at].all()
        and other.is_answered[:, places[key]].all()
    ]
    if len(both) < 2:
        raise ShapeError(f"{len(both)} probes were answered by all boxes, expected at least 2")
    a = first.take([one for one, _ in both]).coordinates()
    b = other.take([two for _, two in both]).coordinates()
    values = np.array([
        [_core.behavior_alignment(np.ascontiguousarray(x), np.ascontiguousarray(y), kernel == "rsa")
         for y in b] for x in a
    ])  # fmt: skip
    return values, first.boxes, other.boxes
