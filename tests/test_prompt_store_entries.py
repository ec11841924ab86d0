"""What goes with a prompt is checked before it is written: a store keeps what it was given."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.errors import (
    DTypeError,
    FormatError,
    KinAtlasError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)

TENSORS = {"prompt.E": np.ones(4, np.float32)}


@pytest.fixture
def store(tmp_path):
    return ka.PromptStore(tmp_path / "store")


def add(store, **options):
    return store.add(**({"tensors": TENSORS, "task": "ctr", "basis_key": "v1"} | options))


@pytest.mark.parametrize(
    "given", [[0.7, 0.6, 0.8], (0.7, 0.6, 0.8), np.array([0.7, 0.6, 0.8]), np.float64(0.7)]
)
def test_a_metric_is_kept_in_whatever_form_it_is_given(store, given):
    record = add(store, metrics={"auc": given})
    assert store.record(record.id) == record
    assert record.value("auc") == 0.7


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("high", DTypeError),
        (None, DTypeError),
        ({"a": 1}, DTypeError),
        ((0.7, 0.6), DTypeError),
        (10**400, DTypeError),
        (np.nan, NonFiniteError),
        ((0.7, 0.6, np.inf), NonFiniteError),
        ((0.7, 0.8, 0.6), ShapeError),
    ],
)
def test_a_metric_that_could_not_be_read_back_is_refused_and_nothing_is_written(
    store, given, error
):
    with pytest.raises(error, match="auc"):
        add(store, metrics={"auc": given})
    assert len(store.prompts()) == len(store.verify()) == 0


@pytest.mark.parametrize("given", ["no", None, 0, 1, [], np.array([True, False])])
def test_a_check_that_is_neither_true_nor_false_never_opens_a_gate(store, given):
    with pytest.raises(DTypeError, match="expected True or False"):
        add(store, checks={"old tasks unchanged": given})


@pytest.mark.parametrize(
    "options",
    [
        {"notes": 5},
        {"notes": "\ud800"},
        {"task": "\ud800"},
        {"evaluated_on": None},
        {"metrics": [1]},
        {"metrics": {1: 0.5}},
        {"checks": ["old"]},
        {"tensors": None},
        {"tensors": [1]},
        {"tensors": {"a": [[1.0], [1.0, 2.0]]}},
        {"evaluation": 5},
        {"evaluation": ([0, 1], [0.2, 0.3], [1])},
        {"evaluation": (["a", "b"], [0.2, 0.3])},
        {"evaluation": ([0, 1], [0.2, np.nan])},
    ],
)
def test_what_does_not_belong_into_a_prompt_is_refused_by_name(store, options):
    with pytest.raises(KinAtlasError):
        add(store, **options)
    assert len(store.prompts()) == len(store.verify()) == 0


def test_a_tensor_may_not_take_the_name_of_the_evaluation(store):
    with pytest.raises(UnknownNameError, match=r"evaluation\.labels"):
        add(store, tensors={"evaluation.labels": np.ones(3)})


def test_gates_may_be_numbers_of_numpy(store):
    name = add(store, metrics={"auc": 0.7}).id
    store.promote(name, "prod", at_least={"auc": np.float32(0.5)}, may_drop={"auc": np.int64(0)})
    assert '"auc": 0.5' in store.history().to_dict()["gates"][0]


@pytest.mark.parametrize("drop", [-1, np.inf, np.nan, "x"])
def test_a_gate_that_means_nothing_is_refused_even_for_the_first_prompt(store, drop):
    name = add(store, metrics={"auc": 0.7}).id
    with pytest.raises(ValueError, match="may_drop"):
        store.promote(name, "prod", may_drop={"auc": drop})
    assert len(store.history()) == 0


@pytest.mark.parametrize("options", [{"at_least": ["auc"]}, {"may_drop": 0.1}, {"reason": 5}])
def test_a_promotion_with_malformed_arguments_moves_nothing(store, options):
    name = add(store).id
    with pytest.raises(DTypeError):
        store.promote(name, "prod", **options)
    assert len(store.history()) == 0


def test_a_rollback_of_a_channel_without_a_name_blames_the_name_and_not_the_journal(store):
    add(store)
    with pytest.raises(UnknownNameError, match="channel None"):
        store.rollback("ctr", None)


def test_a_sound_file_with_impossible_metrics_is_a_problem_and_hides_no_other(store):
    from kinatlas.io.prompts.record import PromptRecord, packed

    good = add(store).id
    bad = PromptRecord("", "ctr", "v1", metrics={"auc": 10**400})
    name = store._shelf.put(packed(TENSORS, bad, None))
    assert store.verify().to_dict()["prompt"] == [name]
    assert store.prompts().to_dict()["prompt"] == [good[:12]]
    with pytest.raises(FormatError, match="auc"):
        store.record(name)


def test_a_full_disk_is_named_when_a_channel_cannot_move(store, monkeypatch):
    name = add(store).id
    open_as_before = store.channels._open

    @contextmanager
    def nearly_full(mode):
        with open_as_before(mode) as base:
            pages = base.execute("PRAGMA page_count").fetchone()[0]
            base.execute(f"PRAGMA max_page_count={pages}")
            yield base

    monkeypatch.setattr(store.channels, "_open", nearly_full)
    with pytest.raises(FormatError, match="full"):
        store.promote(name, "prod", reason="long " * 10_000)
    assert len(store.history()) == 0
