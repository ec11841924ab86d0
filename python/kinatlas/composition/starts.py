"""Where a head starts: random, from prompts of the sources, or from tensors of another head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known
from kinatlas.composition.settings import HeadSettings
from kinatlas.errors import NonFiniteError, ShapeError

__all__ = ["Sizes", "candidates", "merged", "split", "starting_point", "tower_of"]

Floats = npt.NDArray[np.float32]
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
    tensors = split(_core.head_initial(sizes, settings.seed).astype(np.float32), sizes)
    kind, _, name = init.partition(":")
    if init == "mean":
        tensors["prompt.E"] = keys.mean(axis=0, dtype=np.float64).astype(np.float32)
    elif kind == "source":
        tensors["prompt.E"] = keys[check_known(name, sources, "source")]
    elif kind == "warm":
        given = (settings.warm or {})[name]
        for tensor, values in given.items():
            check_known(tensor, list(tensors), f"warm {name!r}: tensor")
            tensors[tensor] = np.asarray(values)
    return merged(tensors, sizes, f"init {init!r}")


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
    ShapeError
        If one has another shape.
    NonFiniteError
        If one holds NaN or infinity.
    """
    parts = []
    for name, shape in _core.head_tensors(sizes):
        check_known(name, list(tensors), f"{label}: tensor")
        values = np.asarray(tensors[name], dtype=np.float32)
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
    while f"tower.{2 * len(widths)}.weight" in state:
        widths.append(len(state[f"tower.{2 * len(widths)}.weight"]))
    if not widths:
        raise ShapeError("state has no tensor 'tower.0.weight', expected the tower of a head")
    return widths[:-1]
