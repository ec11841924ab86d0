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
        nearest_sources(atlas, atlas, kernel="flatten")
    with pytest.raises(ShapeError, match="other sources"):
        nearest_sources(atlas, atlas.rename(str.upper), kernel="flatten", sketches=sketches)
    other = ka.Atlas.from_arrays({"a": np.ones((10, 16))}, space="elsewhere")
    with pytest.raises(SpaceError, match="elsewhere"):
        nearest_sources(other, atlas, kernel="flatten", sketches=sketches)


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
