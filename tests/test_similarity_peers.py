"""Faults of peers, made by hand so that each is caught by one number."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas import Atlas, _core, similarity_matrix, token_similarity

SINGLE, PAIRS = (names for _, names in _core._simd_paths()[:2])
WAYS = [(path, "float32") for path in SINGLE] + [(path, "bf16") for path in PAIRS + SINGLE]


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(way))
def way(request, monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", request.param[0])
    return request.param


def documents(lengths: list[int], token: list[float]) -> Atlas:
    """One token, repeated: every score is the same, and so is every mean of maxima."""
    rows = np.array([token], dtype=np.float32)
    return Atlas.from_arrays(
        {f"d{number}": np.repeat(rows, length, axis=0) for number, length in enumerate(lengths)}
    )


@pytest.mark.parametrize("kernel", ["max_pairwise", "topk_mean", "soft_max"])
@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source", "symmetric"])
def test_documents_whose_best_partners_are_all_negative_keep_their_scores(way, kernel, direction):
    """Maxima that start at zero (colbert-ai), and zeros of padding (maxsim-cpu), give 0."""
    # Products of powers of two are exact in bfloat16 too; each query is twice the one before.
    lengths = [1, 2, 13, 14, 15, 31, 32, 33, 100]
    token = np.array([[1.0, 2.0, 0.5]], dtype=np.float32)
    queries = Atlas.from_arrays(
        {f"q{k}": np.repeat(token * 2**k, count, axis=0) for k, count in enumerate([1, 7, 32, 65])}
    )
    for precision in (way[1], "float64"):
        values = similarity_matrix(
            queries, documents(lengths, [-1.0, -0.5, -2.0]), kernel=kernel, direction=direction,
            normalize=None, precision=precision, diagnostics=False,
        ).values  # fmt: skip
        np.testing.assert_allclose(values, [[-3.0, -6.0, -12.0, -24.0]] * 9, rtol=1e-14)


def test_a_short_document_beside_a_long_one_is_not_padded(way):
    """The best partner of the long one is closer than zero, that of the short one is not."""
    targets = Atlas.from_arrays(
        {
            "short": np.array([[-2.0, 0.0]], dtype=np.float32),
            "long": np.array([[-4.0, 0.0]] * 60 + [[0.5, 0.0]], dtype=np.float32),
            "last": np.array([[-8.0, 0.0]] * 3, dtype=np.float32),
        }
    )
    query = documents([3], [1.0, 1.0])
    values = similarity_matrix(
        query, targets, kernel="max_pairwise", normalize=None, precision=way[1], diagnostics=False
    ).values
    np.testing.assert_array_equal(values[:, 0], [-2.0, 0.5, -8.0])


# min(64, n_target) * n_source * dim on both sides of 64 cubed, and q_len * dim of 4096.
AROUND = [(64, 64, 64), (65, 64, 64), (64, 65, 64), (64, 64, 65), (32, 64, 128), (33, 64, 128),
          (32, 63, 129), (8, 8, 4096), (1, 64, 4097), (5, 200, 819), (5, 200, 820)]  # fmt: skip


@pytest.mark.parametrize("shape", AROUND)
def test_shapes_around_a_peers_crash_find_the_planted_partner(way, shape):
    """maxsim-cpu 0.1.0 crashes or errs beyond 64 cubed: here each token's partner is known."""
    n_source, n_target, dim = shape
    target = np.full((n_target, dim), -0.25, dtype=np.float32)
    partner = np.arange(n_source) * 7 % n_target
    target[np.arange(n_target), np.arange(n_target) % dim] = 4.0
    source = np.zeros((n_source, dim), dtype=np.float32)
    source[np.arange(n_source), partner % dim] = 0.5
    found = token_similarity(
        source, target, kernel="max_pairwise", normalize=None, precision=way[1]
    )
    assert found == 2.0


def unscaled_partner(source: np.ndarray, target: np.ndarray) -> float:
    """What int8 copies say when the scale of each target token is left out of the argmax."""
    scale = np.maximum(np.abs(target).max(axis=1, keepdims=True), 1e-9) / 127
    partner = (source @ np.rint(target / scale).T).argmax(axis=1)
    return float((source * target[partner]).sum(axis=1).mean())


def test_tokens_with_two_outlier_dimensions_find_the_partner_that_a_scale_decides(way):
    """Without the scale of each target token a peer takes the second target: half, or less."""
    source = np.zeros((20, 256), dtype=np.float32)
    source[:, 5] = 1.0
    target = np.zeros((40, 256), dtype=np.float32)
    # The partner's outliers make its scale large, and its int8 copy small where it matters.
    target[3, [3, 70, 5]] = [100.0, -100.0, 8.0]
    target[9, [3, 70, 5]] = [2.0, -2.0, 2.0]
    assert unscaled_partner(source, target) == 2.0
    found = token_similarity(
        source, target, kernel="max_pairwise", normalize=None, precision=way[1]
    )
    assert found == 8.0
