"""Null models and held-out judgements of hidden states: permutations, clusters, planes, layers."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas._core import superposition_permutations
from kinatlas._reference_superposition import permutation_p
from kinatlas.superposition import (
    best_layer,
    discriminant_plane,
    permutation_test,
    prompt_coordinates,
)

DIM = 12


def test_permutation_p_values_are_exact() -> None:
    rng = np.random.default_rng(5)
    for n_mixtures in (2, 3, 4, 5, 6):
        for _ in range(4):
            scores = rng.normal(size=(n_mixtures, n_mixtures))
            _, p_value, tried = superposition_permutations(scores, 0)
            assert p_value == permutation_p(scores)
            assert p_value >= 1 / tried


def test_permutation_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(6)
    pure = {name: rng.normal(size=(1, DIM)) for name in "abc"}
    shares = rng.dirichlet(np.ones(3), size=4)
    p_values = []
    for _ in range(400):
        mixtures = list(rng.normal(size=(4, 1, DIM)))
        p_values.append(permutation_test(pure, mixtures, shares.tolist()).p_value)
    counted = np.bincount(np.round(np.array(p_values) * 24).astype(int), minlength=25)[1:]
    # 24 equally likely values, 400 / 24 each: chi-square with 23 degrees, 99.9 % point 49.7.
    assert ((counted - 400 / 24) ** 2 / (400 / 24)).sum() < 49.7


def test_six_planted_mixtures_reach_the_smallest_p() -> None:
    rng = np.random.default_rng(7)
    centres = 3.0 * rng.normal(size=(3, DIM))
    pure = {
        name: centre + rng.normal(size=(60, DIM))
        for name, centre in zip("abc", centres, strict=True)
    }
    shares = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 1], [1, 2, 2], [2, 1, 2]], float)
    shares /= shares.sum(axis=1, keepdims=True)
    mixtures = [row @ centres + rng.normal(size=(60, DIM)) for row in shares]
    found = permutation_test(pure, mixtures, shares.tolist())
    assert (found.p_value, found.n_relabellings) == (1 / 720, 720)
    assert found.kappa == pytest.approx(1.0, abs=0.15)


def test_more_mixtures_than_can_be_enumerated_are_sampled_and_never_zero() -> None:
    scores = np.eye(10)
    _, p_value, tried = superposition_permutations(scores, 0)
    assert tried == 100_000
    assert 1e-5 <= p_value < 1e-4
    assert superposition_permutations(scores, 0, 1) == superposition_permutations(scores, 0, 8)


def test_coordinates_tell_two_clusters_from_a_vector_in_between() -> None:
    rng = np.random.default_rng(8)
    first, second = 2 * np.eye(DIM)[0], 2 * np.eye(DIM)[1]
    noise = 0.3 * rng.normal(size=(400, DIM))
    between = prompt_coordinates(0.5 * (first + second) + noise, first, second)
    winners = np.where(rng.random(400)[:, None] < 0.5, first, second)
    clusters = prompt_coordinates(winners + noise, first, second)
    assert between.mean == pytest.approx(clusters.mean, abs=0.06)
    assert clusters.sd > 3 * between.sd
    assert clusters.bimodality > 5 / 9 > between.bimodality


def test_held_out_accuracy_of_noise_is_chance_although_training_points_separate() -> None:
    rng = np.random.default_rng(9)
    accuracies, separated = [], []
    for trial in range(12):
        noise = {name: rng.normal(size=(20, 200)) for name in "abc"}
        plane = discriminant_plane(noise, rng=trial)
        accuracies.append(plane.accuracy)
        right = [
            np.argmin(((points[:, None] - plane.centroids) ** 2).sum(axis=2), axis=1) == k
            for k, points in enumerate(plane.training.values())
        ]
        separated.append(np.mean(right))
    assert np.mean(separated) > 0.95
    # 360 held-out prompts at 1/3: standard error 2.5 %.
    assert abs(np.mean(accuracies) - 1 / 3) < 0.1


def test_the_plane_agrees_with_scikit_learn_at_the_same_shrinkage() -> None:
    module = pytest.importorskip("sklearn.discriminant_analysis")
    rng = np.random.default_rng(10)
    pure = {n: rng.normal(size=(16, 6)) + 2 * np.eye(6)[k] for k, n in enumerate("abc")}
    mixture = rng.normal(size=(200, 6))
    plane = discriminant_plane(pure, {"mixed": mixture}, held_out=0.5, rng=3)
    generator = np.random.default_rng(3)
    fitted = []
    for states in pure.values():
        order = generator.permutation(16)
        fitted.append(states[order[8:]])
    # scikit-learn's lsqr solver shrinks the within-task covariance as we do (eigen shrinks the
    # between-task one as well); equal priors make its rule the nearest centroid.
    model = module.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=plane.shrinkage)
    model.fit(np.concatenate(fitted), np.repeat(np.arange(3), 8))
    placed = plane.mixtures["mixed"]
    distances = ((placed[:, None] - plane.centroids) ** 2).sum(axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), model.predict(mixture))
    # Log-odds are half the differences of squared distances, plane or full space.
    scores = model.decision_function(mixture)
    wanted = scores - scores[:, :1]
    np.testing.assert_allclose((distances[:, :1] - distances) / 2, wanted, rtol=1e-6, atol=1e-8)


def test_the_best_layer_is_judged_on_prompts_it_was_not_chosen_on() -> None:
    rng = np.random.default_rng(11)
    chance = rng.uniform(0.2, 0.4, size=60)
    nothing = rng.uniform(0.2, 0.4, size=(30, 3, 60))
    sets = ("separator", "letters", "query")
    gains = [
        best_layer(nothing, chance, token_sets=sets, rng=seed).gain.value for seed in range(40)
    ]
    assert abs(np.mean(gains)) < 0.02
    assert not best_layer(nothing, chance, token_sets=sets).is_effective
    nothing[17, 1] += 0.4
    found = best_layer(nothing, chance, token_sets=sets)
    assert (found.layer, found.token_set, found.is_effective) == (17, "letters", True)
    assert "do not interpret" in repr(best_layer(np.tile(chance, (2, 1)), chance))
