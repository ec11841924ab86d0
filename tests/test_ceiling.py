"""The noise ceiling brackets what a predictor that knows the true means exactly would reach."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kinatlas import consistency, evaluate
from kinatlas.evaluation import TransferTable
from kinatlas.similarity import SimilarityMatrix


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_the_true_means_lie_between_the_bounds_and_above_another_seed(n_seeds):
    rng = np.random.default_rng(0)
    means = 60 + 5 * rng.normal(size=(150, 12))
    runs = np.clip(means[:, :, None] + 5 * rng.normal(size=(150, 12, n_seeds)), 1.5, 99)
    targets, sources = [f"t{at}" for at in range(150)], [f"s{at}" for at in range(12)]
    table = TransferTable(runs, tuple(targets), tuple(sources), tuple(range(n_seeds)))
    found = consistency.noise_ceiling(table, gain="rank", k=1, n_replicates=200)
    perfect = evaluate(
        SimilarityMatrix(means, targets, sources, "oracle"), table, gain="rank", k=1
    ).summary()
    rows = {
        row[0]: dict(zip(found.columns, row, strict=True))
        for row in zip(*found.columns.values(), strict=True)
    }
    for name in ("ndcg", "spearman", "kendall"):
        row = rows[name]
        assert row["high"] < perfect[name]
        assert row["others"] < perfect[name] < row["all"]
    for name in ("regret@1", "average_rank"):
        row = rows[name]
        assert row["all"] < perfect[name] < row["others"]
        assert perfect[name] < row["low"]
    assert "between" in found.explain("ndcg")


def test_what_has_no_value_says_so_without_a_warning():
    flat = TransferTable(np.full((3, 4, 2), 50.0), tuple("xyz"), tuple("abcd"), (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = consistency.noise_ceiling(flat, n_replicates=200)
    assert found.explain("ndcg") == "ndcg has no value: no target has two seeds that define it."
