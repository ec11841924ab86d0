"""Composing prompts as a stranger does: sizes that do not meet, numbers beyond their type."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from kinatlas.composition import MultitaskPrompt, compose_prompts
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError

RNG = np.random.default_rng(0)
PROMPTS = {"a": RNG.normal(size=(3, 4)), "b": RNG.normal(size=(3, 4))}
QUERY = np.ones(4)
NARROW = {"a": QUERY[:2], "b": QUERY[:2]}


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (["a", "b"], DTypeError),
        ([1j, 1], DTypeError),
        ({"a": "x", "b": 1}, DTypeError),
        ({"a", "b"}, DTypeError),
        ({"a": [1.0, 2.0], "b": 1.0}, ShapeError),
        ([[1.0], [1.0, 2.0]], ShapeError),
        ([1e308, 1e308], ShapeError),
    ],
)
def test_weights_that_cannot_weigh_are_refused_by_name(weights, error):
    with pytest.raises(error, match="weights"):
        compose_prompts(PROMPTS, "mixture", weights=weights)


@pytest.mark.parametrize("options", [{"tau": 1e-320}, {"tau": 1e-300, "query": QUERY * 1e10}])
def test_attention_beyond_double_precision_is_an_error_and_never_nan(options):
    with pytest.raises(NonFiniteError, match="raise tau"):
        compose_prompts(PROMPTS, "attention", **({"query": QUERY} | options))


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("attention", {"query": QUERY[:2], "keys": NARROW, "target": PROMPTS["a"]}),
        ("attention", {"query": QUERY, "null_key": PROMPTS["a"]}),
        ("task", {"target": PROMPTS["a"], "keys": NARROW}),
        (
            "representation",
            {
                "query": PROMPTS["a"],
                "keys": {"a": QUERY, "b": QUERY},
                "target": np.ones((2, 4)),
                "gate": np.ones((3, 2)),
                "shared": PROMPTS["a"],
            },
        ),
    ],
)
def test_sizes_that_do_not_meet_are_refused_by_name(how, options):
    with pytest.raises(ShapeError, match=r"target|null_key"):
        compose_prompts(PROMPTS, how, **options)


def test_a_task_prompt_attends_as_a_whole_when_keys_are_whole_prompts():
    found = compose_prompts(PROMPTS, "task", target=PROMPTS["a"], pooling="flat", tau=1.0)
    scores = np.array([(PROMPTS["a"] * PROMPTS[name]).sum() for name in "ab"])
    wanted = np.exp(scores - scores.max())
    np.testing.assert_allclose(found.weights, wanted / wanted.sum(), rtol=1e-12)


def test_a_result_too_large_for_its_type_is_an_error_and_never_infinite():
    large = np.full(2, 60000, np.float16)
    with pytest.raises(NonFiniteError, match="float16"):
        compose_prompts({"a": large, "b": large}, "arithmetic", weights=[1, 1], origin=np.zeros(2))
    factors = np.full((1, 2, 1), 300, np.float16), np.full((1, 1, 2), 300, np.float16)
    with pytest.raises(NonFiniteError, match="task0"):
        MultitaskPrompt(np.ones((2, 2), np.float16), *factors).prompt("task0")


def test_a_gate_far_below_zero_drops_every_number_without_a_warning():
    gate = (QUERY * 1e3, np.ones((2, 4)), -np.ones((4, 2)))
    found = compose_prompts({"a": QUERY}, "gate_scale", gate=gate)
    np.testing.assert_array_equal(found.prompt, np.zeros(4))


def test_factors_too_large_for_a_cosine_are_an_error_and_never_nan():
    huge = MultitaskPrompt(np.ones((3, 4)), np.full((2, 3, 1), 1e200), np.full((2, 1, 4), 1e200))
    with pytest.raises(NonFiniteError, match="cosine"):
        huge.cosine("task0", "task1")


@pytest.mark.parametrize("names", ["3", '{"a": 1}', '"ab"', "x", "null"])
def test_a_multitask_file_with_damaged_names_is_refused_as_a_file(tmp_path, names):
    tensors = {
        "prompt_embeddings": np.ones((3, 4), np.float32),
        "prefix_task_cols": np.ones((2, 3, 1), np.float32),
        "prefix_task_rows": np.ones((2, 1, 4), np.float32),
    }
    path = tmp_path / "adapter_model.safetensors"
    save_file(tensors, path, metadata={"kinatlas.tasks": names})
    with pytest.raises(FormatError, match="names of tasks"):
        MultitaskPrompt.load(path)
