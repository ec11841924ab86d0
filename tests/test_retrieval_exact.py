"""The best sources are those of the whole ranking, however few of them were scored."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas import Atlas, similarity_matrix
from kinatlas.errors import DegenerateRankingWarning, ShapeError
from kinatlas.similarity import nearest_sources
from strategies import gaussian_atlas

KERNELS = ("max_pairwise", "topk_mean", "soft_max", "mean_pairwise", "chamfer")
DIRECTIONS = ("source_to_target", "target_to_source", "symmetric")


def families(n_tasks: int, n_families: int, seed: int = 0, dtype: str = "float32") -> Atlas:
    """Prompts near one of a few, the first of every family twice: scores tie."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n_families, 24, 16))
    tasks = {}
    for number in range(n_tasks):
        near = shared[number % n_families] + 0.3 * rng.normal(size=(24, 16))
        tasks[f"task{number}"] = (shared[0] if number in (2, 5) else near).astype(dtype)
    return Atlas.from_arrays(tasks, space="s")


def whole_ranking(targets: Atlas, sources: Atlas, k: int, **options) -> tuple[list, np.ndarray]:
    """Every pair scored; equal scores in the order of the atlas."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateRankingWarning)
        matrix = similarity_matrix(sources, targets, diagnostics=False, **options)
    names, scores = [], []
    for target in targets.names:
        row = matrix.row(target).copy()
        kept = [place for place, name in enumerate(sources.names) if name != target]
        best = sorted(kept, key=lambda place, row=row: (-row[place], place))[:k]
        names.append(tuple(sources.names[place] for place in best))
        scores.append(row[best])
    return tuple(names), np.array(scores)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("center", [None, "features", "auto"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_answer_is_that_of_ranking_everything(kernel, center, dtype):
    atlas = families(30, 5, dtype=dtype)
    targets = atlas.select(atlas.names[:4]).rename({"task0": "new"})
    for direction in DIRECTIONS:
        options = {"kernel": kernel, "center": center, "direction": direction}
        names, scores = whole_ranking(targets, atlas, 4, **options)
        found = nearest_sources(targets, atlas, k=4, **options)
        assert found.sources == names
        assert found.scores.tobytes() == scores.tobytes()
        assert found.n_pairs == 120


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_the_prompts_and_however_many_are_wanted(data):
    seed = data.draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    step = data.draw(st.sampled_from([0.0, 1e-6, 1e-2, 1.0]))
    centre, dim = rng.normal(size=5), 5
    tasks = {
        f"t{n}": (centre + step * rng.normal(size=(length, dim))).astype(np.float32)
        for n, length in enumerate(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=9)))
    }
    atlas = Atlas.from_arrays(tasks, space="s")
    k = data.draw(st.integers(1, len(atlas) - 1))
    options = {
        "kernel": data.draw(st.sampled_from(KERNELS[:3])),
        "direction": data.draw(st.sampled_from(DIRECTIONS)),
        "normalize": data.draw(st.sampled_from(["tokens", None])),
        "precision": data.draw(st.sampled_from(["auto", "float64", "bf16"])),
    }
    names, scores = whole_ranking(atlas, atlas, k, **options)
    found = nearest_sources(atlas, atlas, k=k, **options)
    assert found.sources == names
    assert found.scores.tobytes() == scores.tobytes()


def test_sources_that_cannot_be_among_the_best_are_not_scored():
    atlas = families(60, 6, dtype="float64")
    found = nearest_sources(atlas, atlas, kernel="max_pairwise", k=5)
    # Families are far apart: ten of sixty could be near, and float32 tells most of those apart.
    assert 60 * 5 <= found.n_scored <= 60 * 10
    assert found.n_pairs == 3600


def test_a_source_of_denormal_tokens_is_found():
    rng = np.random.default_rng(0)
    targets = {"target": rng.normal(size=(70, 64)).astype(np.float32)}
    sources = {f"s{number}": rng.normal(size=(70, 64)).astype(np.float32) for number in range(20)}
    sources["s7"] = targets["target"] * np.float32(1e-42)
    found = nearest_sources(
        Atlas.from_arrays(targets, space="s"),
        Atlas.from_arrays(sources, space="s"),
        kernel="max_pairwise",
        k=2,
    )
    assert found.sources[0][0] == "s7"


def test_more_than_there_are_is_refused():
    atlas = gaussian_atlas(3, dtype="float64")
    for kernel in ("max_pairwise", "flatten"):
        with pytest.raises(ShapeError, match="2 candidates, expected at least k=3"):
            nearest_sources(atlas, atlas, kernel=kernel, k=3)
