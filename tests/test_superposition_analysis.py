"""Conditions and what lies across them: identities, twins, intervals, threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas._reference_superposition import condition_statistics, vote_curve
from kinatlas.errors import FormatError, ShapeError, UnknownNameError
from kinatlas.superposition import (
    Analysis,
    SuperpositionRecord,
    analyse_superposition,
    fit_votes,
    position_weights,
    prompt_metrics,
)

HALF = [0.5, 0.5]


def one_hot(winners: np.ndarray, n_tasks: int = 2) -> np.ndarray:
    logs = np.full((len(winners), n_tasks), -np.inf)
    logs[np.arange(len(winners)), winners] = 0.0
    return logs


def random_record(seed: int, n_prompts: int = 90, n_tasks: int = 3) -> SuperpositionRecord:
    rng = np.random.default_rng(seed)
    mass = rng.dirichlet(np.ones(n_tasks + 1), size=n_prompts)[:, :-1]
    order = rng.integers(n_tasks, size=(n_prompts, 6))
    counts = (order[:, :, None] == np.arange(n_tasks)).sum(axis=1)
    condition = rng.integers(2, size=n_prompts)
    return SuperpositionRecord(
        np.log(mass), counts, condition=condition, query=rng.integers(30, size=n_prompts),
        order=order,
    )  # fmt: skip


def test_one_hot_prompts_have_dispersion_one_although_their_mean_is_the_mixture() -> None:
    found = analyse_superposition(
        SuperpositionRecord(one_hot(np.arange(200) % 2), HALF), n_bootstrap=50
    )
    assert found.at("share", task="task 0").value == 0.5
    assert found.at("dispersion") == (1.0, 1.0, 1.0)
    assert found.at("kl_of_mean").value == 0.0
    assert found.at("kl_shape").value == np.inf
    assert found.at("jensen_gap").value == np.inf
    assert found.at("effective_tasks").value == 1.0
    assert found.at("effective_tasks_of_mean").value == pytest.approx(2.0)
    assert found.at("coverage").value == 0.5
    assert found.at("coverage_of_mean").value == 1.0


def test_prompts_that_equal_their_mixture_have_no_dispersion_and_slope_one() -> None:
    shares = np.repeat([[0.2, 0.8], [0.5, 0.5], [0.8, 0.2]], 20, axis=0)
    found = analyse_superposition(SuperpositionRecord(np.log(shares), shares), n_bootstrap=50)
    for condition in found.conditions:
        assert found.at("dispersion", condition).value == pytest.approx(0.0, abs=1e-15)
        assert found.at("kl", condition).value == pytest.approx(0.0, abs=1e-15)
        assert found.at("jensen_gap", condition).value == pytest.approx(0.0, abs=1e-15)
    assert found.across("slope", "task 0").value == pytest.approx(1.0)
    assert found.across("intercept", "task 0").value == pytest.approx(0.0, abs=1e-12)
    assert found.across("logit_slope", "task 0").value == pytest.approx(1.0)
    assert found.across("n_eff", "task 0").value == 1.0


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_conditions_agree_with_their_numpy_twin(seed: int) -> None:
    record = random_record(seed)
    found = analyse_superposition(record, n_bootstrap=0)
    metrics = prompt_metrics(record)
    for code, condition in enumerate(record.conditions):
        rows = record.condition == code
        last = record.order[rows, -1]
        wanted = condition_statistics(record.log_probabilities[rows], record.mixture[rows], last)
        for name in ("dispersion", "dispersion_shares", "jensen_gap", "kl_of_mean"):
            assert found.at(name, condition).value == pytest.approx(wanted[name], rel=1e-9), name
        for task, name in enumerate(record.tasks):
            value = found.at("dispersion", condition, name).value
            assert value == pytest.approx(wanted["dispersion_tasks"][task], rel=1e-9)
            effect = found.at("order_effect", condition, name).value
            assert effect == pytest.approx(wanted["order_effect"][task], rel=1e-9, abs=1e-12)
        for name in ("total_mass", "kl", "leak", "brier", "effective_tasks", "coverage"):
            value = found.at(name, condition).value
            assert value == pytest.approx(metrics[name][rows].mean(), rel=1e-9, abs=1e-12), name
        ratio = metrics["entropy_ratio"][rows]
        value = found.at("entropy_ratio", condition).value
        assert value == pytest.approx(np.nanmean(ratio), rel=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_the_jensen_gap_is_never_negative_and_dispersion_never_leaves_its_range(seed: int) -> None:
    record = random_record(seed, n_prompts=20)
    found = analyse_superposition(record, n_bootstrap=20)
    for condition in found.conditions:
        assert found.at("jensen_gap", condition).low >= 0.0
        for name in ("dispersion", "dispersion_shares"):
            estimate = found.at(name, condition)
            assert 0.0 <= estimate.low <= estimate.high <= 1.0


def test_leaked_mass_hides_one_hot_answers_from_v_but_not_from_v_of_shares() -> None:
    leaky = np.log(np.where(np.arange(200)[:, None] % 2 == np.arange(2), 0.3, 1e-12))
    found = analyse_superposition(SuperpositionRecord(leaky, HALF), n_bootstrap=0)
    # Var 0.0225 over 0.15 * 0.85: by P alone this looks like superposition.
    assert found.at("dispersion").value == pytest.approx(0.0225 / 0.1275)
    assert found.at("dispersion_shares").value == pytest.approx(1.0)


def test_variance_survives_means_next_to_one() -> None:
    rng = np.random.default_rng(0)
    rest = 1e-10 * rng.uniform(0.5, 1.5, size=500)
    logs = np.column_stack([np.log1p(-rest), np.log(rest)])
    found = analyse_superposition(SuperpositionRecord(logs, HALF), n_bootstrap=0)
    wanted = rest.var() / (rest.mean() * (1 - rest.mean()))
    # P has spacing 1.1e-16 there, 1e-6 of the deviations: variances agree to about 1e-5.
    assert found.at("dispersion", task="task 1").value == pytest.approx(wanted, rel=1e-9)
    assert found.at("dispersion", task="task 0").value == pytest.approx(wanted, rel=1e-4)


def test_unanswered_prompts_count_in_kl_and_mass_but_have_no_shape() -> None:
    logs = np.array([[np.log(0.5), np.log(0.5)], [-np.inf, -np.inf]])
    found = analyse_superposition(SuperpositionRecord(logs, HALF), n_bootstrap=0)
    assert found.n_unanswered == (1,)
    assert found.at("kl").value == found.at("leak").value == np.inf
    assert found.at("kl_shape").value == 0.0
    assert found.at("total_mass").value == 0.5
    assert found.at("share", task="task 0").value == 0.5


def test_colliding_prompts_are_left_out_and_listed_unless_kept() -> None:
    logs = np.log([[0.5, 0.5], [0.7, 0.7], [0.4, 0.4]])
    record = SuperpositionRecord(logs, HALF, collisions=[False, True, False])
    found = analyse_superposition(record, n_bootstrap=0)
    assert found.excluded.tolist() == [1]
    assert found.n_prompts == (2,)
    assert found.at("total_mass").value == pytest.approx(0.9)
    kept = analyse_superposition(record, n_bootstrap=0, collisions="keep")
    assert kept.at("total_mass").value == pytest.approx((1.0 + 1.4 + 0.8) / 3)
    with pytest.raises(UnknownNameError, match="collisions"):
        analyse_superposition(record, collisions="drop")  # type: ignore[arg-type]
    only = SuperpositionRecord(logs, HALF, collisions=[True] * 3)
    with pytest.raises(ShapeError, match="collisions='keep'"):
        analyse_superposition(only)


@pytest.mark.parametrize("n_votes", [1, 3, 5, 9])
def test_a_bernoulli_winner_take_all_simulation_gives_back_its_votes(n_votes: int) -> None:
    rng = np.random.default_rng(n_votes)
    lambdas = np.repeat(np.arange(1, 10) / 10, 1500)
    votes = rng.random((len(lambdas), n_votes)) < lambdas[:, None]
    winners = (votes.sum(axis=1) <= n_votes / 2).astype(int)
    mixture = np.column_stack([lambdas, 1 - lambdas])
    record = SuperpositionRecord(one_hot(winners), mixture, ["a", "b"])
    found = analyse_superposition(record, n_bootstrap=200).across("n_eff", "a")
    assert found.value == n_votes
    assert found.low <= n_votes <= found.high


def test_an_even_electorate_has_the_curve_of_one_voter_less() -> None:
    lambdas = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(vote_curve(lambdas, 6), vote_curve(lambdas, 5), atol=1e-15)
    assert fit_votes(lambdas, vote_curve(lambdas, 6)).n_eff == 5.0


def test_a_biased_vote_needs_its_threshold_fitted() -> None:
    lambdas = np.linspace(0.1, 0.9, 9)
    biased = 1 - (1 - lambdas) ** 5
    fitted = fit_votes(lambdas, biased, vote_threshold="fitted")
    assert (fitted.n_eff, fitted.threshold) == (5.0, 0.1)
    assert fitted.rmse < 1e-12 < fit_votes(lambdas, biased).rmse
    with pytest.raises(UnknownNameError, match="majority, fitted"):
        fit_votes(lambdas, biased, vote_threshold="half")


def test_position_weights_are_found_and_their_errors_cover() -> None:
    rng = np.random.default_rng(3)
    planted = np.array([0.0, 0.1, 0.3, 0.5])
    inside = 0
    for _ in range(60):
        order = rng.integers(2, size=(150, 4))
        first = 0.05 + (order == 0) @ planted + rng.normal(scale=0.01, size=150)
        first = np.clip(first, 1e-6, 1.0)
        record = SuperpositionRecord(
            np.log(np.column_stack([first, np.full(150, 1e-9)])), HALF, order=order,
            collisions=np.ones(150, dtype=bool),
        )  # fmt: skip
        found = position_weights(record, "task 0")
        inside += np.sum(np.abs(found.weights - planted) <= 1.96 * found.standard_errors)
    # 240 intervals of 95 %: 228 on average, standard deviation 3.4; HC0 is a little narrow.
    assert 212 <= inside <= 240


def test_position_weights_of_exact_counts_are_refused() -> None:
    order = np.random.default_rng(0).permuted(np.tile([0, 0, 1, 1], (50, 1)), axis=1)
    record = SuperpositionRecord(np.full((50, 2), -1.0), HALF, order=order)
    with pytest.raises(ShapeError, match="draw contexts independently"):
        position_weights(record, "task 0")
    with pytest.raises(ShapeError, match="no order"):
        position_weights(SuperpositionRecord(np.full((5, 2), -1.0), HALF), "task 0")


def test_slopes_without_two_mixtures_and_logits_of_one_are_not_defined() -> None:
    single = analyse_superposition(SuperpositionRecord(np.log([[0.5, 0.4]]), HALF), n_bootstrap=0)
    assert np.isnan(single.across("slope", "task 0").value)
    assert np.isnan(single.across("n_eff", "task 0").value)
    logs = one_hot(np.array([0, 0, 1, 1]))
    mixture = [[0.7, 0.3]] * 2 + [[0.3, 0.7]] * 2
    found = analyse_superposition(SuperpositionRecord(logs, mixture), n_bootstrap=0)
    assert found.across("slope", "task 0").value == pytest.approx(2.5)
    assert np.isnan(found.across("logit_slope", "task 0").value)


@pytest.mark.parametrize(
    "options", [{"n_bootstrap": -1}, {"confidence": 1.0}, {"max_votes": 0}, {"rng": -3}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    record = SuperpositionRecord(np.log([[0.5, 0.4]]), HALF)
    with pytest.raises(FormatError):
        analyse_superposition(record, **options)  # type: ignore[arg-type]


def same_bits(first: Analysis, second: Analysis) -> bool:
    return np.array_equal(
        first.condition_values, second.condition_values, equal_nan=True
    ) and np.array_equal(first.across_values, second.across_values, equal_nan=True)


@pytest.mark.parametrize("n_prompts", [90, 5000])
def test_one_two_and_eight_threads_give_the_same_bits(n_prompts: int) -> None:
    record = random_record(1, n_prompts=n_prompts)
    runs = [analyse_superposition(record, n_bootstrap=130, n_threads=n) for n in (1, 2, 8)]
    assert same_bits(runs[0], runs[1])
    assert same_bits(runs[0], runs[2])
    other = analyse_superposition(record, n_bootstrap=130, rng=1)
    assert not same_bits(runs[0], other)


def test_a_generator_gives_the_seed_that_is_recorded() -> None:
    record = random_record(2)
    found = analyse_superposition(record, n_bootstrap=40, rng=np.random.default_rng(5))
    again = analyse_superposition(record, n_bootstrap=40, rng=found.options["seed"])
    assert same_bits(found, again)
