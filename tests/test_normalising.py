"""Dropping coordinates, whitening and the diagnosis of an atlas."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

import kinatlas as ka
from kinatlas.errors import NonFiniteError, ShapeError, SpaceError
from kinatlas.tasks import DominantCoordinates, Whitening


def atlas(seed: int = 0, n: int = 60, dim: int = 5, offset: float = 0.0) -> ka.Atlas:
    generator = np.random.default_rng(seed)
    scales = np.arange(1, dim + 1)
    arrays = {
        name: generator.standard_normal((n, dim)) * scales + offset for name in ("mnli", "rte")
    }
    return ka.Atlas.from_arrays(arrays, space="bert")


def test_whitened_tokens_have_no_correlation_and_variance_one() -> None:
    white = atlas().whiten(0.0)
    tokens = np.concatenate([task.tokens for task in white])
    np.testing.assert_allclose(np.cov(tokens.T, bias=True), np.eye(5), atol=1e-12)
    assert white.space.startswith("bert|whitened(shrinkage=0)|")
    assert all("whitened" in origin.notes[-1] for origin in white.provenance)


@given(seed=st.integers(0, 500), shrinkage=st.floats(0.01, 1))
def test_whitening_can_be_undone(seed: int, shrinkage: float) -> None:
    tasks = atlas(seed, n=4)
    whitening = Whitening.fit(tasks, shrinkage)
    back = whitening.invert(whitening.apply(tasks))
    assert back.space == tasks.space
    for ours, theirs in zip(back, tasks, strict=True):
        # A root and its inverse, each with a condition of at most sqrt(dim / shrinkage) = 23.
        np.testing.assert_allclose(ours.tokens, theirs.tokens, atol=1e-11)


@pytest.mark.parametrize("n", [3, 40])
def test_automatic_shrinkage_is_that_of_ledoit_and_wolf(n: int) -> None:
    tasks = atlas(3, n=n, offset=7.0)
    tokens = np.concatenate([task.tokens for task in tasks])
    covariance, shrinkage = ledoit_wolf(tokens)
    whitening = Whitening.fit(tasks)
    assert whitening.shrinkage == pytest.approx(shrinkage, rel=1e-10)
    np.testing.assert_allclose(whitening.inverse @ whitening.inverse, covariance, rtol=1e-9)


def test_a_whitening_meets_only_the_space_it_was_fitted_in() -> None:
    whitening = Whitening.fit(atlas())
    other = ka.Atlas.from_arrays({"a": np.ones((2, 5))}, space="roberta")
    with pytest.raises(SpaceError, match=r"'bert'.*'roberta'"):
        whitening.apply(other)
    with pytest.raises(SpaceError):
        whitening.invert(atlas())
    white = whitening.apply(atlas(1))
    assert whitening.invert(white).dim == 5
    with pytest.raises(SpaceError):
        ka.similarity_matrix(white, atlas().whiten(0.5), kernel="max_pairwise")


def test_whitening_refuses_what_it_cannot_do() -> None:
    few = ka.Atlas.from_arrays({"a": np.eye(5)[:2]})
    with pytest.raises(ValueError, match="larger shrinkage"):
        few.whiten(0.0)
    assert few.whiten(0.1).dim == 5
    for shrinkage in (-0.1, 1.1, "ledoit", float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            few.whiten(shrinkage)
    with pytest.raises(ShapeError, match="project the embeddings"):
        ka.Atlas.from_arrays({"a": np.ones(8193)}).whiten()
    with pytest.raises(ValueError, match="larger shrinkage"):
        ka.Atlas.from_arrays({"a": np.ones((3, 2))}).whiten()


def test_dominant_coordinates_are_dropped_named_and_put_back() -> None:
    tasks = atlas()
    dropped = tasks.drop_dominant(2)
    assert dropped.space == "bert|without 3,4"
    assert np.array_equal(dropped["rte"].tokens, tasks["rte"].tokens[:, :3])
    dominant = DominantCoordinates.fit(tasks, 2)
    restored = dominant.restore(dropped)
    assert restored.space == "bert"
    assert np.array_equal(restored["rte"].tokens[:, :3], tasks["rte"].tokens[:, :3])
    assert not restored["rte"].tokens[:, 3:].any()
    with pytest.raises(SpaceError):
        dominant.drop(dropped)
    for n in (0, 5, 1.5, True):
        with pytest.raises(ValueError, match="from 1 to 4"):
            tasks.drop_dominant(n)


def test_a_diagnosis_tells_what_dominates() -> None:
    calm = ka.Atlas.from_arrays({"a": np.eye(4), "b": -np.eye(4)}).diagnose()
    assert calm.findings == ()
    assert calm.offset_share == 0
    assert calm.coordinate_share == pytest.approx(0.25)
    assert calm.effective_dim == pytest.approx(4)
    shifted = atlas(offset=50.0).diagnose()
    assert shifted.findings == ("shared offset",)
    assert shifted.offset_share == pytest.approx(2500 / 2511, rel=1e-2)
    assert "center('features')" in repr(shifted)
    generator = np.random.default_rng(0)
    tokens = generator.standard_normal((100, 64))
    tokens[:, 9] *= 20
    one = ka.Atlas.from_arrays({"a": tokens}).diagnose()
    assert one.findings == ("dominant coordinate",)
    assert one.coordinate == 9
    assert "drop_dominant(1)" in repr(one)
    assert ka.Atlas.from_arrays({"a": tokens}).drop_dominant().diagnose().findings == ()
    assert "<p>" in one._repr_html_()


@given(scale=st.sampled_from([1e-300, 1e-5, 1e150, 1e300]))
def test_a_diagnosis_does_not_depend_on_the_scale(scale: float) -> None:
    tokens = np.random.default_rng(1).standard_normal((6, 3)) + 1
    first = ka.Atlas.from_arrays({"a": tokens}).diagnose()
    second = ka.Atlas.from_arrays({"a": tokens * scale}).diagnose()
    assert second.offset_share == pytest.approx(first.offset_share, rel=1e-10)
    assert second.findings == first.findings


def test_nothing_but_noughts_and_a_single_number_can_be_diagnosed() -> None:
    assert ka.Atlas.from_arrays({"a": np.zeros((2, 3))}).diagnose().findings == ()
    assert ka.Atlas.from_arrays({"a": [2.0]}).diagnose().findings == ("shared offset",)


def test_a_normalised_atlas_pickles() -> None:
    white = atlas().whiten().drop_dominant()
    assert pickle.loads(pickle.dumps(white)) == white


def test_tasks_less_different_origins_do_not_meet() -> None:
    one, other = atlas(0), atlas(1)
    pairs = [
        (one.subtract(np.ones(5)), one.subtract(np.full(5, 2.0))),
        (one.center("features"), other.center("features")),
        (one.center("positions"), one.center("features")),
    ]
    for first, second in pairs:
        with pytest.raises(SpaceError, match="live in space"):
            ka.token_similarity(first["mnli"], second["mnli"], kernel="feature_mean")
    assert one.subtract(np.ones(5)).space == other.subtract(np.ones(5, np.float32)).space
    assert one.center("features").space == atlas(0).center("features").space


def test_an_initial_prompt_of_another_space_is_refused_and_can_be_added_back() -> None:
    tasks, start = atlas(0), np.full((1, 5), 2.0)
    with pytest.raises(SpaceError, match="'gpt2'"):
        tasks.subtract(ka.Task("start", start, space="gpt2"))
    moved = tasks.subtract(ka.Task("start", start, space="bert"))
    back = moved.add_back(start, space="bert")
    assert back.space == "bert"
    np.testing.assert_allclose(back["rte"].tokens, tasks["rte"].tokens, atol=1e-14)
    with pytest.raises(SpaceError):
        moved.add_back(start + 1, space="bert")
    with pytest.raises(SpaceError):
        tasks.add_back(start, space="bert")


def test_numbers_whose_squares_leave_the_range_are_told_apart_or_refused() -> None:
    tokens = np.random.default_rng(0).standard_normal((9, 4)) * [1, 1, 5, 1]
    for scale in (1e-200, 1e200):
        huge = ka.Atlas.from_arrays({"a": tokens * scale}, space="bert")
        assert huge.drop_dominant().space == "bert|without 2"
        with pytest.raises(ValueError, match="rescale"):
            huge.whiten()
    wide = ka.Atlas.from_arrays({"a": [[1.7e308]]})
    with pytest.raises(NonFiniteError, match="leaves the range"):
        wide.subtract([[-1.7e308]])
