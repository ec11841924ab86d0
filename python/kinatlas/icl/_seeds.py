"""Whatever a caller gives as ``rng``, as one number for the Rust streams."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

__all__ = ["Rng", "seed_of"]

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
    sequence = rng if isinstance(rng, np.random.SeedSequence) else np.random.SeedSequence(rng)
    return int(sequence.generate_state(1, np.uint64)[0])
