"""Where the origin lies, and how center="auto" decides on it."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas import Atlas, similarity_matrix, token_similarity
from kinatlas._reference import prepared, twin_similarity
from kinatlas.errors import ShapeError
from strategies import gaussian_atlas, ragged_atlas

EPSILON = np.finfo(np.float64).eps


def twin(atlas: Atlas, origins: dict[str, np.ndarray]) -> np.ndarray:
    ready = {name: prepared(atlas[name].tokens, origins[name]) for name in atlas.names}
    return np.array(
        [
            [
                twin_similarity("max_pairwise", ready[source], ready[target])
                for source in atlas.names
            ]
            for target in atlas.names
        ]
    )


def test_features_are_measured_from_the_mean_token_before_normalising():
    atlas = ragged_atlas()
    mean = np.concatenate([atlas[name].tokens for name in atlas.names]).mean(axis=0)
    expected = twin(atlas, dict.fromkeys(atlas.names, mean))
    found = similarity_matrix(atlas, kernel="max_pairwise", center="features").values
    np.testing.assert_allclose(found, expected, rtol=0, atol=100 * EPSILON)


def test_positions_are_measured_from_the_mean_of_the_tasks_that_have_them():
    atlas = ragged_atlas()
    origins = {}
    for name in atlas.names:
        rows = range(atlas[name].n_tokens)
        having = [[t for t in atlas.names if atlas[t].n_tokens > row] for row in rows]
        origins[name] = np.array(
            [
                np.mean([atlas[t].tokens[row] for t in tasks], axis=0)
                for row, tasks in zip(rows, having, strict=True)
            ]
        )
    expected = twin(atlas, origins)
    found = similarity_matrix(atlas, kernel="max_pairwise", center="positions").values
    # A position that one task alone has is its own mean, and nothing is left of it but zero.
    np.testing.assert_allclose(found, expected, rtol=0, atol=100 * EPSILON)


def test_a_given_prompt_is_subtracted_from_both_sides():
    atlas = gaussian_atlas(3)
    start = np.random.default_rng(9).normal(size=(10, 16))
    expected = twin(atlas, dict.fromkeys(atlas.names, start))
    matrix = similarity_matrix(atlas, kernel="max_pairwise", center=start)
    np.testing.assert_allclose(matrix.values, expected, rtol=0, atol=100 * EPSILON)
    assert matrix.options["center"] == "given"
    one = twin(atlas, dict.fromkeys(atlas.names, start[0]))
    found = similarity_matrix(atlas, kernel="max_pairwise", center=start[0]).values
    np.testing.assert_allclose(found, one, rtol=0, atol=100 * EPSILON)


def test_a_prompt_that_never_moved_is_like_nothing():
    start = np.random.default_rng(0).normal(size=(4, 3))
    moved = start + 1
    assert token_similarity(start, moved, kernel="max_pairwise", center=start) == 0.0


@pytest.mark.parametrize("kernel", ["max_pairwise", "flatten", "feature_mean"])
def test_positions_equal_in_all_tasks_leave_no_direction_behind(kernel):
    rng = np.random.default_rng(0)
    frozen = rng.normal(size=(5, 8)) * 0.1
    arrays = {f"t{i}": np.concatenate([frozen, rng.normal(size=(5, 8))]) for i in range(7)}
    trained = {
        name: np.concatenate([np.zeros((5, 8)), tokens[5:]]) for name, tokens in arrays.items()
    }
    mean = np.mean([tokens[5:] for tokens in arrays.values()], axis=0)
    origin = np.concatenate([np.zeros((5, 8)), mean])
    found = similarity_matrix(Atlas.from_arrays(arrays), kernel=kernel, center="positions")
    expected = similarity_matrix(Atlas.from_arrays(trained), kernel=kernel, center=origin)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-13)


@pytest.mark.parametrize("center", ["features", "positions", "auto"])
def test_the_origin_never_depends_on_the_targets_asked(center):
    sources, targets = gaussian_atlas(8, shared=2.0), gaussian_atlas(5, shared=2.0, seed=1)
    whole = similarity_matrix(sources, targets, kernel="max_pairwise", center=center)
    for name in targets.names:
        part = similarity_matrix(
            sources, targets.select([name]), kernel="max_pairwise", center=center
        )
        assert part.row(name).tolist() == whole.row(name).tolist()


def test_a_target_longer_than_every_source_has_no_position_means():
    sources, target = ragged_atlas(), Atlas.from_arrays({"long": np.ones((18, 7))})
    with pytest.raises(ShapeError, match=r"target 'long' has 18 tokens.*more than 17"):
        similarity_matrix(sources, target, kernel="max_pairwise", center="positions")
    similarity_matrix(sources, target, kernel="max_pairwise", center="features")


@pytest.mark.parametrize("center", [np.ones((4, 16)), np.ones((10, 15)), np.ones((1, 2, 3))])
def test_a_prompt_of_another_shape_is_no_center(center):
    with pytest.raises(ShapeError, match="center"):
        similarity_matrix(gaussian_atlas(3), kernel="max_pairwise", center=center)


def decision(atlas: Atlas, targets: Atlas | None = None) -> tuple[str | None, str]:
    options = similarity_matrix(atlas, targets, kernel="feature_mean", center="auto").options
    assert options["center_asked"] == "auto"
    return options["center"], options["center_reason"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_tasks", [6, 9, 30])
def test_prompts_that_started_together_are_centred_by_position(n_tasks, seed):
    center, reason = decision(gaussian_atlas(n_tasks, shared=2.0, seed=seed))
    assert center == "positions"
    assert "share an initialisation" in reason
    assert "chance 10.0 %" in reason


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n_tasks", "n_tokens"), [(6, 10), (9, 3), (9, 100), (30, 10), (6, 2)])
def test_prompts_that_started_apart_are_left_alone(n_tasks, n_tokens, seed):
    center, reason = decision(gaussian_atlas(n_tasks, n_tokens, seed=seed))
    assert center is None
    assert "no shared initialisation" in reason


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 5])
def test_few_tasks_are_left_alone_because_centring_makes_them_opposite(n_tasks):
    center, reason = decision(gaussian_atlas(n_tasks, shared=5.0))
    assert center is None
    assert "at least 6" in reason


def test_prompts_of_different_lengths_are_left_alone():
    arrays = {name: gaussian_atlas(8, shared=5.0)[name].tokens for name in gaussian_atlas(8).names}
    arrays["task003"] = arrays["task003"][:9]
    center, reason = decision(Atlas.from_arrays(arrays))
    assert center is None
    assert "different lengths" in reason


def test_single_tokens_are_left_alone():
    assert decision(gaussian_atlas(9, 1, shared=5.0))[0] is None


def test_a_longer_target_forbids_positions():
    sources = gaussian_atlas(8, shared=2.0)
    longer = Atlas.from_arrays({"t": np.ones((11, 16))}, space="gaussian")
    center, reason = decision(sources, longer)
    assert center is None
    assert "11 tokens" in reason


def test_a_few_large_prompts_do_not_become_the_origin_of_all():
    atlas = gaussian_atlas(9, shared=2.0)
    arrays = {name: atlas[name].tokens * (50 if name < "task002" else 1) for name in atlas.names}
    center, reason = decision(Atlas.from_arrays(arrays))
    assert center is None
    assert "belongs to a few large ones" in reason


def test_a_minority_of_twins_does_not_look_like_an_initialisation():
    atlas = gaussian_atlas(8, n_tokens=20)
    arrays = {name: atlas[name].tokens for name in atlas.names}
    arrays |= {f"{name}_again": arrays[name] + 1e-3 for name in list(arrays)[:3]}
    assert decision(Atlas.from_arrays(arrays))[0] is None


def test_tasks_of_two_initialisations_are_left_alone():
    both = [gaussian_atlas(6, shared=3.0, seed=seed, n_tokens=20) for seed in (0, 1)]
    arrays = {f"{a.names.index(n)}_{i}": a[n].tokens for i, a in enumerate(both) for n in a.names}
    assert decision(Atlas.from_arrays(arrays))[0] is None


def test_the_decision_is_the_same_for_every_kernel_and_order():
    atlas = gaussian_atlas(30, shared=1.0)
    expected = decision(atlas)
    backwards = atlas.select(atlas.names[::-1])
    assert decision(backwards) == expected
    for kernel in ("max_pairwise", "flatten"):
        options = similarity_matrix(backwards, kernel=kernel, center="auto").options
        assert (options["center"], options["center_reason"]) == expected


def test_the_decision_stands_on_prompts_alone():
    evidence = similarity_matrix(
        gaussian_atlas(8, shared=2.0), kernel="flatten", center="auto"
    ).options["center_evidence"]
    assert evidence["n_diagonal_pairs"] == 56
    assert evidence["median_diagonal_fraction"] > 0.9
    # Shared variance 4 of 5; the mean token is noise.
    assert evidence["position_share"] == pytest.approx(0.8, abs=0.05)
