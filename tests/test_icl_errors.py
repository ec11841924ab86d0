"""Bad input is refused by name, with what was got and what was wanted."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.errors import (
    DTypeError,
    KinAtlasError,
    MixtureError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from kinatlas.icl import (
    AttentionWeights,
    Mixture,
    asymptotic_constant,
    attention_forward,
    decoupling_map,
    estimate_mixture,
    fit_gd,
    loss_curves,
    optimum,
    prompt_atlas,
    simulate,
    weights,
    what_prompts_buy,
)

EYES = [np.eye(2), np.eye(2)]
MEANS = [[1.0, 0.0], [-1.0, 0.0]]


def good() -> Mixture:
    return Mixture([0.5, 0.5], MEANS, EYES)


BAD_MIXTURES = [
    ({"weights": [0.5, 0.6]}, MixtureError, "weights sum to 1.1, expected 1"),
    ({"weights": [1.5, -0.5]}, MixtureError, r"weights\[1\] is -0.5"),
    ({"weights": [np.nan, 1.0]}, NonFiniteError, r"weights\[0\] is not finite"),
    ({"weights": [1.0]}, ShapeError, "expected one for each of 1 weights"),
    ({"weights": ["a", "b"]}, DTypeError, "weights holds"),
    ({"weights": []}, ShapeError, "at least one task"),
    ({"means": [[1.0, 0.0]]}, ShapeError, "means has 1 entries"),
    ({"means": [[1.0], [0.0]]}, ShapeError, "expected width 1"),
    ({"means": [[1.0, 0.0], [0.0]]}, ShapeError, "means is ragged"),
    ({"means": [[np.inf, 0.0], [0.0, 0.0]]}, NonFiniteError, r"means\[0\] is not finite"),
    ({"covariances": [np.eye(2)]}, ShapeError, "covariances has 1 entries"),
    ({"covariances": np.eye(2)}, ShapeError, r"expected \[n_tasks, dim, dim\]"),
    ({"covariances": [np.eye(2), np.diag([1.0, -0.1])]}, MixtureError, "eigenvalue -1.000e-1"),
    ({"covariances": [np.eye(2), [[1.0, 0.5], [0.0, 1.0]]]}, MixtureError, "not symmetric"),
    ({"covariances": [np.eye(2), np.nan * np.eye(2)]}, NonFiniteError, r"covariances\[1\]"),
    ({"input_covariance": np.diag([1.0, 0.0])}, MixtureError, "expected a positive definite"),
    ({"input_covariance": np.eye(3)}, ShapeError, "input_covariance: got 3 by 3"),
    ({"input_covariance": [np.eye(2)] * 3}, ShapeError, "input_covariance has 3 entries"),
    ({"noise_variance": -0.1}, MixtureError, r"noise_variance\[0\] is -0.1"),
    ({"noise_variance": [0.1] * 3}, ShapeError, "noise_variance has 3 entries"),
    ({"noise_variance": np.nan}, NonFiniteError, "noise_variance"),
    ({"names": ["a"]}, ShapeError, "names has 1 entries"),
    ({"names": ["a", "a"]}, UnknownNameError, "more than once"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_MIXTURES)
def test_what_is_no_mixture_is_refused(change, error, message) -> None:
    parts = {"weights": [0.5, 0.5], "means": MEANS, "covariances": EYES} | change
    with pytest.raises(error, match=message) as caught:
        Mixture(**parts)
    assert isinstance(caught.value, KinAtlasError)


@pytest.mark.parametrize("n", [-1, 2.5, True, "3", None, 2**60])
def test_a_context_length_is_a_whole_number_of_at_least_zero(n) -> None:
    for call in (
        lambda: optimum(good(), n, "plain"),
        lambda: simulate(good(), n, 100),
        lambda: fit_gd(good(), n, "plain"),
        lambda: what_prompts_buy(good(), n),
        lambda: decoupling_map(good(), [n], [0.5]),
    ):
        with pytest.raises(MixtureError, match="n_examples is"):
            call()


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="joint_prompt"):
        optimum(good(), 1, "joint_promt")
    with pytest.raises(UnknownNameError, match="kronecker"):
        optimum(good(), 1, "plain", solver="dense")
    with pytest.raises(UnknownNameError, match="antithetic"):
        simulate(good(), 1, 10, method="fast")
    with pytest.raises(UnknownNameError, match="adam"):
        fit_gd(good(), 1, "plain", method="sgd")
    with pytest.raises(UnknownNameError, match="biases"):
        prompt_atlas(optimum(good(), 1, "joint_prompt"), "bias")
    with pytest.raises(UnknownNameError, match="label"):
        optimum(good(), 1, "plain").normalized_loss("noise")


def test_questions_without_an_answer_say_so() -> None:
    apart = Mixture([0.5, 0.5], MEANS, EYES, input_covariance=[np.eye(2), 2 * np.eye(2)])
    with pytest.raises(MixtureError, match="shared by all tasks"):
        optimum(apart, 1, "plain", solver="compact")
    with pytest.raises(MixtureError, match="does not fall to the noise"):
        asymptotic_constant(apart, "plain")
    with pytest.raises(MixtureError, match="expected at least 4"):
        simulate(good(), 1, 3)
    with pytest.raises(MixtureError, match="expected at least 8"):
        simulate(good(), 1, 7, method="antithetic")
    with pytest.raises(MixtureError, match="expected a whole number of at least 1"):
        fit_gd(good(), 0, "plain")
    with pytest.raises(MixtureError, match="use method 'adam'"):
        fit_gd(good(), 1, "joint_prompt_head_scaled")
    with pytest.raises(MixtureError, match=r"outside \(0, 1\)"):
        decoupling_map(good(), [1], [1.0])
    with pytest.raises(MixtureError, match="all zero"):
        decoupling_map(Mixture([1.0], [[0.0]], [[[1.0]]]), [1], [0.5])


def test_layers_and_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="prompts and heads"):
        AttentionWeights(np.eye(3), np.eye(3), np.eye(3), np.zeros((1, 3)), np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="query, key, value"):
        AttentionWeights(np.eye(3), np.eye(2), np.eye(3), np.zeros((1, 3)), np.zeros((1, 3)))
    layer = AttentionWeights(np.eye(3), np.eye(3), np.eye(3), np.zeros((1, 3)), np.ones((1, 3)))
    x, y, query = np.zeros((4, 5, 2)), np.zeros((4, 5)), np.zeros((4, 2))
    with pytest.raises(ShapeError, match="layer of dim 2"):
        attention_forward(layer, x[:, :, :1], y, query, [0] * 4)
    with pytest.raises(ShapeError, match="3 sequences"):
        attention_forward(layer, x, y, query, [0] * 3)
    for number in (1, -1):
        with pytest.raises(MixtureError, match="expected a whole number from 0 to 0"):
            attention_forward(layer, x, y, query, [0, 0, number, 0])
    with pytest.raises(ShapeError, match="as in the mixture"):
        fit_gd(good(), 2, "plain", method="adam", start=layer, n_steps=1)


def test_data_that_cannot_tell_a_mixture_are_refused() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 4, 5, 2))[0], np.ones((4, 5))
    with pytest.raises(MixtureError, match="has 1 sequences, expected at least 2"):
        estimate_mixture([0, 0, 0, 1], x, y)
    with pytest.raises(ShapeError, match="more than dim"):
        estimate_mixture([0, 0, 1, 1], x[:, :2], y[:, :2])
    with pytest.raises(MixtureError, match="linearly dependent"):
        estimate_mixture([0, 0, 1, 1], np.ones_like(x), y)
    with pytest.raises(ShapeError, match="one of each per sequence"):
        estimate_mixture([0, 0], x, y)
    with pytest.raises(ShapeError, match="sequence 0"):
        estimate_mixture([0, 0, 1, 1], x, y[:, :4])
    with pytest.raises(NonFiniteError, match="label 3"):
        estimate_mixture([0, 0, 1, 1], x, np.where(np.arange(20).reshape(4, 5) == 3, np.nan, y))
    with pytest.raises(MixtureError, match="at least one replicate"):
        estimate_mixture([0, 0, 1, 1], x, y, n_replicates=0).interval(lambda m: m.means)


def test_what_is_no_mixture_at_all_is_refused() -> None:
    for call in (optimum, what_prompts_buy):
        with pytest.raises(DTypeError, match="expected a Mixture"):
            call("mixture", 1, *(["plain"] if call is optimum else []))
    with pytest.raises(ShapeError, match="input_covariance is ragged"):
        Mixture([0.5, 0.5], MEANS, EYES, input_covariance=[[1, 0], [0]])
    named = Mixture([0.5, 0.5], MEANS, EYES, names=np.array(["a", "b"]))
    assert named.names == ("a", "b")


@pytest.mark.parametrize("tasks", [[0.7], [np.nan], [1e30], [-1], [2]])
def test_a_task_number_is_one_of_the_layers(tasks) -> None:
    layer = weights(optimum(good(), 2, "joint_prompt_head"))
    with pytest.raises(MixtureError, match=r"tasks\[0\] is"):
        attention_forward(layer, np.zeros((1, 2, 2)), np.zeros((1, 2)), np.zeros((1, 2)), tasks)


def test_missing_numbers_are_named() -> None:
    layer = weights(optimum(good(), 2, "joint_prompt_head"))
    inputs = np.zeros((1, 2, 2))
    inputs[0, 1, 0] = np.nan
    with pytest.raises(NonFiniteError, match=r"inputs\[0, 1, 0\] is nan"):
        attention_forward(layer, inputs, np.zeros((1, 2)), np.zeros((1, 2)), [0])
    with pytest.raises(NonFiniteError, match=r"key\[0, 0\] is inf"):
        AttentionWeights(layer.query, np.full((3, 3), np.inf), *layer._arrays[2:])


@pytest.mark.parametrize("rate", [np.nan, -1.0, "fast"])
def test_a_learning_rate_is_a_number_of_at_least_zero(rate) -> None:
    with pytest.raises(MixtureError, match="learning_rate is"):
        fit_gd(good(), 2, "plain", method="adam", learning_rate=rate)


def test_sizes_that_no_memory_holds_are_refused() -> None:
    calls = [
        lambda: simulate(good(), 2**45, 4, method="sequences"),
        lambda: simulate(good(), 2, 2**52),
        lambda: fit_gd(good(), 2**45, "plain", method="adam", n_steps=1),
        lambda: fit_gd(good(), 2, "plain", method="adam", n_steps=1, batch_per_task=2**50),
        lambda: fit_gd(good(), 2, "plain", method="adam", n_steps=1, n_check=2**50),
    ]
    for call in calls:
        with pytest.raises(MixtureError, match="at most"):
            call()
    with pytest.raises(ValueError, match="n_threads"):
        simulate(good(), 2, 100, n_threads=-1)


def test_an_optimum_is_simulated_at_its_own_context_length_only() -> None:
    with pytest.raises(MixtureError, match="Optimum for n_examples=2, but n_examples is 50"):
        simulate(good(), 50, 100, setting=optimum(good(), 2, "plain"))


def test_lengths_come_as_a_list() -> None:
    for call in (lambda: loss_curves(good(), 5), lambda: decoupling_map(good(), 5, [0.5])):
        with pytest.raises(ShapeError, match="n_examples is 5, expected a list"):
            call()
    with pytest.raises(ShapeError, match="n_examples is empty"):
        loss_curves(good(), [])
    with pytest.raises(UnknownNameError, match="joint_prompt"):
        what_prompts_buy(good(), 3).saving("nope")


def test_without_a_signal_there_is_nothing_to_divide_by() -> None:
    silent = Mixture([1.0], [[0.0]], [[[0.0]]])
    with pytest.raises(MixtureError, match="nothing to divide by"):
        optimum(silent, 3, "plain").normalized_loss()
    assert simulate(silent, 3, 100, rng=1).relative_error == 0.0
