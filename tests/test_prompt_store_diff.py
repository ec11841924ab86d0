"""Differences of two prompts, with a paired bootstrap against scikit-learn's AUC and log loss."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import kinatlas as ka


def rows_of(found) -> dict[str, tuple]:
    return {row[0]: row[1:] for row in found.rows}


@pytest.fixture
def answers():
    rng = np.random.default_rng(3)
    labels = (rng.random(400) < 0.3).astype(float)
    # Rounded, so that scores tie.
    first = np.round(np.clip(0.3 + 0.2 * labels + 0.2 * rng.normal(size=400), 0.01, 0.99), 1)
    second = np.clip(first + 0.15 * (labels - 0.5), 0.01, 0.99)
    return labels, first.clip(0.05, 0.95), second


def two(store, answers, **options):
    labels, first, second = answers
    names = []
    for value, scores in ((1.0, first), (2.0, second)):
        name = store.add(
            {"e": np.array([value, 1.0])}, task="ctr", basis_key=options.get("basis", "v1"),
            metrics={"auc": roc_auc_score(labels, scores)}, evaluation=(labels, scores),
            evaluated_on="holdout", settings={"tau": value}, parent=names[0] if names else "",
        ).id  # fmt: skip
        names.append(name)
    return names


def test_changes_of_auc_and_log_loss_are_those_of_the_oracle(tmp_path, answers):
    labels, first, second = answers
    store = ka.PromptStore(tmp_path)
    rows = rows_of(store.diff(*two(store, answers), n_draws=300))
    for name, oracle in (("auc", roc_auc_score), ("log loss", log_loss)):
        before, after, change, low, high = rows[f"{name} (same rows)"]
        assert before == pytest.approx(oracle(labels, first), abs=1e-12)
        assert after == pytest.approx(oracle(labels, second), abs=1e-12)
        assert low < change < high
    assert rows["auc (same rows)"][3] > 0
    assert rows["log loss (same rows)"][4] < 0
    assert rows["settings: tau"][:2] == ("1.0", "2.0")
    cosine = 3 / np.sqrt(10)
    assert rows["tensor e: cosine"][2] == pytest.approx(cosine, abs=1e-15)


def test_the_interval_is_that_of_resampled_oracles(tmp_path, answers):
    labels, first, second = answers
    store = ka.PromptStore(tmp_path)
    found = rows_of(store.diff(*two(store, answers), n_draws=400, rng=5))["auc (same rows)"]
    rng, changes = np.random.default_rng(0), []
    for _ in range(400):
        drawn = rng.integers(400, size=400)
        changes.append(
            roc_auc_score(labels[drawn], second[drawn]) - roc_auc_score(labels[drawn], first[drawn])
        )
    low, high = np.quantile(changes, [0.025, 0.975])
    # Two bootstraps of 400 draws; their ends differ by a tenth of the width at most.
    assert found[3:] == pytest.approx((low, high), abs=0.15 * (high - low))
    assert found == rows_of(store.diff(*two(store, answers), n_draws=400, rng=5))["auc (same rows)"]


def test_other_rows_give_no_interval_and_say_so(tmp_path, answers):
    labels, first, _ = answers
    store = ka.PromptStore(tmp_path)
    names = two(store, answers)
    elsewhere = store.add(
        {"e": np.ones(2)}, task="ctr", basis_key="v2", evaluation=(labels, first),
        evaluated_on="another day",
    ).id  # fmt: skip
    found = store.diff(names[0], elsewhere)
    assert "not evaluated on the same rows" in " ".join(found.notes)
    assert "other backbone" in " ".join(found.notes)
    assert not any("cosine" in row[0] for row in found.rows)
    assert rows_of(found)["basis_key"][:2] == ("v1", "v2")


def test_one_class_alone_has_no_auc(tmp_path):
    store = ka.PromptStore(tmp_path)
    scores = np.array([0.2, 0.4])
    names = [
        store.add({"e": np.full(2, value)}, task="ctr", basis_key="v1",
                  evaluation=(np.zeros(2), scores)).id
        for value in (1.0, 2.0)
    ]  # fmt: skip
    before, _, change, low, _ = rows_of(store.diff(*names))["auc (same rows)"]
    assert np.isnan([before, change, low]).all()
    assert rows_of(store.diff(*names))["log loss (same rows)"][2] == 0


def test_shapes_that_changed_are_listed_instead_of_compared(tmp_path):
    store = ka.PromptStore(tmp_path)
    names = [store.add({"e": np.ones(n), "zero": np.zeros(1)}, task="ctr", basis_key="v1").id
             for n in (2, 3)]  # fmt: skip
    rows = rows_of(store.diff(*names))
    assert rows["tensor e: shape"][:2] == ("[2]", "[3]")
    assert np.isnan(rows["tensor zero: cosine"][2])
