"""A head as a stranger uses it: arrays instead of features, broken states, impossible sizes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import kinatlas as ka
from heads import MODES, fitted, problem
from kinatlas.composition import Features, PromptHead, source_contributions
from kinatlas.errors import (
    DTypeError,
    KinAtlasError,
    NonFiniteError,
    ShapeError,
    SpaceError,
    UnknownNameError,
)

FEATURES, LABELS = problem(200)


def head(**options) -> PromptHead:
    return PromptHead(**({"tower": (4,), "epochs": 2} | options))


def kept(trained: PromptHead, **options) -> dict:
    wanted = {"sources": FEATURES.sources, "keys": FEATURES.keys, "basis_key": "backbone"}
    return wanted | {"mode": trained.settings.mode, "tau": trained.settings.tau} | options


def test_an_array_is_no_features_wherever_it_is_given():
    trained = head().fit(FEATURES, LABELS)
    for call in (
        lambda: head().fit(FEATURES.x, LABELS),
        lambda: head().fit(FEATURES, LABELS, (FEATURES.x, LABELS)),
        lambda: trained.predict_proba(FEATURES.x),
        lambda: trained.weights(None),
        lambda: source_contributions(trained, FEATURES.x),
        lambda: source_contributions(trained, FEATURES, background=FEATURES.x),
    ):
        with pytest.raises(DTypeError, match="expected Features"):
            call()


@pytest.mark.parametrize("validation", [FEATURES, (FEATURES,), (FEATURES, LABELS, LABELS), 5])
def test_validation_rows_that_are_no_pair_are_refused(validation):
    with pytest.raises(ShapeError, match="validation"):
        head().fit(FEATURES, LABELS, validation)


def test_labels_of_different_lengths_are_refused_by_name():
    with pytest.raises(ShapeError, match="labels: rows differ in length"):
        head().fit(FEATURES, [[1], [0, 1]])


@pytest.mark.parametrize("tower", [(10**9,), (10**12, 10**12), (4, 2**30)])
def test_a_tower_too_large_for_memory_is_refused_before_the_process_dies(tower):
    with pytest.raises(ShapeError, match="expected at most"):
        head(tower=tower).fit(FEATURES, LABELS)


@pytest.mark.parametrize("given", ["text", ["x"] * 8, [[1.0], [1.0, 2.0]]])
def test_warm_tensors_that_are_no_numbers_are_refused_by_name(given):
    with pytest.raises(KinAtlasError, match=r"prompt\.E"):
        head(init="warm:a", warm={"a": {"prompt.E": given}}).fit(FEATURES, LABELS)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"tower.0.weight": np.float32(3)}, ShapeError),
        ({"tower.0.weight": np.ones((0, 8))}, ShapeError),
        ({"gate.weight": 3}, ShapeError),
        ({"gate.weight": "x"}, ShapeError),
        ({"gate.weight": np.ones((3, 7))}, ShapeError),
        ({"prompt.E": "abc"}, DTypeError),
        ({"prompt.E": np.full(8, np.nan)}, NonFiniteError),
        ({"prompt.E": np.full(8, 1e300)}, NonFiniteError),
        ({"unknown": np.ones(3)}, UnknownNameError),
    ],
)
def test_a_state_with_a_broken_tensor_is_refused_by_name(changed, error):
    trained = head().fit(FEATURES, LABELS)
    with pytest.raises(error, match=next(iter(changed))):
        PromptHead.from_state(trained.state() | changed, **kept(trained))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"keys": FEATURES.keys * np.nan}, NonFiniteError),
        ({"keys": FEATURES.keys.astype(float) * 1e300}, NonFiniteError),
        ({"keys": "a"}, DTypeError),
        ({"keys": [[1.0], [1.0, 2.0]]}, ShapeError),
        ({"basis_key": ""}, SpaceError),
        ({"basis_key": None}, SpaceError),
        ({"tower": (4,)}, ShapeError),
    ],
)
def test_a_state_with_broken_surroundings_is_refused(options, error):
    trained = head().fit(FEATURES, LABELS)
    with pytest.raises(error):
        PromptHead.from_state(trained.state(), **kept(trained, **options))


def test_a_refused_fit_leaves_the_trained_head_as_it_was():
    trained = head().fit(FEATURES, LABELS)
    before = trained.predict_proba(FEATURES)
    with pytest.raises(ShapeError):
        trained.fit(FEATURES, np.ones(200))
    np.testing.assert_array_equal(trained.predict_proba(FEATURES), before)


def test_rows_are_taken_along_rows_only():
    with pytest.raises(ShapeError, match="rows are"):
        FEATURES.take((slice(None), slice(0, 2)))


def test_features_of_rows_that_differ_in_length_are_refused_by_name():
    with pytest.raises(ShapeError, match="x: rows differ"):
        Features([[1.0], [1.0, 2.0]], FEATURES.shared, FEATURES.own, ("a",), FEATURES.keys, "b")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tau", [150.0, "auto", 3.0])
def test_a_head_out_of_a_store_answers_bit_for_bit_as_before(tmp_path, mode, tau):
    trained, features, _ = fitted(mode, tau=tau)
    store = ka.PromptStore(tmp_path)
    name = store.add(
        trained.state(),
        task="ctr",
        basis_key=trained.basis_key,
        settings={"mode": mode, "tau": tau},
    ).id
    found = store.load(name, basis_key=features.basis_key)
    back = PromptHead.from_state(
        found.tensors,
        sources=features.sources,
        keys=features.keys,
        basis_key=found.record.basis_key,
        **found.record.settings,
    )
    for one in (back, copy.deepcopy(trained), pickle.loads(pickle.dumps(trained))):
        np.testing.assert_array_equal(one.predict_proba(features), trained.predict_proba(features))
