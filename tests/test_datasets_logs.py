"""The generated logs: what they promise about relatedness, rates and noise is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kinatlas.datasets import MultiTaskTable, multi_task_logs
from kinatlas.errors import ShapeError, UnknownNameError

TASKS = {
    "click": {"shared": 0.6, "click": 0.8},
    "buy": {"shared": 0.6, "buy": 0.8},
    "wish": {"buy": 1.0, "wish": 0.5},
    "avoid": {"buy": -1.0, "avoid": 0.5},
    "weather": {"weather": 1.0},
    "again": {"shared": 3.0, "click": 4.0},
}


def logs(n_rows: int = 5000, **options: Any) -> MultiTaskTable:
    return multi_task_logs(TASKS, n_rows, **{"rng": 0, "n_users": 300, "n_items": 100, **options})


def auc(scores: Any, labels: Any) -> float:
    """Pairs counted one by one: slow, and right by definition."""
    ours, theirs = scores[labels == 1][:, None], scores[labels == 0][None, :]
    return float(((ours > theirs) + 0.5 * (ours == theirs)).mean())


@pytest.mark.parametrize("seed", range(5))
def test_relatedness_is_the_correlation_of_the_logits_over_the_rows(seed: int) -> None:
    truth = logs(n_rows=1000, rng=seed).truth
    assert truth is not None
    found = np.corrcoef(truth.logits.T)
    np.testing.assert_allclose(found, truth.relatedness, atol=1e-10, rtol=0)


def test_relatedness_says_what_the_weights_say() -> None:
    truth = logs().truth
    assert truth is not None
    names = list(TASKS)
    related = {
        (a, b): truth.relatedness[names.index(a), names.index(b)] for a in names for b in names
    }
    assert related["click", "buy"] == pytest.approx(0.36, abs=1e-12)
    assert related["wish", "avoid"] == pytest.approx(-0.8, abs=1e-12)
    assert related["click", "again"] == pytest.approx(1.0, abs=1e-12)
    assert all(related["weather", name] == 0 for name in names if name != "weather")


def test_base_rates_are_those_asked_for() -> None:
    rates = {"click": 0.2, "buy": 0.003, "weather": 0.9}
    table = logs(base_rates=rates)
    assert table.truth is not None
    wanted = [rates.get(name, 0.3) for name in TASKS]
    np.testing.assert_allclose(table.truth.probabilities.mean(axis=0), wanted, atol=1e-9)
    # Four standard errors of a share of 5,000 draws.
    spread = 4 * np.sqrt(np.array(wanted) * (1 - np.array(wanted)) / len(table))
    assert (np.abs(table.labels.mean(axis=0) - wanted) < spread).all()


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_the_bayes_auc_is_what_the_true_probabilities_reach(noise: float) -> None:
    table = logs(n_rows=4000, label_noise=noise)
    truth = table.truth
    assert truth is not None
    for at in range(len(TASKS)):
        labels, chances = table.labels[:, at], truth.probabilities[:, at]
        n_rarer = min(labels.sum(), len(labels) - labels.sum())
        # An AUC varies by at most sqrt(A (1 - A) / rarer class) (Hanley and McNeil 1982).
        error = np.sqrt(truth.bayes_auc[at] * (1 - truth.bayes_auc[at]) / n_rarer)
        assert abs(auc(chances, labels) - truth.bayes_auc[at]) < 4 * error
        # Nothing seen through one field comes near.
        assert auc(table.codes[:, 0], labels) < truth.bayes_auc[at]


def test_the_bayes_auc_of_two_rows_is_worked_out_by_hand() -> None:
    from kinatlas.datasets.logs import _expected_auc

    # One of each class: p(1-q) wins against q(1-p).
    assert _expected_auc(np.array([0.9, 0.2])) == pytest.approx(0.72 / (0.72 + 0.02))
    assert _expected_auc(np.array([0.5, 0.5])) == pytest.approx(0.5)


def test_label_noise_flips_that_share_of_labels_and_leaves_the_rest() -> None:
    clean, noisy = logs(n_rows=20_000), logs(n_rows=20_000, label_noise={"click": 0.25})
    flipped = (clean.labels != noisy.labels).mean(axis=0)
    # Shared draws: a label flips where the draw falls between the two chances.
    assert noisy.truth is not None
    assert clean.truth is not None
    moved = np.abs(noisy.truth.probabilities - clean.truth.probabilities).mean(axis=0)
    assert flipped[0] == pytest.approx(moved[0], abs=0.015)
    assert not flipped[1:].any()
    assert noisy.truth.bayes_auc[0] < clean.truth.bayes_auc[0] - 0.1


def test_a_conversion_is_seen_only_after_a_click_and_known_everywhere() -> None:
    free, table = logs(n_rows=20_000), logs(n_rows=20_000, funnel=("click", "buy"))
    truth = table.truth
    assert truth is not None
    assert free.truth is not None
    click, buy = table.labels[:, 0], table.labels[:, 1]
    assert not buy[click == 0].any()
    np.testing.assert_array_equal(buy, free.labels[:, 1] * click)
    np.testing.assert_array_equal(truth.logits, free.truth.logits)
    np.testing.assert_allclose(
        truth.probabilities[:, 1], free.truth.probabilities[:, :2].prod(axis=1)
    )
    # Related tasks: among the clicked, conversions are commoner than in the entire space.
    assert buy[click == 1].mean() > free.labels[:, 1].mean() + 0.02


def test_a_seed_gives_the_same_logs_and_another_seed_others() -> None:
    first, again, other = logs(), logs(), logs(rng=1)
    np.testing.assert_array_equal(first.codes, again.codes)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).any()
    generator = np.random.default_rng(0)
    assert (logs(rng=generator).labels != logs(rng=generator).labels).any()


def test_every_field_has_ten_categories_and_no_code_outside() -> None:
    table = logs()
    assert list(table.fields.values()) == [10] * 8
    assert table.codes.min() == 0
    assert table.codes.max() == 9


def test_a_selection_keeps_codes_labels_and_truth_together() -> None:
    table = logs()
    part = table.select(table.labels[:, 0] == 1, ["weather", "click"])
    assert part.truth is not None
    assert table.truth is not None
    assert part.tasks == ("weather", "click")
    assert part.labels[:, 1].all()
    rows = np.flatnonzero(table.labels[:, 0])
    np.testing.assert_array_equal(part.truth.logits, table.truth.logits[rows][:, [4, 0]])
    np.testing.assert_array_equal(part.truth.relatedness, np.eye(2))
    with pytest.raises(UnknownNameError, match="weater"):
        table.select(tasks=["weater"])
    np.testing.assert_array_equal(table.select(slice(0, 9)).codes, table.select(range(9)).codes)
    for rows in ([], [len(table)], [0.5], np.zeros(len(table), bool)):
        with pytest.raises(ShapeError, match="rows"):
            table.select(rows)


def test_parts_of_a_split_share_no_row_and_need_one() -> None:
    table = logs(n_rows=1000)
    parts = table.split(0.7, 0.3, rng=3)
    joined = np.concatenate([part.truth.logits[:, 0] for part in parts if part.truth])
    assert table.truth is not None
    np.testing.assert_array_equal(np.sort(joined), np.sort(table.truth.logits[:, 0]))
    for shares in ((), (0.7, 0.4), (-0.1,), (1e-9,)):
        with pytest.raises(ShapeError, match="shares"):
            table.split(*shares)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_rates": 0.0}, "base_rates of 'click' is 0.0"),
        ({"base_rates": {"buy": 1.0}}, "base_rates of 'buy'"),
        ({"base_rates": {"bye": 0.1}}, "did you mean 'buy'"),
        ({"label_noise": 0.5}, "label_noise"),
        ({"funnel": ("click", "purchase")}, "purchase"),
        ({"signal": float("nan")}, "signal"),
        ({"dim": 0}, "dim=0"),
        ({"n_rows": 20}, "n_rows=20"),
        ({"n_users": 1, "n_items": 2}, "uncorrelated factors"),
        ({"rng": -1}, "rng=-1"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        logs(**options)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, "at least one"),
        ({"click": {}}, "not 0"),
        ({"click": {"a": 0.0}}, "not 0"),
        ({"click": {"a": float("inf")}}, "weight of task 'click' on 'a'"),
    ],
)
def test_tasks_without_weights_are_refused(tasks: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        multi_task_logs(tasks, 100)


@pytest.mark.parametrize("funnel", [("click",), ("click", "click"), ("click", "buy", "wish")])
def test_a_funnel_is_a_pair_of_two_tasks(funnel: Any) -> None:
    with pytest.raises(ShapeError, match="two different tasks"):
        logs(funnel=funnel)
