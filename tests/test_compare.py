"""Comparing methods: rows that are always there, exact p-values, directions, fairness."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import kinatlas as ka
from kinatlas import SimilarityMatrix, TransferTable, _core, compare_methods, evaluate
from kinatlas import _reference_consistency as twin
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError

TARGETS = tuple(f"t{at}" for at in range(8))
SOURCES = tuple("abcdef")
QUICK = {"n_replicates": 300, "n_permutations": 300}


def truth(n_seeds=3, seed=0):
    rng = np.random.default_rng(seed)
    cube = 60 + 5 * rng.normal(size=(8, 6, 1)) + rng.normal(size=(8, 6, n_seeds))
    return TransferTable(cube, TARGETS, SOURCES, tuple(range(n_seeds)), units="percent")


def matrix(values):
    return SimilarityMatrix(values, TARGETS, SOURCES, "k")


def guess(seed, knowledge=0.0):
    noise = np.random.default_rng(seed).normal(size=(8, 6))
    known = truth().scores.mean(axis=2)
    return matrix(knowledge * (known - 60) / 5 + noise)


def test_every_comparison_has_random_size_text_and_oracle_rows():
    found = compare_methods({"good": guess(1, 3), "poor": guess(2)}, truth(), **QUICK)
    kinds = dict(zip(found.rows["method"], found.rows["kind"], strict=True))
    assert kinds == {
        "good": "method",
        "poor": "method",
        "data_size": "not given",
        "text_overlap": "not given",
        "random": "chance",
        "oracle": "ceiling",
    }
    assert any("data_size: not given" in remark for remark in found.remarks)
    assert any("text_overlap: not given" in remark for remark in found.remarks)
    sizes = {name: 10.0**at for at, name in enumerate(SOURCES)}
    given_all = compare_methods(
        {"good": guess(1, 3)}, truth(), sizes=sizes, text_overlap=guess(3), **QUICK
    )
    kinds = dict(zip(given_all.rows["method"], given_all.rows["kind"], strict=True))
    assert kinds["data_size"] == kinds["text_overlap"] == "baseline"
    assert len(given_all.pairs.columns["verdict"]) == 3


@pytest.mark.parametrize("metric", ["ndcg", "spearman", "kendall", "regret@2", "top@1",
                                    "average_rank"])  # fmt: skip
def test_scores_chance_and_ceiling_are_those_of_evaluate(metric):
    method = guess(1, 1)
    found = compare_methods({"one": method}, truth(), metric=metric, gain="linear", **QUICK)
    numbers = evaluate(method, truth(), gain="linear", k=2 if "@2" in metric else 1).summary()
    assert found.scores["one"] == pytest.approx(numbers[metric], rel=1e-12)
    assert found.scores["random"] == pytest.approx(numbers[f"{metric}_chance"], abs=1e-12)
    assert found.scores["oracle"] == pytest.approx(numbers[f"{metric}_best"], abs=1e-12)


@pytest.mark.parametrize("metric", ["ndcg", "regret@1", "average_rank"])
def test_the_better_method_comes_first_whichever_way_the_metric_points(metric):
    found = compare_methods({"poor": guess(2), "good": guess(1, 50)}, truth(), metric=metric,
                            gain="linear", **QUICK)  # fmt: skip
    pair = {name: column[0] for name, column in found.pairs.columns.items()}
    assert (pair["first"], pair["second"]) == ("good", "poor")
    assert pair["difference"] > 0
    assert pair["low"] <= pair["difference"] <= pair["high"]
    assert found.rows["method"][0] == "good"
    assert found.critical_difference.methods[0] == "good"
    rows = dict(zip(found.rows["method"], found.rows["p_chance"], strict=True))
    assert rows["good"] < 0.05


def test_p_values_of_pairs_list_every_sign_pattern():
    methods = {"x": guess(1, 1), "y": guess(2)}
    found = compare_methods(methods, truth(), metric="spearman", **QUICK)
    own = [evaluate(methods[name], truth()).per_target() for name in ("x", "y")]
    gaps = [a["spearman"] - b["spearman"] for a, b in zip(*own, strict=True)]
    assert found.pairs.columns["p_value"][0] == pytest.approx(twin.sign_flip(gaps), abs=1e-12)
    wins = sum(gap > 0 for gap in gaps) + sum(gap == 0 for gap in gaps) / 2
    share = max(wins, 8 - wins) / 8 if np.mean(gaps) > 0 else 1 - wins / 8
    assert found.pairs.columns["p_superior"][0] in (pytest.approx(share), pytest.approx(wins / 8))


def test_a_method_against_itself_shows_no_difference():
    found = compare_methods({"x": guess(1), "y": guess(1)}, truth(), **QUICK)
    pair = {name: column[0] for name, column in found.pairs.columns.items()}
    assert pair["verdict"] == "no difference shown"
    assert (pair["difference"], pair["p_value"], pair["p_superior"]) == (0.0, 1.0, 0.5)
    assert found.pairs.n_shown == 0
    assert "no difference shown" in found.explain()


def test_names_orders_and_threads_change_nothing():
    methods = {"x": guess(1, 1), "y": guess(2), "z": guess(3, 0.5)}
    whole = json.dumps(compare_methods(methods, truth(), **QUICK).to_dict())
    moved = {
        name: methods[name].select(targets=TARGETS[::-1], sources=SOURCES[::-1])
        for name in ("z", "x", "y")
    }
    shuffled = truth().select(targets=TARGETS[::-1], sources=tuple("cabfed"), seeds=(2, 0, 1))
    for n_threads in (1, 2, 8):
        again = compare_methods(moved, shuffled, n_threads=n_threads, **QUICK)
        assert json.dumps(again.to_dict()) == whole


def test_dealing_scores_to_sources_is_an_exact_test():
    # Three sources, one target: the deals are the six orders, each as likely.
    table = TransferTable.from_arrays(["t"] * 3, list("abc"), [1.0, 2.0, 3.0], units="percent")
    best = SimilarityMatrix([[1.0, 2.0, 3.0]], ["t"], list("abc"), "k")
    found = compare_methods({"m": best}, table, metric="kendall", n_permutations=6000,
                            n_replicates=100)  # fmt: skip
    # One in six, five standard errors.
    assert found.rows["p_chance"][0] == pytest.approx(1 / 6, abs=5 * (5 / 36 / 6000) ** 0.5)
    tied = SimilarityMatrix([[1.0, 1.0, 1.0]], ["t"], list("abc"), "k")
    found = compare_methods({"m": tied}, table, metric="ndcg", **QUICK)
    assert found.rows["p_chance"][0] == 1.0


def test_seeds_are_compared_seed_by_seed():
    by_seed = {seed: guess(seed, 1) for seed in (0, 2)}
    found = compare_methods({"m": by_seed, "n": guess(9)}, truth(), metric="spearman", **QUICK)
    assert found.conventions["n_seeds"] == 2
    wanted = evaluate(by_seed, truth()).summary()["spearman"]
    assert found.scores["m"] == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(FormatError, match="different seeds"):
        compare_methods({"m": by_seed, "n": {0: guess(1)}}, truth(), **QUICK)


def test_a_missing_score_leaves_the_candidate_out_for_every_method():
    holes = guess(1).values.copy()
    holes[0, 0] = np.nan
    methods = {"x": matrix(holes), "y": guess(2)}
    with pytest.raises(NonFiniteError, match="method 'x'"):
        compare_methods(methods, truth(), **QUICK)
    found = compare_methods(methods, truth(), nan_policy="omit", metric="spearman", **QUICK)
    cut = guess(2).values.copy()
    cut[0, 0] = np.nan
    wanted = evaluate(matrix(cut), truth(), nan_policy="omit").summary()["spearman"]
    assert found.scores["y"] == pytest.approx(wanted, rel=1e-12)
    assert any("3 runs lack" in remark for remark in found.remarks)


def test_targets_that_define_no_metric_are_left_out_and_named():
    cube = truth().scores.copy()
    cube[2] = 60.0
    flat = TransferTable(cube, TARGETS, SOURCES, (0, 1, 2), units="percent")
    found = compare_methods({"x": guess(1), "y": guess(2)}, flat, metric="spearman", **QUICK)
    assert found.conventions["n_targets"] == 7
    assert any("'t2'" in remark for remark in found.remarks)
    every = TransferTable(np.full((8, 6, 1), 60.0), TARGETS, SOURCES, (0,), units="percent")
    with pytest.raises(FormatError, match="no target defines"):
        compare_methods({"x": guess(1)}, every, metric="spearman", **QUICK)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 5), st.integers(4, 9))
def test_average_ranks_are_friedmans(seed, k, n):
    values = np.random.default_rng(seed).integers(0, 4, size=(n, k)).astype(float)
    ranks, statistic, p_value, least = _core.friedman_test(values, 0.95)
    np.testing.assert_allclose(ranks, stats.rankdata(-values, axis=1).mean(axis=0))
    q = stats.studentized_range.ppf(0.95, k, 1e9)
    assert least == pytest.approx(q / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5, rel=1e-5)
    if all(len(set(row)) == 1 for row in values):
        assert np.isnan(statistic)
        return
    theirs = stats.friedmanchisquare(*values.T)
    assert statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_are_those_of_scipy_and_their_definitions(p_values):
    found = _core.adjusted_p_values(p_values, "bh")
    np.testing.assert_allclose(found, stats.false_discovery_control(p_values), rtol=1e-12)
    holm = _core.adjusted_p_values(p_values, "holm")
    order = np.argsort(p_values)
    wanted = np.maximum.accumulate(np.sort(p_values) * np.arange(len(p_values), 0, -1))
    np.testing.assert_allclose(np.array(holm)[order], np.minimum(wanted, 1), rtol=1e-12)
    assert _core.adjusted_p_values(p_values, "none") == p_values


@pytest.mark.parametrize(
    ("methods", "options", "error", "words"),
    [
        ({}, {}, ShapeError, "empty mapping"),
        ([1], {}, DTypeError, "mapping of name"),
        ({"x": 3}, {}, DTypeError, "method 'x'"),
        ({"random": guess(1)}, {}, UnknownNameError, "cannot name a method"),
        ({"x": guess(1)}, {"metric": "accuracy"}, UnknownNameError, "metric"),
        ({"x": guess(1)}, {"metric": "regret"}, UnknownNameError, "cut-off"),
        ({"x": guess(1)}, {"gain": "clipped_gain"}, FormatError, "without transfer"),
        ({"x": guess(1)}, {"interval": "normal"}, UnknownNameError, "interval"),
        ({"x": guess(1)}, {"unit": "runs"}, UnknownNameError, "unit"),
        ({"x": guess(1)}, {"correction": "bonf"}, UnknownNameError, "correction"),
        ({"x": guess(1)}, {"sizes": {"a": 1}}, UnknownNameError, "no size"),
        ({"x": guess(1)}, {"strata": {"t0": "g"}}, FormatError, "no group"),
        ({"x": guess(1)}, {"n_replicates": 5}, ValueError, "at least 100"),
        ({"x": guess(1), "y": guess(1).select(sources="abc")}, {}, ShapeError, "other sources"),
        ({"x": {7: guess(1)}}, {}, UnknownNameError, "seed"),
    ],
)  # fmt: skip
def test_unfair_or_impossible_comparisons_are_refused(methods, options, error, words):
    with pytest.raises(error, match=words):
        compare_methods(methods, truth(), **{**QUICK, **options})


def test_a_comparison_exports_explains_and_pickles():
    found = compare_methods({"x": guess(1, 1), "y": guess(2)}, truth(), **QUICK)
    assert repr(pickle.loads(pickle.dumps(found))) == repr(found)
    assert found.to_pandas().shape[0] == 6
    assert found.pairs.to_pandas().shape[0] == 1
    assert found.critical_difference.to_pandas().shape[0] == 2
    assert len(repr(found).splitlines()) <= 24
    assert len(found.explain().splitlines()) == 6 + 1 + len(found.remarks)
    assert "<table>" in found._repr_html_()
    assert ka.MethodComparison is type(found)
