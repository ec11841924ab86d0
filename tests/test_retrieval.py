"""Sketches estimate, kernels decide: unbiased, reproducible, and exact where it counts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import kinatlas as ka
from kinatlas.errors import DTypeError, ShapeError, SpaceError, UnknownNameError
from kinatlas.similarity import nearest_sources, similarity_matrix, sketch_atlas
from strategies import gaussian_atlas, ragged_atlas
from test_blocks import low_rank_atlas


@pytest.mark.parametrize("center", [None, "features", "positions"])
@pytest.mark.parametrize("kernel", ["mean_pairwise", "feature_mean", "flatten"])
def test_inner_products_estimate_the_kernel_within_the_stated_error(kernel, center):
    atlas = gaussian_atlas(12, n_tokens=6, dim=10, shared=0.5)
    sketches = sketch_atlas(atlas, kernel=kernel, center=center, n_features=4096, rng=3)
    exact = similarity_matrix(atlas, kernel=kernel, center=center).values
    misses = (sketches.inner(sketches) - exact) / sketches.standard_error()
    # 78 estimates of at most one standard error each: beyond 5 of them has a chance of 5e-5.
    assert np.abs(misses).max() < 5
    assert np.abs(misses).mean() > 1e-3, "an estimate that is exact is no estimate"


def test_estimates_are_unbiased_over_seeds():
    atlas = gaussian_atlas(3, n_tokens=2, dim=6)
    exact = similarity_matrix(atlas, kernel="feature_mean").values
    estimates = []
    for seed in range(400):
        sketches = sketch_atlas(atlas, kernel="feature_mean", n_features=16, rng=seed)
        estimates.append(sketches.inner(sketches))
    error = sketches.standard_error() / np.sqrt(len(estimates))
    assert np.abs(np.mean(estimates, axis=0) - exact).max() < 4 * error


def test_low_rank_updates_are_estimated_from_their_factors():
    atlas = low_rank_atlas(5)
    sketches = sketch_atlas(atlas, kernel="low_rank_inner", n_features=20_000, rng=0)
    exact = similarity_matrix(atlas, kernel="low_rank_inner").values
    norms = np.sqrt(np.diag(exact))
    misses = (sketches.inner(sketches) - exact) / np.outer(norms, norms)
    assert np.abs(misses).max() < 4 * sketches.standard_error()


def test_a_sketch_depends_on_seed_and_task_alone():
    atlas = ragged_atlas()
    options = {"kernel": "mean_pairwise", "n_features": 32}
    whole = sketch_atlas(atlas, rng=5, **options)
    for n_threads in (1, 3):
        again = sketch_atlas(atlas, rng=5, n_threads=n_threads, max_memory=1, **options)
        assert again.values.tobytes() == whole.values.tobytes()
    assert whole.of(atlas.select(["task3"])).values.tobytes() == whole.values[3].tobytes()
    assert not np.array_equal(sketch_atlas(atlas, rng=6, **options).values, whole.values)


def test_candidates_are_ordered_by_the_exact_kernel():
    sources, targets = ragged_atlas(2, (3,) * 40), ragged_atlas(4, (5, 2))
    sketches = sketch_atlas(sources, kernel="mean_pairwise", n_features=64, rng=0)
    targets = targets.rename({"task0": "x", "task1": "y"})
    exact = similarity_matrix(sources, targets, kernel="max_pairwise", center="features")
    found = nearest_sources(
        targets, sources, kernel="max_pairwise", center="features", sketches=sketches, k=5
    )
    for row, target in enumerate(targets.names):
        order = np.argsort(-exact.row(target), kind="stable")[:5]
        assert found.sources[row] == tuple(sources.names[place] for place in order)
        assert found.scores[row].tobytes() == exact.row(target)[order].tobytes()
    assert (found.n_scored, found.n_pairs) == (80, 80)
    assert pl.DataFrame(found).columns == ["target", "source", "score", "rank"]


def test_an_index_of_the_users_own_may_propose():
    faiss = pytest.importorskip("faiss")
    atlas = gaussian_atlas(50, n_tokens=4, dim=8)
    sketches = sketch_atlas(atlas, kernel="mean_pairwise", n_features=64, rng=0)
    index = sketches.to_faiss()
    assert isinstance(index, faiss.IndexFlatIP)
    _, places = index.search(np.array(sketches.values[:3]), 20)
    found = nearest_sources(
        atlas.select(atlas.names[:3]), atlas, kernel="max_pairwise", candidates=places, k=3
    )
    assert found.n_scored == 3 * 19, "a task is no source of itself"
    with pytest.raises(ShapeError, match="candidates: got float64"):
        nearest_sources(atlas, atlas, kernel="flatten", candidates=places * 1.0)
    with pytest.raises(ShapeError, match="expected at least k=3"):
        nearest_sources(
            atlas.select(["task000"]), atlas, kernel="flatten", candidates=[[1, 2, -1]], k=3
        )


def test_a_vector_database_takes_the_sketches(tmp_path):
    lancedb = pytest.importorskip("lancedb")
    import pyarrow as pa

    atlas = gaussian_atlas(30, n_tokens=4, dim=8)
    sketches = sketch_atlas(atlas, kernel="feature_mean", n_features=64, rng=0)
    table = lancedb.connect(tmp_path).create_table("sketches", pa.table(sketches))
    found = table.search(sketches.values[7]).limit(1).to_arrow()
    assert found["name"].to_pylist() == ["task007"]


def test_what_cannot_be_sketched_or_found_is_refused():
    atlas = gaussian_atlas(3)
    with pytest.raises(UnknownNameError, match="max_pairwise"):
        sketch_atlas(atlas, kernel="max_pairwise")
    with pytest.raises(ValueError, match="n_features=0"):
        sketch_atlas(atlas, kernel="flatten", n_features=0)
    with pytest.raises(DTypeError, match="expected a LowRankAtlas"):
        sketch_atlas(atlas, kernel="low_rank_inner")
    with pytest.raises(DTypeError, match="expected an Atlas"):
        sketch_atlas(low_rank_atlas(2), kernel="flatten")
    sketches = sketch_atlas(atlas, kernel="flatten", n_features=4)
    with pytest.raises(ShapeError, match="not both"):
        nearest_sources(atlas, atlas, kernel="flatten", sketches=sketches, candidates=[[0]] * 3)
    with pytest.raises(ShapeError, match="other sources"):
        nearest_sources(atlas, atlas.rename(str.upper), kernel="flatten", sketches=sketches)
    other = ka.Atlas.from_arrays({"a": np.ones((10, 16))}, space="elsewhere")
    with pytest.raises(SpaceError, match="elsewhere"):
        nearest_sources(other, atlas, kernel="flatten", sketches=sketches)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", None, True])
def test_counts_are_whole_numbers_of_at_least_one(wrong):
    atlas = gaussian_atlas(4)
    sketches = sketch_atlas(atlas, kernel="flatten", n_features=np.int64(4))
    for name in ("k", "n_candidates"):
        with pytest.raises(ValueError, match=f"{name}="):
            nearest_sources(atlas, atlas, kernel="flatten", sketches=sketches, **{name: wrong})
    with pytest.raises(ValueError, match="n_features="):
        sketch_atlas(atlas, kernel="flatten", n_features=wrong)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([[0, 1, 4], [0, 1, 2]], "got places from 0 to 4, expected places among 4 sources"),
        ([[0, 1, -2], [0, 1, 2]], "from -2 to 2"),
        (np.array([[0, 1, 2**63 + 1], [0, 1, 2]], dtype=np.uint64), "expected places among 4"),
        ([[0, 1, 2], [0, 1]], "rows differ in length"),
        ([[0.0, 1.0], [0.0, 1.0]], "got float64"),
        ([[0, 0, -1], [0, 1, 2]], "1 candidates, expected at least k=2"),
    ],
)
def test_candidates_that_are_no_places_are_refused(candidates, message):
    sources, targets = gaussian_atlas(4), gaussian_atlas(2, seed=1).rename(str.upper)
    with pytest.raises(ShapeError, match=message):
        nearest_sources(targets, sources, kernel="flatten", candidates=candidates, k=2)


def test_as_many_candidates_are_scored_as_were_asked_for():
    sources, targets = gaussian_atlas(9), gaussian_atlas(2, seed=1).rename(str.upper)
    sketches = sketch_atlas(sources, kernel="flatten", n_features=32, rng=0)
    options = {"kernel": "flatten", "sketches": sketches, "k": 3, "n_candidates": 3}
    assert nearest_sources(targets, sources, **options).n_scored == 2 * 3
    assert nearest_sources(sources, sources, **options).n_scored == 9 * 3
    with pytest.raises(ShapeError, match="3 candidates, expected at least k=4"):
        nearest_sources(targets, sources, **{**options, "k": 4})


def test_sketches_of_another_projection_space_or_width_are_refused():
    atlas = gaussian_atlas(3)
    sketches = sketch_atlas(atlas, kernel="flatten", n_features=4, rng=0)
    for changed in ({"rng": 1}, {"kernel": "mean_pairwise"}, {"n_features": 5}):
        options = {"kernel": "flatten", "n_features": 4, "rng": 0, **changed}
        with pytest.raises(ShapeError, match="cannot be compared"):
            sketches.inner(sketch_atlas(atlas, **options))
    arrays = {task.name: task.tokens for task in atlas}
    other = ka.Atlas.from_arrays(arrays, space="elsewhere")
    wide = ka.Atlas.from_arrays({name: np.ones((2, 99)) for name in arrays}, space=atlas.space)
    for wrong, error in ((other, SpaceError), (wide, ShapeError), (low_rank_atlas(3), DTypeError)):
        with pytest.raises(error):
            sketches.of(wrong)
    for wrong, error in ((other, SpaceError), (wide, ShapeError)):
        with pytest.raises(error):
            nearest_sources(wrong, wrong, kernel="mean_pairwise", sketches=sketches, k=1)
    with pytest.raises(DTypeError, match="expected sketch_atlas"):
        nearest_sources(atlas, atlas, kernel="flatten", sketches=sketches.values, k=1)


def test_sketches_that_fit_in_no_memory_are_an_error_and_not_the_end():
    with pytest.raises((MemoryError, ValueError)):
        sketch_atlas(gaussian_atlas(2), kernel="flatten", n_features=2**60)


def test_ten_of_thousands_are_found_again():
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(200), 20)
    tokens = rng.normal(size=(200, 4, 16))[family] + 0.3 * rng.normal(size=(4000, 4, 16))
    offsets = np.arange(4001, dtype=np.int64) * 4
    names = tuple(f"t{n}" for n in range(4000))
    buffer = tokens.reshape(-1, 16).astype(np.float32)
    atlas = ka.Atlas(names, "s", "float32", (ka.tasks.Provenance(),) * 4000, buffer, offsets)
    targets = atlas.select(names[::200])
    sketches = sketch_atlas(atlas, kernel="mean_pairwise", n_features=128, rng=0)
    found = nearest_sources(
        targets, atlas, kernel="max_pairwise", sketches=sketches, n_candidates=100
    )
    exact = similarity_matrix(atlas, targets, kernel="max_pairwise").values.copy()
    for row, target in enumerate(targets.names):
        exact[row, names.index(target)] = -np.inf
    truth = [{names[place] for place in np.argsort(-row)[:10]} for row in exact]
    hits = [len(best & set(row)) for best, row in zip(truth, found.sources, strict=True)]
    assert sum(hits) / (10 * len(hits)) >= 0.99
    assert found.n_scored <= 101 * len(targets)
