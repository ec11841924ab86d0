"""Composing prompts: every rule against its twin, and the promises under attack."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas import _reference_composition as twin
from kinatlas.composition import compose_prompts
from kinatlas.composition.rules import RULES
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, UnknownNameError

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 6))


def case(sizes: tuple[int, int, int], seed: int):
    n_sources, n_tokens, dim = sizes
    rng = np.random.default_rng(seed)
    # Names whose order is not the order of the sources.
    names = [f"task{(k * 7 + 3) % 11}" for k in range(n_sources)]
    values = rng.normal(size=(n_sources, n_tokens, dim))
    return dict(zip(names, values, strict=True)), values, rng


def arguments(how: str, sizes: tuple[int, int, int], rng: np.random.Generator) -> dict:
    n_sources, n_tokens, dim = sizes
    normal = rng.normal
    return {
        "single": lambda: {"weights": normal(size=n_sources)},
        "mixture": lambda: {"weights": rng.uniform(0.1, 1, n_sources), "top": 2},
        "attention": lambda: {"query": normal(size=dim), "tau": 1.0},
        "token": lambda: {"weights": normal(size=(n_tokens, n_sources))},
        "fixed": dict,
        "task": lambda: {"target": normal(size=(n_tokens, dim)), "tau": 1.0},
        "arithmetic": lambda: {
            "weights": normal(size=n_sources),
            "origin": normal(size=(n_tokens, dim)),
        },
    }[how]()


CONVEX = ("single", "mixture", "attention", "token", "fixed", "task")


@given(sizes=SIZES, seed=st.integers(0, 500), how=st.sampled_from(CONVEX))
def test_weights_are_convex_and_mix_inside_the_prompts(sizes, seed, how) -> None:
    prompts, values, rng = case(sizes, seed)
    found = compose_prompts(prompts, how, **arguments(how, sizes, rng))
    assert (found.weights >= 0).all()
    assert np.abs(found.weights.sum(axis=-1) - 1).max() < 1e-12
    slack = 1e-12 * np.abs(values).max()
    assert (found.prompt <= values.max(axis=0) + slack).all()
    assert (found.prompt >= values.min(axis=0) - slack).all()


@given(sizes=SIZES, seed=st.integers(0, 500), how=st.sampled_from((*CONVEX, "arithmetic")))
def test_the_order_of_sources_changes_no_bit(sizes, seed, how) -> None:
    prompts, _, rng = case(sizes, seed)
    options = arguments(how, sizes, rng)
    order = rng.permutation(sizes[0])
    names = list(prompts)
    turned = {names[k]: prompts[names[k]] for k in order}
    other = dict(options)
    if "weights" in options:
        other["weights"] = options["weights"][..., order]
    one, two = compose_prompts(prompts, how, **options), compose_prompts(turned, how, **other)
    assert np.array_equal(one.prompt, two.prompt)
    assert np.array_equal(one.weights[..., order], two.weights)
    upstream = rng.normal(size=one.prompt.shape)
    for name, slopes in one.slopes(upstream).items():
        by_source = name in ("mixing", "weights")
        turned_back = slopes[..., order] if by_source else slopes
        assert np.array_equal(turned_back, two.slopes(upstream)[name]), name


@given(sizes=SIZES, seed=st.integers(0, 500))
def test_one_source_is_itself(sizes, seed) -> None:
    sizes = (1, *sizes[1:])
    prompts, values, rng = case(sizes, seed)
    for how in CONVEX:
        found = compose_prompts(prompts, how, **arguments(how, sizes, rng))
        assert np.allclose(found.prompt, values[0], rtol=1e-15), how


@given(sizes=SIZES, seed=st.integers(0, 500))
def test_temperature_goes_from_the_best_source_to_the_mean(sizes, seed) -> None:
    prompts, values, rng = case(sizes, seed)
    query = rng.normal(size=sizes[2])
    mean = compose_prompts(prompts, "attention", query=query, tau=np.inf)
    assert np.array_equal(mean.prompt, compose_prompts(prompts, "fixed").prompt)
    scores = values.max(axis=1) @ query
    cold = compose_prompts(prompts, "attention", query=query, tau=1e-12)
    single = compose_prompts(prompts, "single", weights=scores)
    assert np.allclose(cold.prompt, single.prompt, atol=1e-12)


def test_a_source_given_twice_halves_its_weight_and_is_named() -> None:
    prompts, _, rng = case((3, 2, 4), 1)
    query = rng.normal(size=4)
    name = next(iter(prompts))
    once = compose_prompts({name: prompts[name]}, "attention", query=query)
    twice = compose_prompts({name: prompts[name], "copy": prompts[name]}, "attention", query=query)
    assert once.weights.tolist() == [1.0]
    assert twice.weights.tolist() == [0.5, 0.5]
    assert twice.duplicates == (("copy", name),)
    alone = compose_prompts(prompts, "attention", query=query)
    pair = compose_prompts(prompts | {"copy": prompts[name]}, "attention", query=query)
    # Odds between the others stay; the pair together gains.
    assert pair.weights[1] / pair.weights[2] == pytest.approx(alone.weights[1] / alone.weights[2])
    assert pair.weights[0] < alone.weights[0] < 2 * pair.weights[0]


@given(sizes=SIZES, seed=st.integers(0, 500), tau=st.floats(0.3, 10))
def test_rules_are_those_of_the_numpy_twins(sizes, seed, tau) -> None:
    prompts, values, rng = case(sizes, seed)
    query, target = rng.normal(size=sizes[2]), rng.normal(size=sizes[1:])
    found = compose_prompts(prompts, "attention", query=query, target=target, tau=tau)
    assert np.allclose(found.prompt, twin.attention(values, query, tau, target), atol=1e-12)
    scores = rng.uniform(0.1, 1, sizes[0])
    top = min(2, sizes[0])
    found = compose_prompts(prompts, "mixture", weights=scores, top=top)
    assert np.allclose(found.prompt, twin.mixture(values, scores, top), atol=1e-12)
    keys = rng.normal(size=(sizes[0], sizes[2]))
    sides = rng.uniform(size=(sizes[1], 2)), rng.normal(size=sizes[2]), rng.normal(size=sizes[1:])
    asked = rng.normal(size=sizes[1:])
    found = compose_prompts(
        prompts,
        "representation",
        query=asked,
        keys=dict(zip(prompts, keys, strict=True)),
        gate=sides[0],
        target=sides[1],
        shared=sides[2],
        tau=tau,
    )
    wanted = twin.representation(values, keys, asked, tau, sides)
    assert np.allclose(found.prompt, wanted, atol=1e-12)


@given(seed=st.integers(0, 500), beta_kl=st.floats(0, 5), tau=st.floats(0.2, 5))
def test_regularised_attention_is_the_best_of_all_weights(seed, beta_kl, tau) -> None:
    prompts, values, rng = case((4, 2, 3), seed)
    query = rng.normal(size=3)
    scores = values.max(axis=1) @ query
    found = compose_prompts(prompts, "attention", query=query, tau=tau, beta_kl=beta_kl).weights
    best = twin.regularised(found, scores, tau, beta_kl)
    for other in rng.dirichlet(np.ones(4), size=20):
        assert twin.regularised(other, scores, tau, beta_kl) <= best + 1e-12
        near = found + 1e-3 * (other - found)
        assert twin.regularised(near, scores, tau, beta_kl) <= best + 1e-12


SLOPED = [
    ("mixture", "weights"),
    ("token", "weights"),
    ("arithmetic", "weights"),
    ("attention", "query"),
    ("task", "target"),
    ("representation", "query"),
]


@pytest.mark.parametrize(("how", "name"), SLOPED)
def test_slopes_are_what_differences_say(how: str, name: str) -> None:
    sizes = (3, 2, 4)
    prompts, _, rng = case(sizes, 5)
    if how == "representation":
        keys = {key: rng.normal(size=4) for key in prompts}
        options = {"query": rng.normal(size=(2, 4)), "keys": keys, "tau": 2.0}
        options |= {"gate": rng.uniform(size=(2, 2)), "shared": rng.normal(size=(2, 4))}
        options |= {"target": rng.normal(size=4), "beta_kl": 0.5}
    elif how == "task":
        options = {"target": rng.normal(size=4), "tau": 2.0, "null_key": rng.normal(size=4)}
    else:
        options = arguments(how, sizes, rng)
    if how == "attention":
        options["target"] = rng.normal(size=(2, 4))
    found = compose_prompts(prompts, how, **options)
    upstream = rng.normal(size=found.prompt.shape)
    slopes = found.slopes(upstream)[name]
    given = np.asarray(options[name], dtype=np.float64)
    assert slopes.shape == given.shape
    for place in np.ndindex(given.shape):
        sides = []
        for step in (1e-5, -1e-5):
            moved = given.copy()
            moved[place] += step
            prompt = compose_prompts(prompts, how, **(options | {name: moved})).prompt
            sides.append((prompt * upstream).sum())
        # Central differences: error of order 1e-10 on numbers of order one.
        assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(slopes[place], abs=1e-8)


def test_a_batch_of_queries_is_each_query_alone() -> None:
    prompts, _, rng = case((3, 2, 4), 2)
    queries = rng.normal(size=(5, 4))
    batch = compose_prompts(prompts, "attention", query=queries, tau=1.0)
    assert batch.prompt.shape == (5, 2, 4)
    for row, query in enumerate(queries):
        alone = compose_prompts(prompts, "attention", query=query, tau=1.0)
        assert np.array_equal(batch.prompt[row], alone.prompt)
        assert np.array_equal(batch.weights[row], alone.weights)


def test_roles_of_the_target_add_up() -> None:
    prompts, _, rng = case((3, 2, 4), 2)
    query, target = rng.normal(size=4), rng.normal(size=(2, 4))
    parts = {
        role: compose_prompts(prompts, "attention", query=query, target=target, role=role)
        for role in ("key_and_sum", "key", "sum")
    }
    assert np.allclose(parts["key_and_sum"].prompt - parts["key"].prompt, target)
    plain = compose_prompts(prompts, "attention", query=query)
    assert np.allclose(parts["sum"].prompt - plain.prompt, target)
    assert parts["key"].weights.sum() < 1


def test_equal_best_sources_share() -> None:
    prompts = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [5.0, 5.0]}
    found = compose_prompts(prompts, "single", weights={"a": 2.0, "b": 2.0, "c": 1.0})
    assert found.prompt.tolist() == [0.5, 0.5]
    tied = compose_prompts(prompts, "mixture", weights=[1.0, 1.0, 1.0], top=1)
    assert tied.weights.tolist() == [1 / 3] * 3


def test_arithmetic_of_one_whole_difference_is_the_source() -> None:
    prompts = {"a": [1.0, 4.0], "b": [3.0, 1.0]}
    found = compose_prompts(prompts, "arithmetic", weights=[0.0, 1.0], origin=[1.0, 1.0])
    assert found.prompt.tolist() == [3.0, 1.0]


def test_a_gate_of_zeros_keeps_the_prompt_and_an_open_one_doubles_it() -> None:
    gate = (np.ones(2), np.eye(2), np.zeros((2, 2)))
    assert compose_prompts({"a": [1.0, 4.0]}, "gate_scale", gate=gate).prompt.tolist() == [1, 4]
    gate = (np.ones(2), np.eye(2), np.full((2, 2), 50.0))
    assert compose_prompts({"a": [1.0, 4.0]}, "gate_scale", gate=gate).prompt.tolist() == [2, 8]


def test_the_type_of_numbers_is_kept_and_an_atlas_will_do() -> None:
    atlas = ka.Atlas.from_arrays({"a": np.ones((2, 3), "f"), "b": np.zeros((2, 3), "f")}, space="s")
    found = ka.compose_prompts(atlas, "fixed")
    assert found.prompt.dtype == np.float32
    assert np.array_equal(np.asarray(found), np.full((2, 3), 0.5, "f"))
    back = pickle.loads(pickle.dumps(found))
    assert np.array_equal(back.prompt, found.prompt)
    assert repr(found) == "Composition 'fixed' of shape (2, 3): a 0.5, b 0.5"


def test_what_does_not_fit_is_refused() -> None:
    plain = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    for error, words, prompts, how, options in [
        (UnknownNameError, "how='mix'", plain, "mix", {}),
        (UnknownNameError, "pooling", plain, "attention", {"query": [1.0, 0.0], "pooling": "min"}),
        (
            UnknownNameError,
            "'c' is unknown",
            plain,
            "single",
            {"weights": {"a": 1, "b": 1, "c": 1}},
        ),
        (ShapeError, "at least one", {}, "fixed", {}),
        (ShapeError, "equal shapes", {"a": [1.0], "b": [1.0, 2.0]}, "fixed", {}),
        (ShapeError, "needs weights", plain, "mixture", {}),
        (ShapeError, "needs query", plain, "attention", {}),
        (ShapeError, "expected width 2", plain, "attention", {"query": [1.0]}),
        (ShapeError, "more than 0", plain, "mixture", {"weights": [1.0, -1.0]}),
        (ShapeError, "origin has shape", plain, "arithmetic", {"origin": [1.0]}),
        (ShapeError, "changes one prompt", plain, "low_rank", {"u": [1.0], "v": [1.0, 1.0]}),
        (ShapeError, "needs u and v", {"a": [1.0]}, "low_rank", {}),
        (ShapeError, "needs gate", {"a": [1.0]}, "gate_scale", {}),
        (ShapeError, "weighs the rows", plain, "token", {"weights": [1.0, 1.0]}),
        (NonFiniteError, "source 'a'", {"a": [np.nan]}, "fixed", {}),
        (NonFiniteError, "weights hold", plain, "single", {"weights": [np.nan, 1.0]}),
        (DTypeError, "int64", {"a": np.array([1, 2])}, "fixed", {}),
        (ValueError, "tau is 0", plain, "attention", {"query": [1.0, 0.0], "tau": 0}),
        (ValueError, "beta_kl", plain, "attention", {"query": [1.0, 0.0], "beta_kl": -1}),
    ]:
        with pytest.raises(error, match=words):
            compose_prompts(prompts, how, **options)
    with pytest.raises(ShapeError, match="upstream"):
        compose_prompts(plain, "fixed").slopes([1.0])


def test_every_rule_is_tested_above() -> None:
    assert set(RULES) == {*CONVEX, "arithmetic", "representation"}
