"""What must hold for any mixture: orderings, symmetries, limits and degenerate cases."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas.icl import (
    SETTINGS,
    Mixture,
    asymptotic_constant,
    decoupling_index,
    optimum,
    transfer_losses,
)

# Losses are sums of terms of one sign, so they round at (terms) * 1e-16 times the condition of the
# solve; 1e-9 covers conditions up to about 1e6, which the strategy below stays within.
ROUNDING = 1e-9


@st.composite
def mixtures(draw, shared: bool = True) -> Mixture:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim, n_tasks = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rank = draw(st.integers(0, dim + 1))
    size = 10.0 ** draw(st.integers(-2, 2))
    roots = generator.normal(size=(n_tasks, dim, rank))
    whole = generator.normal(size=(1 if shared else n_tasks, dim, dim + 2))
    weights = generator.dirichlet(np.ones(n_tasks))
    if draw(st.booleans()) and n_tasks > 1:
        weights = np.r_[0.0, weights[1:] / weights[1:].sum()]
    return Mixture(
        weights,
        draw(st.sampled_from([0.0, 0.3, 3.0])) * generator.normal(size=(n_tasks, dim)),
        size * roots @ roots.swapaxes(1, 2),
        input_covariance=whole @ whole.swapaxes(1, 2) / dim + 0.05 * np.eye(dim),
        noise_variance=draw(st.sampled_from([0.0, 0.1, 10.0])),
    )


def losses(mixture: Mixture, n: int) -> dict[str, float]:
    return {name: optimum(mixture, n, name).loss for name in SETTINGS}


def check_order(found: dict[str, float]) -> None:
    order = [
        ("joint_prompt_head_scaled", "joint_prompt_head"),
        ("joint_prompt_head", "joint_prompt_value_shift"),
        ("joint_prompt_value_shift", "joint_prompt"),
        ("joint_prompt", "finetune_prompt"),
        ("finetune_prompt", "plain"),
        ("joint_prompt_head_scaled", "finetune_prompt_head"),
        ("finetune_prompt_head", "finetune_prompt"),
    ]
    for lower, upper in order:
        assert found[lower] <= found[upper] * (1 + ROUNDING), (lower, upper)


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.sampled_from([0, 1, 2, 7, 60]))
def test_more_freedom_never_hurts(mixture: Mixture, n: int) -> None:
    check_order(losses(mixture, n))


@settings(max_examples=25, deadline=None)
@given(mixtures(shared=False), st.sampled_from([1, 2, 7, 60]))
def test_more_freedom_never_hurts_when_inputs_differ(mixture: Mixture, n: int) -> None:
    check_order(losses(mixture, n))


@settings(max_examples=30, deadline=None)
@given(mixtures(), st.sampled_from([1, 3, 30]))
def test_both_solvers_find_one_optimum(mixture: Mixture, n: int) -> None:
    for name in SETTINGS:
        compact, kronecker = (
            optimum(mixture, n, name, solver=solver) for solver in ("compact", "kronecker")
        )
        assert kronecker.loss == pytest.approx(compact.loss, rel=ROUNDING, abs=1e-300)


@settings(max_examples=30, deadline=None)
@given(mixtures(), st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 40]))
def test_the_order_of_tasks_does_not_matter(mixture: Mixture, seed: int, n: int) -> None:
    order = np.random.default_rng(seed).permutation(mixture.n_tasks)
    shuffled = Mixture(
        mixture.weights[order],
        mixture.means[order],
        mixture.covariances[order],
        input_covariance=mixture.input_covariance,
        noise_variance=mixture.noise_variance,
    )
    for name in SETTINGS:
        first, second = optimum(mixture, n, name), optimum(shuffled, n, name)
        assert second.loss == pytest.approx(first.loss, rel=ROUNDING)
        assert second.task_losses == pytest.approx(first.task_losses[order], rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(mixtures(shared=False), st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 40]))
def test_a_rotation_of_the_inputs_changes_no_loss(mixture: Mixture, seed: int, n: int) -> None:
    square = np.random.default_rng(seed).normal(size=(mixture.dim, mixture.dim))
    turn = np.linalg.qr(square)[0]
    turned = Mixture(
        mixture.weights,
        mixture.means @ turn.T,
        turn @ mixture.covariances @ turn.T,
        input_covariance=turn @ mixture.input_covariance @ turn.T,
        noise_variance=mixture.noise_variance,
    )
    for name in SETTINGS:
        first, second = optimum(mixture, n, name), optimum(turned, n, name)
        assert second.loss == pytest.approx(first.loss, rel=ROUNDING)


@settings(max_examples=30, deadline=None)
@given(mixtures(), st.sampled_from([1, 5, 40]))
def test_labels_in_other_units_scale_the_loss_and_leave_w(mixture: Mixture, n: int) -> None:
    unit = 3.0
    scaled = Mixture(
        mixture.weights,
        unit * mixture.means,
        unit**2 * mixture.covariances,
        input_covariance=mixture.input_covariance,
        noise_variance=unit**2 * mixture.noise_variance,
    )
    for name in SETTINGS:
        first, second = optimum(mixture, n, name), optimum(scaled, n, name)
        assert second.loss == pytest.approx(unit**2 * first.loss, rel=ROUNDING)
        if name != "joint_prompt_head_scaled":
            size = np.abs(first.W).max()
            assert np.allclose(second.W, first.W, rtol=1e-7, atol=1e-9 * size)


def rich_mixture(**changes) -> Mixture:
    generator = np.random.default_rng(3)
    roots = generator.normal(size=(3, 4, 6))
    whole = generator.normal(size=(4, 6))
    parts = {
        "weights": [0.2, 0.3, 0.5],
        "means": generator.normal(size=(3, 4)),
        "covariances": roots @ roots.swapaxes(1, 2) / 6,
        "input_covariance": whole @ whole.T / 6,
        "noise_variance": [0.1, 0.2, 0.3],
    }
    return Mixture(**(parts | changes))


@pytest.mark.parametrize("name", SETTINGS)
def test_long_contexts_leave_the_asymptotic_constant(name: str) -> None:
    n = 200_000
    found = n * optimum(rich_mixture(), n, name).loss_without_noise
    assert found == pytest.approx(asymptotic_constant(rich_mixture(), name), rel=2e-3)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_constant_counts_only_directions_that_vary(name: str) -> None:
    flat = np.diag([1.0, 0.5, 0.0, 0.0])
    silent = np.zeros((4, 4))
    mixture = rich_mixture(covariances=[flat, 2 * flat, silent])
    n = 20_000_000
    found = n * optimum(mixture, n, name).loss_without_noise
    assert found == pytest.approx(asymptotic_constant(mixture, name), rel=2e-3)


def test_prompts_alone_do_not_change_the_constant_and_heads_do() -> None:
    d, mixture = (
        10,
        Mixture(
            [0.3, 0.7],
            np.outer([1.4, -0.6], np.ones(10)),
            [np.eye(10)] * 2,
            noise_variance=0.09,
        ),
    )
    plain, joint, heads = (
        asymptotic_constant(mixture, name)
        for name in ("plain", "joint_prompt", "joint_prompt_head")
    )
    assert plain == pytest.approx((d + 1) * 18.4 + d * 0.09)
    assert joint == pytest.approx(plain)
    assert heads == pytest.approx((d + 1) * 10 + d * 0.09)


def test_the_stationary_point_is_a_minimum_in_every_direction() -> None:
    generator = np.random.default_rng(5)
    mixture = rich_mixture(input_covariance=rich_mixture().covariances)
    from kinatlas import _core

    for name in SETTINGS:
        found = optimum(mixture, 6, name)
        best = mixture.weights @ np.diag(transfer_losses(found))
        assert best == pytest.approx(found.loss, rel=1e-12)
        for _ in range(5):
            moved = found.W + 1e-3 * generator.normal(size=found.W.shape)
            arrays = (moved, found.scales, found.shifts, found.biases)
            worse = _core.icl_transfer_losses(mixture._arrays, 6, arrays)
            if not name.startswith("finetune") and name != "plain":
                assert mixture.weights @ np.diag(worse) > best


def test_without_examples_only_the_means_can_be_known() -> None:
    mixture = rich_mixture()
    for name in SETTINGS:
        found = optimum(mixture, 0, name)
        within = (mixture.covariances * mixture.input_covariance).sum(axis=(1, 2))
        left = mixture.signal if name == "plain" else mixture.weights @ within
        assert found.loss == pytest.approx(left + mixture.noise)
        assert found.is_attained


def test_one_task_with_a_shift_is_fully_decoupled_without_heads() -> None:
    mixture = Mixture([1.0], [[1.0, -2.0]], [np.eye(2)], noise_variance=0.1)
    shifted = optimum(mixture, 5, "joint_prompt_value_shift")
    assert shifted.loss == pytest.approx(optimum(mixture, 5, "joint_prompt_head").loss, rel=1e-13)
    assert shifted.loss < optimum(mixture, 5, "joint_prompt").loss


def test_tasks_that_never_vary_are_known_from_their_prompts() -> None:
    mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]], np.zeros((2, 2, 2)))
    assert optimum(mixture, 5, "joint_prompt_head").loss == 0.0
    joint = optimum(mixture, 5, "joint_prompt")
    assert joint.loss == 0.0
    # W = 0 reads no prompt, so the loss is approached by growing prompts and never reached.
    assert not joint.is_attained
    assert optimum(mixture, 5, "finetune_prompt").is_attained


def test_a_task_of_probability_zero_changes_nothing_but_has_its_own_loss() -> None:
    base = rich_mixture()
    odd = rich_mixture(weights=[0.4, 0.6, 0.0])
    pair = Mixture(
        [0.4, 0.6],
        base.means[:2],
        base.covariances[:2],
        input_covariance=base.input_covariance,
        noise_variance=base.noise_variance[:2],
    )
    for name in SETTINGS:
        found, alone = optimum(odd, 5, name), optimum(pair, 5, name)
        assert found.loss == pytest.approx(alone.loss, rel=1e-12)
        assert np.isfinite(found.task_losses[2])


def test_equal_means_of_zero_leave_nothing_to_decouple() -> None:
    mixture = rich_mixture(means=np.zeros((3, 4)))
    assert np.isnan(decoupling_index(mixture, 5, "joint_prompt"))
    found = losses(mixture, 5)
    assert found["plain"] == pytest.approx(found["joint_prompt_head"], rel=1e-12)


def test_the_index_runs_from_coupled_to_decoupled() -> None:
    mixture = rich_mixture()
    assert decoupling_index(mixture, 5, "plain") == 0.0
    assert decoupling_index(mixture, 5, "joint_prompt_head") == 1.0
    assert 0.0 < decoupling_index(mixture, 5, "joint_prompt") < 1.0


def test_mixtures_survive_pickling_and_cannot_be_changed() -> None:
    mixture = rich_mixture()
    assert pickle.loads(pickle.dumps(mixture)) == mixture
    assert hash(mixture) == hash(rich_mixture())
    with pytest.raises(ValueError, match="read-only"):
        mixture.means[0, 0] = 1.0


def test_reusing_a_prompt_costs_the_squared_distance_of_what_it_writes() -> None:
    found = optimum(rich_mixture(), 6, "joint_prompt")
    gap = found.biases[:, None] - found.biases[None]
    excess = np.einsum("ijd,de,ije->ij", gap, rich_mixture().input_covariance[0], gap)
    transfer = transfer_losses(found)
    assert transfer == pytest.approx(found.task_losses[:, None] + excess, rel=1e-12)
