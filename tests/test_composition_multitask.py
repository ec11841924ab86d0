"""Multitask prompts: factors, gauge, cosines and files."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas import _reference_composition as twin
from kinatlas.composition import MultitaskPrompt, compose_prompts
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3))


def multitask(sizes=(4, 5, 2), seed: int = 0, dtype: str = "d") -> MultitaskPrompt:
    n_tokens, dim, n_ranks = sizes
    rng = np.random.default_rng(seed)
    parts = (n_tokens, dim), (3, n_tokens, n_ranks), (3, n_ranks, dim)
    shared, columns, rows = (rng.normal(size=shape).astype(dtype) for shape in parts)
    return MultitaskPrompt(shared, columns, rows, ["mnli", "rte", "cola"])


@given(sizes=SIZES, seed=st.integers(0, 500))
def test_a_prompt_is_the_shared_one_times_its_factors(sizes, seed) -> None:
    found = multitask(sizes, seed)
    for at, task in enumerate(found.tasks):
        wanted = found.shared * (found.columns[at] @ found.rows[at])
        assert np.allclose(found.prompt(task), wanted, atol=1e-12)
        composed = compose_prompts(
            {task: found.shared}, "low_rank", u=found.columns[at], v=found.rows[at]
        )
        assert np.array_equal(composed.prompt, found.prompt(task))


@given(sizes=SIZES, seed=st.integers(0, 500))
def test_cosines_are_those_of_the_matrices_that_are_never_formed(sizes, seed) -> None:
    found = multitask(sizes, seed)
    one, two = (found.columns[at] @ found.rows[at] for at in (0, 1))
    wanted = twin.hadamard_cosine(one, two)
    assert found.cosine("mnli", "rte") == pytest.approx(wanted, abs=1e-7)
    wanted = twin.hadamard_cosine(found.shared * one, found.shared * two)
    assert found.cosine("mnli", "rte", of="prompts") == pytest.approx(wanted, abs=1e-7)
    assert found.cosine("rte", "rte") == pytest.approx(1.0, abs=1e-12)


@given(sizes=SIZES, seed=st.integers(0, 500), scale=st.floats(0.01, 100), sign=st.booleans())
def test_the_gauge_of_the_factors_changes_nothing(sizes, seed, scale, sign) -> None:
    plain = multitask(sizes, seed)
    scale = -scale if sign else scale
    turned = MultitaskPrompt(plain.shared, plain.columns * scale, plain.rows / scale, plain.tasks)
    for task in plain.tasks:
        assert np.allclose(plain.prompt(task), turned.prompt(task), rtol=1e-12, atol=1e-12)
        for one, two in zip(plain.factors(task), turned.factors(task), strict=True):
            assert np.allclose(one, two, rtol=1e-12, atol=1e-12)
        columns, rows = plain.factors(task)
        assert np.allclose(plain.shared * (columns @ rows), plain.prompt(task), atol=1e-12)
        assert np.allclose((columns**2).sum(axis=0), sizes[0])
        assert (columns[0] > 0).all()


def test_a_task_whose_factor_is_zero_has_cosine_zero() -> None:
    found = MultitaskPrompt(np.ones((2, 2)), [[[0.0], [0.0]], [[1.0], [2.0]]], np.ones((2, 1, 2)))
    assert found.tasks == ("task0", "task1")
    assert found.cosine("task0", "task0") == 0.0
    assert found.cosine("task0", "task1") == 0.0
    assert (found.factors("task0")[1] == 0).all()


def test_starts_are_means_of_factors_copies_or_the_shared_prompt() -> None:
    found = multitask()
    average = found.start("new", "average")
    wanted = found.shared * (found.columns.mean(axis=0) @ found.rows.mean(axis=0))
    assert np.allclose(average.prompt("new"), wanted)
    mean_of_prompts = np.mean([found.prompt(task) for task in found.tasks], axis=0)
    assert not np.allclose(average.prompt("new"), mean_of_prompts)
    exact = found.start("new", "exact", source="rte")
    assert np.array_equal(exact.prompt("new"), found.prompt("rte"))
    for how in ("shared", "ones"):
        assert np.array_equal(found.start("new", how).prompt("new"), found.shared)
    with pytest.raises(UnknownNameError, match="source"):
        found.start("new", "exact")
    with pytest.raises(UnknownNameError, match="how='mean'"):
        found.start("new", "mean")


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_a_file_holds_every_number_and_name(tmp_path, dtype: str) -> None:
    found = multitask(dtype=dtype)
    path = tmp_path / "adapter_model.safetensors"
    found.save(path)
    for back in (MultitaskPrompt.load(path), pickle.loads(pickle.dumps(found))):
        assert back.tasks == found.tasks
        for name in ("shared", "columns", "rows"):
            assert np.array_equal(getattr(back, name), getattr(found, name))
            assert getattr(back, name).dtype == getattr(found, name).dtype
    assert MultitaskPrompt.load(path, ["a", "b", "c"]).tasks == ("a", "b", "c")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_reader_of_adapters_sees_the_same_prompts(tmp_path) -> None:
    found = multitask()
    found.save(tmp_path / "adapter_model.safetensors")
    config = '{"peft_type": "MULTITASK_PROMPT_TUNING", "num_transformer_submodules": 1}'
    (tmp_path / "adapter_config.json").write_text(config)
    atlas = ka.load_atlas(tmp_path)
    assert len(atlas) == 3
    for task, own in zip(atlas, found.tasks, strict=True):
        assert np.allclose(task.tokens, found.prompt(own), rtol=1e-15)


def test_files_that_are_something_else_are_refused(tmp_path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"not a file")
    with pytest.raises(FormatError):
        MultitaskPrompt.load(path)
    ka.save_atlas(ka.Atlas.from_arrays({"a": np.ones((1, 2))}, space="s"), path)
    with pytest.raises(FormatError, match="multitask prompt"):
        MultitaskPrompt.load(path)
    with pytest.raises(OSError, match="nowhere"):
        MultitaskPrompt.load(tmp_path / "nowhere.safetensors")


def test_what_does_not_fit_is_refused() -> None:
    shared, columns, rows = np.ones((2, 3)), np.ones((1, 2, 1)), np.ones((1, 1, 3))
    for error, words, parts in [
        (ShapeError, "columns have shape", (shared, np.ones((1, 3, 1)), rows)),
        (ShapeError, "three dimensions", (shared, columns[0], rows)),
        (DTypeError, "rows: numbers are int64", (shared, columns, np.ones((1, 1, 3), np.int64))),
        (NonFiniteError, "columns holds NaN", (shared, columns * np.nan, rows)),
        (ShapeError, "2 names for 1 tasks", (shared, columns, rows, ["a", "b"])),
    ]:
        with pytest.raises(error, match=words):
            MultitaskPrompt(*parts)
    with pytest.raises(UnknownNameError, match="task 'b'"):
        MultitaskPrompt(shared, columns, rows, ["a"]).prompt("b")
