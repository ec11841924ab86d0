"""Geometry of hidden states: planted mixtures, exact nulls, refusals, twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas._reference_superposition import (
    affine_weights,
    ledoit_wolf,
    simplex_weights,
)
from kinatlas.errors import FormatError, NonFiniteError, ShapeError
from kinatlas.superposition import (
    best_layer,
    decompose_mixture,
    permutation_test,
    prompt_coordinates,
)
from kinatlas.superposition.states import whitened

DIM = 12


def planted(
    rng: np.random.Generator, shares: list[float], n_prompts: int = 60, noise: float = 1.0
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    centres = 3.0 * rng.normal(size=(len(shares), DIM))
    pure = {
        f"task {k}": centre + noise * rng.normal(size=(n_prompts, DIM))
        for k, centre in enumerate(centres)
    }
    mixed = shares @ centres + noise * rng.normal(size=(n_prompts, DIM))
    return pure, mixed, centres


def test_weights_of_a_planted_mixture_are_covered_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = [0.5, 0.3, 0.2]
    inside = np.zeros(2)
    n_trials = 250
    for trial in range(n_trials):
        pure, mixed, _ = planted(rng, shares)
        found = decompose_mixture(pure, mixed, shares, n_bootstrap=400, n_splits=0, rng=trial)
        for kind, weights in enumerate((found.affine, found.simplex)):
            inside[kind] += sum(
                w.low <= s <= w.high for w, s in zip(weights, shares, strict=True)
            ) / len(shares)
    # Nominal 95 %, wanted 93 to 97 %; 750 intervals (correlated in threes) have an error of about
    # 1.2 %, so two of them are allowed below, and one and a bit above.
    rate = inside / n_trials
    assert (rate > 0.906).all(), rate
    assert (rate < 0.985).all(), rate


def test_an_exact_mixture_has_its_shares_no_residual_and_kappa_one() -> None:
    pure = {f"task {k}": np.repeat(np.eye(5)[k : k + 1], 4, axis=0) for k in range(3)}
    mixed = np.repeat([[0.6, 0.3, 0.1, 0.0, 0.0]], 8, axis=0)
    found = decompose_mixture(pure, mixed, [0.6, 0.3, 0.1], n_bootstrap=20)
    assert [w.value for w in found.affine] == pytest.approx([0.6, 0.3, 0.1], abs=1e-14)
    assert found.residual.value == pytest.approx(0.0, abs=1e-14)
    assert found.kappa == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)
    assert found.sin_theta.value == pytest.approx(0.0, abs=1e-7)


@given(st.integers(0, 10**6), st.integers(2, 5))
@settings(max_examples=30)
def test_weights_agree_with_their_numpy_twins(seed: int, n_tasks: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_tasks, DIM))
    target = 1.5 * rng.normal(size=DIM)
    pure = {f"task {k}": centre[None] for k, centre in enumerate(centres)}
    uniform = [1 / n_tasks] * n_tasks
    found = decompose_mixture(pure, target[None], uniform, n_bootstrap=0, n_splits=0)
    affine = [w.value for w in found.affine]
    simplex = [w.value for w in found.simplex]
    assert affine == pytest.approx(affine_weights(centres, target), rel=1e-8, abs=1e-9)
    assert simplex == pytest.approx(simplex_weights(centres, target), rel=1e-8, abs=1e-9)
    assert np.isnan(found.kappa.value)  # a uniform mixture predicts no direction


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_rotation_translation_and_scale_change_no_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pure, mixed, _ = planted(rng, [0.7, 0.3], n_prompts=6)
    turn = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    shift = rng.normal(size=DIM)

    def moved(states: np.ndarray) -> np.ndarray:
        return 2.5 * states @ turn + shift

    first = decompose_mixture(pure, mixed, [0.7, 0.3], n_bootstrap=30)
    second = decompose_mixture(
        {name: moved(states) for name, states in pure.items()}, moved(mixed), [0.7, 0.3],
        n_bootstrap=30,
    )  # fmt: skip
    for name in ("residual", "kappa", "sin_theta"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), rel=1e-8)
    assert second.affine[0] == pytest.approx(first.affine[0], rel=1e-8, abs=1e-9)
    assert second.floor == pytest.approx(first.floor, rel=1e-8)


@pytest.mark.parametrize("third", [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
def test_collinear_task_vectors_are_refused(third: list[float]) -> None:
    pure = {"a": [[1.0, 0.0, 0.0]], "b": [[0.0, 1.0, 0.0]], "c": [third]}
    with pytest.raises(ShapeError, match="affinely dependent"):
        decompose_mixture(pure, [[0.3, 0.3, 0.3]], [0.4, 0.3, 0.3])


def test_more_tasks_than_dimensions_allow_are_refused() -> None:
    pure = {name: [[float(k), float(k * k)]] for k, name in enumerate("abcd")}
    with pytest.raises(ShapeError, match="affinely dependent"):
        decompose_mixture(pure, [[0.3, 0.3]], [0.25] * 4)


def test_noise_alone_stays_within_its_floor_and_a_real_bend_does_not() -> None:
    rng = np.random.default_rng(1)
    pure, mixed, centres = planted(rng, [0.8, 0.2], n_prompts=200)
    straight = decompose_mixture(pure, mixed, [0.8, 0.2], n_bootstrap=0)
    assert straight.ratio < 1.0
    aside = np.linalg.qr(np.column_stack([centres[0] - centres[1], np.eye(DIM)]))[0][:, 1]
    bent = decompose_mixture(pure, mixed + 5.0 * aside, [0.8, 0.2], n_bootstrap=0)
    assert bent.ratio > 3.0
    assert bent.residual.value > 0.5


def test_whitening_takes_the_say_from_a_massive_activation() -> None:
    rng = np.random.default_rng(2)
    pure, mixed, _ = planted(rng, [0.6, 0.4], n_prompts=300)
    for states in (*pure.values(), mixed):
        states[:, 0] += 300.0 * rng.normal(size=len(states))
    plain = decompose_mixture(pure, mixed, [0.6, 0.4], n_bootstrap=200)
    white = decompose_mixture(pure, mixed, [0.6, 0.4], n_bootstrap=200, metric="whitened")
    assert white.shrinkage is not None
    assert 0.0 <= white.shrinkage < 0.2
    assert white.affine[0].value == pytest.approx(0.6, abs=0.05)
    width = [w.high - w.low for w in (plain.affine[0], white.affine[0])]
    assert width[1] < width[0] / 4


def test_whitened_states_have_the_shrunk_covariance_as_identity() -> None:
    rng = np.random.default_rng(3)
    sets = [rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)) + k for k, n in enumerate((9, 14))]
    white, shrinkage = whitened(sets, sets)
    wanted, covariance = ledoit_wolf(sets)
    assert shrinkage == pytest.approx(wanted, rel=1e-10)
    factor = np.linalg.cholesky(covariance)
    np.testing.assert_allclose(white[0], np.linalg.solve(factor, sets[0].T).T, rtol=1e-9, atol=1e-9)


def test_shrinkage_agrees_with_scikit_learn_for_many_dimensions_and_few_prompts() -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(4)
    states = rng.normal(size=(8, 40)) * np.linspace(0.5, 2.0, 40)
    found = whitened([states], [states])[1]
    wanted = covariance.ledoit_wolf(states - states.mean(axis=0), assume_centered=True)[1]
    assert found == pytest.approx(wanted, rel=1e-10)


def test_states_that_do_not_vary_cannot_be_whitened() -> None:
    with pytest.raises(ShapeError, match="metric='euclidean'"):
        decompose_mixture(
            {"a": [[1.0, 0.0]], "b": [[0.0, 1.0]]}, [[0.5, 0.5]], [0.5, 0.5], metric="whitened"
        )


def test_bad_states_are_refused_by_name() -> None:
    good = {"a": np.eye(3)[:1], "b": np.eye(3)[1:2]}
    with pytest.raises(NonFiniteError, match="mixture: state of prompt 0 is nan at coordinate 1"):
        decompose_mixture(good, [[0.0, np.nan, 1.0]], [0.5, 0.5])
    with pytest.raises(ShapeError, match="width 2, pure states have 3"):
        decompose_mixture(good, [[0.0, 1.0]], [0.5, 0.5])
    with pytest.raises(ShapeError, match="at least two"):
        decompose_mixture({"a": [[1.0, 0.0]]}, [[0.0, 1.0]], [1.0])
    with pytest.raises(FormatError, match="with sum 1"):
        decompose_mixture(good, np.eye(3)[:1], [0.5, 0.6])
    with pytest.raises(ShapeError, match="no axis"):
        prompt_coordinates(np.eye(3), np.eye(3)[0], np.eye(3)[0])
    with pytest.raises(ShapeError, match="at least 20"):
        best_layer(np.full((2, 5), 0.3), np.full(5, 0.3))
    with pytest.raises(ShapeError, match="every mixture is uniform"):
        permutation_test(good, [np.eye(3)[:1]] * 2, [[0.5, 0.5]] * 2)


@pytest.mark.parametrize("metric", ["euclidean", "whitened"])
def test_one_two_and_eight_threads_give_the_same_bits(metric: str) -> None:
    pure, mixed, _ = planted(np.random.default_rng(12), [0.6, 0.3, 0.1])
    runs = [
        decompose_mixture(pure, mixed, [0.6, 0.3, 0.1], metric=metric, n_bootstrap=50, n_threads=n)  # type: ignore[arg-type]
        for n in (1, 2, 8)
    ]
    assert runs[0] == runs[1] == runs[2]
