"""Tokens rounded to bfloat16: how far off, whatever the instructions, company and storage."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from kinatlas import Atlas, _core, similarity_matrix, token_similarity
from kinatlas._reference import prepared, twin_similarity
from kinatlas.errors import UnknownNameError
from kinatlas.similarity import plan_blocks, similarity_block
from strategies import gaussian_atlas

KERNELS = ("max_pairwise", "topk_mean", "soft_max")
DIRECTIONS = ("source_to_target", "target_to_source", "symmetric")
# Raw scores go up to 50, and a bound on a softmax grows with the score over its temperature.
PARAMETERS = {"topk_mean": {"k": 3}, "soft_max": {"temperature": 20.0}}
PATHS = _core._simd_paths()[1][1] + _core._simd_paths()[0][1]


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", request.param)
    return request.param


def prompts(*shapes: tuple[int, int], dtype: object = np.float32) -> Atlas:
    rng = np.random.default_rng(0)
    return Atlas.from_arrays(
        {f"task{i}": rng.normal(size=shape).astype(dtype) for i, shape in enumerate(shapes)}
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("normalize", ["tokens", None])
def test_scores_are_within_the_bound_they_carry(path, dtype, kernel, normalize):
    atlas = prompts((1, 50), (40, 50), (13, 50), (65, 50), dtype=dtype)
    ready = [
        prepared(np.asarray(atlas[name].tokens).astype(np.float64), normalize=normalize)
        for name in atlas.names
    ]
    for direction in DIRECTIONS:
        parameters = PARAMETERS.get(kernel, {})
        matrix = similarity_matrix(
            atlas, kernel=kernel, direction=direction, normalize=normalize, precision="bf16",
            **parameters,
        )  # fmt: skip
        assert matrix.options["precision"] == "bf16"
        assert matrix.diagnostics["simd"] == path
        bound = matrix.diagnostics["error_bound"]
        assert 0 < bound < np.abs(matrix.values).max()
        for row, target in enumerate(ready):
            for column, source in enumerate(ready):
                exact = twin_similarity(kernel, source, target, direction, **parameters)
                assert abs(matrix.values[row, column] - exact) <= bound + 1e-12


@pytest.mark.parametrize("kernel", KERNELS)
def test_rounding_beforehand_changes_no_bit_and_leaves_a_bound_of_sums_alone(path, kernel):
    atlas = prompts((7, 131), (40, 131), (33, 131))
    stored = Atlas.from_arrays(
        {name: atlas[name].tokens.astype(ml_dtypes.bfloat16) for name in atlas.names}
    )
    rounded = similarity_matrix(atlas, kernel=kernel, precision="bf16")
    native = similarity_matrix(stored, kernel=kernel, precision="bf16")
    np.testing.assert_array_equal(rounded.values, native.values)
    assert native.diagnostics["error_bound"] < 1e-3 * (1 if kernel != "soft_max" else 20)
    # Two roundings of half a unit in eight bits, 2**-8 at most, are the rest.
    rest = rounded.diagnostics["error_bound"] - native.diagnostics["error_bound"]
    assert 1e-4 < rest < 2.01 * 2**-8 * (1 if kernel != "soft_max" else 11)


@pytest.mark.parametrize("dim", [32, 64, 96, 1024])
@pytest.mark.parametrize("normalize", ["tokens", None])
def test_tokens_stored_as_bfloat16_are_multiplied_where_they_lie_to_the_same_bits(
    path, dim, normalize
):
    atlas = prompts((7, dim), (40, dim), (33, dim), (64, dim), (1, dim))
    stored = Atlas.from_arrays(
        {name: atlas[name].tokens.astype(ml_dtypes.bfloat16) for name in atlas.names}
    )
    options = {"kernel": "max_pairwise", "normalize": normalize, "precision": "bf16"}
    for direction in DIRECTIONS:
        for query in (None, atlas.names[:1], atlas.names[1:3]):
            sides = [
                (side, None if query is None else side.select(query)) for side in (atlas, stored)
            ]
            rounded, native = (
                similarity_matrix(*pair, direction=direction, diagnostics=False, **options)
                for pair in sides
            )
            np.testing.assert_array_equal(rounded.values, native.values)


@pytest.mark.parametrize("kernel", KERNELS)
def test_neighbours_order_layout_and_threads_change_no_bit(path, kernel):
    atlas = prompts(*[(count, 19) for count in (1, 9, 33, 100, 14, 64, 5)])
    options = {"kernel": kernel, "diagnostics": False, "precision": "bf16"}
    whole = similarity_matrix(atlas, n_threads=1, **options).values
    for n_threads in (2, 3):
        again = similarity_matrix(atlas, n_threads=n_threads, **options).values
        np.testing.assert_array_equal(again, whole)
    turned = Atlas.from_arrays(
        {name: np.asfortranarray(atlas[name].tokens) for name in reversed(atlas.names)}
    )
    np.testing.assert_array_equal(similarity_matrix(turned, **options).values, whole[::-1, ::-1])
    for row, target in enumerate(atlas.names):
        for column, source in enumerate(atlas.names):
            alone = token_similarity(atlas[source], atlas[target], kernel=kernel, precision="bf16")
            assert alone == whole[row, column]


def test_blocks_have_the_bits_of_the_whole(path):
    atlas, options = prompts((7, 40), (40, 40), (33, 40), (2, 40)), {"kernel": "max_pairwise"}
    options["precision"] = "bf16"
    assert plan_blocks(atlas, **options).recorded["precision"] == "bf16"
    whole = similarity_matrix(atlas, **options)
    block = similarity_block(atlas, rows=slice(1, 3), cols=slice(0, 4), **options)
    np.testing.assert_array_equal(block, whole.values[1:3])


def test_prompts_of_extreme_norms_are_compared_in_double(path):
    rng = np.random.default_rng(2)
    sizes = {"tiny": 1e-30, "plain": 1.0, "huge": 3e38}
    arrays = {k: (v * rng.uniform(-1, 1, size=(6, 9))).astype(np.float32) for k, v in sizes.items()}
    atlas = Atlas.from_arrays(arrays)
    found = similarity_matrix(atlas, kernel="max_pairwise", precision="bf16")
    exact = similarity_matrix(atlas, kernel="max_pairwise", precision="float64").values
    assert found.diagnostics["error_bound"] < 1e-2
    assert np.abs(found.values - exact).max() <= found.diagnostics["error_bound"]
    np.testing.assert_array_equal(found.values[0], exact[0])


def test_what_bfloat16_cannot_do_is_said():
    atlas = gaussian_atlas(3, dtype="float32")
    with pytest.raises(ValueError, match=r"precision='bf16': chamfer has no .*'auto'"):
        similarity_matrix(atlas, kernel="chamfer", precision="bf16")
    with pytest.raises(UnknownNameError, match="bf16"):
        similarity_matrix(atlas, kernel="max_pairwise", precision="bfloat17")


def test_instructions_for_bfloat16_leave_float32_alone(monkeypatch):
    atlas = prompts((7, 40), (40, 40))
    plain = similarity_matrix(atlas, kernel="max_pairwise")
    for path in _core._simd_paths()[1][1]:
        monkeypatch.setenv("KINATLAS_SIMD", path)
        found = similarity_matrix(atlas, kernel="max_pairwise")
        assert found.diagnostics["simd"] == plain.diagnostics["simd"]
        np.testing.assert_array_equal(found.values, plain.values)


@pytest.mark.parametrize("kernel", KERNELS)
def test_tokens_that_rounding_would_turn_to_zero_keep_their_direction(path, kernel):
    tiny = Atlas.from_arrays({"tiny": np.array([[1e-41, 0.0], [0.0, 3e-42]], np.float32)})
    plain = Atlas.from_arrays({"plain": np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)})
    exact = similarity_matrix(tiny, plain, kernel=kernel, precision="float64")
    found = similarity_matrix(tiny, plain, kernel=kernel, precision="bf16")
    error = np.abs(found.values - exact.values).max()
    assert error <= found.diagnostics["error_bound"]
