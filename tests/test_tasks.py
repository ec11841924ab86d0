"""Task and Atlas: what goes in comes out, and nothing that should not goes in."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinatlas import Atlas, Task
from kinatlas.errors import (
    DTypeError,
    NonFiniteError,
    ShapeError,
    SpaceError,
    UnknownNameError,
)
from kinatlas.tasks import Provenance

FINITE = {
    np.float16: st.floats(width=16, allow_nan=False, allow_infinity=False),
    np.float32: st.floats(width=32, allow_nan=False, allow_infinity=False),
    np.float64: st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def ragged(draw: st.DrawFn) -> dict[str, np.ndarray]:
    dtype = draw(st.sampled_from(list(FINITE)))
    dim = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    return {
        f"task{index}": draw(hnp.arrays(dtype, (length, dim), elements=FINITE[dtype]))
        for index, length in enumerate(lengths)
    }


@given(ragged())
def test_an_atlas_returns_exactly_the_tokens_it_was_given(arrays: dict[str, np.ndarray]) -> None:
    atlas = Atlas.from_arrays(arrays, space="s")
    assert atlas.names == tuple(arrays)
    for name, tokens in arrays.items():
        assert atlas[name].tokens.tobytes() == tokens.tobytes()
        assert atlas[name].tokens.dtype == tokens.dtype


@given(ragged())
def test_an_atlas_survives_pickling_bit_for_bit(arrays: dict[str, np.ndarray]) -> None:
    atlas = Atlas.from_arrays(arrays, space="s")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(atlas, protocol))
        assert copy == atlas
        assert not copy._buffer.flags.writeable
        assert pickle.loads(pickle.dumps(atlas[0], protocol)) == atlas[0]


def test_strided_reversed_and_readonly_inputs_give_the_same_atlas() -> None:
    tokens = np.arange(24, dtype=np.float32).reshape(4, 6)
    wide = np.zeros((8, 12), dtype=np.float32)
    wide[::2, ::2] = tokens
    frozen = tokens.copy()
    frozen.flags.writeable = False
    expected = Atlas.from_arrays({"a": tokens})
    for same in (wide[::2, ::2], np.asfortranarray(tokens), frozen, tokens[::-1][::-1]):
        assert Atlas.from_arrays({"a": same}) == expected


def test_bfloat16_is_kept_as_stored_and_shown_as_float32() -> None:
    values = np.array([[1.0, -2.5, 3.0e38]], dtype=ml_dtypes.bfloat16)
    atlas = Atlas.from_arrays({"a": values})
    assert atlas.dtype == "bfloat16"
    assert atlas["a"].tokens.dtype == np.float32
    np.testing.assert_array_equal(atlas["a"].tokens, values.astype(np.float32))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (np.float16, ml_dtypes.bfloat16, "float32"),
        (np.float16, np.float32, "float32"),
        (ml_dtypes.bfloat16, np.float64, "float64"),
        (np.float32, np.float64, "float64"),
    ],
)
def test_mixed_types_meet_in_the_narrowest_type_that_loses_nothing(
    first: type, second: type, expected: str
) -> None:
    a, b = np.array([[0.1, 7.0]], dtype=first), np.array([[0.3, 9.0]], dtype=second)
    atlas = Atlas.from_arrays({"a": a, "b": b})
    assert atlas.dtype == expected
    np.testing.assert_array_equal(atlas["a"].tokens, a.astype(np.float64))
    np.testing.assert_array_equal(atlas["b"].tokens, b.astype(np.float64))


def test_a_vector_is_one_token() -> None:
    assert Atlas.from_arrays({"a": [1.0, 2.0]})["a"].tokens.shape == (1, 2)


def test_the_atlas_does_not_see_later_changes_of_its_input() -> None:
    tokens = np.ones((2, 2))
    atlas = Atlas.from_arrays({"a": tokens})
    tokens[:] = 7.0
    assert atlas["a"].tokens.max() == 1.0
    assert tokens.flags.writeable


def test_neither_attributes_nor_tokens_can_be_changed() -> None:
    atlas = Atlas.from_arrays({"a": [1.0, 2.0]})
    with pytest.raises(FrozenInstanceError):
        atlas.space = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        atlas["a"].tokens[0, 0] = 3.0
    with pytest.raises(FrozenInstanceError):
        atlas["a"].name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tokens", "error", "words"),
    [
        ([[1, 2]], DTypeError, "int64"),
        (np.ones((2, 2), dtype=bool), DTypeError, "bool"),
        (np.ones((2, 2), dtype=complex), DTypeError, "complex"),
        (np.ones((2, 2), dtype=np.uint16), DTypeError, "uint16"),
        (np.ones((2, 2), dtype=">f4"), DTypeError, "byte order"),
        (np.ma.masked_array([[1.0]], mask=[[True]]), DTypeError, "masked"),
        ("text", DTypeError, "str"),
        (np.ones((0, 4)), ShapeError, r"\(0, 4\)"),
        (np.ones((4, 0)), ShapeError, r"\(4, 0\)"),
        (np.ones((2, 2, 2)), ShapeError, r"\(2, 2, 2\)"),
        (3.0, ShapeError, r"\(\)"),
        ([[1.0], [1.0, 2.0]], ShapeError, "cannot read"),
        ([[1.0, np.nan]], NonFiniteError, "token 0, coordinate 1"),
        ([[1.0, 2.0], [np.inf, 0.0]], NonFiniteError, "token 1, coordinate 0"),
    ],
)
def test_bad_tokens_are_refused_with_the_task_named(
    tokens: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        Atlas.from_arrays({"mnli": tokens})
    assert "mnli" in str(caught.value)
    with pytest.raises(error):
        Task("mnli", tokens)


def test_different_widths_are_refused_naming_both_tasks() -> None:
    with pytest.raises(ShapeError, match="'a' have dim 2, tokens of 'b' have dim 3"):
        Atlas.from_arrays({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]})


def test_two_spaces_never_meet() -> None:
    tasks = [Task("a", [1.0], space="t5-base"), Task("b", [1.0], space="roberta-base")]
    with pytest.raises(SpaceError, match=r"'t5-base'.*'roberta-base'"):
        Atlas.from_tasks(tasks)


@pytest.mark.parametrize("names", [["a", "a"], [""], [3]])
def test_names_must_be_distinct_non_empty_strings(names: list[object]) -> None:
    atlas = Atlas.from_arrays({"x": [1.0], "y": [2.0]})
    with pytest.raises(UnknownNameError):
        atlas.rename(dict(zip(atlas.names, names * 2, strict=False)))  # type: ignore[arg-type]


def test_an_unknown_task_is_answered_with_the_closest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnli'"):
        Atlas.from_arrays({"mnli": [1.0]})["mnly"]


def test_no_task_at_all_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least one task"):
        Atlas.from_arrays({})
    with pytest.raises(DTypeError, match="mapping"):
        Atlas.from_arrays([[1.0]])  # type: ignore[arg-type]


def test_provenance_travels_through_selection_renaming_and_stacking() -> None:
    origin = Provenance(base_model="t5", seed=3)
    atlas = Atlas.from_arrays({"a": [1.0], "b": [2.0]}, provenance={"b": origin})
    assert atlas.select(["b"]).rename({"b": "c"}).provenance == (origin,)
    other = Atlas.from_arrays({"z": [0.5]})
    assert Atlas.stack([other, atlas])["b"].provenance == origin
    with pytest.raises(UnknownNameError, match="provenance"):
        Atlas.from_arrays({"a": [1.0]}, provenance={"zz": origin})


def test_a_long_atlas_still_prints_on_one_screen() -> None:
    atlas = Atlas.from_arrays({f"task{index}": [1.0] for index in range(500)})
    assert len(repr(atlas).splitlines()) <= 24
    assert "488 more" in repr(atlas)


def test_the_html_view_escapes_names() -> None:
    page = Atlas.from_arrays({"<script>": [1.0]})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_task_is_an_array_for_numpy() -> None:
    task = Task("a", [[1.0, 2.0]])
    np.testing.assert_array_equal(np.asarray(task), [[1.0, 2.0]])
    assert np.asarray(task, dtype=np.float32).dtype == np.float32


class OnDevice:
    """Stands in for an array on an accelerator."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **_: object) -> object:
        raise AssertionError("must not be asked")


class OnlyArray:
    """Stands in for anything that offers ``__array__`` alone."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.ones((2, 3), dtype=np.float32)


def test_an_array_on_an_accelerator_is_refused_with_the_way_out() -> None:
    with pytest.raises(DTypeError, match="main memory"):
        Atlas.from_arrays({"a": OnDevice()})


def test_anything_with_array_protocol_is_accepted() -> None:
    assert Atlas.from_arrays({"a": OnlyArray()}).dtype == "float32"


def test_centring_removes_the_mean_token_or_the_mean_at_each_position() -> None:
    rng = np.random.default_rng(1)
    arrays = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in "abc"}
    atlas = Atlas.from_arrays(arrays, space="s")
    stacked = np.stack([arrays[name].astype(np.float64) for name in "abc"])
    for how, mean in (("features", stacked.mean((0, 1))), ("positions", stacked.mean(0))):
        centred = atlas.center(how)  # type: ignore[arg-type]
        assert centred.dtype == "float64"
        for place, name in enumerate("abc"):
            np.testing.assert_allclose(centred[name].tokens, stacked[place] - mean, atol=1e-15)
        with pytest.raises(SpaceError):
            Atlas.stack([atlas.rename(str.upper), centred])
    with pytest.raises(UnknownNameError, match="features, positions"):
        atlas.center("auto")  # type: ignore[arg-type]


def test_subtracting_the_initial_prompt_is_exact_for_float32() -> None:
    rng = np.random.default_rng(2)
    start = rng.normal(size=(4, 3)).astype(np.float32)
    atlas = Atlas.from_arrays({"a": start, "b": start + np.float32(1.5)})
    moved = atlas.subtract(start)
    assert not moved["a"].tokens.any()
    expected = (start + np.float32(1.5)).astype(np.float64) - start
    np.testing.assert_array_equal(moved["b"].tokens, expected)
    assert "less an initial prompt" in moved.provenance[0].notes
    with pytest.raises(ShapeError, match="3 tokens, task 'a' has 4"):
        atlas.subtract(start[:3])
    with pytest.raises(ShapeError, match="dim"):
        atlas.subtract(start[:, :2])
