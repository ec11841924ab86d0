"""Rules that change one prompt, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas.composition.prompts import Floats, as_numbers
from kinatlas.errors import ShapeError

__all__ = ["FACTORS"]


def _low_rank(prompt: Floats, given: Any) -> Floats:
    """Return prompt o (u v) for u [n_tokens, n_ranks] or [n_tokens], v [n_ranks, dim] or [dim]."""
    if given[0] is None or given[1] is None:
        raise ShapeError("how='low_rank' needs u and v")
    u, v = as_numbers(given[0], "u"), as_numbers(given[1], "v")
    u = u[:, None] if u.ndim == 1 else u
    v = v[None] if v.ndim == 1 else v
    shape = np.atleast_2d(prompt).shape
    if (len(u), v.shape[1]) != shape or u.shape[1] != len(v):
        raise ShapeError(
            f"u has shape {u.shape} and v {v.shape}, expected [{shape[0]}, n_ranks] and "
            f"[n_ranks, {shape[1]}]"
        )
    parts = [np.ascontiguousarray(part, np.float64).ravel() for part in (prompt, u, v)]
    return _core.hadamard_prompt(parts[0], parts[1], parts[2], len(v)).reshape(prompt.shape)


def _gate_scale(prompt: Floats, given: Any) -> Floats:
    """Return prompt o 2 sigmoid(w2 relu(w1 z)): every number kept, doubled or dropped."""
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise ShapeError("how='gate_scale' needs gate=(z [m], w1 [h, m], w2 [dim, h])")
    pairs = zip(given, ("gate z", "gate w1", "gate w2"), strict=True)
    z, first, second = (as_numbers(part, name).astype(np.float64) for part, name in pairs)
    wanted = (first.shape[-1:], (len(first), len(z)), (prompt.shape[-1], len(first)))
    if (z.shape, first.shape, second.shape) != wanted:
        raise ShapeError(
            f"gate has shapes {z.shape}, {first.shape}, {second.shape}, expected [m], [h, m], "
            f"[{prompt.shape[-1]}, h]"
        )
    # Far below zero the exponential overflows, and the factor is zero as it should be.
    with np.errstate(over="ignore"):
        scale = 2.0 / (1.0 + np.exp(-(second @ np.maximum(first @ z, 0.0))))
    scaled: Floats = prompt * scale
    return scaled


#: Rules on one prompt.
FACTORS = {"low_rank": _low_rank, "gate_scale": _gate_scale}
