"""Training a head: what it keeps, where it starts, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from heads import fitted, problem
from kinatlas import _core
from kinatlas.composition import PromptHead
from kinatlas.errors import NonFiniteError, ShapeError, UnknownNameError


def test_a_penalty_on_the_weights_makes_them_even() -> None:
    def distance(beta_kl: float) -> float:
        head, features, _ = fitted(tau=1.0, beta_kl=beta_kl, epochs=30, patience=30)
        weights = head.weights(features)[0].astype(np.float64)
        return float((weights * np.log(3 * weights)).sum(axis=1).mean())

    free, some, much = distance(0.0), distance(0.1), distance(10.0)
    assert free > some > much
    assert much < 0.01


def test_the_best_epoch_is_restored() -> None:
    head, features, labels = fitted(epochs=12, learning_rate=0.3)
    history = head.history
    assert history.auc[history.best_epoch] == max(history.auc)
    scores = head.decision_function(features)
    assert _core.area_under_curve(scores, labels) == history.auc[history.best_epoch]
    assert len(history.auc) <= 12


def test_training_stops_when_patience_ends() -> None:
    history = fitted(epochs=200, learning_rate=0.1, patience=2)[0].history
    assert len(history.loss) - 1 - history.best_epoch == 2


def test_without_validation_every_epoch_runs_and_the_last_is_kept() -> None:
    features, labels = problem()
    history = PromptHead(tower=(4,), epochs=6, patience=1).fit(features, labels).history
    assert len(history.loss) == 6
    assert history.best_epoch == 5
    assert np.isnan(history.auc).all()


def test_a_start_from_a_source_copies_its_prompt() -> None:
    features, labels = problem()
    still = {"tower": (4,), "epochs": 1, "learning_rate": 1e-30}
    head = PromptHead(init="source:task1", **still).fit(features, labels)
    assert np.array_equal(head.state()["prompt.E"], features.keys[1])
    head = PromptHead(init="mean", **still).fit(features, labels)
    assert np.allclose(head.state()["prompt.E"], features.keys.mean(axis=0), atol=1e-7)
    gate = np.full((2, 7), 0.25, "f")
    head = PromptHead(init="warm:old", warm={"old": {"gate.weight": gate}}, **still)
    assert np.array_equal(head.fit(features, labels).state()["gate.weight"], gate)


def test_a_race_keeps_the_start_with_the_best_validation() -> None:
    features, labels = problem()
    good = PromptHead(tower=(4,), epochs=20, learning_rate=1e-2).fit(features, labels).state()
    head = PromptHead(tower=(4,), epochs=2, init="race", race_epochs=1, warm={"good": good})
    history = head.fit(features, labels, (features, labels)).history
    assert history.init == "warm:good"
    names = ["random", "mean", "source:task0", "source:task1", "source:task2", "warm:good"]
    assert list(history.race) == names
    assert history.race["warm:good"] == max(history.race.values())


def test_labels_that_cannot_teach_are_refused() -> None:
    features, labels = problem()
    head = PromptHead(epochs=1, tower=(4,))
    with pytest.raises(ShapeError, match="both classes"):
        head.fit(features, np.zeros(600))
    with pytest.raises(ShapeError, match="validation labels: all 600 are 1"):
        head.fit(features, labels, (features, np.ones(600)))
    with pytest.raises(ShapeError, match="one for every row"):
        head.fit(features, labels[:5])
    with pytest.raises(NonFiniteError, match="row 0 is nan"):
        head.fit(features, np.where(np.arange(600) == 0, np.nan, labels))
    with pytest.raises(ShapeError, match="validation"):
        PromptHead(init="race").fit(features, labels)
    with pytest.raises(UnknownNameError, match="nobody"):
        PromptHead(init="source:nobody").fit(features, labels)


def test_a_training_that_diverges_says_so() -> None:
    features, labels = problem()
    with pytest.raises(NonFiniteError, match="learning_rate"):
        PromptHead(tower=(4,), learning_rate=1e30, epochs=3).fit(features, labels)
