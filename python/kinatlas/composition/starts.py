"""Where a head starts: random, from prompts of the sources, or from tensors of another head."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known
from kinatlas.composition.labels import as_array
from kinatlas.composition.settings import HeadSettings
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError

__all__ = [
    "Sizes",
    "as_single",
    "candidates",
    "check_size",
    "matrix_shape",
    "merged",
    "split",
    "starting_point",
    "tower_of",
]

Floats = npt.NDArray[np.float32]
# A gibibyte; beyond it the allocation itself may end the process.
_MOST_NUMBERS = 2**28
#: dim, width, number of sources, tower, mode.
Sizes = tuple[int, int, int, list[int], str]


def candidates(settings: HeadSettings, sources: tuple[str, ...]) -> list[str]:
    """Return the starting points a race compares, the plain one first."""
    found = ["random"]
    if settings.mode != "share":
        found += ["mean"] if len(sources) > 1 else []
        found += [f"source:{name}" for name in sources]
    return found + [f"warm:{name}" for name in sorted(settings.warm or {})]


def starting_point(
    init: str, settings: HeadSettings, sizes: Sizes, sources: tuple[str, ...], keys: Floats
) -> Floats:
    """Return all parameters [n_parameters] that ``init`` starts from."""
    check_size(sizes)
    tensors: dict[str, Any] = split(
        _core.head_initial(sizes, settings.seed).astype(np.float32), sizes
    )
    kind, _, name = init.partition(":")
    if init == "mean":
        tensors["prompt.E"] = keys.mean(axis=0, dtype=np.float64).astype(np.float32)
    elif kind == "source":
        tensors["prompt.E"] = keys[check_known(name, sources, "source")]
    elif kind == "warm":
        given = (settings.warm or {})[name]
        for tensor, values in given.items():
            check_known(tensor, list(tensors), f"warm {name!r}: tensor")
            tensors[tensor] = values
    return merged(tensors, sizes, f"init {init!r}")


def check_size(sizes: Sizes) -> None:
    """Refuse a head whose parameters would not fit into memory, before it is asked for.

    Examples
    --------
    >>> check_size((3, 4, 2, [10**9], "prompt"))
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: tower=(1000000000,) ... has 5000000000 numbers, ...
    """
    _, width, _, tower, _ = sizes
    widths = [width, *tower]
    n_numbers = sum((one + 1) * other for one, other in pairwise(widths))
    if n_numbers > _MOST_NUMBERS:
        raise ShapeError(
            f"tower={tuple(tower)} on width {width} has {n_numbers} numbers, expected at most "
            f"{_MOST_NUMBERS}"
        )


def as_single(values: Any, label: str) -> Floats:
    """Return numbers in single precision; raises DTypeError, ShapeError if they are none.

    Examples
    --------
    >>> as_single([1, 2], "tensor 'prompt.E'")
    array([1., 2.], dtype=float32)
    """
    array = as_array(values, label)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{label}: is {array.dtype}, expected numbers")
    # What is too large becomes infinite, which is refused by whoever asks.
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def split(parameters: npt.NDArray[Any], sizes: Sizes) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a head by name."""
    tensors = {}
    at = 0
    for name, shape in _core.head_tensors(sizes):
        end = at + int(np.prod(shape))
        tensors[name] = parameters[at:end].reshape(shape).copy()
        at = end
    return tensors


def merged(tensors: Mapping[str, Any], sizes: Sizes, label: str) -> Floats:
    """Return the parameters of a head from its tensors.

    Raises
    ------
    UnknownNameError
        If a tensor is missing.
    ShapeError, DTypeError
        If one has another shape, or holds no numbers.
    NonFiniteError
        If one holds NaN or infinity.
    """
    parts = []
    for name, shape in _core.head_tensors(sizes):
        check_known(name, list(tensors), f"{label}: tensor")
        values = as_single(tensors[name], f"{label}: tensor {name!r}")
        if values.shape != tuple(shape):
            raise ShapeError(
                f"{label}: tensor {name!r} has shape {values.shape}, expected {tuple(shape)}"
            )
        if not np.isfinite(values).all():
            raise NonFiniteError(f"{label}: tensor {name!r} holds NaN or infinity")
        parts.append(values.ravel())
    return np.concatenate(parts)


def tower_of(state: Mapping[str, Any]) -> list[int]:
    """Return the widths of the hidden layers that a state's tower has."""
    widths: list[int] = []
    while (name := f"tower.{2 * len(widths)}.weight") in state:
        widths.append(matrix_shape(state, name)[0])
    if not widths:
        raise ShapeError("state has no tensor 'tower.0.weight', expected the tower of a head")
    return widths[:-1]


def matrix_shape(state: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Return the shape of a tensor that must be a matrix, none of it empty."""
    shape = as_array(state[name], f"state: tensor {name!r}").shape
    if len(shape) != 2 or 0 in shape:
        raise ShapeError(f"state: tensor {name!r} has shape {shape}, expected a matrix")
    return int(shape[0]), int(shape[1])
