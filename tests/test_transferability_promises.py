"""What transferability scores promise to ignore, attacked; and what they do not, shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas.transferability import method_info, method_names, score

METHODS = [name for name in method_names("features") if name != "nleep"]
FREE = {
    kind: [name for name in METHODS if getattr(method_info(name), f"{kind}_free")]
    for kind in ("scale", "rotation", "translation")
}
SEEDS = st.integers(0, 2**32 - 1)


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    n, dim, n_classes = int(rng.integers(6, 30)), int(rng.integers(2, 12)), int(rng.integers(2, 5))
    labels = rng.permutation(np.arange(n) % n_classes)
    features = rng.normal(size=(n, dim)) + rng.normal(size=(n_classes, dim))[labels]
    return features, labels, rng


def close(found: float, expected: float, size: float = 1.0) -> bool:
    # Features move by one rounding of their new size; scores are smooth in them and none here
    # has a condition above 1e5 (evidence and coding rate at epsilon 1e-4).
    return abs(found - expected) <= 1e-10 * size * (1 + abs(expected))


@pytest.mark.parametrize("method", FREE["scale"])
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, exponent=st.integers(-60, 60))
def test_scale_free_scores_ignore_the_scale(method, seed, exponent):
    features, labels, _ = problem(seed)
    found = score(features * 10.0**exponent, labels, method=method)
    assert close(found, score(features, labels, method=method))


@pytest.mark.parametrize("method", FREE["rotation"])
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_rotation_free_scores_ignore_an_orthogonal_map(method, seed):
    features, labels, rng = problem(seed)
    turn = np.linalg.qr(rng.normal(size=(features.shape[1],) * 2))[0]
    assert close(
        score(features @ turn, labels, method=method), score(features, labels, method=method)
    )


@pytest.mark.parametrize("method", FREE["translation"])
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_translation_free_scores_ignore_a_common_shift(method, seed):
    features, labels, rng = problem(seed)
    shift = 10 * rng.normal(size=features.shape[1])
    found = score(features + shift, labels, method=method)
    assert close(found, score(features, labels, method=method), size=30)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_examples_changes_only_rounding(method, seed):
    features, labels, rng = problem(seed)
    order = rng.permutation(len(labels))
    found = score(features[order], labels[order], method=method)
    assert close(found, score(features, labels, method=method))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_names_order_and_gaps_of_classes_change_no_bit(method, seed):
    features, labels, _ = problem(seed)
    expected = score(features, labels, method=method)
    assert score(features, 70 - 9 * labels, method=method) == expected
    assert score(features, [f"class {9 - label}" for label in labels], method=method) == expected


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_scores_stay_in_their_range(method, seed):
    features, labels, _ = problem(seed)
    low, high = method_info(method).range
    assert low <= score(features, labels, method=method) <= high


@pytest.mark.parametrize("kind", ["scale", "rotation", "translation"])
def test_scores_that_promise_nothing_do_change(kind):
    features, labels, rng = problem(0)
    turn = np.linalg.qr(rng.normal(size=(features.shape[1],) * 2))[0]
    shift = 3 * rng.normal(size=features.shape[1])
    changed = {"scale": features * 3, "rotation": features @ turn, "translation": features + shift}
    for method in sorted(set(METHODS) - set(FREE[kind])):
        before, after = (score(x, labels, method=method) for x in (features, changed[kind]))
        assert abs(before - after) > 1e-6, method


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_predictions_ignore_order_and_silence_of_source_classes(seed):
    rng = np.random.default_rng(seed)
    theta, labels = rng.dirichlet(np.ones(5), size=20), rng.permutation(np.arange(20) % 3)
    expected = score(theta, labels, method="leep")
    padded = np.hstack([theta, np.zeros((20, 3))])
    assert close(score(padded, labels, method="leep"), expected)
    assert close(score(theta[:, ::-1], labels, method="leep"), expected)
    assert -np.log(3) - 1e-12 <= expected <= 0


def test_diagonal_overlap_gives_up_rotation_and_says_so():
    features, labels, rng = problem(1)
    features[:, 0] *= 20
    turn = np.linalg.qr(rng.normal(size=(features.shape[1],) * 2))[0]
    options = {"method": "gbc", "covariance": "diagonal"}
    assert (
        abs(score(features @ turn, labels, **options) - score(features, labels, **options)) > 1e-6
    )
