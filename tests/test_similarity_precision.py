"""Single precision: what is recorded, how far off it may be, and the shapes on which peers fail."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from kinatlas import Atlas, _core, similarity_matrix, token_similarity
from kinatlas._reference import prepared, twin_similarity
from kinatlas.errors import UnknownNameError
from strategies import gaussian_atlas

SINGLE = ("max_pairwise", "topk_mean", "soft_max")
DIRECTIONS = ("source_to_target", "target_to_source", "symmetric")
PARAMETERS = {"topk_mean": {"k": 3}, "soft_max": {"temperature": 0.2}}
PATHS = _core._simd_paths()[0][1]


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", request.param)
    return request.param


def prompts(*shapes: tuple[int, int], seed: int = 0, dtype: object = np.float32) -> Atlas:
    rng = np.random.default_rng(seed)
    return Atlas.from_arrays(
        {f"task{i}": rng.normal(size=shape).astype(dtype) for i, shape in enumerate(shapes)}
    )


def wide(tokens: object) -> np.ndarray:
    return np.asarray(tokens).astype(np.float64)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("kernel", SINGLE)
@pytest.mark.parametrize("normalize", ["tokens", None])
def test_scores_are_within_the_bound_they_carry(path, dtype, kernel, normalize):
    raw = [
        np.random.default_rng(seed).normal(size=(count, 50)).astype(dtype)
        for seed, count in enumerate((1, 40, 13, 65))
    ]
    sources = Atlas.from_arrays({f"s{i}": tokens for i, tokens in enumerate(raw[:2])})
    targets = Atlas.from_arrays({f"t{i}": tokens for i, tokens in enumerate(raw[2:])})
    ready = [prepared(wide(tokens), normalize=normalize) for tokens in raw]
    for direction in DIRECTIONS:
        parameters = PARAMETERS.get(kernel, {})
        matrix = similarity_matrix(
            sources, targets, kernel=kernel, direction=direction, normalize=normalize, **parameters
        )
        assert matrix.options["precision"] == "float32"
        assert matrix.diagnostics["simd"] == path
        bound = matrix.diagnostics["error_bound"]
        assert 0 < bound < 0.1 * np.abs(matrix.values).max() + (1 if normalize is None else 0)
        for row, target in enumerate(ready[2:]):
            for column, source in enumerate(ready[:2]):
                exact = twin_similarity(kernel, source, target, direction, **parameters)
                # The twin rounds as well, in float64.
                assert abs(matrix.values[row, column] - exact) <= bound + 1e-12


def test_double_precision_is_kept_for_double_tokens_and_on_demand():
    single, double = prompts((5, 8), (7, 8)), prompts((5, 8), (7, 8), dtype=np.float64)
    assert similarity_matrix(double, kernel="max_pairwise").options["precision"] == "float64"
    mixed = similarity_matrix(single, double, kernel="max_pairwise")
    assert mixed.options["precision"] == "float64"
    asked = similarity_matrix(single, kernel="max_pairwise", precision="float64")
    assert asked.options["precision"] == "float64"
    assert "error_bound" not in asked.diagnostics
    forced = similarity_matrix(double, kernel="max_pairwise", precision="float32")
    assert forced.options["precision"] == "float32"
    exact = similarity_matrix(double, kernel="max_pairwise").values
    assert np.abs(forced.values - exact).max() <= forced.diagnostics["error_bound"]


def test_kernels_without_a_single_form_say_so():
    atlas = gaussian_atlas(3, dtype="float32")
    assert similarity_matrix(atlas, kernel="chamfer").options["precision"] == "float64"
    with pytest.raises(ValueError, match=r"precision='float32': chamfer has no .*'auto'"):
        similarity_matrix(atlas, kernel="chamfer", precision="float32")
    with pytest.raises(UnknownNameError, match="float32"):
        similarity_matrix(atlas, kernel="chamfer", precision="float23")


def test_an_unknown_path_is_an_error_that_lists_the_known_ones(monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", "sse9")
    with pytest.raises(UnknownNameError, match="'sse9', expected one of portable, avx2, avx512"):
        similarity_matrix(gaussian_atlas(3, dtype="float32"), kernel="max_pairwise")


@pytest.mark.parametrize("kernel", SINGLE)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_neighbours_order_and_threads_change_no_bit(path, kernel, direction):
    lengths = (1, 9, 33, 100, 14, 64, 5)
    atlas = prompts(*[(count, 19) for count in lengths])
    options = {"kernel": kernel, "direction": direction, "diagnostics": False}
    whole = similarity_matrix(atlas, n_threads=1, **options).values
    for n_threads in (2, 3):
        again = similarity_matrix(atlas, n_threads=n_threads, **options).values
        np.testing.assert_array_equal(again, whole)
    order = np.random.default_rng(1).permutation(len(lengths))
    turned = similarity_matrix(atlas.select([atlas.names[i] for i in order]), **options).values
    np.testing.assert_array_equal(turned, whole[np.ix_(order, order)])
    for row, target in enumerate(atlas.names):
        for column, source in enumerate(atlas.names):
            alone = token_similarity(
                atlas[source], atlas[target], kernel=kernel, direction=direction
            )
            assert alone == whole[row, column]


def test_fused_paths_agree_bit_for_bit(monkeypatch):
    atlas, found = prompts((40, 77), (13, 77), (100, 77)), []
    for path in [path for path in PATHS if path != "portable"]:
        monkeypatch.setenv("KINATLAS_SIMD", path)
        found.append(similarity_matrix(atlas, kernel="max_pairwise", direction="symmetric").values)
    for values in found[1:]:
        np.testing.assert_array_equal(values, found[0])


@pytest.mark.parametrize(
    ("n_source", "n_target", "dim"),
    [(100, 100, 768), (65, 64, 64), (100, 100, 128), (20, 20, 1024), (32, 180, 256), (8, 8, 4096)],
)
def test_shapes_that_crash_maxsim_cpu_are_right(path, n_source, n_target, dim):
    """maxsim-cpu 0.1.0 crashes or errs beyond min(64, n_target) * n_source * dim = 64 cubed."""
    source, target = (prompts((count, dim), seed=count)["task0"] for count in (n_source, n_target))
    products = prepared(wide(source.tokens)) @ prepared(wide(target.tokens)).T
    found = token_similarity(source, target, kernel="max_pairwise")
    # A random walk of dim roundings, far inside the bound of dim of them.
    assert found == pytest.approx(products.max(axis=1).mean(), abs=4 * dim**0.5 * 2.0**-24)


@pytest.mark.parametrize("normalize", ["tokens", None])
def test_two_outlier_dimensions_do_not_change_the_partner(path, normalize):
    """NumKong 7.8.6 leaves the scale of each int8 token out of its argmax, and loses 57 %."""
    rng = np.random.default_rng(5)
    tokens = rng.normal(size=(2, 100, 256))
    tokens[:, :, [3, 70]] *= rng.uniform(1, 60, size=(2, 100, 2))
    source, target = tokens.astype(np.float32)
    ready = [prepared(wide(side), normalize=normalize) for side in (source, target)]
    products = ready[0] @ ready[1].T
    found = token_similarity(source, target, kernel="max_pairwise", normalize=normalize)
    norms = [np.linalg.norm(side, axis=1).max() for side in ready]
    bound = 272 * 2.0**-24 / (1 - 272 * 2.0**-24) * norms[0] * norms[1]
    assert abs(found - products.max(axis=1).mean()) <= bound


def test_prompts_beyond_single_precision_are_compared_in_double():
    rng = np.random.default_rng(2)
    sizes = {"tiny": 1e-30, "plain": 1.0, "huge": 1e30}
    arrays = {k: (v * rng.normal(size=(6, 9))).astype(np.float32) for k, v in sizes.items()}
    atlas = Atlas.from_arrays(arrays)
    for kernel in SINGLE:
        found = similarity_matrix(atlas, kernel=kernel)
        exact = similarity_matrix(atlas, kernel=kernel, precision="float64").values
        assert np.abs(found.values - exact).max() <= found.diagnostics["error_bound"]
        np.testing.assert_array_equal(found.values[0], exact[0])


def test_zero_tokens_and_zero_prompts_score_zero(path):
    arrays = {"zero": np.zeros((3, 5)), "part": np.eye(5)[:2], "mixed": np.eye(5)[[0, 0, 3]] * -1}
    arrays["mixed"][1] = 0
    atlas = Atlas.from_arrays({name: rows.astype(np.float32) for name, rows in arrays.items()})
    with pytest.warns(UserWarning, match="zero"):
        values = similarity_matrix(atlas, kernel="max_pairwise").values
    assert not values[0].any()
    assert not values[:, 0].any()
    # part looks at mixed: -1 or 0 for e1, 0 for e2.
    assert values[2, 1] == 0.0


def test_a_million_tokens_are_no_different(path):
    rng = np.random.default_rng(3)
    many, few = (rng.normal(size=(n, 2)).astype(np.float32) for n in (1_000_000, 3))
    angles = [
        np.sort(np.arctan2(side[:, 1], side[:, 0]).astype(np.float64)) for side in (many, few)
    ]
    gaps = np.abs(angles[1][:, None] - angles[0][None]).min(axis=1)
    found = token_similarity(few, many, kernel="max_pairwise")
    assert found == pytest.approx(np.cos(gaps).mean(), abs=1e-6)
    assert token_similarity(many, few, kernel="max_pairwise") == token_similarity(
        few, many, kernel="max_pairwise", direction="target_to_source"
    )


def test_mean_type_kernels_never_touch_pairs_of_tokens():
    """400,000 tokens a side are 1.6e11 pairs, which no one would wait for."""
    rng = np.random.default_rng(4)
    source, target = rng.normal(size=(2, 400_000, 2)).astype(np.float32)
    for kernel in ("mean_pairwise", "feature_mean", "flatten", "bigram", "unigram"):
        assert -1 <= token_similarity(source, target, kernel=kernel) <= 1


def test_progress_counts_every_pair_once():
    for kernel in SINGLE:
        for direction in DIRECTIONS:
            seen = []
            atlas = gaussian_atlas(4, dtype="float32")
            options = (kernel, direction, "tokens", 3, 0.1, "float32", "exact")
            _core.compare_tokens(atlas._packed, None, options, None, 2, seen.append, False)
            assert seen[-1] == 16
