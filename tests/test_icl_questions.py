"""Answers in words, estimates from data, tasks of an atlas, and pictures."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.icl import (
    SETTINGS,
    Mixture,
    decoupling_map,
    estimate_mixture,
    loss_curves,
    optimum,
    preconditioner_atlas,
    prompt_atlas,
    transfer_losses,
    what_prompts_buy,
)

SX = np.array([[2, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 0.5]])


def paper(means=(1.4, -0.6), noise: float = 0.0) -> Mixture:
    covariances = [np.eye(10), 2 * np.eye(10)]
    return Mixture([0.3, 0.7], np.outer(means, np.ones(10)), covariances, noise_variance=noise)


def test_equivalent_contexts_are_the_smallest_that_suffice() -> None:
    mixture, n = paper(noise=0.1), 10
    advice = what_prompts_buy(mixture, n)
    enough = advice.plain_examples_like_joint_prompt
    assert optimum(mixture, enough, "plain").loss <= advice.losses["joint_prompt"]
    assert optimum(mixture, enough - 1, "plain").loss > advice.losses["joint_prompt"]
    assert advice.mean_share == pytest.approx(8.4 / 25.4)


def test_an_advantage_no_context_can_make_up_is_said_to_be_one() -> None:
    certain = Mixture([0.5, 0.5], [[1.0], [-1.0]], np.zeros((2, 1, 1)), noise_variance=1e-9)
    advice = what_prompts_buy(certain, 0)
    assert advice.plain_examples_like_joint_prompt is None
    assert "more than a million" in str(advice)


def test_tasks_without_means_are_told_that_prompts_buy_nothing() -> None:
    assert "buy nothing" in str(what_prompts_buy(paper((0.0, 0.0)), 5))


def test_the_words_carry_the_numbers() -> None:
    advice = what_prompts_buy(paper(noise=0.1), 1)
    text = str(advice)
    assert "1 example in context" in text
    for setting in ("plain", "finetune_prompt", "joint_prompt", "joint_prompt_head"):
        assert f"{advice.losses[setting]:.4g}" in text
    assert f"{100 * advice.saving('joint_prompt'):.1f} %" in text


def draw(mixture: Mixture, n_sequences: int, n_examples: int, seed: int):
    generator = np.random.default_rng(seed)
    tasks = generator.choice(mixture.n_tasks, n_sequences, p=mixture.weights)
    inputs, labels = [], []
    for task in tasks:
        vector = generator.multivariate_normal(mixture.means[task], mixture.covariances[task])
        x = generator.multivariate_normal(
            np.zeros(mixture.dim), mixture.input_covariance[0], size=n_examples
        )
        inputs.append(x)
        labels.append(x @ vector + generator.normal(size=n_examples) * mixture.noise**0.5)
    return tasks, inputs, labels


def known() -> Mixture:
    covariances = [np.diag([1, 0.5, 0.25]), [[0.5, 0.1, 0], [0.1, 1, 0], [0, 0, 2]]]
    means = [[1, 0, -1], [-0.5, 0, 0.5]]
    return Mixture([0.4, 0.6], means, covariances, input_covariance=SX, noise_variance=0.5)


def test_a_mixture_is_recovered_from_its_sequences_within_its_intervals() -> None:
    tasks, inputs, labels = draw(known(), 1500, 9, 1)
    names = [f"task {task}" for task in tasks]
    found = estimate_mixture(names, inputs, labels, shared_noise=True, n_replicates=100, rng=1)
    order = [found.mixture.names.index(name) for name in known().names]
    # Means of 600 and 900 vectors with standard deviation at most 1.6; four standard errors.
    assert np.abs(found.mixture.means[order] - known().means).max() < 4 * 1.6 / 600**0.5
    assert np.abs(found.mixture.covariances[order] - known().covariances).max() < 0.5
    assert np.abs(found.mixture.input_covariance[0] - SX).max() < 0.15
    assert found.mixture.noise == pytest.approx(0.5, rel=0.06)
    low, high = found.interval(lambda m: optimum(m, 5, "joint_prompt").loss, level=0.999)
    assert low < optimum(known(), 5, "joint_prompt").loss < high
    assert high / low < 1.5


def test_the_error_of_least_squares_is_not_taken_for_variation_of_tasks() -> None:
    still = Mixture([1.0], [[1.0, 2.0]], [np.zeros((2, 2))], noise_variance=1.0)
    tasks, inputs, labels = draw(still, 800, 5, 2)
    found = estimate_mixture(tasks, inputs, labels, n_replicates=0)
    vectors = np.array([np.linalg.lstsq(x, y)[0] for x, y in zip(inputs, labels, strict=True)])
    naive = np.trace(np.cov(vectors.T))
    assert naive > 0.5
    assert np.trace(found.mixture.covariances[0]) < 0.2 * naive


def test_bootstrap_replicates_have_the_same_bits_on_any_number_of_threads() -> None:
    data = draw(known(), 60, 6, 3)
    runs = [estimate_mixture(*data, n_replicates=9, rng=1, n_threads=n) for n in (1, 2, 8)]
    assert runs[0].replicates == runs[1].replicates == runs[2].replicates
    assert len(set(map(hash, runs[0].replicates))) == 9


def test_sequences_may_have_different_lengths() -> None:
    generator = np.random.default_rng(1)
    lengths = [4, 9, 5, 7]
    inputs = [generator.normal(size=(n, 2)) for n in lengths]
    labels = [x @ [1.0, -1.0] for x in inputs]
    found = estimate_mixture(["a", "a", "b", "b"], inputs, labels, n_replicates=0)
    assert np.allclose(found.mixture.means, [[1.0, -1.0]] * 2)
    assert found.mixture.noise == pytest.approx(0.0, abs=1e-20)


def test_prompts_and_preconditioners_are_tasks_of_their_own_spaces() -> None:
    joint = optimum(known(), 5, "joint_prompt")
    prompts, biases = prompt_atlas(joint), prompt_atlas(joint, "biases")
    assert prompts.names == known().names
    assert np.array_equal(prompts["task 1"].tokens, joint.prompts[1:])
    assert prompts.space != biases.space
    written = prompts["task 0"].tokens[0, :3] @ joint.W.T
    assert np.allclose(written, biases["task 0"].tokens[0])
    own = preconditioner_atlas(known(), 5)
    assert own.n_tokens == (3, 3)
    alone = Mixture(
        [1.0],
        known().means[1:],
        known().covariances[1:],
        input_covariance=SX,
        noise_variance=0.5,
    )
    assert np.array_equal(own["task 1"].tokens, optimum(alone, 5, "joint_prompt_head").W)


def test_a_prompt_serves_its_own_task_best() -> None:
    for setting in SETTINGS[1:]:
        losses = transfer_losses(optimum(known(), 5, setting))
        assert (losses.argmin(axis=1) == [0, 1]).all()


def test_curves_fall_with_the_context_and_points_lie_on_lines() -> None:
    curves = loss_curves(paper(), [1, 5, 20], settings=SETTINGS, n_sequences=4000, rng=1)
    assert (np.diff(curves.losses, axis=1) < 0).all()
    z = (curves.simulated - curves.losses) / curves.standard_errors
    assert np.abs(z).max() < 4


def test_the_map_keeps_the_signal_and_moves_its_share() -> None:
    found = decoupling_map(paper(), [1, 10], [0.2, 8.4 / 25.4, 0.8])
    advice = what_prompts_buy(paper(), 10)
    assert found.index[1, 1] == pytest.approx(advice.decoupling_index)
    assert (np.diff(found.index, axis=0) > 0).all()


def test_pictures_show_what_was_computed() -> None:
    pytest.importorskip("matplotlib")
    from kinatlas.plotting import plot_decoupling_map, plot_loss_curves

    curves = loss_curves(paper(noise=0.1), [1, 5], settings=SETTINGS, n_sequences=100, rng=1)
    ax = plot_loss_curves(curves)
    assert np.allclose(ax.lines[0].get_ydata(), curves.losses[0] / 25.4)
    assert len(ax.containers) == len(SETTINGS)
    assert "label noise" in [text.get_text() for text in ax.get_legend().get_texts()]
    silent = plot_loss_curves(loss_curves(paper(), [1, 5]))
    assert len(silent.containers) == 0
    ax = plot_decoupling_map(decoupling_map(paper(), [1, 10], [0.2, 0.8]))
    assert np.array_equal(
        ax.images[0].get_array(), decoupling_map(paper(), [1, 10], [0.2, 0.8]).index
    )
