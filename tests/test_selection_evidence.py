"""What speaks for a source, and whether transfer helped: known answers, intervals, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.composition import Features, PromptHead
from kinatlas.errors import (
    DTypeError,
    FormatError,
    NonFiniteError,
    ShapeError,
    SpaceError,
    UnknownNameError,
)
from kinatlas.selection import SourceEvidence, explain_sources, hide_shared, judge_transfer

SOURCES = ("click", "like", "buy")


def rows(n: int = 900, seed: int = 0) -> tuple[Features, Any, Any]:
    """A new task that hangs on the expert of 'like' alone, with labels of all sources."""
    draws = np.random.default_rng(seed)
    own = draws.normal(size=(n, 3, 4)).astype("f")
    features = Features(
        x=draws.normal(size=(n, 3)).astype("f"),
        shared=draws.normal(size=(n, 4)).astype("f"),
        own=own,
        sources=SOURCES,
        keys=np.random.default_rng(9).normal(size=(3, 4)).astype("f"),
        basis_key="example",
    )
    return features, own[:, 1, 0] > 0, own[:, :, 0] > 0


def head(**options: Any) -> PromptHead:
    features, labels, _ = rows()
    settings = {"tower": (8,), "learning_rate": 0.01, "epochs": 20, "seed": 0, **options}
    return PromptHead(**settings).fit(features, labels)


def explained(**options: Any) -> SourceEvidence:
    features, labels, theirs = rows(seed=1)
    options = {"source_labels": theirs, "target": "wish", **options}
    return explain_sources(head(), features, labels, **options)


def test_every_measure_names_the_source_that_the_task_hangs_on() -> None:
    evidence = explained()
    for measure in ("leave_one_out", "mean_weight", "label_correlation", "probe"):
        ranking = ka.rank_sources(evidence.to_matrix(measure), "wish")
        assert ranking[0].source == "like", measure
    assert evidence.verdicts["like"] == "transfer+"
    assert evidence.to_matrix().neutral == 0.0


def test_leaving_out_is_what_replacing_by_the_mean_costs() -> None:
    features, labels, _ = rows(seed=1)
    background = rows(seed=2)[0]
    trained = head()
    found = explain_sources(trained, features, labels, target="wish", background=background)

    def loss(given: Features) -> float:
        chances = trained.predict_proba(given)
        return float(-np.log(chances[np.arange(len(labels)), labels.astype(int)]).mean())

    for at in range(3):
        own = features.own.copy()
        own[:, at] = background.own[:, at].mean(axis=0, dtype=np.float64)
        wanted = loss(replace(features, own=own)) - loss(features)
        assert found.leave_one_out[at, 0] == pytest.approx(wanted, abs=1e-9)
    assert (found.leave_one_out[:, 1] <= found.leave_one_out[:, 0]).all()
    assert (found.leave_one_out[:, 0] <= found.leave_one_out[:, 2]).all()
    assert found.label_correlation is None


def test_the_order_of_sources_changes_no_number() -> None:
    features, labels, theirs = rows(seed=1)
    order = ["buy", "click", "like"]
    at = [SOURCES.index(name) for name in order]
    first = explained()
    moved = explain_sources(
        head(), features.select(order), labels, target="wish", source_labels=theirs[:, at]
    )
    assert moved.sources == tuple(order)
    np.testing.assert_allclose(moved.leave_one_out, first.leave_one_out[at], atol=1e-9)
    np.testing.assert_allclose(moved.mean_weight, first.mean_weight[at], atol=1e-7)
    np.testing.assert_allclose(moved.probe, first.probe[at], atol=1e-9)


def test_a_source_that_says_the_same_of_every_row_is_neutral() -> None:
    features, labels, _ = rows(seed=1)
    own = features.own.copy()
    own[:, 2] = own[:, 2].mean(axis=0)
    found = explain_sources(head(), replace(features, own=own), labels, target="wish")
    np.testing.assert_allclose(found.leave_one_out[2], 0, atol=1e-6)


def test_a_head_on_the_shared_part_alone_has_nothing_to_leave_out() -> None:
    features, labels, _ = rows(seed=1)
    found = explain_sources(head(mode="share"), features, labels, target="wish")
    np.testing.assert_array_equal(found.leave_one_out, 0)
    assert set(found.verdicts.values()) == {"neutral"}
    assert found.mean_gate == (0.0, 1.0)


def test_evidence_fits_a_table_and_says_weight_not_importance() -> None:
    evidence = explained()
    assert list(evidence.to_dict())[:5] == ["source", "leave_one_out", "low", "high", "verdict"]
    assert "mean_weight" in repr(evidence)
    assert "importance" not in repr(evidence)
    assert "<table" in evidence._repr_html_()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": [0, 1]}, ShapeError, "labels: have shape"),
        ({"source_labels": np.zeros((900, 2))}, ShapeError, "source_labels have shape"),
        ({"source_labels": np.ones((900, 3))}, ShapeError, "one class only"),
        ({"background": "foreign"}, UnknownNameError, "source"),
        ({"features": "foreign"}, SpaceError, "backbone"),
        ({"n_draws": 10}, ValueError, "n_draws"),
    ],
)
def test_what_cannot_be_explained_is_named(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    features, labels, theirs = rows(seed=1)
    given: dict[str, Any] = {"features": features, "labels": labels, "source_labels": theirs}
    if "background" in change:
        change = {"background": features.select(["click", "buy"])}
    elif "features" in change:
        change = {"features": replace(features, basis_key="another")}
    given |= change
    with pytest.raises(error, match=message):
        explain_sources(head(), given.pop("features"), given.pop("labels"), target="wish", **given)
    with pytest.raises(FormatError, match="source_labels"):
        explained(source_labels=None).to_matrix("probe")


def chances(labels: Any, skill: float, seed: int) -> Any:
    noise = np.random.default_rng(seed).normal(size=len(labels))
    return 1 / (1 + np.exp(-(skill * (labels - 0.5) + noise)))


def test_a_better_model_is_transfer_plus_and_a_worse_one_transfer_minus() -> None:
    labels = np.random.default_rng(0).integers(2, size=2000)
    good, poor = chances(labels, 2.0, 1), chances(labels, 1.0, 2)
    up, down = judge_transfer(labels, good, poor), judge_transfer(labels, poor, good)
    assert (up.verdict, down.verdict) == ("transfer+", "transfer-")
    assert up.auc_gain[0] == pytest.approx(-down.auc_gain[0])
    assert up.log_loss_gain[0] > 0 > down.log_loss_gain[0]
    assert judge_transfer(labels, good, good).verdict == "neutral"
    assert judge_transfer(labels, good, good).auc_gain == (0.0, 0.0, 0.0)


def test_the_auc_is_that_of_counted_pairs() -> None:
    draws = np.random.default_rng(0)
    labels, scores = draws.integers(2, size=300), draws.integers(6, size=300) / 5
    ours, theirs = scores[labels == 1][:, None], scores[labels == 0][None, :]
    wanted = ((ours > theirs) + 0.5 * (ours == theirs)).mean()
    assert judge_transfer(labels, scores, scores).auc == pytest.approx(wanted, abs=1e-12)


def test_pairing_makes_the_interval_narrower_than_apart() -> None:
    labels = np.random.default_rng(0).integers(2, size=2000)
    good = chances(labels, 2.0, 1)
    near = np.clip(good + 0.02 * np.random.default_rng(3).normal(size=2000), 0, 1)
    found = judge_transfer(labels, good, near)
    apart = judge_transfer(labels, good, chances(labels, 2.0, 5))
    widths = [found.auc_gain[2] - found.auc_gain[1], apart.auc_gain[2] - apart.auc_gain[1]]
    assert widths[0] < widths[1] / 2


def test_the_interval_covers_no_difference_about_as_often_as_it_says() -> None:
    decided = 0
    for seed in range(60):
        labels = np.random.default_rng(seed).integers(2, size=400)
        pair = chances(labels, 1.0, 1000 + seed), chances(labels, 1.0, 2000 + seed)
        decided += judge_transfer(labels, *pair, n_draws=200).verdict != "neutral"
    # Binomial of 60 at 5 %: 9 or more has a chance of 0.3 %.
    assert decided < 9


def test_few_positives_leave_it_undecided() -> None:
    labels = np.arange(2000) < 49
    found = judge_transfer(labels, chances(labels, 3.0, 1), chances(labels, 0.0, 2))
    assert found.auc_gain[1] > 0
    assert found.verdict == "undecided"


@pytest.mark.parametrize(
    ("labels", "ours", "error", "message"),
    [
        ([0, 2], [0.1, 0.2], DTypeError, "0 or 1"),
        ([1, 1], [0.1, 0.2], ShapeError, "alike"),
        ([0, 1], [0.1], ShapeError, "chances: shape"),
        ([0, 1], [0.1, float("nan")], NonFiniteError, "chances"),
        ([0, 1], [0.1, 1.2], NonFiniteError, "chances"),
    ],
)
def test_bad_chances_and_labels_are_named(
    labels: Any, ours: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        judge_transfer(labels, ours, [0.5, 0.5])


def test_a_head_without_the_shared_part_has_to_read_the_sources() -> None:
    features, labels, _ = rows(seed=1)
    # The shared part knows the task as well as the source does, only louder.
    shared = np.repeat(3 * features.own[:, 1, :1], 4, axis=1)
    known = replace(features, shared=shared)
    settings = {"tower": (8,), "learning_rate": 0.01, "epochs": 20}
    served = explain_sources(
        PromptHead(**settings).fit(known, labels), known, labels, target="wish"
    )
    hidden = hide_shared(known)
    reading = PromptHead(**settings).fit(hidden, labels)
    asked = explain_sources(reading, hidden, labels, target="wish")
    assert asked.leave_one_out[1, 0] > 2 * served.leave_one_out[1, 0]
    assert asked.verdicts["like"] == "transfer+"
    with pytest.raises(SpaceError):
        reading.predict_proba(known)
