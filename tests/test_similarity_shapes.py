"""Tokens of any shape, wherever they lie in memory, on every path of this processor."""

from __future__ import annotations

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kinatlas import Atlas, _core, similarity_matrix, token_similarity
from kinatlas.errors import ShapeError

SINGLE, PAIRS = (names for _, names in _core._simd_paths()[:2])
# A path by name, with the precision it serves.
WAYS = [(path, "float32") for path in SINGLE] + [(path, "bf16") for path in PAIRS + SINGLE]
KERNELS = ("max_pairwise", "topk_mean", "soft_max", "mean_pairwise", "feature_mean")
DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16, np.float64)


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(way))
def way(request, monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", request.param[0])
    return request.param


def laid(tokens: np.ndarray, how: str) -> np.ndarray:
    """The same numbers, elsewhere."""
    n_tokens, dim = tokens.shape
    if how == "misaligned":
        buffer = np.zeros(tokens.nbytes + 1, dtype=np.uint8)
        moved = buffer[1:].view(tokens.dtype).reshape(tokens.shape)
    elif how == "columns":
        moved = np.empty((dim, n_tokens), dtype=tokens.dtype).T
    elif how == "strided":
        moved = np.full((2 * n_tokens, 3 * dim), 7.0).astype(tokens.dtype)[1::2, 2::3]
    elif how == "backwards":
        moved = np.empty_like(tokens)[::-1, ::-1]
    else:
        return tokens
    moved[:] = tokens
    return moved


@pytest.mark.parametrize("kernel", KERNELS)
# The environment is set once for all examples, and nothing changes it.
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counts=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    dim=st.integers(1, 67),
    dtype=st.sampled_from(DTYPES),
    how=st.sampled_from(("misaligned", "columns", "strided", "backwards")),
    seed=st.integers(0, 2**32 - 1),
)
@example(counts=(1, 1), dim=1, dtype=np.float32, how="misaligned", seed=0)
@example(counts=(15, 33), dim=1, dtype=np.float16, how="columns", seed=1)
@example(counts=(14, 32), dim=129, dtype=np.float32, how="strided", seed=2)
def test_where_tokens_lie_changes_no_bit(way, kernel, counts, dim, dtype, how, seed):
    rng = np.random.default_rng(seed)
    source, target = (rng.normal(size=(count, dim)).astype(dtype) for count in counts)
    takes_part = kernel in KERNELS[:3] and not (way[1] == "float32" and dtype is np.float64)
    options = {"kernel": kernel, "precision": way[1] if takes_part else "auto"}
    plain = token_similarity(source, target, **options)
    assert token_similarity(laid(source, how), laid(target, how), **options) == plain
    exact = token_similarity(
        source.astype(np.float64), target.astype(np.float64), kernel=kernel, precision="float64"
    )
    # Cosines: two roundings of 2^-9 a token, or sums of dim products in float32; a weight of the
    # softmax moves ten times (1 / temperature) as far, and once more with the score.
    moved = 2 * 2.0**-8 if way[1] == "bf16" else (dim + 20) * 2.0**-23
    allowed = moved * (21 if kernel == "soft_max" else 1) if takes_part else 1e-12
    assert abs(plain - exact) <= allowed


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_is_compared_with_nothing(way, kernel, shape):
    empty, one = np.zeros(shape, dtype=np.float32), np.ones((2, 3), dtype=np.float32)
    for pair in ((empty, one), (one, empty)):
        with pytest.raises(ShapeError):
            token_similarity(*pair, kernel=kernel)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_million_tokens_are_their_own_best_partners(way, dim):
    """All lie on a grid of few directions, so that every one of them has a partner among few."""
    rng = np.random.default_rng(dim)
    few = rng.normal(size=(5, dim)).astype(np.float32)
    owner = rng.integers(0, 5, 1_000_000)
    many = few[owner] * (1 + owner % 3)[:, None].astype(np.float32)
    found = similarity_matrix(
        Atlas.from_arrays({"many": many}), Atlas.from_arrays({"few": few}),
        kernel="max_pairwise", direction="symmetric", precision=way[1], diagnostics=False,
    ).values[0, 0]  # fmt: skip
    # bfloat16 moves a token and its multiple, at most by 2^-9 each.
    assert found == pytest.approx(1.0, abs=2.0**-15 if way[1] == "bf16" else 1e-6)
    mean = token_similarity(many, few, kernel="mean_pairwise")
    units = (few / np.linalg.norm(few, axis=1, keepdims=True)).astype(np.float64)
    expected = units[owner].mean(axis=0) @ units.mean(axis=0)
    assert mean == pytest.approx(expected, abs=1e-7)


MEMORY = """
import resource, sys
import numpy as np
import kinatlas as ka
tokens = np.random.default_rng(0).normal(size=(1_000_000, 3)).astype(np.float32)
many = ka.Atlas.from_arrays({"many": tokens}, space="s")
few = ka.Atlas.from_arrays({"few": tokens[:40]}, space="s")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ka.similarity_matrix(few, few, kernel="max_pairwise", diagnostics=False)
before = peak()
for kernel in ("max_pairwise", "topk_mean", "mean_pairwise"):
    for pair in ((many, few), (few, many)):
        if kernel == "topk_mean" and pair[1] is many:
            continue
        ka.similarity_matrix(*pair, kernel=kernel, diagnostics=False, n_threads=2)
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux only")
def test_memory_stays_flat_over_a_million_tokens():
    """12 MB of tokens: packed batches of 24 MB, a norm and a maximum for each token."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 96
