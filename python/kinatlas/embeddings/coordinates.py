"""What the numbers of an embedding mean: the name of their space, and projections of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_space, check_whole
from kinatlas.errors import NonFiniteError

__all__ = ["finite", "projected", "real", "reduced", "space_of"]


def finite(means: npt.NDArray[np.float64], parameter: str) -> npt.NDArray[np.float64]:
    """Return mean squares of a parameter's gradients, or refuse those whose sum overflowed.

    Examples
    --------
    >>> finite(np.array([np.inf]), "w")
    Traceback (most recent call last):
    kinatlas.errors.NonFiniteError: gradient of parameter 'w': the sum of squares leaves ...
    """
    if not np.isfinite(means).all():
        raise NonFiniteError(
            f"gradient of parameter {parameter!r}: the sum of squares leaves the range of float64"
        )
    return means


def space_of(space: str, construction: str, settings: dict[str, Any], layout: Any) -> str:
    """Return the name of a space: where it comes from, how it was made, a hash of its coordinates.

    Examples
    --------
    >>> space_of("resnet34", "fisher", {"convention": "exact", "dim": None}, [("w", [2])])
    'resnet34|fisher(convention=exact)|7a8137a3'
    """
    known = ", ".join(f"{key}={value}" for key, value in settings.items() if value is not None)
    text = json.dumps(layout, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{check_space(space)}|{construction}({known})|{digest}"


def projected(
    values: npt.NDArray[np.float64], dim: int | None, seed: int
) -> npt.NDArray[np.float64]:
    """Return a random projection [dim] of values [n], or the values for ``dim=None``.

    Inner products are unbiased; the variance of <y, y'> is at most 2 |x|^2 |x'|^2 / dim.

    Examples
    --------
    >>> projected(np.ones(3), None, 0)
    array([1., 1., 1.])
    >>> projected(np.ones(3), 4, 0).shape
    (4,)
    """
    if dim is None:
        return values
    size, key = check_whole(dim, "dim", 1), check_whole(seed, "seed", 0)
    return _core.sketch_vector(np.ascontiguousarray(values), size, key)


def real(values: Any) -> npt.NDArray[Any]:
    """Return an array, or raise `TypeError` for complex numbers, whose imaginary part would go.

    Examples
    --------
    >>> real([1, 2])
    array([1, 2])
    """
    array = np.asarray(values)
    if array.dtype.kind == "c":
        raise TypeError(f"{array.dtype} numbers are complex")
    return array


def reduced(values: npt.NDArray[np.float64], reduce: str | None) -> npt.NDArray[np.float64]:
    """Return the means of one parameter by layer or filter, or all its numbers.

    Examples
    --------
    >>> reduced(np.array([[1.0, 3.0], [0.0, 0.0]]), "filter")
    array([2., 0.])
    """
    if reduce == "layer":
        return np.array([values.mean()])
    if reduce == "filter" and values.ndim > 1:
        means: npt.NDArray[np.float64] = values.mean(axis=tuple(range(1, values.ndim)))
        return means
    return values.ravel()
