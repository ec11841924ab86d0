"""Where there is nothing to say, the sentences say that, and no number is made up."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kinatlas import SimilarityMatrix, TransferTable, consistency

FLAT = TransferTable(np.full((3, 4, 3), 50.0), tuple("xyz"), tuple("abcd"), (0, 1, 2))


@pytest.mark.parametrize(
    "call",
    [consistency.seed_consistency, consistency.variance_components, consistency.reliability,
     consistency.seeds_needed],
)  # fmt: skip
def test_equal_scores_give_no_sentence_with_nan(call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = call(FLAT)
    assert "nan" not in found.explain()


def test_noise_is_not_called_large_where_nothing_is_known():
    found = consistency.seed_consistency(FLAT, n_replicates=200)
    assert found.explain("noise_to_spread") == "noise_to_spread has no value: no target defines it."


def test_no_number_of_seeds_tells_equal_sources_apart():
    found = consistency.seeds_needed(FLAT)
    assert np.isnan(found.columns["seeds_for_best"]).all()
    assert np.isnan(found.columns["seeds_for_width"]).all()
    assert "the best two sources have the same mean over 3 seeds" in found.explain("x")


def test_a_predictor_whose_seeds_say_nothing_has_no_reliability():
    runs = 50 + np.random.default_rng(0).normal(size=(3, 4, 3))
    table = TransferTable(runs, FLAT.targets, FLAT.sources, FLAT.seeds)
    flat = SimilarityMatrix(np.ones((3, 4)), FLAT.targets, FLAT.sources, "k")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = consistency.reliability(table, {0: flat, 1: flat}, n_replicates=200)
    assert np.isnan(found["disattenuated"])
    assert "nan" not in found.explain()
