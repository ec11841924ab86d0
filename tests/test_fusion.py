"""Fusing similarity matrices: hand-worked values, invariances, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

import kinatlas as ka
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, UnknownNameError

NAMES = ("a", "b", "c")


def matrix(values: object, names: tuple[str, ...] = NAMES) -> ka.SimilarityMatrix:
    return ka.SimilarityMatrix(values, names, names, "flatten", {"normalize": None})


FIRST = [[9.0, 0.3, 0.2], [0.1, 9.0, 0.1], [0.5, 0.4, 9.0]]
SECOND = [[1.0, 10.0, 30.0], [5.0, 1.0, 3.0], [1.0, 2.0, 1.0]]


def test_reciprocal_ranks_match_their_hand_worked_values() -> None:
    fused = ka.fuse_matrices({"x": matrix(FIRST), "y": matrix(SECOND)}, k=60)
    assert fused.kernel == "fused_reciprocal_rank"
    both = (1 / 61 + 1 / 62) / 2
    # b is first and second for a; for b, x ties (rank 1.5) and y puts a first.
    assert fused.values[0, 1] == pytest.approx(both)
    assert fused.values[1, 0] == pytest.approx((1 / 61.5 + 1 / 61) / 2)
    assert fused.values[1, 2] == pytest.approx((1 / 61.5 + 1 / 62) / 2)
    assert fused.options["matrices"] == {"x": "flatten", "y": "flatten"}
    assert fused.options["matrix_options"]["x"] == {"normalize": None}
    assert fused.options["weights"] == {"x": 0.5, "y": 0.5}


def test_z_scores_leave_out_the_target_itself_and_constant_rows() -> None:
    fused = ka.fuse_matrices({"x": matrix(FIRST), "y": matrix(SECOND)}, method="z_score_mean")
    # Two other sources have z-scores +1 and -1, or 0 where they are equal.
    np.testing.assert_allclose(fused.values[0, 1:], [0, 0], atol=1e-12)
    np.testing.assert_allclose(fused.values[1, [0, 2]], [0.5, -0.5], atol=1e-12)
    weighted = ka.fuse_matrices(
        {"x": matrix(FIRST), "y": matrix(SECOND)}, method="z_score_mean", weights={"x": 3, "y": 1}
    )
    np.testing.assert_allclose(weighted.values[0, 1:], [0.5, -0.5], atol=1e-12)


@given(
    values=st.lists(st.lists(st.integers(-5, 5), min_size=5, max_size=5), min_size=1, max_size=4),
    scale=st.floats(0.1, 10),
)
def test_ranks_agree_with_scipy_and_forget_the_scale(values: list[list[int]], scale: float) -> None:
    targets = [f"t{row}" for row in range(len(values))]
    sources = list("abcde")

    def fused(factor: float) -> np.ndarray:
        one = ka.SimilarityMatrix(factor * np.array(values, float), targets, sources, "flatten")
        return ka.fuse_matrices({"one": one}, k=2).values

    expected = 1 / (2 + rankdata(-np.array(values), axis=1))
    np.testing.assert_allclose(fused(1.0), expected, rtol=1e-14)
    assert np.array_equal(fused(1.0), fused(scale))


def test_layers_of_low_rank_updates_can_be_fused() -> None:
    generator = np.random.default_rng(2)

    def update() -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {
            layer: (generator.standard_normal((1, 4)), generator.standard_normal((4, 1)))
            for layer in ("q", "v")
        }

    atlas = ka.LowRankAtlas.from_factors({name: update() for name in NAMES})
    fused = ka.fuse_matrices(ka.module_similarity(atlas), method="mean")
    assert set(fused.options["matrices"]) == {"q", "v"}
    assert ka.rank_sources(fused, "a")[0].source in {"b", "c"}


def test_matrices_that_do_not_fit_are_refused() -> None:
    good = matrix(FIRST)
    with pytest.raises(ShapeError, match="expected at least one"):
        ka.fuse_matrices({})
    with pytest.raises(ShapeError, match="'x' and 'y' have different targets"):
        ka.fuse_matrices({"x": good, "y": matrix(SECOND, ("b", "a", "c"))})
    with pytest.raises(DTypeError, match="'y': got list"):
        ka.fuse_matrices({"x": good, "y": SECOND})
    with pytest.raises(DTypeError, match="expected a mapping"):
        ka.fuse_matrices([good])
    holes = np.array(SECOND)
    holes[1, 2] = np.nan
    with pytest.raises(NonFiniteError, match="source 'c' for target 'b' is missing"):
        ka.fuse_matrices({"x": good, "y": matrix(holes)})
    with pytest.raises(UnknownNameError):
        ka.fuse_matrices({"x": good}, method="rrf")
    with pytest.raises(ValueError, match="k=0"):
        ka.fuse_matrices({"x": good}, k=0)
    for weights in ({"y": 1.0}, {"x": 0.0}):
        with pytest.raises(ValueError, match="weights"):
            ka.fuse_matrices({"x": good}, weights=weights)


def test_sizes_of_scores_and_weights_do_not_matter_to_z_scores() -> None:
    generator = np.random.default_rng(0)
    values, names = generator.random((4, 4)), ["a", "b", "c", "d"]

    def fused(scale: float, weight: float) -> np.ndarray:
        matrices = {
            "one": ka.SimilarityMatrix(values * scale, names, names, "flatten"),
            "two": ka.SimilarityMatrix(values.T, names, names, "flatten"),
        }
        weights = {"one": weight, "two": weight}
        return ka.fuse_matrices(matrices, method="z_score_mean", weights=weights).values

    for scale, weight in ((1e308, 1.0), (1e-300, 1.0), (1.0, 1e308), (1.0, 1e-308)):
        np.testing.assert_allclose(fused(scale, weight), fused(1.0, 1.0), rtol=1e-12, atol=1e-12)


def test_numbers_that_are_none_are_refused_by_name() -> None:
    matrix = ka.SimilarityMatrix(np.eye(2), ["a", "b"], ["a", "b"], "flatten")
    for k in ("60", float("inf"), float("nan"), None, True):
        with pytest.raises(ValueError, match="k="):
            ka.fuse_matrices({"one": matrix}, k=k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weights"):
        ka.fuse_matrices({"one": matrix}, weights={"one": "1"})  # type: ignore[dict-item]
    with pytest.raises(DTypeError, match="weights: got list"):
        ka.fuse_matrices({"one": matrix}, weights=[1.0])  # type: ignore[arg-type]
