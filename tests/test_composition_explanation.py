"""What a head says about its sources, and whether borrowing paid."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas import _core
from kinatlas import _reference_composition as twin
from kinatlas.composition import Features, PromptHead, explain, judge_transfer
from kinatlas.errors import NonFiniteError, ShapeError, UnknownNameError


def problem(seed: int = 0, n: int = 3000) -> tuple[Features, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n, 4, 6)).astype("f")
    features = Features(
        x=rng.normal(size=(n, 5)).astype("f"),
        shared=rng.normal(size=(n, 6)).astype("f"),
        own=own,
        sources=("d", "b", "a", "c"),
        keys=rng.normal(size=(4, 6)).astype("f"),
        basis_key="backbone",
    )
    # Only source "b" tells anything.
    return features, rng.random(n) < 1 / (1 + np.exp(-4 * own[:, 1, 0]))


def trained(seed: int = 0) -> tuple[PromptHead, Features, np.ndarray]:
    features, labels = problem(seed)
    train, held = slice(2000), slice(2000, 3000)
    head = PromptHead(tower=(8,), learning_rate=1e-2, epochs=8, seed=seed)
    head.fit(features.take(train), labels[train], (features.take(held), labels[held]))
    return head, features.take(held), labels[held]


def test_the_source_that_tells_is_named_by_the_loss_without_it() -> None:
    for seed in range(3):
        found = explain(*trained(seed))
        assert found.sources[int(found.loss.argmax())] == "b"
        assert found.verdicts[1] == "helps"
        assert (found.low <= found.loss).all()
        assert (found.loss <= found.high).all()


def test_an_explanation_is_what_its_definitions_say() -> None:
    head, features, labels = trained()
    found = explain(head, features, labels, n_draws=100)
    weights, gate = head.weights(features)
    assert np.allclose(found.weight, weights.mean(axis=0), atol=1e-6)
    assert found.specific == pytest.approx(gate[:, 0].mean(), abs=1e-6)
    means = features.own.mean(axis=0)
    lengths = np.linalg.norm((features.own - means) * head.state()["prompt.E"], axis=2)
    wanted = (gate[:, :1] * weights * lengths).mean(axis=0)
    assert np.allclose(found.contribution, wanted, rtol=1e-4)

    def loss(rows: Features) -> float:
        chosen = head.predict_proba(rows)[np.arange(len(rows)), labels.astype(int)]
        return float(-np.log(chosen).mean())

    own = features.own.copy()
    own[:, 1] = means[1]
    fields = {name: getattr(features, name) for name in ("x", "shared", "sources", "keys")}
    without = Features(**fields, own=own, basis_key="backbone")
    assert found.loss[1] == pytest.approx(loss(without) - loss(features), abs=1e-6)


def test_the_background_is_what_replaces_an_expert() -> None:
    head, features, labels = trained()
    other = explain(head, features, labels, background=features.take(slice(10)), n_draws=100)
    own = explain(head, features, labels, n_draws=100)
    assert not np.allclose(other.loss, own.loss)
    turned = explain(
        head, features, labels, background=features.select(("a", "b", "c", "d")), n_draws=100
    )
    assert np.array_equal(turned.loss, own.loss)


def test_an_explanation_fits_one_screen_and_exports() -> None:
    found = explain(*trained(), n_draws=100)
    assert len(repr(found).splitlines()) < 12
    assert found.to_dict()["source"] == ["d", "b", "a", "c"]
    assert "helps" in found._repr_html_()


def test_a_head_that_reads_no_source_has_nothing_to_explain() -> None:
    features, labels = problem()
    head = PromptHead(tower=(4,), epochs=1, mode="share").fit(features, labels)
    with pytest.raises(ShapeError, match="share"):
        explain(head, features, labels)


def scores(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.4
    clean = 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(size=n))))
    noisy = 1 / (1 + np.exp(-(2 * labels - 1 + 4 * rng.normal(size=n))))
    return labels, clean, noisy


def test_verdicts_follow_the_interval_of_the_difference() -> None:
    labels, clean, noisy = scores()
    better = judge_transfer(labels, {"head": clean, "scratch": noisy})
    assert better.verdict == "transfer+"
    assert better.gain_low[1] > 0
    worse = judge_transfer(labels, {"scratch": clean, "head": noisy})
    assert worse.verdict == "transfer-"
    assert worse.names == ("head", "scratch")
    assert worse.gain[1] == pytest.approx(-better.gain[1])
    same = judge_transfer(labels, {"head": clean, "scratch": clean})
    assert same.verdict == "neutral"
    assert same.gain_low[1] == same.gain_high[1] == 0.0
    few = judge_transfer(labels[:60], {"head": clean[:60], "scratch": noisy[:60]})
    assert few.verdict == "too few rows"


def test_numbers_of_a_verdict_are_what_they_say() -> None:
    labels, clean, noisy = scores()
    found = judge_transfer(
        labels, {"head": np.stack([1 - clean, clean], axis=1), "scratch": noisy}, n_draws=500
    )
    assert found.auc[0] == pytest.approx(twin.auc(clean, labels), abs=1e-12)
    assert found.auc[1] == pytest.approx(twin.auc(noisy, labels), abs=1e-12)
    loss = [-np.log(np.where(labels, p, 1 - p)).mean() for p in (clean, noisy)]
    assert np.allclose(found.log_loss, loss)
    assert found.loss_gain[1] == pytest.approx(loss[1] - loss[0])
    assert found.loss_gain_low[1] < found.loss_gain[1] < found.loss_gain_high[1]
    assert found.gain_low[1] < found.gain[1] < found.gain_high[1]
    assert "transfer+" in repr(found)


def test_draws_are_the_same_rows_for_every_model_and_any_number_of_threads() -> None:
    labels, clean, noisy = scores()
    both = np.stack([clean, noisy, clean])
    one, two = (_core.resample_areas(both, labels, 3, 200, n) for n in (1, 2))
    assert np.array_equal(one, two)
    assert np.array_equal(one[:, 0], one[:, 2])
    assert not np.array_equal(one[:, 0], one[:, 1])
    # Hanley and McNeil's error of an area, near the spread of the draws.
    area, (n_one, n_zero) = one[0, 0], (labels.sum(), (~labels).sum())
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_one - 1) * (first - area**2)
    variance = (variance + (n_zero - 1) * (second - area**2)) / (n_one * n_zero)
    assert one[1:, 0].std() == pytest.approx(np.sqrt(variance), rel=0.25)


def test_a_calibrated_model_has_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    chances = rng.random(20_000)
    labels = rng.random(20_000) < chances
    found = judge_transfer(labels, {"head": chances, "scratch": chances**4}, n_draws=100)
    # A bin of 1,333 rows is off by at most 0.014 in the root mean square.
    assert found.ece[0] < 0.02
    assert found.ece[1] > 0.1


def test_rivals_that_do_not_fit_are_refused() -> None:
    labels, clean, noisy = scores()
    for error, words, rivals in [
        (UnknownNameError, "against 'scratch'", {"head": clean}),
        (UnknownNameError, "head 'head'", {"scratch": clean}),
        (ShapeError, "probabilities of 'scratch'", {"head": clean, "scratch": noisy[1:]}),
        (ShapeError, "outside 0 to 1", {"head": clean, "scratch": noisy + 1}),
        (NonFiniteError, "scratch", {"head": clean, "scratch": noisy * np.nan}),
    ]:
        with pytest.raises(error, match=words):
            judge_transfer(labels, rivals)
    with pytest.raises(ShapeError, match="both classes"):
        judge_transfer(np.ones(600), {"head": clean, "scratch": noisy})
