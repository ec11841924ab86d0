"""Checks of a record's parts: each says which prompt and task is wrong, and the way out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kinatlas._core import superposition_conditions
from kinatlas.errors import FormatError, NonFiniteError, ShapeError

__all__ = [
    "MASS_TOLERANCE",
    "Coded",
    "check_mass",
    "check_values",
    "checked_codes",
    "checked_conditions",
    "checked_flags",
    "checked_log_probabilities",
    "checked_mixture",
    "checked_order",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Log-probabilities of float32 models sum to one within about 1e-6; beyond it something overlaps.
MASS_TOLERANCE = 1e-6


class Coded(NamedTuple):
    """Conditions that are numbered already; keeps their order through select and pickle."""

    codes: Integers
    labels: tuple[str, ...]


def checked_log_probabilities(values: Any) -> Floats:
    """Return log-probabilities [n_prompts, n_tasks] as a copy, whatever they were."""
    logs = np.array(values, dtype=np.float64, order="C")
    if logs.ndim != 2 or logs.shape[0] < 1 or logs.shape[1] < 2:
        raise ShapeError(
            f"log_probabilities: shape {logs.shape}, expected [n_prompts, n_tasks] with at least "
            "one prompt and two tasks; one task alone cannot be superposed"
        )
    return logs


def check_values(logs: Floats, names: tuple[str, ...]) -> None:
    """Refuse NaN, +inf and probabilities above 1, naming prompt and task."""
    bad = np.isnan(logs) | (logs == np.inf)
    if bad.any():
        prompt, task = np.argwhere(bad)[0]
        raise NonFiniteError(
            f"prompt {prompt}, task '{names[task]}': the log-probability is {logs[prompt, task]}, "
            "expected a number of at most 0, or -inf for an impossible answer"
        )
    above = logs > MASS_TOLERANCE
    if above.any():
        prompt, task = np.argwhere(above)[0]
        raise FormatError(
            f"prompt {prompt}, task '{names[task]}': the log-probability is "
            f"{logs[prompt, task]:.4g}, a probability above 1; pass natural logarithms of "
            "probabilities, or use record_from_logits for logits"
        )


def check_mass(logs: Floats, collisions: npt.NDArray[np.bool_], tolerance: float) -> None:
    """Refuse prompts whose answers exceed probability 1 together without a collision."""
    mass = np.exp(logs).sum(axis=1)
    over = (mass > 1.0 + tolerance) & ~collisions
    if over.any():
        prompt = int(np.argmax(over))
        raise FormatError(
            f"prompt {prompt}: its answers have probability {mass[prompt]:.6g} together, more than "
            "1, so two of them overlap; flag the prompt in collisions= (answer_collisions finds "
            "equal answers and prefixes) or score answers with their terminator"
        )


def checked_mixture(values: Any, n_prompts: int, n_tasks: int) -> Floats:
    """Return shares [n_prompts, n_tasks] from counts or shares."""
    raw = np.asarray(values)
    if raw.dtype.kind not in "iuf":
        raise FormatError(f"mixture: numbers are {raw.dtype}, expected counts or shares")
    if raw.shape not in {(n_tasks,), (n_prompts, n_tasks)}:
        raise ShapeError(
            f"mixture: shape {raw.shape}, expected [n_prompts, n_tasks] = {(n_prompts, n_tasks)} "
            f"or [n_tasks] = {(n_tasks,)}"
        )
    shares = np.array(np.broadcast_to(raw, (n_prompts, n_tasks)), dtype=np.float64, order="C")
    totals = shares.sum(axis=1)
    is_count = raw.dtype.kind in "iu"
    wrong = ~np.isfinite(totals) | (shares < 0).any(axis=1)
    wrong |= (totals <= 0) if is_count else (np.abs(totals - 1.0) > MASS_TOLERANCE)
    if wrong.any():
        prompt = int(np.argmax(wrong))
        raise FormatError(
            f"mixture of prompt {prompt}: {shares[prompt].tolist()}, expected shares of at least 0 "
            "that sum to 1, or whole counts"
        )
    return shares / totals[:, None] if is_count else shares


def checked_conditions(labels: Any, mixture: Floats) -> tuple[Integers, tuple[str, ...]]:
    """Return the code of every prompt's condition, and the conditions' labels."""
    if isinstance(labels, Coded):
        return labels.codes.copy(), labels.labels
    if labels is not None:
        return checked_codes(labels, len(mixture), "condition")
    codes, rows = superposition_conditions(mixture)
    shown = ["/".join(f"{share:.4g}" for share in mixture[row]) for row in rows]
    return codes, tuple(shown)


def checked_codes(labels: Any, n_prompts: int, what: str) -> tuple[Integers, tuple[str, ...]]:
    """Return labels [n_prompts] as codes from 0, and the distinct labels."""
    if labels is None:
        return np.arange(n_prompts, dtype=np.int64), ()
    array = np.asarray(labels)
    if array.shape != (n_prompts,):
        raise ShapeError(f"{what}: shape {array.shape}, expected one label a prompt ({n_prompts},)")
    if array.dtype == object:
        array = array.astype(str)
    distinct, codes = np.unique(array, return_inverse=True)
    shown = tuple(str(label) for label in distinct.tolist()) if what == "condition" else ()
    return np.ascontiguousarray(codes, dtype=np.int64), shown


def checked_order(order: Any, n_prompts: int, n_tasks: int) -> Integers | None:
    """Return task numbers [n_prompts, n_examples], or None."""
    if order is None:
        return None
    array = np.array(order, dtype=np.int64, order="C")
    if array.ndim != 2 or len(array) != n_prompts or array.shape[1] < 1:
        raise ShapeError(
            f"order: shape {array.shape}, expected [n_prompts, n_examples] with {n_prompts} prompts"
        )
    if array.min() < -1 or array.max() >= n_tasks or (array[:, -1] < 0).any():
        raise FormatError(
            f"order: task numbers {array.min()} to {array.max()}, expected 0 to {n_tasks - 1}, "
            "with -1 as padding on the left only"
        )
    return array


def checked_flags(collisions: Any, n_prompts: int) -> npt.NDArray[np.bool_]:
    """Return one flag a prompt."""
    if collisions is None:
        return np.zeros(n_prompts, dtype=np.bool_)
    flags = np.array(collisions, dtype=np.bool_)
    if flags.shape != (n_prompts,):
        raise ShapeError(f"collisions: shape {flags.shape}, expected one flag a prompt")
    return flags
