"""Intervals: their coverage under clustering, and that clusters and conditions are respected."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.superposition import SuperpositionRecord, analyse_superposition

HALF = [0.5, 0.5]


def clustered(rng: np.random.Generator, n_queries: int, per_query: int) -> SuperpositionRecord:
    """P of task 0 has mean 1/2; most of its variance is between queries."""
    centre = rng.uniform(0.2, 0.8, size=n_queries)
    first = np.repeat(centre, per_query) + rng.uniform(-0.1, 0.1, size=n_queries * per_query)
    logs = np.log(np.column_stack([first, 1 - first]))
    return SuperpositionRecord(logs, HALF, query=np.repeat(np.arange(n_queries), per_query))


def test_intervals_of_clustered_prompts_cover_as_promised() -> None:
    rng = np.random.default_rng(0)
    n_trials, inside, naive = 300, 0, 0
    for trial in range(n_trials):
        record = clustered(rng, 60, 8)
        found = analyse_superposition(record, n_bootstrap=400, rng=trial)
        _, low, high = found.at("probability", task="task 0")
        inside += low <= 0.5 <= high
        apart = SuperpositionRecord(record.log_probabilities, HALF)
        _, low, high = analyse_superposition(apart, n_bootstrap=100, rng=trial).at(
            "probability", task="task 0"
        )
        naive += low <= 0.5 <= high
    # Nominal 95 %; a percentile interval of 60 clusters is about 1 % narrow, and 300 trials have
    # a standard error of 1.3 %: four of them below 94 %.
    assert inside / n_trials >= 0.89
    assert inside / n_trials <= 0.99
    # Resampling prompts as if they were independent covers far less: the test can fail.
    assert naive / n_trials < 0.7


def test_dispersion_intervals_cover_as_promised() -> None:
    rng = np.random.default_rng(1)
    # P uniform on (0.1, 0.9): variance 0.64 / 12, mean 1/2.
    truth = 0.64 / 12 / 0.25
    inside = 0
    for trial in range(300):
        first = rng.uniform(0.1, 0.9, size=150)
        record = SuperpositionRecord(np.log(np.column_stack([first, 1 - first])), HALF)
        _, low, high = analyse_superposition(record, n_bootstrap=400, rng=trial).at("dispersion")
        inside += low <= truth <= high
    assert 0.89 <= inside / 300 <= 0.99


def test_conditions_that_share_no_query_are_resampled_apart_and_keep_their_sizes() -> None:
    rng = np.random.default_rng(2)
    first = np.concatenate([np.full(3, 0.3), rng.uniform(0.2, 0.8, size=500)])
    mixture = np.array([[0.9, 0.1]] * 3 + [HALF] * 500)
    record = SuperpositionRecord(np.log(np.column_stack([first, 1 - first])), mixture)
    found = analyse_superposition(record, n_bootstrap=300)
    assert found.n_clusters == (500, 3)
    # Three constant prompts, resampled among themselves, never leave their value nor vanish.
    estimate = found.at("probability", "0.9/0.1", "task 0")
    assert estimate == pytest.approx((0.3, 0.3, 0.3), abs=1e-12)


def test_a_shared_query_joins_conditions_so_that_slopes_see_their_common_luck() -> None:
    rng = np.random.default_rng(3)
    luck = rng.uniform(-0.2, 0.2, size=80)
    low_high = np.concatenate([0.3 + luck, 0.7 + luck])
    mixture = np.repeat([[0.3, 0.7], [0.7, 0.3]], 80, axis=0)
    logs = np.log(np.column_stack([low_high, 1 - low_high]))
    shared = SuperpositionRecord(logs, mixture, query=np.tile(np.arange(80), 2))
    apart = SuperpositionRecord(logs, mixture)
    paired = analyse_superposition(shared, n_bootstrap=400).across("slope", "task 0")
    unpaired = analyse_superposition(apart, n_bootstrap=400).across("slope", "task 0")
    assert paired == pytest.approx((1.0, 1.0, 1.0), abs=1e-9)
    assert unpaired.high - unpaired.low > 0.05


def test_more_confidence_is_a_wider_interval() -> None:
    record = clustered(np.random.default_rng(4), 40, 2)
    wide = analyse_superposition(record, n_bootstrap=300, confidence=0.99).at("leak")
    tight = analyse_superposition(record, n_bootstrap=300, confidence=0.5).at("leak")
    assert wide.low <= tight.low <= tight.high <= wide.high
    first = analyse_superposition(record, n_bootstrap=300, confidence=0.99)
    second = analyse_superposition(record, n_bootstrap=300, confidence=0.5)
    outer, inner = (a.at("probability", task="task 0") for a in (first, second))
    assert outer.low < inner.low < inner.high < outer.high


def test_without_replicates_there_is_no_interval() -> None:
    found = analyse_superposition(clustered(np.random.default_rng(5), 5, 2), n_bootstrap=0)
    assert np.isnan(found.at("leak").low)
    assert np.isnan(found.at("leak").high)


def test_progress_reaches_the_number_of_blocks() -> None:
    rng = np.random.default_rng(6)
    first = rng.uniform(0.2, 0.8, size=5000)
    record = SuperpositionRecord(np.log(np.column_stack([first, 1 - first])), HALF)
    seen: list[int] = []
    analyse_superposition(record, n_bootstrap=64, progress=seen.append)
    assert seen[-1] == 5  # blocks of 1,024 queries
