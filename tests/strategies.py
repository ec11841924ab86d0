"""What hypothesis draws: prompts as people store them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinatlas import Atlas

# Largest sizes drawn; hand-sized, because the assignment twin tries every pairing.
MAX_TOKENS, MAX_DIM = 5, 6


def numbers() -> st.SearchStrategy[float]:
    """Numbers near 1, with exact zeros; extremes have tests of their own."""
    return st.one_of(
        st.just(0.0),
        st.floats(-4, 4, allow_subnormal=False).filter(lambda x: abs(x) > 1e-3 or x == 0),
    )


@st.composite
def pairs(draw: st.DrawFn, *, equal_lengths: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Two prompts [n_tokens, dim] of one width, with zero rows now and then."""
    dim = draw(st.integers(1, MAX_DIM))
    first = draw(st.integers(1, MAX_TOKENS))
    second = first if equal_lengths else draw(st.integers(1, MAX_TOKENS))
    return tuple(
        draw(hnp.arrays(np.float64, (count, dim), elements=numbers())) for count in (first, second)
    )


def gaussian_atlas(
    n_tasks: int,
    n_tokens: int = 10,
    dim: int = 16,
    *,
    shared: float = 0.0,
    seed: int = 0,
    dtype: str = "float64",
) -> Atlas:
    """Random tasks around a common start of weight ``shared``."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(n_tokens, dim))
    return Atlas.from_arrays(
        {
            f"task{task:03d}": (rng.normal(size=(n_tokens, dim)) + shared * start).astype(dtype)
            for task in range(n_tasks)
        },
        space="gaussian",
    )


def ragged_atlas(seed: int = 0, lengths: tuple[int, ...] = (1, 9, 4, 17, 8)) -> Atlas:
    """Random tasks of different lengths, around panel boundaries."""
    rng = np.random.default_rng(seed)
    return Atlas.from_arrays(
        {f"task{i}": rng.normal(size=(length, 7)) for i, length in enumerate(lengths)}
    )
