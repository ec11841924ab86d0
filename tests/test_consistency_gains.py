"""Gains with intervals: what is shown, and how often nothing is shown where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinatlas import TransferTable, similarity_matrix
from kinatlas.consistency import reliability, seeds_needed, transfer_gains
from kinatlas.datasets import load_minilm_prompts
from kinatlas.errors import DTypeError, FormatError


def table(scores: np.ndarray, baseline: np.ndarray) -> TransferTable:
    n_targets, n_sources, n_seeds = scores.shape
    return TransferTable(
        scores=scores,
        targets=tuple(f"t{row}" for row in range(n_targets)),
        sources=tuple(f"s{column}" for column in range(n_sources)),
        seeds=tuple(range(n_seeds)),
        baseline=baseline,
        units="percent",
    )


def test_the_hand_worked_example_holds() -> None:
    # Gains of s0: 1 and 3; of s1: -4 and -2. Means 2 and -3, every deviation is 1.
    scores = np.array([[[61.0, 63.0], [56.0, 58.0]]])
    found = transfer_gains(table(scores, np.array([[60.0, 60.0]])))
    assert found.gains.tolist() == [[2.0, -3.0]]
    assert found.deviation == pytest.approx(2**0.5)
    assert found.freedom == 1.0
    half = stats.t.ppf(0.975, 1) * 1.0
    np.testing.assert_allclose(found.low, [[2 - half, -3 - half]], rtol=1e-9)
    np.testing.assert_allclose(found.high, [[2 + half, -3 + half]], rtol=1e-9)
    assert not found.is_shown.any()
    assert found.to_dict()["verdict"] == ["not told from zero"] * 2


def test_plain_gains_are_shown_and_noise_is_not() -> None:
    generator = np.random.default_rng(3)
    truth = np.zeros((6, 8))
    truth[:, 0], truth[:, 1] = 9.0, -9.0
    scores = 60 + truth[:, :, None] + generator.normal(size=(6, 8, 4))
    found = transfer_gains(table(scores, 60 + generator.normal(size=(6, 4))))
    assert found.n_shown == (6, 6)
    assert "6 of 48 measured transfers are shown to help, 6 to harm" in found.explain()
    assert found.is_shown[:, :2].all()


def test_where_nothing_helps_a_single_finding_is_rare_and_intervals_cover() -> None:
    generator = np.random.default_rng(5)
    wrong, covered, repeats = 0, [], 300
    for _ in range(repeats):
        scores = 60 + generator.normal(size=(8, 6, 3))
        found = transfer_gains(table(scores, 60 + generator.normal(size=(8, 3))))
        wrong += found.is_shown.any()
        covered.append(((found.low <= 0) & (found.high >= 0)).mean())
    # At most 5 per cent, and 4 standard errors of a share of 300.
    assert wrong / repeats <= 0.05 + 4 * (0.05 * 0.95 / repeats) ** 0.5
    assert 0.92 <= np.mean(covered) <= 0.98


def test_missing_runs_and_own_cells_take_no_part() -> None:
    scores = np.array([[[61.0, 63.0], [56.0, np.nan]], [[np.nan, np.nan], [50.0, 52.0]]])
    own = TransferTable(scores, ("a", "b"), ("b", "x"), (0, 1), np.full((2, 2), 50.0), "percent")
    found = transfer_gains(own)
    assert np.isnan(found.gains[1, 0])
    assert found.gains[0, 1] == 6.0
    assert np.isfinite(found.low[0, 1])
    assert len(found.to_dict()["gain"]) == 3


def test_what_cannot_be_answered_is_refused() -> None:
    with pytest.raises(DTypeError, match="expected a TransferTable"):
        transfer_gains(np.zeros((2, 2)))
    one = TransferTable.from_arrays(["t"], ["s"], [60.0])
    with pytest.raises(FormatError, match="no baseline"):
        transfer_gains(one)
    with pytest.raises(FormatError, match="two seeds"):
        transfer_gains(TransferTable.from_arrays(["t"], ["s"], [60.0], baseline=[50.0]))
    with pytest.raises(ValueError, match="confidence=95"):
        transfer_gains(one, confidence=95)


def test_renaming_and_reordering_change_no_gain() -> None:
    generator = np.random.default_rng(2)
    first = table(60 + generator.normal(size=(4, 5, 3)), 60 + generator.normal(size=(4, 3)))
    turned = first.select(targets=first.targets[::-1], sources=first.sources[::-1])
    forth, back = transfer_gains(first), transfer_gains(turned)
    np.testing.assert_allclose(forth.low, back.low[::-1, ::-1], rtol=1e-12)
    assert (forth.is_shown == back.is_shown[::-1, ::-1]).all()


def test_the_best_source_is_named_where_a_task_is_among_the_sources() -> None:
    names = ["a", "b", "c"]
    generator = np.random.default_rng(4)
    scores = 50 + generator.normal(size=(3, 3, 3)) * 0.1
    for row, best in enumerate((1, 2, 0)):
        scores[row, best] += 9
    found = seeds_needed(TransferTable(scores, names, names, (0, 1, 2), None, "percent"))
    assert found.columns["target"] == names
    assert found.columns["best"] == ["b", "c", "a"]
    assert "telling 'b' from the next" in found.explain("a")


def test_reliability_with_a_predictor_leaves_own_cells_out_quietly() -> None:
    study = load_minilm_prompts()
    truth = study.transfer.select(sources=study.transfer.targets)
    seeds = {
        seed: similarity_matrix(atlas, kernel="feature_mean", center="auto")
        for seed, atlas in study.atlases.items()
    }
    found = reliability(truth, seeds, n_replicates=200)
    assert 0 < found["correlation"] < found["disattenuated"]


def test_a_difference_of_rounding_is_no_harm():
    found = transfer_gains(table(np.full((1, 2, 2), 0.3), np.full((1, 2), 0.1 + 0.2)))
    assert found.n_shown == (0, 0)
    assert not found.gains.any()
