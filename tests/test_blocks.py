"""Blocks of a comparison: the bits of the whole matrix, whatever the cut."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, SpaceError
from kinatlas.similarity import (
    Block,
    kernel_info,
    merge_blocks,
    plan_blocks,
    similarity_block,
    similarity_matrix,
)
from strategies import gaussian_atlas, ragged_atlas

RAGGED = [name for name in ka.kernel_names() if not kernel_info(name).needs_equal_length]


def low_rank_atlas(n_tasks: int, seed: int = 0) -> ka.LowRankAtlas:
    rng = np.random.default_rng(seed)
    modules = ("q", "v", "o")
    return ka.LowRankAtlas.from_factors(
        {
            f"task{task}": {
                module: (rng.normal(size=(1 + task % 3, 6)), rng.normal(size=(5, 1 + task % 3)))
                for module in modules[: 1 + task % 3]
            }
            for task in range(n_tasks)
        }
    )


@pytest.mark.filterwarnings("ignore::kinatlas.errors.DegenerateRankingWarning")
@pytest.mark.parametrize("center", [None, "features", "positions", "auto"])
@pytest.mark.parametrize("kernel", ka.kernel_names())
def test_merged_blocks_have_the_bits_of_the_whole_matrix(kernel, center):
    atlas = gaussian_atlas(7, n_tokens=5, dim=9, shared=1.5)
    whole = similarity_matrix(atlas, kernel=kernel, center=center)
    plan = plan_blocks(atlas, kernel=kernel, center=center, block_size=(3, 2))
    merged = merge_blocks(plan, [(block, plan.compute(block, atlas)) for block in plan], atlas)
    assert merged.values.tobytes() == whole.values.tobytes()
    assert merged.options == whole.options
    assert merged.diagnostics["saturation"] == whole.diagnostics["saturation"]


@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source", "symmetric"])
@pytest.mark.parametrize("kernel", RAGGED)
def test_blocks_of_ragged_tasks_between_two_atlases_have_the_same_bits(kernel, direction):
    sources, targets = ragged_atlas(), ragged_atlas(1, (3, 12, 1))
    options = {"kernel": kernel, "direction": direction, "center": "features"}
    whole = similarity_matrix(sources, targets, **options)
    plan = plan_blocks(sources, targets, block_size=2, **options)
    parts = [(block, plan.compute(block, sources, targets, n_threads=1)) for block in plan]
    merged = merge_blocks(plan, parts, sources, targets)
    assert merged.values.tobytes() == whole.values.tobytes()
    assert merged.targets == whole.targets


@pytest.mark.parametrize("kernel", ka.kernel_names("low_rank"))
def test_blocks_of_low_rank_updates_have_the_same_bits(kernel):
    sources, targets = low_rank_atlas(7), low_rank_atlas(4, seed=1)
    for other in (None, targets):
        whole = similarity_matrix(sources, other, kernel=kernel)
        plan = plan_blocks(sources, other, kernel=kernel, block_size=3)
        parts = [(block, plan.compute(block, sources, other)) for block in plan]
        merged = merge_blocks(plan, parts, sources, other)
        assert merged.values.tobytes() == whole.values.tobytes()
        assert merged.options == whole.options


@settings(max_examples=30)
@given(top=st.integers(0, 4), left=st.integers(0, 4), data=st.data())
def test_any_rows_and_columns_are_a_part_of_the_whole(top, left, data):
    atlas = ragged_atlas()
    rows = slice(top, data.draw(st.integers(top + 1, 5)))
    cols = slice(left, data.draw(st.integers(left + 1, 5)))
    whole = similarity_matrix(atlas, kernel="max_pairwise", center="positions")
    part = similarity_block(atlas, rows=rows, cols=cols, kernel="max_pairwise", center="positions")
    assert part.tobytes() == whole.values[rows, cols].tobytes()


def test_a_centre_fitted_in_little_memory_is_the_same_centre():
    atlas = gaussian_atlas(6, n_tokens=4, dim=11)
    for center in ("features", "positions"):
        frames = [
            plan_blocks(atlas, kernel="flatten", center=center, max_memory=memory).frame
            for memory in (2 * 3 * 8 * 4 * 11, 1 << 30)
        ]
        assert frames[0][0].tobytes() == frames[1][0].tobytes()
        assert np.array_equal(frames[0][1], frames[1][1])


def test_an_initial_prompt_serves_every_block():
    atlas, start = gaussian_atlas(4, n_tokens=3, dim=5), np.full((3, 5), 0.25)
    whole = similarity_matrix(atlas, kernel="max_pairwise", center=start)
    plan = plan_blocks(atlas, kernel="max_pairwise", center=start, block_size=3)
    parts = [(block, plan.compute(block, atlas)) for block in plan]
    assert merge_blocks(plan, parts, atlas).values.tobytes() == whole.values.tobytes()


def test_blocks_cover_the_grid_exactly_once():
    plan = plan_blocks(gaussian_atlas(11), gaussian_atlas(5), kernel="flatten", block_size=(2, 4))
    seen = np.zeros((5, 11), dtype=int)
    for block in plan:
        seen[slice(*block.rows), slice(*block.cols)] += 1
    assert (seen == 1).all()
    assert len(plan) == len(list(plan)) == 3 * 3
    assert len({block.name for block in plan}) == 9


def test_less_memory_gives_smaller_blocks_and_too_little_is_refused():
    atlas = gaussian_atlas(40, n_tokens=10, dim=16)
    pair = 2 * 3 * 8 * 10 * 16
    assert plan_blocks(atlas, kernel="flatten", max_memory=4 * pair).block_shape == (4, 4)
    with pytest.raises(ValueError, match="allow more"):
        plan_blocks(atlas, kernel="flatten", max_memory=pair - 1)
    with pytest.raises(ValueError, match="smaller blocks"):
        plan_blocks(atlas, kernel="flatten", block_size=5, max_memory=4 * pair)
    with pytest.raises(ValueError, match="center='auto' looks at all sources"):
        plan_blocks(atlas, kernel="flatten", center="auto", max_memory=4 * pair)


@pytest.mark.parametrize("wrong", [0, -1, (0, 3), True, 1.5, "3", (3,), (None, 3)])
def test_a_block_without_a_task_is_refused(wrong):
    with pytest.raises(ValueError, match="block_size"):
        plan_blocks(gaussian_atlas(3), kernel="flatten", block_size=wrong)


def test_any_whole_number_is_a_block_size_and_memory_is_a_number():
    atlas = gaussian_atlas(3)
    assert plan_blocks(atlas, kernel="flatten", block_size=np.int64(2)).block_shape == (2, 2)
    assert plan_blocks(atlas, kernel="flatten", max_memory=1e9).block_shape == (3, 3)
    for wrong in (None, "1", np.nan, np.inf):
        with pytest.raises(ValueError, match="max_memory is"):
            plan_blocks(atlas, kernel="flatten", max_memory=wrong)


def test_empty_and_stepping_slices_are_refused():
    for rows in (slice(2, 2), slice(0, 3, 2), slice(9, 12), 3, (0, 3)):
        with pytest.raises(ShapeError, match="rows"):
            similarity_block(gaussian_atlas(3), rows=rows, cols=slice(0, 1), kernel="flatten")


def test_missing_contradicting_and_misplaced_blocks_are_refused():
    atlas = gaussian_atlas(3)
    plan = plan_blocks(atlas, kernel="flatten", block_size=2)
    parts = [(block, plan.compute(block, atlas)) for block in plan]
    with pytest.raises(FormatError, match="2 of 9 scores are covered by no block"):
        merge_blocks(plan, [parts[0], *parts[2:]], atlas)
    with pytest.raises(FormatError, match="disagrees"):
        merge_blocks(plan, [*parts, (parts[0][0], parts[0][1] + 1)], atlas)
    with pytest.raises(ShapeError, match="expected"):
        merge_blocks(plan, [(Block((0, 4), (0, 3)), np.zeros((4, 3)))], atlas)
    with pytest.raises(ShapeError, match="outside the grid"):
        plan.compute(Block((0, 4), (0, 1)), atlas)


def test_blocks_may_be_lists_under_lists_of_names_but_must_be_real_numbers():
    atlas = gaussian_atlas(3)
    plan = plan_blocks(atlas, kernel="flatten", block_size=2)
    parts = [(block, plan.compute(block, atlas)) for block in plan]
    lists = [(block, scores.tolist()) for block, scores in parts]
    assert merge_blocks(plan, lists, list(atlas.names)) == merge_blocks(plan, parts, atlas)
    for kind in (complex, str):
        with pytest.raises(DTypeError, match="expected numbers"):
            merge_blocks(plan, [(block, scores.astype(kind)) for block, scores in parts], atlas)


def test_a_plan_is_not_used_for_atlases_of_another_size():
    plan = plan_blocks(gaussian_atlas(3), kernel="flatten")
    with pytest.raises(ShapeError, match="got 2 targets and 2 sources, the plan was made for 3"):
        plan.compute(next(iter(plan)), gaussian_atlas(2))


def test_two_spaces_and_hidden_nan_are_refused():
    atlas = gaussian_atlas(3)
    other = ka.Atlas.from_arrays({"a": np.ones((10, 16))}, space="elsewhere")
    with pytest.raises(SpaceError, match="elsewhere"):
        plan_blocks(atlas, other, kernel="flatten")
    buffer = atlas._buffer.copy()
    buffer[25, 3] = np.nan
    broken = ka.Atlas(
        atlas.names, atlas.space, atlas.dtype, atlas.provenance, buffer, atlas._offsets
    )
    plan = plan_blocks(broken, kernel="flatten", block_size=1)
    with pytest.raises(NonFiniteError, match="'task002': token 5, coordinate 3"):
        plan.compute(Block((0, 1), (2, 3)), broken)


def test_a_plan_travels_and_keeps_its_identity():
    atlas = gaussian_atlas(4)
    plan = plan_blocks(atlas, kernel="topk_mean", k=2, center="features")
    again = pickle.loads(pickle.dumps(plan))
    assert again.identity() == plan.identity()
    other = plan_blocks(atlas, kernel="topk_mean", k=3, center="features")
    assert other.identity() != plan.identity()
    moved = plan_blocks(gaussian_atlas(4, seed=1), kernel="topk_mean", k=2, center="features")
    assert moved.identity() != plan.identity()
    block = next(iter(plan))
    assert again.compute(block, atlas).tobytes() == plan.compute(block, atlas).tobytes()
