"""What is refused is refused at the door: the argument, what was given, what was wanted."""

from __future__ import annotations

import numpy as np
import pytest

import kinatlas as ka
from kinatlas import Report, SimilarityMatrix, TransferTable, consistency, rank_sources
from kinatlas.errors import KinAtlasError
from kinatlas.evaluation import (
    Stage,
    evaluate_abstention,
    evaluate_cascade,
    evaluate_subsets,
    plan_budget,
    select_subset,
)
from kinatlas.selection import transferability_matrix
from kinatlas.transferability import score

RNG = np.random.default_rng(0)
TARGETS, SOURCES = tuple("uvwxyz"), tuple("abcd")
TABLE = TransferTable(
    60 + RNG.normal(size=(6, 4, 2)), TARGETS, SOURCES, (0, 1), np.full((6, 2), 60.0)
)
MATRIX = SimilarityMatrix(RNG.normal(size=(6, 4)), TARGETS, SOURCES, "k")
SEEDS = {0: MATRIX, 1: SimilarityMatrix(RNG.normal(size=(6, 4)), TARGETS, SOURCES, "k")}
FEATURES, LABELS = RNG.normal(size=(12, 3)), [0, 1, 2] * 4


def stage(**other):
    return [Stage(**{"name": "size", "matrix": MATRIX, "cost": 0.0} | other)]


REFUSED = {
    "confidence='0.95'": lambda: rank_sources(SEEDS, "u", confidence="0.95"),
    "confidence=None": lambda: consistency.seed_consistency(TABLE, confidence=None),
    "n_draws=5": lambda: rank_sources(SEEDS, "u", n_draws=5),
    "n_replicates=10.0": lambda: consistency.seed_consistency(TABLE, n_replicates=10.0),
    "n_permutations=3": lambda: ka.compare_methods({"m": MATRIX}, TABLE, n_permutations=3),
    "rng='a'": lambda: rank_sources(SEEDS, "u", rng="a"),
    "rng=-1": lambda: consistency.variance_components(TABLE, rng=-1),
    "k=2.5": lambda: consistency.bootstrap_sources(TABLE, k=2.5),
    "k='3'": lambda: consistency.seed_consistency(TABLE, k="3"),
    "replicates=500": lambda: consistency.bootstrap_sources(TABLE, replicates=500),
    "persistence is 'x'": lambda: consistency.seed_consistency(TABLE, persistence="x"),
    "width is 'a'": lambda: consistency.seeds_needed(TABLE, width="a"),
    "sizes: the size of 'a' is 'big'": lambda: ka.compare_methods(
        {"m": MATRIX}, TABLE, sizes=dict.fromkeys(SOURCES, "big")
    ),
    "matrix of seed 1: got ndarray": lambda: ka.evaluate({0: MATRIX, 1: MATRIX.values}, TABLE),
    "stages: got Stage": lambda: evaluate_cascade(stage()[0], TABLE),
    "stage 'size': cost is 'x'": lambda: evaluate_cascade(stage(cost="x"), TABLE),
    "stage 'size': keep is 1.5": lambda: evaluate_cascade(stage(keep=1.5), TABLE),
    "stage 'size': matrix is a ndarray": lambda: evaluate_cascade(
        stage(matrix=MATRIX.values), TABLE
    ),
    "budget is '3'": lambda: plan_budget(MATRIX, None, budget="3"),
    "cost of source 'a' is 'x'": lambda: plan_budget(MATRIX, None, budget=3, costs={"a": "x"}),
    "costs: got list": lambda: plan_budget(MATRIX, None, budget=3, costs=[1]),
    "measured: got TransferTable": lambda: plan_budget(MATRIX, TABLE, budget=3),
    "predicted: got NoneType": lambda: plan_budget(None, None, budget=3),
    "threshold is '.5'": lambda: evaluate_abstention(MATRIX, TABLE, threshold=".5"),
    "margin is nan": lambda: evaluate_abstention(MATRIX, TABLE, margin=float("nan")),
    "k is '3'": lambda: evaluate_subsets(MATRIX, TABLE, k="3"),
    "diversities: got 0.5": lambda: evaluate_subsets(MATRIX, TABLE, diversities=0.5),
    "diversity is 'a'": lambda: select_subset(MATRIX, "u", 2, diversity="a"),
    "matrix: got ndarray": lambda: select_subset(MATRIX.values, "u", 2),
    "k=2.7": lambda: score(FEATURES, LABELS, method="knn", k=2.7),
    "epsilon is 'x'": lambda: score(FEATURES, LABELS, method="trans_rate", epsilon="x"),
    "variance_kept is '.8'": lambda: score(FEATURES, LABELS, method="nleep", variance_kept=".8"),
    "n_components=2.5": lambda: score(FEATURES, LABELS, method="nleep", n_components=2.5),
    "inputs: got list": lambda: transferability_matrix([FEATURES], {}),
    "inputs of target 'u': got ndarray": lambda: transferability_matrix(
        {"u": FEATURES}, {"u": LABELS}
    ),
    "labels: got list": lambda: transferability_matrix({"u": {"a": FEATURES}}, [LABELS]),
    "target name 1 is not": lambda: transferability_matrix({1: {"a": FEATURES}}, {1: LABELS}),
    "table 't': got list": lambda: Report("r").add_table("t", [1, 2]),
    r"table 't': columns of unequal length \(a 1, b 2\)": lambda: Report("r").add_table(
        "t", {"a": [1], "b": [1, 2]}
    ),
}


@pytest.mark.parametrize("message", list(REFUSED))
def test_a_refusal_names_the_argument_and_what_was_given(message):
    with pytest.raises((ValueError, TypeError, KinAtlasError), match=f"^{message}"):
        REFUSED[message]()


def test_whole_numbers_of_numpy_are_whole_numbers():
    found = rank_sources(SEEDS, "u", n_draws=np.int64(200))
    assert found.uncertainty.n_draws == 200
    alike = consistency.order_agreement([3.0, 2, 1], [3.0, 1, 2], "top_k_jaccard", k=np.int64(2))
    assert alike == consistency.order_agreement([3.0, 2, 1], [3.0, 1, 2], "top_k_jaccard", k=2)


def test_nleep_of_tiny_features_is_that_of_the_same_features():
    pytest.importorskip("sklearn")
    once = score(FEATURES, LABELS, method="nleep")
    assert score(FEATURES * 2.0**-600, LABELS, method="nleep") == pytest.approx(once, abs=1e-9)
