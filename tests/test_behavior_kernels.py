"""Kernels of behaviour beside their NumPy twins, and their promises under attack."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas import _core
from kinatlas import _reference_behavior as twin
from kinatlas.errors import NonFiniteError, ShapeError

CODECS = [("logit", 0.5), ("logit", 0.0), ("probability", 0.0), ("rank", 0.0), ("identity", 0.0)]
seeds = st.integers(0, 2**32 - 1)


def drawn_answers(seed: int, n_probes: int = 12, n_replicates: int = 3, n_labels: int = 3):
    draw = np.random.default_rng(seed)
    answers = draw.dirichlet(np.ones(n_labels), (2, n_probes, n_replicates))
    missing = draw.random((2, n_probes, n_replicates)) < 0.2
    missing[:, :, 0] = False
    answers[missing] = np.nan
    return answers


@pytest.mark.parametrize(("link", "smoothing"), CODECS)
@settings(max_examples=15)
@given(seed=seeds)
def test_coordinates_equal_their_twin(link: str, smoothing: float, seed: int) -> None:
    answers = drawn_answers(seed)
    found = _core.behavior_coordinates(answers, (link, smoothing, 1e-6, 0))
    for own, given_ in zip(found, answers, strict=True):
        wanted = twin.coordinates(given_, link, smoothing, 1e-6)
        np.testing.assert_allclose(own, wanted, atol=1e-12)


def test_trailing_channels_are_averaged_and_left_alone() -> None:
    answers = np.array([[[[0.25, 0.75, 3.0], [0.75, 0.25, 5.0]]]])
    found = _core.behavior_coordinates(answers, ("logit", 0.0, 1e-6, 1))
    np.testing.assert_allclose(found[0, 0], [0.0, 0.0, 4.0], atol=1e-15)


@settings(max_examples=20)
@given(seed=seeds, dim=st.integers(1, 3), n_probes=st.integers(2, 40))
def test_paired_similarity_equals_its_twin(seed: int, dim: int, n_probes: int) -> None:
    data = np.random.default_rng(seed).normal(size=(4, n_probes, dim))
    draws = (np.zeros(n_probes, dtype=np.int64), 0, 0.9, 0, True)
    found = _core.behavior_paired(data, draws)
    for a in range(4):
        for b in range(4):
            assert found[0, a, b] == pytest.approx(twin.cosine(data[a], data[b]), abs=1e-12)


def test_percentiles_are_those_of_the_drawn_probes() -> None:
    n_probes, count = 300, 200
    data = np.random.default_rng(0).normal(size=(3, n_probes, 2))
    data[1] += 0.5 * data[0]
    strata = np.repeat([0, 1, 2], 100).astype(np.int64)
    found = _core.behavior_paired(data, (strata, count, 0.9, 7, False))
    values = []
    for number in range(count):
        drawn = [at for at, _ in _core.resample_indices(("targets", strata, 7), number, 1)]
        assert (np.bincount(strata[drawn]) == 100).all()
        values.append(twin.cosine(data[0], data[1], drawn))
    np.testing.assert_allclose(found[1:, 0, 1], np.quantile(values, [0.05, 0.95]), atol=1e-12)
    z = np.arctanh(values)
    low, high = np.arctanh(_core.behavior_paired(data, (strata, count, 0.9, 7, True))[1:, 0, 1])
    half = z.std(ddof=1) * _core.student_quantile(0.95, n_probes - 1)
    assert (high - low) / 2 == pytest.approx(half, rel=1e-9)
    assert (high + low) / 2 == pytest.approx(np.arctanh(found[0, 0, 1]), rel=1e-9)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    data = np.random.default_rng(1).normal(size=(30, 700, 2))
    draws = (np.zeros(700, dtype=np.int64), 100, 0.9, 3, True)
    one, two, five = (_core.behavior_paired(data, draws, n) for n in (1, 2, 5))
    assert one.tobytes() == two.tobytes() == five.tobytes()


def test_a_drawn_replicate_of_answers_equals_the_twin() -> None:
    answers = np.ascontiguousarray(drawn_answers(3, 40, 4))
    strata = np.zeros(40, dtype=np.int64)
    codec = ("logit", 0.5, 1e-6, 0)
    found = _core.behavior_nested(answers, codec, (strata, 150, 0.9, 5, False))
    values = []
    for number in range(150):
        rows = _core.resample_indices(("targets_then_seeds", strata, 5), number, 4)
        sides = []
        for own in answers:
            picked = [own[probe][list(reps)] for probe, reps in rows]
            whole = [own[probe] for probe, _ in rows]
            kept = [w if np.isnan(p[:, 0]).all() else p
                    for p, w in zip(picked, whole, strict=True)]  # fmt: skip
            sides.append(twin.coordinates(np.array(kept), "logit", 0.5, 1e-6))
        values.append(twin.cosine(*sides))
    np.testing.assert_allclose(found[1:, 0, 1], np.quantile(values, [0.05, 0.95]), atol=1e-9)


def test_split_halves_average_all_halvings_in_the_end() -> None:
    answers = np.random.default_rng(0).dirichlet([1, 1], (2, 30, 4))
    found = _core.behavior_split_half(answers, ("logit", 0.0, 1e-6, 0), (6000, 1))
    wanted = [twin.split_half(own, "logit", 0.0, 1e-6) for own in answers]
    # Six halvings with a spread below 0.3 each, 6000 draws: 5 standard errors are 0.02.
    np.testing.assert_allclose(found, wanted, atol=0.02)


@settings(max_examples=20)
@given(seed=seeds, is_ranked=st.booleans())
def test_alignment_equals_its_twin_and_ignores_label_order(seed: int, is_ranked: bool) -> None:
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=(15, 3)), draw.normal(size=(15, 2))
    found = _core.behavior_alignment(a, b, is_ranked)
    assert found == pytest.approx(twin.alignment(a, b, is_ranked), abs=1e-12)
    turned = np.ascontiguousarray(a[:, [2, 0, 1]])
    assert _core.behavior_alignment(turned, b, is_ranked) == pytest.approx(found, abs=1e-12)


def test_drift_equals_its_twin_and_keeps_its_level() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(10, 3, 2)), draw.normal(size=(10, 4, 2))
    both = np.concatenate([x, y], axis=1)
    squares = ((both[:, :, None] - both[:, None]) ** 2).sum(axis=-1)
    known = np.sort(squares[squares > 0])
    found, _ = _core.behavior_drift(x, y, (1, 0))
    assert found == pytest.approx(twin.mmd(x, y, known[len(known) // 2]), abs=1e-12)
    # 200 tests of nothing at level 0.1: 20 expected, standard deviation 4.2.
    rejected = sum(
        _core.behavior_drift(*(draw.normal(size=(6, 2, 1)) for _ in range(2)), (99, at))[1] <= 0.1
        for at in range(200)
    )
    assert 5 <= rejected <= 37
    assert _core.behavior_drift(x, y[:, :3] + 3.0, (999, 0))[1] == 1 / 1000


@settings(max_examples=20)
@given(seed=seeds, n=st.integers(4, 12), power=st.integers(-3, 2))
def test_ridge_equals_its_twin(seed: int, n: int, power: int) -> None:
    draw = np.random.default_rng(seed)
    x, y, penalty = draw.normal(size=(n, 5)), draw.normal(size=(n, 2)), 10.0**power
    weights, _ = _core.ridge_fit(_core.ridge_moments(x, y), 5, penalty)
    np.testing.assert_allclose(weights, twin.ridge(x, y, penalty)[:-1], atol=1e-8)
    errors = _core.ridge_left_out(x, y, [penalty])
    np.testing.assert_allclose(errors[0], twin.left_out(x, y, penalty), rtol=1e-6, atol=1e-8)


def test_posterior_draws_have_the_mean_and_spread_of_the_formula() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(30, 3)), draw.normal(size=(30, 1))
    sums = _core.ridge_moments(x, y)
    weights, noise = _core.ridge_fit(sums, 3, 0.1)
    drawn = _core.ridge_posterior(sums, 3, 0.1, (20_000, 1))
    centred = x - x.mean(axis=0)
    wanted = noise * np.linalg.inv(centred.T @ centred + 0.1 * 30 * np.eye(3))
    np.testing.assert_allclose(drawn.mean(axis=0), weights[:, 0], atol=5 * noise**0.5 / 20_000**0.5)
    # A variance of 20 000 draws has a relative standard error of 1 %.
    np.testing.assert_allclose(np.cov(drawn.T), wanted, atol=0.06 * wanted.max())


@settings(max_examples=20)
@given(seed=seeds)
def test_variances_equal_their_twin(seed: int) -> None:
    data = np.random.default_rng(seed).normal(size=(3, 4, 5, 2))
    names, found = _core.behavior_shares(data)
    parts = [twin.variances(data[..., at]) for at in range(2)]
    for name, value in zip(names, found, strict=True):
        assert value == pytest.approx(sum(part[name] for part in parts), abs=1e-10)


def test_the_root_of_a_covariance_squares_to_it() -> None:
    x = np.random.default_rng(0).normal(size=(9, 6))
    found = _core.symmetric_root(np.cov(x.T))
    np.testing.assert_allclose(found @ found, np.cov(x.T), atol=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-14)


def test_bad_input_is_refused_with_its_place() -> None:
    data = np.zeros((2, 5, 1))
    data[1, 3] = np.nan
    draws = (np.zeros(5, dtype=np.int64), 0, 0.9, 0, True)
    with pytest.raises(NonFiniteError, match="box 1, probe 3"):
        _core.behavior_paired(data, draws)
    with pytest.raises(ShapeError):
        _core.behavior_paired(np.zeros((0, 5, 1)), draws)
    with pytest.raises(ShapeError, match="5 targets"):
        _core.behavior_paired(np.zeros((2, 4, 1)), (draws[0], 10, 0.9, 0, True))
    with pytest.raises(ShapeError, match="at least two"):
        _core.behavior_drift(np.zeros((3, 1, 1)), np.zeros((3, 2, 1)), (9, 0))
    with pytest.raises(ShapeError, match="two replicates"):
        _core.behavior_split_half(np.zeros((1, 3, 1, 2)), ("logit", 0.5, 1e-6, 0), (1, 0))
    with pytest.raises(ShapeError, match="two models"):
        _core.behavior_shares(np.zeros((1, 2, 3, 1)))
    with pytest.raises(ValueError, match="penalty"):
        _core.ridge_fit(_core.ridge_moments(np.ones((3, 2)), np.ones((3, 1))), 2, 0.0)
