"""Whatever a caller gives as ``rng``, as one number for the Rust streams."""

from __future__ import annotations

from numbers import Real
from typing import TypeAlias

import numpy as np

from kinatlas._checks import check_whole

__all__ = ["Rng", "check_sampling", "seed_of"]

# Below this a 95 % interval would rest on two draws in each tail.
_FEWEST = 100

Rng: TypeAlias = int | np.random.SeedSequence | np.random.Generator | None


def seed_of(rng: Rng) -> int:
    """Return a 64-bit seed; a Generator is advanced, an int or SeedSequence always gives the same.

    Examples
    --------
    >>> seed_of(1) == seed_of(np.random.SeedSequence(1))
    True
    """
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**64, dtype=np.uint64))
    try:
        sequence = rng if isinstance(rng, np.random.SeedSequence) else np.random.SeedSequence(rng)
    except (TypeError, ValueError):
        raise ValueError(
            f"rng={rng!r}: expected a whole number of at least 0, a SeedSequence, a Generator, or "
            "None"
        ) from None
    return int(sequence.generate_state(1, np.uint64)[0])


def check_sampling(confidence: float, n_draws: int, argument: str = "n_draws") -> tuple[float, int]:
    """Return both if the confidence lies between 0 and 1 and the draws are at least 100.

    ``argument`` is what the caller calls the draws.

    Examples
    --------
    >>> check_sampling(0.95, 1000)
    (0.95, 1000)
    >>> check_sampling(95, 1000)
    Traceback (most recent call last):
    ValueError: confidence=95: expected a number between 0 and 1, such as 0.95
    """
    is_number = isinstance(confidence, Real) and not isinstance(confidence, bool)
    if not is_number or not 0 < confidence < 1:
        raise ValueError(
            f"confidence={confidence!r}: expected a number between 0 and 1, such as 0.95"
        )
    return float(confidence), check_whole(n_draws, argument, _FEWEST)
