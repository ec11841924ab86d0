"""One 63-bit seed for the core from whatever the caller has."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas.errors import FormatError

__all__ = ["seed_of"]


def seed_of(rng: Any) -> int:
    """Return a seed for the counter-based streams: an int itself, else one drawn from ``rng``.

    Examples
    --------
    >>> seed_of(7)
    7
    >>> import numpy as np
    >>> seed_of(np.random.default_rng(0)) == seed_of(np.random.default_rng(0))
    True
    """
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if rng < 0:
            raise FormatError(f"rng: got the seed {rng}, expected at least 0")
        return int(rng) % 2**63
    return int(np.random.default_rng(rng).integers(2**63))
