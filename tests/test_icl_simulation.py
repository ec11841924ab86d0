"""Drawn sequences agree with every closed form, whichever way they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.icl import SETTINGS, Mixture, optimum, simulate
from kinatlas.icl._reference import literal_losses
from kinatlas.icl.descent import fit_gd

METHODS = ("sequences", "antithetic", "sufficient", "conditional")
SX = np.array([[2, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 0.5]])


def paper(noise: float = 0.0) -> Mixture:
    means = np.outer([1.4, -0.6], np.ones(10))
    return Mixture([0.3, 0.7], means, [np.eye(10), 2 * np.eye(10)], noise_variance=noise)


def uneven() -> Mixture:
    covariances = [np.diag([1, 0.5, 0.0]), [[0.5, 0.1, 0], [0.1, 1, 0], [0, 0, 2]]]
    means = [[1, 0, -1], [-0.5, 0, 0.5]]
    return Mixture(
        [1 / 3, 2 / 3],
        means,
        covariances,
        input_covariance=[SX, np.eye(3)],
        noise_variance=[0.25, 1.0],
    )


# 7 settings x 4 methods x 2 mixtures x 3 lengths at |z| < 4: a right implementation fails one of
# the 168 with probability near 1 per cent, and the seeds are fixed, so it fails never or always.
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("method", METHODS)
def test_every_closed_form_is_met_by_simulation(setting: str, method: str) -> None:
    for number, mixture in enumerate((paper(0.09), uneven())):
        for n in (1, 2, 12):
            seed = np.random.SeedSequence([number, n])
            drawn = simulate(mixture, n, 8000, setting=setting, method=method, rng=seed)
            assert abs(drawn.z_score) < 4, (number, n, drawn)
            exact = drawn.optimum.task_losses
            z = (drawn.task_losses - exact) / drawn.task_standard_errors
            assert np.abs(z).max() < 4.5, (number, n, z)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("method", METHODS)
def test_four_hundred_thousand_sequences_come_within_three_per_mille(
    method: str, setting: str
) -> None:
    for mixture in (paper(), uneven()):
        drawn = simulate(mixture, 20, 400_000, setting=setting, method=method, rng=7)
        assert abs(drawn.z_score) < 4
        assert abs(drawn.relative_error) <= 0.003


def test_the_variance_is_that_of_literal_sequences() -> None:
    mixture = uneven()
    exact = optimum(mixture, 30, "finetune_prompt")
    drawn = simulate(mixture, 30, 30_000, setting=exact, method="sequences", rng=3)
    literal = literal_losses(mixture, exact._predictor, 30, 10_000, np.random.default_rng(3))
    errors = literal.std(axis=1) / np.sqrt(drawn.n_sequences)
    # A standard deviation has a relative error of sqrt((kurtosis - 1) / 4 N), and there are two.
    scaled = (literal - literal.mean(axis=1, keepdims=True)) / literal.std(axis=1, keepdims=True)
    kurtosis = (scaled**4).mean(axis=1)
    tolerance = 4 * np.sqrt((kurtosis - 1) / 4 * (1 / 10_000 + 1 / drawn.n_sequences))
    assert (tolerance < 0.5).all()
    assert (np.abs(drawn.task_standard_errors / errors - 1) < tolerance).all()
    z = (literal.mean(axis=1) - exact.task_losses) / (literal.std(axis=1) / 100)
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("setting", SETTINGS)
def test_integrating_task_vector_and_noise_out_leaves_less_variance(setting: str) -> None:
    drawn, integrated = (
        simulate(paper(), 20, 20_000, setting=setting, method=method, rng=1)
        for method in ("sequences", "conditional")
    )
    assert integrated.standard_error < 0.7 * drawn.standard_error


def test_antithetic_pairs_cancel_what_is_odd_in_the_deviation() -> None:
    # Without examples the loss is |mu + delta|^2, whose cross term changes sign with delta.
    means = [[3.0, 3.0]]
    mixture = Mixture([1.0], means, [np.eye(2)])
    drawn, paired = (simulate(mixture, 0, 20_000, method=method, rng=1) for method in METHODS[:2])
    odd, even = 4 * 18.0, 2 * 2.0
    assert drawn.standard_error**2 * 20_000 == pytest.approx(odd + even, rel=0.05)
    assert paired.standard_error**2 * 20_000 == pytest.approx(2 * even, rel=0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_threads", [2, 8])
def test_the_bits_do_not_depend_on_threads(method: str, n_threads: int) -> None:
    first, second = (
        simulate(paper(), 5, 9000, setting="plain", method=method, rng=5, n_threads=threads)
        for threads in (1, n_threads)
    )
    assert first.loss == second.loss
    assert first.standard_error == second.standard_error


def test_training_has_the_same_bits_on_any_number_of_threads() -> None:
    runs = [
        fit_gd(
            uneven(),
            4,
            "joint_prompt_head",
            method="adam",
            n_steps=5,
            batch_per_task=200,
            n_check=500,
            rng=2,
            n_threads=threads,
        )
        for threads in (1, 2, 8)
    ]
    for run in runs[1:]:
        assert np.array_equal(run.history, runs[0].history)
        assert np.array_equal(run.W, runs[0].W)
        assert run.loss == runs[0].loss


def test_a_seed_fixes_the_numbers_and_another_changes_them() -> None:
    one, same, other = (simulate(paper(), 3, 500, rng=rng).loss for rng in (1, 1, 2))
    assert one == same != other
    generator = np.random.default_rng(1)
    first, second = (simulate(paper(), 3, 500, rng=generator).loss for _ in range(2))
    assert first != second


def test_a_task_that_never_occurs_is_not_drawn() -> None:
    mixture = Mixture([1.0, 0.0], np.ones((2, 2)), [np.eye(2)] * 2)
    drawn = simulate(mixture, 3, 100, rng=1)
    assert drawn.n_sequences.tolist() == [100, 0]
    assert np.isnan(drawn.task_losses[1])
    assert np.isfinite(drawn.loss)


def test_sequences_without_examples_are_allowed() -> None:
    for method in METHODS:
        drawn = simulate(uneven(), 0, 4000, setting="joint_prompt", method=method, rng=1)
        assert abs(drawn.z_score) < 4
