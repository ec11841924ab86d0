"""The head of a new task: formulas, promises and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heads import MODES, fitted, problem, wide
from kinatlas import _core
from kinatlas import _reference_composition as twin
from kinatlas.composition import Features, PromptHead, source_contributions
from kinatlas.composition.starts import merged, split
from kinatlas.errors import KinAtlasError, ShapeError, SpaceError, UnknownNameError


@pytest.mark.parametrize(
    ("dim", "width", "tower", "count"), [(123, 128, (64, 32), 27_063), (80, 64, (32, 32), 8_129)]
)
def test_published_parameter_counts_are_met_exactly(dim, width, tower, count) -> None:
    features, labels = problem(64, dim, width, 2)
    head = PromptHead(tower=tower, epochs=1).fit(features, labels)
    assert head.n_parameters == count
    assert sum(tensor.size for tensor in head.state().values()) == count


def test_tensors_bear_the_names_of_the_file_format() -> None:
    head, _, _ = fitted()
    sizes = {name: tensor.shape for name, tensor in head.state().items()}
    assert sizes == {
        "prompt.E": (8,),
        "proj.0.weight": (4, 7),
        "proj.2.weight": (8, 4),
        "proj.ln.weight": (8,),
        "proj.ln.bias": (8,),
        "gate.weight": (2, 7),
        "tower.0.weight": (6, 8),
        "tower.0.bias": (6,),
        "tower.2.weight": (4, 6),
        "tower.2.bias": (4,),
        "tower.4.weight": (1, 4),
        "tower.4.bias": (1,),
    }


@pytest.mark.parametrize("mode", MODES)
def test_the_answer_is_that_of_the_numpy_twin(mode: str) -> None:
    head, features, _ = fitted(mode, tau=3.0)
    logits, weights, gate, _ = twin.head_answer(head.state(), wide(features), mode, 3.0)
    # Single precision over sums of at most a few dozen terms.
    assert np.abs(head.decision_function(features) - logits).max() < 2e-5 * np.abs(logits).max()
    found = head.weights(features)
    assert np.abs(found[0] - weights).max() < 1e-5
    assert np.abs(found[1] - gate).max() < 1e-5
    probabilities = head.predict_proba(features)
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-15
    assert np.array_equal(head.predict(features), probabilities[:, 1] > 0.5)


@given(
    mode=st.sampled_from(MODES),
    n=st.integers(1, 150),
    dim=st.integers(1, 6),
    width=st.integers(2, 9),
    n_sources=st.integers(1, 4),
    tower=st.lists(st.integers(1, 5), max_size=3),
    tau=st.sampled_from([0.5, 150.0, np.inf]),
    beta_kl=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 1000),
)
def test_slopes_are_those_of_the_numpy_twin(
    mode, n, dim, width, n_sources, tower, tau, beta_kl, seed
) -> None:
    features, labels = problem(n, dim, width, n_sources, seed)
    sizes = (dim, width, n_sources, tower, mode)
    start = _core.head_initial(sizes, seed)
    table = wide(features)
    head = (sizes, (tau, beta_kl, 0.0), table[3].ravel())
    rows = (*table[:3], list(range(n_sources)))
    loss, slopes = _core.head_slopes(head, start, (rows, labels))
    wanted, by_name = twin.head_slopes(split(start, sizes), table, labels, mode, tau, beta_kl)
    assert abs(loss - wanted) < 1e-12 * max(1.0, wanted)
    for name, found in split(slopes, sizes).items():
        scale = max(1.0, np.abs(by_name[name]).max())
        assert np.abs(found - by_name[name]).max() < 1e-10 * scale, name


@pytest.mark.parametrize("mode", MODES)
def test_the_order_of_sources_changes_nothing(mode: str) -> None:
    head, features, labels = fitted(mode, tau=2.0)
    turned = features.select(("task2", "task0", "task1"))
    other = PromptHead(tower=(6, 4), epochs=4, learning_rate=1e-2, mode=mode, tau=2.0)
    other.fit(turned, labels, (turned, labels))
    for name, tensor in head.state().items():
        assert np.array_equal(tensor, other.state()[name]), name
    assert np.array_equal(head.predict_proba(features), other.predict_proba(turned))
    assert np.array_equal(head.predict_proba(turned), head.predict_proba(features))
    assert np.array_equal(head.weights(features)[0][:, [2, 0, 1]], head.weights(turned)[0])


def test_any_number_of_threads_gives_the_same_weights() -> None:
    states = [fitted(n_threads=n, batch_size=200)[0].state() for n in (1, 2, 5)]
    for name, tensor in states[0].items():
        assert all(np.array_equal(tensor, state[name]) for state in states[1:]), name


def test_an_infinite_temperature_is_fixed_weights() -> None:
    even, features, _ = fitted(tau=np.inf)
    fixed = fitted("fixed")[0]
    assert np.array_equal(even.predict_proba(features), fixed.predict_proba(features))
    assert np.array_equal(even.weights(features)[0], np.full((600, 3), np.float32(1 / 3)))


def test_the_gap_of_logits_is_bounded_by_the_temperature() -> None:
    head, features, _ = fitted(tau=5.0, epochs=1, learning_rate=1e-9)
    weights = head.weights(features)[0].astype(np.float64)
    # |q| <= sqrt(r) as long as the normalisation is neutral.
    keys = features.keys.astype(np.float64)
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        gap = np.abs(np.log(weights[:, a] / weights[:, b])).max()
        bound = np.sqrt(8) * np.linalg.norm(keys[a] - keys[b]) / 5.0
        assert 0 < gap <= bound * (1 + 1e-5)


def test_a_single_source_weighs_one() -> None:
    features, labels = problem(n_sources=1)
    head = PromptHead(tower=(4,), epochs=1).fit(features, labels)
    assert np.array_equal(head.weights(features)[0], np.ones((600, 1), np.float32))


@pytest.mark.parametrize("mode", MODES)
def test_a_head_survives_its_state_and_a_pickle(mode: str) -> None:
    head, features, _ = fitted(mode, tau=3.0)
    back = PromptHead.from_state(
        head.state(),
        sources=features.sources[::-1],
        keys=features.keys[::-1],
        basis_key="backbone",
        mode=mode,
        tau=3.0,
    )
    wanted = head.predict_proba(features)
    assert np.array_equal(back.predict_proba(features), wanted)
    assert np.array_equal(pickle.loads(pickle.dumps(head)).predict_proba(features), wanted)
    assert back.n_parameters == head.n_parameters


def test_parameters_survive_being_split_and_merged() -> None:
    sizes = (5, 6, 2, [3], "prompt")
    flat = _core.head_initial(sizes, 1).astype("f")
    assert np.array_equal(merged(split(flat, sizes), sizes, "state"), flat)


@given(
    scores=st.lists(st.integers(0, 5), min_size=2, max_size=30),
    seed=st.integers(0, 100),
)
def test_the_area_under_the_curve_counts_pairs(scores: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).random(len(scores)) < 0.5
    values = np.array(scores, dtype=np.float64)
    found = _core.area_under_curve(values, labels)
    if labels.all() or not labels.any():
        assert found is None
    else:
        assert found == pytest.approx(twin.auc(values, labels), abs=1e-12)


def test_contributions_are_what_their_definition_says() -> None:
    head, features, _ = fitted()
    weights, gate = head.weights(features)
    lengths = np.linalg.norm(
        (features.own - features.own.mean(0)) * head.state()["prompt.E"], axis=2
    )
    wanted = (gate[:, :1] * weights * lengths).mean(axis=0)
    assert np.allclose(source_contributions(head, features), wanted, rtol=1e-4)
    turned = features.select(("task2", "task0", "task1"))
    assert np.allclose(source_contributions(head, turned), wanted[[2, 0, 1]], rtol=1e-4)
    other = source_contributions(head, features, background=features.take(slice(5)))
    assert not np.allclose(other, wanted)
    with pytest.raises(ShapeError, match="share"):
        source_contributions(fitted("share")[0], features)


def test_foreign_rows_are_refused() -> None:
    head, features, _ = fitted()
    fields = {name: getattr(features, name) for name in ("x", "shared", "own", "sources", "keys")}
    with pytest.raises(SpaceError, match="backbone"):
        head.predict_proba(Features(**fields, basis_key="other"))
    with pytest.raises(UnknownNameError, match="task2"):
        head.predict_proba(features.without("task2"))
    fields["sources"] = ("task0", "task1", "stranger")
    with pytest.raises(UnknownNameError, match="stranger"):
        head.predict_proba(Features(**fields, basis_key="backbone"))
    with pytest.raises(KinAtlasError, match="fit"):
        PromptHead().predict(features)
