"""Kernels with a limit, an oracle elsewhere, or a defect of a peer to avoid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kinatlas import Atlas, similarity_matrix, token_similarity
from kinatlas._reference import prepared
from kinatlas.errors import NonFiniteError
from strategies import ragged_atlas

EPSILON = np.finfo(np.float64).eps
DIRECTED = ("max_pairwise", "topk_mean", "soft_max")


def random_pair(n_source: int, n_target: int, dim: int = 8, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_source, dim)), rng.normal(size=(n_target, dim))


@pytest.mark.parametrize("sizes", [(30, 30), (12, 31), (31, 12), (1, 9), (70, 100)])
@pytest.mark.parametrize("normalize", ["tokens", None])
def test_the_assignment_is_as_good_as_scipys(sizes, normalize):
    source, target = random_pair(*sizes)
    scores = prepared(source, normalize=normalize) @ prepared(target, normalize=normalize).T
    expected = scores[linear_sum_assignment(scores, maximize=True)].mean()
    found = token_similarity(source, target, kernel="optimal_assignment", normalize=normalize)
    # Path lengths add at most n scores, each rounded like a sum of 8 products.
    assert found == pytest.approx(expected, abs=min(sizes) * 8 * EPSILON * np.abs(scores).max())


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=9
        )
    )
)
def test_ties_between_assignments_do_not_change_the_total(rows):
    scores = np.array(rows, dtype=np.float64)
    # Raw products with unit vectors are the scores themselves, and small integers add exactly.
    found = token_similarity(
        scores, np.eye(scores.shape[1]), kernel="optimal_assignment", normalize=None
    )
    expected = scores[linear_sum_assignment(scores, maximize=True)].mean() if scores.any() else 0.0
    assert found == pytest.approx(expected, abs=2 * EPSILON)


def test_top_k_runs_from_the_maximum_to_the_mean():
    source, target = random_pair(9, 13)
    scores = {k: token_similarity(source, target, kernel="topk_mean", k=k) for k in (1, 5, 13, 99)}
    assert scores[1] == token_similarity(source, target, kernel="max_pairwise")
    mean = token_similarity(source, target, kernel="mean_pairwise")
    assert scores[13] == scores[99] == pytest.approx(mean, abs=32 * EPSILON)
    assert token_similarity(source, target, kernel="topk_mean") == scores[5]


def test_soft_maximum_runs_from_the_maximum_to_the_mean():
    source, target = random_pair(9, 13)
    largest = token_similarity(source, target, kernel="max_pairwise")
    mean = token_similarity(source, target, kernel="mean_pairwise")

    def soft(temperature: float) -> float:
        return token_similarity(source, target, kernel="soft_max", temperature=temperature)

    assert soft(1e-300) == largest
    assert soft(np.inf) == pytest.approx(mean, abs=32 * EPSILON)
    steps = [soft(temperature) for temperature in (0.01, 0.1, 1.0, 10.0)]
    assert steps == sorted(steps, reverse=True)
    assert token_similarity(source, target, kernel="soft_max") == steps[1]


def test_linear_cka_is_one_up_to_rotation_and_scale():
    source, _ = random_pair(20, 1)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    rotated = 3 * source @ rotation + 5
    found = token_similarity(source, rotated, kernel="linear_cka", normalize=None)
    assert found == pytest.approx(1, abs=1e-12)


def test_linear_cka_agrees_with_the_definition_by_centring_matrices():
    source, target = random_pair(12, 12)
    centring = np.eye(12) - 1 / 12
    left, right = (centring @ (x @ x.T) @ centring for x in (source, target))
    expected = np.trace(left @ right) / np.sqrt(np.trace(left @ left) * np.trace(right @ right))
    found = token_similarity(source, target, kernel="linear_cka", normalize=None)
    assert found == pytest.approx(expected, abs=1e-13)


def test_mean_pairwise_is_the_mean_of_the_whole_matrix():
    source, target = random_pair(21, 34)
    whole = (prepared(source) @ prepared(target).T).mean()
    found = token_similarity(source, target, kernel="mean_pairwise")
    assert found == pytest.approx(whole, abs=64 * EPSILON)


def test_raw_distances_are_those_of_the_paper():
    source, target = np.array([[0.0, 3.0], [4.0, 0.0]]), np.array([[0.0, 0.0], [4.0, 3.0]])
    concat = token_similarity(source, target, kernel="euclidean_concat", normalize=None)
    average = token_similarity(source, target, kernel="euclidean_average", normalize=None)
    assert concat == 1 / (1 + 18**0.5)
    assert average == 1 / (1 + (3 + 4 + 4 + 3) / 4)


@pytest.mark.parametrize("kernel", DIRECTED)
def test_negative_scores_are_never_lifted_to_zero(kernel):
    """Padding with zero tokens, or maxima that start at zero, would give 0 (maxsim-cpu)."""
    for n_tokens in range(1, 20):
        source, target = np.ones((3, 5)), -np.ones((n_tokens, 5))
        assert token_similarity(source, target, kernel=kernel) == pytest.approx(-1)


@pytest.mark.parametrize("kernel", DIRECTED)
def test_a_longer_prompt_in_the_batch_changes_no_score(kernel):
    """Averaging over a padded or masked length would (rerankers)."""
    atlas = ragged_atlas()
    whole = similarity_matrix(atlas, kernel=kernel)
    for source in atlas.names:
        for target in atlas.names:
            alone = token_similarity(atlas[source], atlas[target], kernel=kernel)
            assert alone == whole.row(target)[atlas.names.index(source)]
            assert -1 - 8 * EPSILON <= alone <= 1 + 8 * EPSILON


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_nan_token_is_refused_and_named(bad):
    """It must not vanish in a maximum (maxsim-cpu)."""
    tokens = np.ones((3, 2))
    tokens[1, 0] = bad
    with pytest.raises(NonFiniteError, match="'target': token 1, coordinate 0"):
        token_similarity(np.ones((2, 2)), tokens, kernel="max_pairwise")


def test_an_overflow_is_an_error_that_names_the_way_out():
    atlas = Atlas.from_arrays({"a": [[1e200, -1e200]], "b": [[1e200, 1e200]]})
    with pytest.raises(NonFiniteError, match="normalize='tokens'"):
        similarity_matrix(atlas, kernel="max_pairwise", normalize=None)
    assert similarity_matrix(atlas, kernel="max_pairwise").values[0, 0] == pytest.approx(1)
