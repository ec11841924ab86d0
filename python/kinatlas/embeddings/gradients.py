"""Anybody's gradients as rows, checked against the batches before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_names
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.tasks.packing import Stored

__all__ = ["as_rows", "as_weights"]

Shapes = dict[str, tuple[int, ...]]


def as_rows(gradients: Any, known: Shapes) -> tuple[Shapes, list[Stored]]:
    """Return the shape of every parameter, and its gradients [n_rows, n_coordinates].

    Raises
    ------
    DTypeError
        If ``gradients`` is no mapping, or holds no floating-point numbers.
    ShapeError
        If names or shapes are not the ``known`` ones, or rows differ between parameters.

    Examples
    --------
    >>> shapes, rows = as_rows({"w": np.zeros((5, 2, 3))}, {})
    >>> shapes, rows[0][0].shape
    ({'w': (2, 3)}, (5, 6))
    """
    if not isinstance(gradients, Mapping):
        raise DTypeError(
            f"gradients: got {type(gradients).__name__}, expected a mapping of parameter to rows"
        )
    names = check_names(gradients, "parameter")
    if not names:
        raise ShapeError("gradients: the batch has no parameter, expected at least one")
    if known and set(names) != set(known):
        missing, extra = sorted(set(known) - set(names)), sorted(set(names) - set(known))
        raise ShapeError(
            f"gradients: parameters {missing} are missing and {extra} are new; every batch needs "
            "the parameters of the first"
        )
    shapes: Shapes = {}
    rows: list[Stored] = []
    for name in known or names:
        shape, stored = _one(gradients[name], name)
        if name in known and shape != known[name]:
            raise ShapeError(
                f"gradient of parameter {name!r} has shape {shape} behind its rows, the batches "
                f"before had {known[name]}"
            )
        if rows and len(stored[0]) != len(rows[0][0]):
            raise ShapeError(
                f"gradient of parameter {name!r} has {len(stored[0])} rows, that of "
                f"{next(iter(shapes))!r} has {len(rows[0][0])}"
            )
        shapes[name] = shape
        rows.append(stored)
    return shapes, rows


def _one(values: Any, name: str) -> tuple[tuple[int, ...], Stored]:
    array = (
        values if hasattr(values, "reshape") and hasattr(values, "shape") else np.asarray(values)
    )
    shape = tuple(int(size) for size in array.shape)
    if not shape or 0 in shape:
        raise ShapeError(
            f"gradient of parameter {name!r} has shape {shape}, expected [n_rows, *shape] with at "
            "least one row and one number"
        )
    flat = array.reshape(shape[0], -1)
    return shape[1:], as_stored(flat, f"gradient of parameter {name!r}")


def as_weights(weights: Any, n_rows: int, convention: str) -> npt.NDArray[np.float64] | None:
    """Return one weight [n_rows] per row where the convention has any.

    Raises `ValueError` if weights are missing, not wanted, negative, or not one per row.

    Examples
    --------
    >>> as_weights([0.25, 0.75], 2, "exact")
    array([0.25, 0.75])
    """
    if (weights is None) != (convention != "exact"):
        raise ValueError(
            f"convention={convention!r}: "
            + (
                "give weights=, the probability of every row's class"
                if weights is None
                else "weights belong to convention='exact' alone"
            )
        )
    if weights is None:
        return None
    stored, dtype = as_stored(weights, "weights")
    array = np.ascontiguousarray(widened(stored, dtype).astype(np.float64).ravel())
    if array.shape != (n_rows,) or not (array >= 0).all() or not np.isfinite(array).all():
        raise ValueError(
            f"weights: got {array.size} numbers from {array.min()} to {array.max()}, expected "
            f"{n_rows}, one per row, none negative"
        )
    return array
