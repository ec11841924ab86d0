"""Same numbers, same bits: whatever the storage, the layout, the order or the company."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from kinatlas import Atlas, kernel_names, similarity_matrix
from kinatlas.similarity import kernel_info
from strategies import gaussian_atlas, ragged_atlas

KERNELS = kernel_names()
CENTERS = (None, "features", "positions", "auto")


def scores(atlas: Atlas, kernel: str, **options: object) -> np.ndarray:
    return similarity_matrix(atlas, kernel=kernel, **options).values


def small() -> Atlas:
    return gaussian_atlas(7, n_tokens=11, dim=19)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_order_of_tasks_changes_no_bit(kernel, center):
    atlas = small()
    order = np.random.default_rng(0).permutation(len(atlas))
    shuffled = atlas.select([atlas.names[i] for i in order])
    expected = scores(atlas, kernel, center=center)[np.ix_(order, order)]
    assert scores(shuffled, kernel, center=center).tobytes() == expected.tobytes()


@pytest.mark.parametrize("center", [None, "features"])
@pytest.mark.parametrize("kernel", [k for k in KERNELS if not kernel_info(k).needs_equal_length])
def test_neighbours_of_other_lengths_change_no_bit(kernel, center):
    atlas = ragged_atlas()
    whole = similarity_matrix(atlas, kernel=kernel, center=center)
    for name in atlas.names:
        alone = similarity_matrix(atlas, atlas.select([name]), kernel=kernel, center=center)
        assert alone.row(name).tobytes() == whole.row(name).tobytes()


@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source", "symmetric"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_naming_the_sources_as_targets_changes_no_bit(kernel, direction):
    atlas = small()
    alone = scores(atlas, kernel, direction=direction)
    both = similarity_matrix(atlas, atlas, kernel=kernel, direction=direction).values
    assert alone.tobytes() == both.tobytes()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["float16", "float32", ml_dtypes.bfloat16])
def test_a_narrow_number_is_compared_as_the_same_wide_number(kernel, dtype):
    atlas = small()
    narrow = {name: atlas[name].tokens.astype(dtype) for name in atlas.names}
    wide = {name: tokens.astype(np.float64) for name, tokens in narrow.items()}
    expected = scores(Atlas.from_arrays(wide), kernel, center="features")
    found = scores(Atlas.from_arrays(narrow), kernel, center="features", precision="float64")
    assert found.tobytes() == expected.tobytes()
    quick = similarity_matrix(Atlas.from_arrays(narrow), kernel=kernel, center="features")
    bound = quick.diagnostics.get("error_bound", 0.0)
    assert np.abs(quick.values - expected).max() <= bound


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_layout_in_memory_changes_no_bit(kernel):
    atlas = small()
    plain = {name: atlas[name].tokens for name in atlas.names}
    padded = {name: np.repeat(tokens, 3, axis=1)[:, ::3] for name, tokens in plain.items()}
    expected = scores(atlas, kernel).tobytes()
    for arrays in (
        padded,
        {name: np.asfortranarray(tokens) for name, tokens in plain.items()},
        {name: tokens[::-1].copy()[::-1] for name, tokens in plain.items()},
    ):
        assert scores(Atlas.from_arrays(arrays), kernel).tobytes() == expected


def test_inputs_are_left_as_they_were():
    tokens = np.random.default_rng(0).normal(size=(4, 3))
    center = np.ones((4, 3))
    before = tokens.copy(), center.copy()
    atlas = Atlas.from_arrays({"a": tokens, "b": tokens + 1})
    similarity_matrix(atlas, kernel="max_pairwise", center=center)
    assert np.array_equal(tokens, before[0])
    assert np.array_equal(center, before[1])
