"""The head of a new task: formulas, promises and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinatlas import _core
from kinatlas import _reference_composition as twin
from kinatlas.composition import Features, PromptHead
from kinatlas.composition.starts import merged, split
from kinatlas.errors import KinAtlasError, NonFiniteError, ShapeError, SpaceError, UnknownNameError

MODES = ("prompt", "fixed", "task", "share")


def problem(
    n: int = 600, dim: int = 7, width: int = 8, n_sources: int = 3, seed: int = 0
) -> tuple[Features, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n, n_sources, width)).astype("f")
    x = rng.normal(size=(n, dim)).astype("f")
    features = Features(
        x=x,
        shared=rng.normal(size=(n, width)).astype("f"),
        own=own,
        sources=tuple(f"task{k}" for k in range(n_sources)),
        keys=rng.normal(size=(n_sources, width)).astype("f"),
        basis_key="backbone",
    )
    logits = 3 * own[:, 0, 0] + own[:, -1, 1] + x[:, 0]
    return features, rng.random(n) < 1 / (1 + np.exp(-logits))


def fitted(mode: str = "prompt", **options) -> tuple[PromptHead, Features, np.ndarray]:
    features, labels = problem()
    options = {"tower": (6, 4), "epochs": 4, "learning_rate": 1e-2, "mode": mode} | options
    return PromptHead(**options).fit(features, labels, (features, labels)), features, labels


def wide(features: Features) -> tuple[np.ndarray, ...]:
    parts = (features.x, features.shared, features.own, features.keys)
    return tuple(part.astype(np.float64) for part in parts)


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


def test_a_penalty_on_the_weights_makes_them_even() -> None:
    def distance(beta_kl: float) -> float:
        head, features, _ = fitted(tau=1.0, beta_kl=beta_kl, epochs=30, patience=30)
        weights = head.weights(features)[0].astype(np.float64)
        return float((weights * np.log(3 * weights)).sum(axis=1).mean())

    free, some, much = distance(0.0), distance(0.1), distance(10.0)
    assert free > some > much
    assert much < 0.01


def test_a_single_source_weighs_one() -> None:
    features, labels = problem(n_sources=1)
    head = PromptHead(tower=(4,), epochs=1).fit(features, labels)
    assert np.array_equal(head.weights(features)[0], np.ones((600, 1), np.float32))


def test_the_best_epoch_is_restored() -> None:
    head, features, labels = fitted(epochs=12, learning_rate=0.3)
    history = head.history
    assert history.auc[history.best_epoch] == max(history.auc)
    scores = head.decision_function(features)
    assert _core.area_under_curve(scores, labels) == history.auc[history.best_epoch]
    assert len(history.auc) <= 12


def test_training_stops_when_patience_ends() -> None:
    history = fitted(epochs=200, learning_rate=0.1, patience=2)[0].history
    assert len(history.loss) - 1 - history.best_epoch == 2


def test_without_validation_every_epoch_runs_and_the_last_is_kept() -> None:
    features, labels = problem()
    history = PromptHead(tower=(4,), epochs=6, patience=1).fit(features, labels).history
    assert len(history.loss) == 6
    assert history.best_epoch == 5
    assert np.isnan(history.auc).all()


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


def test_a_start_from_a_source_copies_its_prompt() -> None:
    features, labels = problem()
    still = {"tower": (4,), "epochs": 1, "learning_rate": 1e-30}
    head = PromptHead(init="source:task1", **still).fit(features, labels)
    assert np.array_equal(head.state()["prompt.E"], features.keys[1])
    head = PromptHead(init="mean", **still).fit(features, labels)
    assert np.allclose(head.state()["prompt.E"], features.keys.mean(axis=0), atol=1e-7)
    gate = np.full((2, 7), 0.25, "f")
    head = PromptHead(init="warm:old", warm={"old": {"gate.weight": gate}}, **still)
    assert np.array_equal(head.fit(features, labels).state()["gate.weight"], gate)


def test_a_race_keeps_the_start_with_the_best_validation() -> None:
    features, labels = problem()
    good = PromptHead(tower=(4,), epochs=20, learning_rate=1e-2).fit(features, labels).state()
    head = PromptHead(tower=(4,), epochs=2, init="race", race_epochs=1, warm={"good": good})
    history = head.fit(features, labels, (features, labels)).history
    assert history.init == "warm:good"
    names = ["random", "mean", "source:task0", "source:task1", "source:task2", "warm:good"]
    assert list(history.race) == names
    assert history.race["warm:good"] == max(history.race.values())


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


def test_labels_that_cannot_teach_are_refused() -> None:
    features, labels = problem()
    head = PromptHead(epochs=1, tower=(4,))
    with pytest.raises(ShapeError, match="both classes"):
        head.fit(features, np.zeros(600))
    with pytest.raises(ShapeError, match="validation labels: all 600 are 1"):
        head.fit(features, labels, (features, np.ones(600)))
    with pytest.raises(ShapeError, match="one for every row"):
        head.fit(features, labels[:5])
    with pytest.raises(NonFiniteError, match="row 0 is nan"):
        head.fit(features, np.where(np.arange(600) == 0, np.nan, labels))
    with pytest.raises(ShapeError, match="validation"):
        PromptHead(init="race").fit(features, labels)
    with pytest.raises(UnknownNameError, match="nobody"):
        PromptHead(init="source:nobody").fit(features, labels)


def test_a_training_that_diverges_says_so() -> None:
    features, labels = problem()
    with pytest.raises(NonFiniteError, match="learning_rate"):
        PromptHead(tower=(4,), learning_rate=1e30, epochs=3).fit(features, labels)
