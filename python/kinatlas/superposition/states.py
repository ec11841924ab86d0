"""Hidden states of pure prompts and of mixtures, checked once for every geometry test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_names
from kinatlas._core import superposition_whitened
from kinatlas.errors import NonFiniteError, ShapeError
from kinatlas.interop import as_stored, widened

__all__ = ["Metric", "as_states", "pure_states", "whitened"]

Floats = npt.NDArray[np.float64]
Metric = Literal["euclidean", "whitened"]


def as_states(values: Any, label: str) -> Floats:
    """Return hidden states [n_prompts, dim] as float64; any float type, torch or NumPy, goes in.

    Raises `ShapeError` for other shapes, `NonFiniteError` with prompt and coordinate.

    Examples
    --------
    >>> as_states([[1.0, 2.0]], "mixture")
    array([[1., 2.]])
    """
    stored, dtype = as_stored(values, label)
    states = np.ascontiguousarray(widened(stored, dtype), dtype=np.float64)
    if not np.isfinite(states).all():
        prompt, coordinate = np.argwhere(~np.isfinite(states))[0]
        raise NonFiniteError(
            f"{label}: state of prompt {prompt} is {states[prompt, coordinate]} at coordinate "
            f"{coordinate}; half precision overflows in massive activations, extract in float32"
        )
    return states


def pure_states(pure: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Floats]]:
    """Return names and states [n_prompts, dim] of at least two tasks of one width.

    Examples
    --------
    >>> names, sets = pure_states({"copy": [[1.0, 0.0]], "add": [[0.0, 1.0]]})
    >>> names, len(sets)
    (('copy', 'add'), 2)
    """
    names = check_names(pure, "task")
    if len(names) < 2:
        raise ShapeError(f"pure: got {len(names)} task, expected at least two")
    sets = [as_states(pure[name], f"pure '{name}'") for name in names]
    widths = {name: states.shape[1] for name, states in zip(names, sets, strict=True)}
    if len(set(widths.values())) > 1:
        raise ShapeError(f"pure: widths differ, {widths}; states must come from one layer")
    return names, sets


def whitened(
    pure: list[Floats], sets: list[Floats], *, n_threads: int | None = None
) -> tuple[list[Floats], float]:
    """Return ``sets`` in coordinates where the tasks' shrunk covariance is the identity, and rho.

    Examples
    --------
    >>> import numpy as np
    >>> states = np.random.default_rng(0).normal(size=(4000, 2)) * [1.0, 3.0]
    >>> (white,), shrinkage = whitened([states], [states])
    >>> white.std(axis=0).round(1), shrinkage < 0.1
    (array([1., 1.]), True)
    """
    flat, shrinkage = superposition_whitened(pure, sets, n_threads)
    shaped = [row.reshape(states.shape) for row, states in zip(flat, sets, strict=True)]
    return shaped, shrinkage
