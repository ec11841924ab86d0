"""Results fit a screen of 24 lines, and a notebook shows each as an escaped table."""

from __future__ import annotations

import numpy as np
import pytest

import kinatlas as ka
from kinatlas import SimilarityMatrix, TransferTable

TARGETS, SOURCES = tuple(f"t{at}" for at in range(6)), tuple(f"<s{at}>" for at in range(40))


def matrix(seed):
    values = np.random.default_rng(seed).normal(size=(6, 40))
    return SimilarityMatrix(values, TARGETS, SOURCES, "k")


@pytest.fixture(scope="module")
def comparison():
    runs = 60 + np.random.default_rng(0).normal(size=(6, 40, 2))
    table = TransferTable(runs, TARGETS, SOURCES, (0, 1))
    methods = {f"<m{at}>": matrix(at) for at in range(10)}
    strata = dict.fromkeys(TARGETS, "a") | {"t0": "b"}
    return ka.compare_methods(methods, table, strata=strata, n_replicates=100, n_permutations=100)


def test_many_candidates_and_methods_fit_a_screen(comparison):
    ranking = ka.rank_sources({seed: matrix(seed) for seed in range(3)}, "t0")
    for found in (ranking, ranking.uncertainty, comparison, comparison.pairs):
        assert len(repr(found).splitlines()) <= 24
    assert len(comparison.remarks) == 5


def test_pairs_and_average_ranks_are_tables_in_a_notebook(comparison):
    for found in (comparison.pairs, comparison.critical_difference):
        page = found._repr_html_()
        assert page.startswith("<table>")
        assert "&lt;m1&gt;" in page
        assert "<m1>" not in page
