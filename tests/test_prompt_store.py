"""Prompts managed like releases: what is added stays, what is served can be undone."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

import kinatlas as ka
from kinatlas.errors import (
    DTypeError,
    FormatError,
    GateError,
    NonFiniteError,
    ShapeError,
    SpaceError,
    UnknownNameError,
)
from kinatlas.io.prompts.channels import Channels, Move

TENSORS = {"prompt.E": np.arange(4, dtype=np.float32), "gate.weight": np.eye(2)}


@pytest.fixture
def store(tmp_path):
    return ka.PromptStore(tmp_path / "store")


def added(store, value: float = 0.0, task: str = "ctr", **options) -> str:
    tensors = TENSORS | {"prompt.E": TENSORS["prompt.E"] + np.float32(value)}
    return store.add(tensors, task=task, basis_key=options.pop("basis_key", "v1"), **options).id


def files(store) -> list:
    return sorted((store.path / "prompts").iterdir())


def test_a_prompt_comes_back_as_it_went_in_and_other_readers_open_it(store):
    name = added(store, metrics={"auc": (0.7, 0.6, 0.8)}, settings={"tau": 150.0}, notes="first")
    found = store.load(name, basis_key="v1")
    assert found.record == store.record(name)
    assert found.record.metrics == {"auc": (0.7, 0.6, 0.8)}
    assert found.record.settings == {"tau": 150.0}
    (path,) = files(store)
    assert path.stem == name == hashlib.sha256(path.read_bytes()).hexdigest()
    for tensors in (found.tensors, load_file(path)):
        assert set(tensors) == set(TENSORS)
        for key, array in TENSORS.items():
            assert tensors[key].dtype == array.dtype
            np.testing.assert_array_equal(tensors[key], array)
    with pytest.raises(ValueError, match="read-only"):
        found.tensors["prompt.E"][0] = 9


def test_adding_the_same_prompt_again_changes_nothing_and_mends_a_damaged_file(store):
    name = added(store)
    before = files(store)[0].stat().st_mtime_ns
    reordered = dict(reversed(TENSORS.items()))
    assert store.add(reordered, task="ctr", basis_key="v1").id == name
    assert files(store)[0].stat().st_mtime_ns == before
    files(store)[0].write_bytes(b"cut")
    assert len(store.verify()) == 1
    assert added(store) == name
    assert len(store.verify()) == 0
    assert added(store, notes="other") != name


def test_a_foreign_backbone_is_refused_and_both_are_named(store):
    name = added(store, sources={"like": "aa"})
    with pytest.raises(SpaceError, match=r"backbone 'v1', this one is 'v2'"):
        store.load(name, basis_key="v2")
    with pytest.raises(SpaceError, match=r"source 'like' = 'aa', given is 'bb'"):
        store.load(name, basis_key="v1", sources={"like": "bb"})
    with pytest.raises(SpaceError, match="v2"):
        store.promote(name, "prod", basis_key="v2")
    assert store.load(name, basis_key="v1", sources={"like": "aa"}).record.id == name
    other = added(store, basis_key="v2")
    assert store.dependants("v1").to_dict()["prompt"] == [name[:12]]
    assert store.dependants("v2").to_dict()["prompt"] == [other[:12]]


def test_rollback_goes_back_step_by_step_and_says_when_there_is_nothing_before(store):
    first, second, third = (added(store, value) for value in (1, 2, 3))
    for name in (first, second, third):
        store.promote(name, "prod")
    assert store.rollback("ctr", "prod").id == second
    assert store.rollback("ctr", "prod", reason="worse").id == first
    with pytest.raises(UnknownNameError, match=r"ctr@prod cannot be rolled back.*served nothing"):
        store.rollback("ctr", "prod")
    store.promote(third, "prod")
    store.promote(second, "prod")
    assert store.rollback("ctr", "prod", to=first[:8]).id == first
    with pytest.raises(UnknownNameError, match="asked is"):
        store.rollback("ctr", "prod", to=third)
    assert store.record("ctr@prod").id == first
    kinds = store.history().to_dict()["kind"]
    assert kinds == ["promote"] * 3 + ["rollback"] * 2 + ["promote"] * 2 + ["rollback"]
    assert "worse" in store.history(channel="prod").to_dict()["reason"]
    assert len(store.history(task="other")) == 0


def test_going_back_to_an_earlier_turn_of_the_same_prompt(store):
    first, second = added(store, 1), added(store, 2)
    for name in (second, first, second):
        store.promote(name, "prod")
    assert store.rollback("ctr", "prod", to=second).id == second
    with pytest.raises(UnknownNameError, match="nothing"):
        store.rollback("ctr", "prod")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.sampled_from("abc"), st.none()), max_size=20))
def test_channels_are_a_pile_of_promotions(tmp_path_factory, steps):
    channels = Channels(tmp_path_factory.mktemp("journal") / "channels.db")
    place, pile = ("ctr", "prod"), []

    def made(kind, name):
        return lambda held: Move.now(kind, place, (name, held[-1] if held else ""), "", {})

    for name in steps:
        if name is None and len(pile) > 1:
            pile.pop()
            channels.move(place, made("rollback", pile[-1]))
        elif name is not None and (not pile or pile[-1] != name):
            pile.append(name)
            channels.move(place, made("promote", name))
    assert channels.held(*place) == tuple(pile)
    assert channels.places() == ({place: pile[-1]} if pile else {})


def test_gates_hold_the_channel_and_name_every_reason(store):
    old = added(store, 1, metrics={"auc": 0.75})
    store.promote(old, "prod", at_least={"auc": 0.7})
    low = added(store, 2, metrics={"auc": (0.74, 0.69, 0.8)}, checks={"old tasks unchanged": False})
    with pytest.raises(GateError) as caught:
        store.promote(low, "prod", at_least={"auc": 0.7, "f1": 0.1}, may_drop={"auc": 0.005})
    for reason in ("'old tasks unchanged' failed", "auc is 0.69 (the low end", "f1 was not",
                   "auc falls from 0.75 to 0.74, allowed is a fall of 0.005"):  # fmt: skip
        assert reason in str(caught.value)
    assert store.record("ctr@prod").id == old
    assert len(store.history()) == 1
    fine = added(store, 3, metrics={"auc": 0.746}, checks={"old tasks unchanged": True})
    store.promote(fine, "prod", may_drop={"auc": 0.005})
    assert '"auc": 0.005' in store.history().to_dict()["gates"][-1]
    with pytest.raises(ValueError, match=r"may_drop\['auc'\] is -1"):
        store.promote(old, "prod", may_drop={"auc": -1})


def test_promoting_what_is_served_already_changes_nothing(store):
    name = added(store)
    for _ in range(2):
        store.promote(name, "prod")
    assert len(store.history()) == 1


def test_a_damaged_prompt_is_named_and_never_served_anew(store):
    good, bad = added(store, 1), added(store, 2)
    store.promote(good, "prod")
    path = store.path / "prompts" / f"{bad}.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match=f"prompt {bad[:12]} is damaged"):
        store.promote(bad, "prod")
    assert store.prompts().to_dict()["prompt"] == [good[:12]]
    assert store.verify().to_dict()["prompt"] == [bad]
    (tmp := store.path / "prompts" / "notes.txt").write_text("mine")
    assert set(store.verify().to_dict()["prompt"]) == {bad, "notes.txt"}
    tmp.unlink()
    (store.path / "prompts" / f"{good}.safetensors").unlink()
    assert "served as ctr@prod" in " ".join(store.verify().to_dict()["problem"])
    with pytest.raises(FormatError, match="missing"):
        store.load("ctr@prod", basis_key="v1")


def test_a_file_of_somebody_else_is_no_prompt_even_under_its_hash(store):
    from safetensors.numpy import save

    data = save({"e": np.ones(3, np.float32)})
    name = hashlib.sha256(data).hexdigest()
    (store.path / "prompts" / f"{name}.safetensors").write_bytes(data)
    with pytest.raises(FormatError, match="no prompt's file of version 1"):
        store.load(name, basis_key="v1")
    assert store.verify().to_dict()["prompt"] == [name]


def test_bad_tensors_are_refused_before_anything_is_written(store):
    cases = [
        ({}, ShapeError, "got none"),
        ({"a": np.array([np.nan])}, NonFiniteError, "'a'"),
        ({"a": np.array([])}, NonFiniteError, "no numbers"),
        ({"a": np.array([1])}, DTypeError, "got int64"),
        ({"a": np.array(["x"])}, DTypeError, "expected float16"),
    ]
    for tensors, error, match in cases:
        with pytest.raises(error, match=match):
            store.add(tensors, task="ctr", basis_key="v1")
    for options, error, match in [
        ({"task": "a@b"}, UnknownNameError, "without @"),
        ({"task": " "}, UnknownNameError, "task"),
        ({"basis_key": ""}, SpaceError, "basis_key"),
        ({"metrics": {"auc": float("nan")}}, NonFiniteError, "auc"),
        ({"settings": {"f": print}}, FormatError, "JSON"),
        ({"parent": "abcd"}, UnknownNameError, "0 prompts begin so"),
        ({"evaluation": ([0, 1], [0.5])}, ShapeError, "same rows"),
        ({"evaluation": ([0, 2], [0.5, 0.5])}, ShapeError, "of 0 and 1"),
    ]:
        with pytest.raises(error, match=match):
            store.add(TENSORS, **({"task": "ctr", "basis_key": "v1"} | options))
    assert files(store) == []


def test_names_that_fit_nothing_or_several_are_refused(store):
    name = added(store)
    with pytest.raises(UnknownNameError, match="too short"):
        store.record(name[:3])
    with pytest.raises(UnknownNameError, match="0 prompts"):
        store.record("ffff" if not name.startswith("ffff") else "0000")
    with pytest.raises(UnknownNameError, match=r"'ctr@prod' serves nothing; known are: none"):
        store.record("ctr@prod")
    with pytest.raises(UnknownNameError, match="channel"):
        store.promote(name, "a@b")
    with pytest.raises(UnknownNameError, match="expected an id"):
        store.record(7)


def test_numpy_numbers_and_half_precision_are_kept(store):
    tensors = {"e": np.ones(3, np.float16), "s": np.float64(2.0)}
    name = store.add(
        tensors, task="ctr", basis_key="v1", metrics={"auc": np.float32(0.5)},
        settings={"width": np.int64(64)}, checks={"fine": np.bool_(True)},
    ).id  # fmt: skip
    found = store.load(name, basis_key="v1")
    assert found.tensors["e"].dtype == np.float16
    assert found.tensors["s"].shape == ()
    assert found.record.settings == {"width": 64}


def test_many_threads_promote_without_losing_a_move(store):
    names = [added(store, value) for value in range(4)]

    def worker(at: int) -> None:
        mine = ka.PromptStore(store.path)
        for turn in range(10):
            mine.promote(names[(at + turn) % 4], "prod")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    moves = store.channels.moves()
    assert len(moves) > 4
    assert all(new.previous == old.prompt for old, new in pairwise(moves))


def test_a_folder_that_is_no_store_is_named(tmp_path):
    with pytest.raises(FormatError, match="there is no prompt store"):
        ka.PromptStore(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "channels.db").write_bytes(b"not a database at all, but long enough to look at")
    with pytest.raises(FormatError, match="journal"):
        ka.PromptStore(tmp_path, create=False)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_a_folder_that_may_only_be_read_can_be_served_from(store):
    store.promote(added(store), "prod")
    places = [store.path, store.path / "prompts", *store.path.rglob("*.*")]
    for path in places:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        opened = ka.PromptStore(store.path, create=False)
        assert opened.load("ctr@prod", basis_key="v1").record.task == "ctr"
    finally:
        for path in places:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_moves_can_neither_be_changed_nor_removed(store):
    import sqlite3

    store.promote(added(store), "prod")
    base = sqlite3.connect(store.path / "channels.db")
    for statement in ("DELETE FROM moves", "UPDATE moves SET prompt = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            base.execute(statement)
    base.close()
