"""Comparisons that could only invent an interval are refused; hopeless ones say so."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas import SimilarityMatrix, TransferTable, compare_methods
from kinatlas.consistency import bootstrap_sources
from kinatlas.errors import FormatError

QUICK = {"n_replicates": 200, "n_permutations": 200}


def case(n_targets, n_seeds):
    rng = np.random.default_rng(0)
    targets, sources = tuple(f"t{at}" for at in range(n_targets)), tuple("abcde")
    runs = 60 + rng.normal(size=(n_targets, 5, n_seeds))
    methods = {
        name: SimilarityMatrix(rng.normal(size=(n_targets, 5)), targets, sources, name)
        for name in "xyz"
    }
    return methods, TransferTable(runs, targets, sources, tuple(range(n_seeds)))


@pytest.mark.parametrize("unit", ["seeds", "targets_then_seeds", "targets_and_seeds"])
def test_one_seed_is_never_drawn_again(unit):
    methods, table = case(8, 1)
    with pytest.raises(FormatError, match=f"unit='{unit}' draws seeds again, and there is one"):
        compare_methods(methods, table, unit=unit, **QUICK)


def test_strata_of_one_target_each_are_refused_and_a_few_are_noted():
    methods, table = case(8, 2)
    alone = {name: name for name in table.targets}
    with pytest.raises(FormatError, match="every target is alone in its stratum"):
        compare_methods(methods, table, strata=alone, **QUICK)
    with pytest.raises(FormatError, match="every target is alone in its stratum"):
        bootstrap_sources(table, strata=alone, unit="targets", n_replicates=200)
    some = {name: "rest" for name in table.targets} | {"t0": "own", "t1": "other"}
    found = compare_methods(methods, table, strata=some, **QUICK)
    assert any("2 of 8 targets are alone in their stratum" in text for text in found.remarks)
    whole = compare_methods(methods, table, **QUICK)
    assert not any("stratum" in text for text in whole.remarks)


@pytest.mark.parametrize(
    ("n_targets", "correction", "is_noted"),
    [(5, "none", True), (6, "none", False), (6, "holm", True), (7, "holm", False)],
)
def test_too_few_targets_to_show_anything_are_noted(n_targets, correction, is_noted):
    methods, table = case(n_targets, 2)
    found = compare_methods(methods, table, correction=correction, **QUICK)
    noted = any("no difference can be shown" in text for text in found.remarks)
    assert noted == is_noted
    assert noted == any("no difference can be shown" in line for line in repr(found).splitlines())
