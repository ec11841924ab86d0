"""Replicates: the twin on the same draws, strata, threads, shards, and exact counts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

import kinatlas as ka
from kinatlas import _core, _reference_consistency
from kinatlas.errors import FormatError

UNITS = ("targets", "targets_then_seeds", "seeds", "targets_and_seeds")


def plan(unit, n_targets, seed=0, strata=None):
    groups = np.zeros(n_targets, dtype=np.int64) if strata is None else strata
    return unit, np.asarray(groups, dtype=np.int64), seed


def holes(shape, seed):
    rng = np.random.default_rng(seed)
    cube = rng.normal(size=shape)
    cube[rng.random(shape) < 0.2] = np.nan
    return cube


@settings(deadline=None)
@given(st.sampled_from(UNITS), st.integers(0, 2**40), st.integers(0, 50), st.integers(0, 9))
def test_a_replicate_is_the_twin_on_the_same_draws(unit, seed, number, data):
    cube = holes((4, 3, 3), data)
    found = _core.resample_means(cube, plan(unit, 4, seed), (number, number + 1), 1)[0]
    drawn = _core.resample_indices(plan(unit, 4, seed), number, 3)
    np.testing.assert_allclose(found, _reference_consistency.resampled(cube, drawn), rtol=1e-13)


@pytest.mark.parametrize("unit", UNITS)
def test_threads_and_shards_change_no_bit(unit):
    cube = holes((6, 5, 4), 1)
    whole = _core.resample_means(cube, plan(unit, 6), (0, 1000), 1)
    for n_threads in (2, 8):
        again = _core.resample_means(cube, plan(unit, 6), (0, 1000), n_threads)
        np.testing.assert_array_equal(again, whole)
    ends = ((700, 1000), (0, 123), (123, 700))
    shards = [_core.resample_means(cube, plan(unit, 6), pair, 2) for pair in ends]
    np.testing.assert_array_equal(np.vstack([shards[1], shards[2], shards[0]]), whole)
    counted = _core.rank_shares(np.vstack(shards), 0.95)
    for one, other in zip(counted, _core.rank_shares(whole, 0.95), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_order_of_columns_changes_no_bit():
    cube, moved = holes((6, 5, 4), 2), [3, 1, 4, 0, 2]
    whole = _core.resample_means(cube, plan("targets_then_seeds", 6), (0, 200), 1)
    other = _core.resample_means(
        np.ascontiguousarray(cube[:, moved]), plan("targets_then_seeds", 6), (0, 200), 1
    )
    np.testing.assert_array_equal(other, whole[:, moved])


def test_strata_keep_their_sizes_and_units_draw_what_they_name():
    strata = [0, 1, 0, 1, 1]
    for number in range(50):
        drawn = _core.resample_indices(plan("targets", 5, 3, strata), number, 4)
        assert [strata[target] for target, _ in drawn].count(0) == 2
        assert all(seeds == [0, 1, 2, 3] for _, seeds in drawn)
        fixed = _core.resample_indices(plan("seeds", 5), number, 4)
        assert [target for target, _ in fixed] == [0, 1, 2, 3, 4]
        shared = _core.resample_indices(plan("targets_and_seeds", 5), number, 4)
        assert all(seeds == shared[0][1] for _, seeds in shared)


def test_draws_are_uniform():
    drawn = [_core.resample_indices(plan("targets_then_seeds", 7), i, 3) for i in range(2000)]
    targets = np.bincount([target for own in drawn for target, _ in own], minlength=7)
    seeds = np.bincount([seed for own in drawn for _, some in own for seed in some], minlength=3)
    assert stats.chisquare(targets).pvalue > 1e-4
    assert stats.chisquare(seeds).pvalue > 1e-4


@settings(deadline=None)
@given(hnp.arrays(np.float64, (5, 4), elements=st.integers(-2, 2).map(float)))
def test_shares_of_places_are_those_of_the_twin(drawn):
    places, wins, _, count = _core.rank_shares(drawn, 0.95)
    np.testing.assert_allclose(places, _reference_consistency.places(drawn), atol=1e-9)
    np.testing.assert_allclose(wins + wins.T + np.eye(4), np.ones((4, 4)))
    assert count == 5


def test_a_replicate_with_a_missing_column_is_not_counted():
    places, _, _, count = _core.rank_shares(np.array([[1.0, np.nan], [2.0, 1.0]]), 0.95)
    assert count == 1
    np.testing.assert_array_equal(places, np.eye(2))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_are_those_of_scipy(method):
    values = np.random.default_rng(4).exponential(size=(15, 1, 1))
    drawn = _core.resample_means(values, plan("targets", 15), (0, 20_000), 2)
    ours = _core.mean_intervals(values, drawn, [(0, -1)], method, 0.9)[0]
    theirs = stats.bootstrap(
        (values.ravel(),), np.mean, n_resamples=20_000, confidence_level=0.9,
        method="BCa" if method == "bca" else method, rng=1,
    ).confidence_interval  # fmt: skip
    # Two independent sets of 20 000 replicates: the 5 % quantile is known to about 0.01.
    np.testing.assert_allclose(ours[1:], theirs, atol=0.02)
    assert ours[0] == pytest.approx(values.mean(), rel=1e-14)


def test_students_interval_is_that_of_scipy_and_expanded_ones_are_wider():
    values = np.random.default_rng(5).normal(size=(8, 2, 1))
    drawn = _core.resample_means(values, plan("targets", 8), (0, 4000), 1)
    student = _core.mean_intervals(values, drawn, [(0, 1)], "student", 0.95)[0]
    gaps = (values[:, 0] - values[:, 1]).ravel()
    wanted = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    np.testing.assert_allclose(student[1:], wanted, rtol=1e-8)
    plain = _core.mean_intervals(values, drawn, [(0, 1)], "percentile", 0.95)[0]
    wide = _core.mean_intervals(values, drawn, [(0, 1)], "expanded", 0.95)[0]
    assert wide[1] < plain[1] < plain[2] < wide[2]


@settings(deadline=None, max_examples=30)
@given(st.floats(0.2, 8), st.integers(2, 15), st.sampled_from([1.0, 2.0, 5.0, 22.0, 300.0, np.inf]))
def test_the_studentised_range_is_that_of_scipy(q, n, freedom):
    ours = _core.range_distribution(q, n, freedom)
    assert ours == pytest.approx(stats.studentized_range.cdf(q, n, freedom), abs=2e-6)


def test_quantiles_invert_the_distributions():
    for level, n, freedom in itertools.product((0.9, 0.95, 0.99), (2, 5, 12), (2.0, 20.0, np.inf)):
        q = _core.range_quantile(level, n, freedom)
        assert _core.range_distribution(q, n, freedom) == pytest.approx(level, abs=1e-9)
    assert _core.student_quantile(0.975, 4) == pytest.approx(stats.t.ppf(0.975, 4), rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=9))
def test_sign_flips_are_those_of_the_twin(gaps):
    found = _core.sign_flip(np.array(gaps), 100, 0)
    assert found == pytest.approx(_reference_consistency.sign_flip(gaps), abs=1e-15)
    assert found == _core.sign_flip(np.array(gaps[::-1]), 100, 0)


def test_sign_flips_are_those_of_scipy_and_approach_them_when_drawn():
    gaps = np.random.default_rng(6).normal(0.4, 1, size=12)
    theirs = stats.permutation_test((gaps, np.zeros(12)), lambda x, y: (x - y).mean(),
                                    permutation_type="samples", n_resamples=np.inf)  # fmt: skip
    assert _core.sign_flip(gaps, 0, 0) == pytest.approx(theirs.pvalue, abs=1e-12)
    padded = np.concatenate([gaps, np.zeros(12)])
    # Zeros flip to themselves; five standard errors of a share of 20 000.
    assert _core.sign_flip(padded, 20_000, 1) == pytest.approx(theirs.pvalue, abs=5 * 0.0036)


def test_wilson_is_that_of_scipy():
    ours = _core.wilson(7.0, 12.0, 0.95)
    theirs = stats.binomtest(7, 12).proportion_ci(0.95, "wilson")
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _core.resample_means(np.zeros((2, 2, 2)), plan("runs", 2), (0, 1), 1),
        lambda: _core.resample_means(np.zeros((2, 2, 2)), plan("targets", 3), (0, 1), 1),
        lambda: _core.resample_means(np.zeros((2, 2, 0)), plan("targets", 2), (0, 1), 1),
        lambda: _core.resample_means(np.zeros((2, 2, 2)), plan("targets", 2), (1, 1), 1),
        lambda: _core.resample_means(np.full((2, 2, 2), np.inf), plan("targets", 2), (0, 1), 1),
        lambda: _core.mean_intervals(np.zeros((2, 2, 1)), np.zeros((9, 2)), [(0, 2)], "bca", 0.9),
        lambda: _core.mean_intervals(np.zeros((2, 2, 1)), np.zeros((9, 2)), [(0, 1)], "t", 0.9),
        lambda: _core.rank_draws(np.zeros(1), (1.0, 1.0), None, (0, 0, 9), 1),
        lambda: _core.rank_draws(np.zeros(2), (-1.0, 1.0), None, (0, 0, 9), 1),
        lambda: _core.sign_flip(np.array([np.nan]), 9, 0),
        lambda: _core.range_quantile(1.0, 3, 5.0),
        lambda: _core.wilson(3.0, 2.0, 0.95),
    ],
)
def test_impossible_requests_are_refused_by_name(call):
    with pytest.raises((ValueError, KeyError)):
        call()


def test_shards_merge_in_any_order_even_where_neighbours_come_last():
    truth = ka.datasets.load_minilm_prompts().transfer
    whole = ka.consistency.bootstrap_sources(truth, n_replicates=400)
    ends = [(300, 400), (0, 100), (200, 300), (100, 200)]
    first, *others = [
        ka.consistency.bootstrap_sources(truth, replicates=range(*pair)) for pair in ends
    ]
    merged = first.merged(*others)
    assert merged.to_dict() == whole.to_dict()
    np.testing.assert_array_equal(merged.replicates, whole.replicates)
    with pytest.raises(FormatError, match=r"shards 0..100 and 200..300 do not follow"):
        first.merged(others[0], others[1])
