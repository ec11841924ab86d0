"""A literal attention layer with the weights of an optimum is that optimum's predictor."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.icl import SETTINGS, Mixture, attention_forward, optimum, weights
from kinatlas.icl._reference import literal_forward

SX = np.array([[2, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 0.5]])


def mixture(inputs=SX) -> Mixture:
    covariances = [np.diag([1, 0.5, 0.25]), [[0.5, 0.1, 0], [0.1, 1, 0], [0, 0, 2]]]
    means = [[1, 0, -1], [-0.5, 0, 0.5]]
    return Mixture([1 / 3, 2 / 3], means, covariances, input_covariance=inputs, noise_variance=0.25)


def sequences(n_sequences: int, n_examples: int, dim: int = 3):
    generator = np.random.default_rng(11)
    inputs = generator.normal(size=(n_sequences, n_examples, dim))
    labels = generator.normal(size=(n_sequences, n_examples))
    queries = generator.normal(size=(n_sequences, dim))
    return inputs, labels, queries, np.arange(n_sequences) % 2


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("inputs", [SX, [SX, np.eye(3)]], ids=["shared", "per task"])
@pytest.mark.parametrize("n", [0, 1, 9])
def test_the_forward_pass_is_the_predictor(setting, inputs, n) -> None:
    found = optimum(mixture(inputs), n, setting)
    x, y, query, task = sequences(70, n)
    predictions = attention_forward(weights(found), x, y, query, task)
    shifted = y - np.einsum("snd,sd->sn", x, found.shifts[task])
    step = np.einsum("snd,sn->sd", x, shifted) @ found.W.T
    wanted = found.scales[task] * np.einsum("sd,sd->s", query, step)
    wanted += np.einsum("sd,sd->s", query, found.biases[task])
    assert found.is_attained
    scale = np.abs(wanted).max() + 1e-300
    assert np.abs(predictions - wanted).max() <= 1e-9 * scale


@pytest.mark.parametrize(
    "setting", ["joint_prompt_value_shift", "joint_prompt_head", "joint_prompt_head_scaled"]
)
@pytest.mark.parametrize("spread", [1e-2, 1e-6, 1e-9])
def test_nearly_singular_tasks_keep_their_digits(setting, spread) -> None:
    covariances = [np.diag([1.0, 1.0, spread])] * 2
    means = [[1.0, 2.0, -1.0], [-1.0, 1.0, 2.0]]
    found = optimum(Mixture([0.5, 0.5], means, covariances, noise_variance=0.1), 8, setting)
    x, y, query, task = sequences(70, 8)
    predictions = attention_forward(weights(found), x, y, query, task)
    shifted = y - np.einsum("snd,sd->sn", x, found.shifts[task])
    step = np.einsum("snd,sn->sd", x, shifted) @ found.W.T
    wanted = found.scales[task] * np.einsum("sd,sd->s", query, step)
    wanted += np.einsum("sd,sd->s", query, found.biases[task])
    # A shared shift cannot be taken back by a head, so there the prompt itself misses its bias.
    assert found.is_attained or (setting == "joint_prompt_value_shift" and spread < 1e-6)
    if found.is_attained:
        assert np.abs(predictions - wanted).max() <= 1e-9 * np.abs(wanted).max()


def test_the_forward_pass_is_the_literal_product_of_matrices() -> None:
    generator = np.random.default_rng(4)
    from kinatlas.icl import AttentionWeights

    query, key, value = generator.normal(size=(3, 4, 4))
    prompts, heads = generator.normal(size=(2, 2, 4))
    layer = AttentionWeights(query, key, value, prompts, heads)
    x, y, asked, task = sequences(5, 6)
    found = attention_forward(layer, x, y, asked, task)
    for i, k in enumerate(task):
        z = np.vstack([prompts[k], np.column_stack([x[i], y[i]]), [*asked[i], 0.0]])
        mask = np.diag([1.0] * 7 + [0.0])
        literal = z[-1] @ query @ key.T @ z.T @ mask @ z @ value @ heads[k]
        assert found[i] == pytest.approx(literal, rel=1e-11)
        twin = literal_forward((query, key, value), prompts[k], heads[k], x[i], y[i])
        assert asked[i] @ twin == pytest.approx(literal, rel=1e-11)


def test_a_prompt_outside_the_range_of_w_is_reported_and_not_hidden() -> None:
    flat = np.diag([1.0, 1.0, 0.0])
    known = Mixture([0.5, 0.5], [[1, 0, 1], [-1, 0, -1]], [flat, flat], noise_variance=0.1)
    found = optimum(known, 5, "joint_prompt")
    assert not found.is_attained
    assert "not attained" in repr(found)
    assert found.prompt_residuals.min() > 1e-3
    missed = found.biases - found.prompts[:, :3] @ found.W.T
    sizes = np.linalg.norm(found.biases, axis=1)
    assert np.linalg.norm(missed, axis=1) / sizes == pytest.approx(found.prompt_residuals)
    assert optimum(known, 5, "finetune_prompt").is_attained


def test_a_head_that_is_switched_off_silences_its_prompt() -> None:
    covariances = [np.eye(2), np.zeros((2, 2))]
    still = Mixture([0.5, 0.5], [[0, 0], [1, 0]], covariances, noise_variance=0.1)
    found = optimum(still, 5, "joint_prompt_head_scaled")
    assert found.scales[1] == 0.0
    assert not found.is_attained
    assert found.prompt_residuals[1] == 1.0


@pytest.mark.parametrize("n_threads", [2, 8])
def test_predictions_have_the_same_bits_on_any_number_of_threads(n_threads: int) -> None:
    layer = weights(optimum(mixture(), 9, "joint_prompt_head"))
    batch = sequences(700, 9)
    alone = attention_forward(layer, *batch, n_threads=1)
    assert np.array_equal(alone, attention_forward(layer, *batch, n_threads=n_threads))


def test_no_sequences_give_no_predictions() -> None:
    layer = weights(optimum(mixture(), 2, "plain"))
    assert attention_forward(layer, *sequences(0, 2)).shape == (0,)
