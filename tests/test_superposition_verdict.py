"""The verdict names what was shown, and refuses to name more."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.errors import FormatError
from kinatlas.superposition import SuperpositionRecord, analyse_superposition, judge


def verdict_of(first: np.ndarray, mass: float = 1.0, n_bootstrap: int = 200) -> str:
    logs = np.log(mass * np.column_stack([first, 1 - first]))
    record = SuperpositionRecord(logs, [0.5, 0.5])
    return judge(analyse_superposition(record, n_bootstrap=n_bootstrap)).finding


def test_each_kind_of_model_gets_its_name() -> None:
    rng = np.random.default_rng(0)
    coin = np.where(rng.random(400) < 0.5, 0.99, 0.01)
    assert verdict_of(rng.uniform(0.4, 0.6, size=400)) == "superposed_per_prompt"
    assert verdict_of(coin) == "only_on_average"
    assert verdict_of(np.full(400, 0.99)) == "winner_take_all"
    assert verdict_of(rng.uniform(0.4, 0.6, size=400), mass=0.2) == "unanswered"
    assert verdict_of(rng.uniform(0.0, 1.0, size=400)) == "undecided"


def test_few_prompts_leave_the_verdict_open() -> None:
    # Seven winners to one: V is 1, but the mean may or may not cover the loser.
    few = np.array([0.999] * 7 + [0.001])
    assert verdict_of(few) in {"undecided", "winner_take_all"}
    assert verdict_of(np.tile(few, 40)) == "only_on_average"


def test_a_mean_on_the_mixture_is_never_enough() -> None:
    coin = np.tile([0.999, 0.001], 100)
    logs = np.log(np.column_stack([coin, 1 - coin]))
    analysis = analyse_superposition(SuperpositionRecord(logs, [0.5, 0.5]), n_bootstrap=200)
    assert analysis.at("kl_of_mean").value < 1e-12
    assert judge(analysis).finding == "only_on_average"


def test_the_evidence_is_kept_and_shown() -> None:
    coin = np.tile([0.99, 0.01], 100)
    logs = np.log(np.column_stack([coin, 1 - coin]))
    mixture = np.repeat([[0.5, 0.5], [1.0, 0.0]], 100, axis=0)
    verdict = judge(analyse_superposition(SuperpositionRecord(logs, mixture), n_bootstrap=200))
    assert verdict.skipped == ("1/0",)
    (row,) = verdict.conditions
    assert row.dispersion.low > 0.9
    assert row.effective_tasks.value < 1.1 < 1.9 < row.effective_tasks_of_mean.value
    assert "only their average looks superposed" in repr(verdict)
    assert "0.5/0.5" in verdict._repr_html_()


def test_conditions_that_differ_make_no_common_claim() -> None:
    coin = np.tile([0.99, 0.01], 100)
    steady = np.full(200, 0.5)
    first = np.concatenate([coin, steady])
    mixture = np.repeat([[0.4, 0.6], [0.5, 0.5]], 200, axis=0)
    record = SuperpositionRecord(np.log(np.column_stack([first, 1 - first])), mixture)
    verdict = judge(analyse_superposition(record, n_bootstrap=200))
    assert verdict.finding == "undecided"
    assert "one by one" in verdict.explanation


def test_single_task_records_and_crossed_limits_are_refused() -> None:
    record = SuperpositionRecord(np.log([[0.9, 0.05]] * 5), [1.0, 0.0])
    with pytest.raises(FormatError, match="no condition mixes two tasks"):
        judge(analyse_superposition(record, n_bootstrap=0))
    mixed = SuperpositionRecord(np.log([[0.5, 0.45]] * 5), [0.5, 0.5])
    with pytest.raises(FormatError, match="low <= high"):
        judge(analyse_superposition(mixed, n_bootstrap=0), low_dispersion=0.6)
    assert judge(analyse_superposition(mixed, n_bootstrap=0)).finding == "superposed_per_prompt"
