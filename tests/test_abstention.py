"""Abstention: worked numbers, honesty about the left-out target, and input it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas import SimilarityMatrix, TransferTable, _core, rank_sources
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.evaluation import evaluate_abstention
from kinatlas.selection import NO_TRANSFER

SOURCES = ("s", "t", "u")


def study(n_targets: int = 8, seed: int = 0, signal: float = 1.0):
    """Similarities in which closeness carries ``signal`` of the gain, and the table itself."""
    rng = np.random.default_rng(seed)
    targets = tuple(f"task{number}" for number in range(n_targets))
    closeness = rng.uniform(0, 1, size=(n_targets, len(SOURCES)))
    gains = signal * 10 * (closeness - 0.5) + rng.normal(size=closeness.shape)
    table = TransferTable(
        60 + gains[:, :, None], targets, SOURCES, (0,), np.full((n_targets, 1), 60.0)
    )
    return SimilarityMatrix(closeness, targets, SOURCES, "flatten"), table


def test_a_worked_study_of_three_targets():
    matrix = SimilarityMatrix(
        [[0.9, 0.1], [0.8, 0.2], [0.3, 0.2]], list("abc"), ["s", "t"], "flatten"
    )
    table = TransferTable.from_arrays(
        list("aabbcc"), list("ststst"), [70.0, 58, 66, 59, 55, 62], baseline=[60.0] * 6
    )
    found = evaluate_abstention(matrix, table)
    numbers = found.summary()
    assert found.picks == (("s",), ("s",), ("s",))
    assert found.gains == (10.0, 6.0, -5.0)
    assert found.best_gains == (10.0, 6.0, 2.0)
    assert numbers["help_rate"] == 2 / 3
    assert numbers["negative_rate"] == 1 / 3
    # Shares of harmful sources: 1/2, 1/2, 1/2.
    assert numbers["negative_rate_chance"] == 0.5
    # By descending score the useless pick comes last: risks 0, 0, 1/3.
    assert numbers["aurc"] == pytest.approx(1 / 9)
    assert numbers["aurc_chance"] == pytest.approx(1 / 3)
    assert numbers["aurc_corrected"] == pytest.approx(1.0)
    assert numbers["gain_always"] == pytest.approx(11 / 3)
    assert numbers["gain_best"] == pytest.approx(6.0)


def test_the_probability_of_a_target_does_not_know_its_outcome():
    matrix, table = study()
    before = evaluate_abstention(matrix, table)
    scores = table.scores.copy()
    scores[3] = 100 - scores[3]
    other = dataclasses.replace(table, scores=scores)
    after = evaluate_abstention(matrix, other)
    assert after.probabilities[3] == before.probabilities[3]
    assert after.base_rates[3] == before.base_rates[3]
    assert after.gains[3] != before.gains[3]
    assert after.probabilities[0] != before.probabilities[0]


def test_the_curve_is_the_maximum_of_its_likelihood():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    scores = rng.normal(size=40) + 3
    helps = rng.uniform(size=40) < 1 / (1 + np.exp(-2 * (scores - 3)))
    n_help = helps.sum()
    aims = np.where(helps, (n_help + 1) / (n_help + 2), 1 / (40 - n_help + 2))

    def loss(ab: np.ndarray) -> float:
        z = ab[0] + ab[1] * scores
        return float((np.logaddexp(0, z) - aims * z).sum())

    expected = optimize.minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-9}).x
    assert _core.fit_help(scores, helps) == pytest.approx(tuple(expected), rel=1e-5)


def test_intervals_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    for k, n in [(0, 7), (3, 7), (7, 7), (40, 90)]:
        low, high = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        found = _core.wilson(k, n, 0.95)
        assert found == pytest.approx((low, high), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    confidence=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    data=st.data(),
)
def test_the_area_is_the_mean_over_all_orders_of_equals(confidence, data):
    n = len(confidence)
    losses = data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    risks = []
    for order in itertools.permutations(range(n)):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            sums = np.cumsum([losses[at] for at in order])
            risks.append(sums / np.arange(1, n + 1))
    risk, best, area = _core.coverage_curve(np.array(confidence, float), np.array(losses, float))
    np.testing.assert_allclose(risk, np.mean(risks, axis=0), atol=1e-12)
    ideal = np.cumsum(sorted(losses)) / np.arange(1, n + 1)
    np.testing.assert_allclose(best, ideal, atol=1e-12)
    assert area == pytest.approx([risk.mean(), np.mean(losses), ideal.mean()], abs=1e-12)


def test_the_chance_area_is_what_random_confidence_gets():
    rng = np.random.default_rng(0)
    losses = (rng.uniform(size=12) < 0.3).astype(float)
    found = [_core.coverage_curve(rng.normal(size=12), losses)[2][0] for _ in range(4000)]
    # Areas lie in [0, 1] with a deviation below 0.15: the mean of 4000 is known to 0.0024.
    assert np.mean(found) == pytest.approx(losses.mean(), abs=4 * 0.0024)


def test_where_closeness_tells_probabilities_beat_the_base_rate_of_picks():
    # A single table of 20 targets may go either way; the mean over 20 of them may not.
    runs = [evaluate_abstention(*study(n_targets=20, seed=seed)).summary() for seed in range(20)]
    mean = {name: np.mean([run[name] for run in runs]) for name in runs[0]}
    assert mean["brier"] < mean["brier_chance"]
    assert mean["aurc"] < mean["aurc_chance"]
    assert mean["gain_if_confident"] > 0


def test_where_closeness_says_nothing_the_curve_is_nearly_flat():
    gaps = []
    for seed in range(10):
        found = evaluate_abstention(*study(n_targets=20, seed=seed, signal=0.0))
        gaps.append(found.probability(0.9) - found.probability(0.1))
    assert min(gaps) >= 0
    assert np.mean(gaps) < 0.25


def test_calibration_holds_where_the_curve_is_the_truth():
    rng = np.random.default_rng(1)
    predicted, happened = [], []
    for _ in range(60):
        closeness = rng.uniform(size=(15, 3))
        helps = rng.uniform(size=closeness.shape) < 1 / (1 + np.exp(-6 * (closeness - 0.5)))
        targets = tuple(f"t{number}" for number in range(15))
        table = TransferTable(
            np.where(helps, 70.0, 50.0)[:, :, None], targets, SOURCES, (0,), np.full((15, 1), 60.0)
        )
        found = evaluate_abstention(SimilarityMatrix(closeness, targets, SOURCES, "x"), table)
        predicted += found.probabilities
        happened += [gain > 0 for gain in found.gains]
    # 900 outcomes of probability near 0.8: standard error 0.013, times three; the smoothed aims
    # pull 45 cells a fit towards the middle by about 0.01.
    assert np.mean(predicted) == pytest.approx(np.mean(happened), abs=0.05)


def test_a_ranking_can_hold_no_transfer_at_the_calibrated_score():
    matrix, table = study(n_targets=20)
    found = evaluate_abstention(matrix, table)
    assert found.probability(found.neutral) == pytest.approx(0.5)
    ranking = rank_sources(dataclasses.replace(matrix, neutral=found.neutral), "task0")
    assert NO_TRANSFER in ranking.sources
    flat = SimilarityMatrix(np.ones((20, 3)), matrix.targets, SOURCES, "flat")
    assert evaluate_abstention(flat, table).neutral is None


def test_equal_scores_are_one_pick_with_the_mean_gain():
    matrix = SimilarityMatrix([[0.5, 0.5], [0.9, 0.1]], ["a", "b"], ["s", "t"], "flatten")
    table = TransferTable.from_arrays(
        list("aabb"), list("stst"), [70.0, 58, 66, 59], baseline=[60.0] * 4
    )
    found = evaluate_abstention(matrix, table)
    assert found.picks[0] == ("s", "t")
    assert found.gains[0] == pytest.approx(4.0)


def test_scores_that_say_nothing_are_no_better_than_a_source_drawn_at_random():
    rng = np.random.default_rng(3)
    targets, sources = tuple(f"t{at}" for at in range(9)), tuple("abcde")
    flat = SimilarityMatrix(np.ones((9, 5)), targets, sources, "constant")
    runs = 60 + 3 * rng.normal(size=(9, 5, 1)) + np.array([8.0, 0, 0, 0, 0])[:, np.newaxis]
    table = TransferTable(runs, targets, sources, (0,), np.full((9, 1), 60.0))
    found = evaluate_abstention(flat, table).summary()
    assert found["negative_rate"] == pytest.approx(found["negative_rate_chance"], abs=1e-12)
    assert found["help_rate"] == pytest.approx((runs > 60).mean(), abs=1e-12)
    # Drawing one of the equals many times gets the same numbers.
    rates = []
    for _ in range(300):
        drawn = rng.permuted(np.tile(np.arange(5.0), (9, 1)), axis=1)
        matrix = SimilarityMatrix(drawn, targets, sources, "drawn")
        rates.append(evaluate_abstention(matrix, table).summary())
    assert np.mean([rate["help_rate"] for rate in rates]) == pytest.approx(
        found["help_rate"], abs=0.03
    )


def test_everything_can_be_laid_out_and_explained():
    found = evaluate_abstention(*study(n_targets=20))
    assert len(repr(found).splitlines()) <= 24
    json.dumps(found.summary())
    assert found.to_pandas().shape == (20, 7)
    assert len(found.explain().splitlines()) == 6
    for level in (0.001, 0.999):
        extreme = evaluate_abstention(*study(n_targets=20), threshold=level)
        assert extreme.explain("precision")
    with pytest.raises(UnknownNameError, match="did you mean 'brier'"):
        found.explain("briar")


def test_input_that_makes_no_sense_is_refused():
    matrix, table = study()
    with pytest.raises(FormatError, match="no baseline"):
        evaluate_abstention(matrix, dataclasses.replace(table, baseline=None))
    with pytest.raises(ShapeError, match="at least two"):
        evaluate_abstention(matrix.select(targets=["task0"]), table)
    with pytest.raises(ValueError, match="threshold is 1"):
        evaluate_abstention(matrix, table, threshold=1)
    with pytest.raises(ValueError, match="confidence is 0"):
        evaluate_abstention(matrix, table, confidence=0)
    with pytest.raises(DTypeError, match="expected a SimilarityMatrix"):
        evaluate_abstention(matrix.values, table)
    values = matrix.values.copy()
    values[1, 2] = np.nan
    with pytest.raises(NonFiniteError, match="source 'u' for target 'task1'"):
        evaluate_abstention(SimilarityMatrix(values, matrix.targets, SOURCES, "x"), table)
