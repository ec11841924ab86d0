"""Metrics: worked examples, the twins, scikit-learn and SciPy, and what must not matter."""

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import ndcg_score

from kinatlas import _core
from kinatlas import _reference_evaluation as twin
from kinatlas.evaluation import Evaluation, TransferTable, evaluate
from kinatlas.similarity import SimilarityMatrix

GAINS = ["exp2_percent", "exp2_fraction", "linear", "rank", "clipped_gain"]
BASELINE = 2.0

# Few distinct values, so that ties in predictions and in truth are the rule.
PAIRS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([1.5, 2.0, 3.0, 5.0, 8.5])), min_size=2, max_size=5
)


def one_target(scores, truth, **options) -> Evaluation:
    names = [f"s{at}" for at in range(len(scores))]
    matrix = SimilarityMatrix([scores], ["t"], names, "feature_mean")
    baseline = [BASELINE] * len(scores)
    table = TransferTable.from_arrays(
        ["t"] * len(truth), names, truth, baseline=baseline, units="percent"
    )
    return evaluate(matrix, table, **options)


def each_order(orders, truth, **options) -> Evaluation:
    """Evaluate every order of the sources as a target of its own, without ties."""
    targets = [f"order{at}" for at in range(len(orders))]
    names = [f"s{at}" for at in range(len(truth))]
    scores = -np.argsort(np.array(orders), axis=1).astype(float)
    matrix = SimilarityMatrix(scores, targets, names, "feature_mean")
    cube = np.tile(np.array(truth)[None, :, None], (len(orders), 1, 1))
    baseline = np.full((len(orders), 1), BASELINE)
    table = TransferTable(cube, targets, names, (0,), baseline, "percent")
    return evaluate(matrix, table, **options)


def test_the_worked_example_of_a_reversed_order():
    # Gains 1:2:4 in reversed order: (1 + 2/1.58496 + 4/2) / (4 + 2/1.58496 + 1/2).
    percent = one_target([3.0, 2.0, 1.0], [60.0, 61.0, 62.0]).summary()
    assert percent["ndcg"] == pytest.approx(0.739667, abs=5e-7)
    assert percent["ndcg_chance"] == pytest.approx(0.862945, abs=5e-7)
    assert percent["ndcg_corrected"] == pytest.approx((0.739667 - 0.862945) / 0.137055, abs=1e-5)
    assert percent["regret@1"] == pytest.approx(3.2258, abs=5e-5)
    assert percent["regret@3"] == 0.0
    assert percent["regret@1_chance"] == pytest.approx(1.6129, abs=5e-5)
    assert percent["average_rank"] == 3.0
    assert percent["average_rank_chance"] == 2.0
    assert percent["spearman"] == percent["kendall"] == -1.0
    fraction = one_target([3.0, 2.0, 1.0], [60.0, 61.0, 62.0], gain="exp2_fraction").summary()
    assert fraction["ndcg"] == pytest.approx(0.990611, abs=5e-7)


def test_fractions_and_percent_are_one_table_in_two_units():
    names, scores = ["a", "b", "c"], [[3.0, 2.0, 1.0]]
    matrix = SimilarityMatrix(scores, ["t"], names, "k")
    percent = TransferTable.from_arrays(["t"] * 3, names, [60.0, 61.0, 62.0])
    fraction = TransferTable.from_arrays(["t"] * 3, names, [0.60, 0.61, 0.62])
    assert (percent.units, fraction.units) == ("percent", "fraction")
    for gain in GAINS[:4]:
        first = evaluate(matrix, percent, gain=gain).summary()
        second = evaluate(matrix, fraction, gain=gain).summary()
        # 0.61 * 100 is off by an ulp of 61, which 2^x magnifies by 61 ln 2.
        assert first == pytest.approx(second, rel=1e-12, nan_ok=True)


def test_a_reversed_ranking_scores_by_the_gain_and_not_by_its_quality():
    # The reference code adds 2^percent; the same order looks nearly perfect in other units.
    truth = np.linspace(62.2, 81.0, 11)
    scores = -truth
    by_gain = {
        gain: one_target(scores, truth, gain=gain).summary()
        for gain in ("exp2_percent", "exp2_fraction", "linear")
    }
    assert by_gain["exp2_percent"]["ndcg"] < 0.5
    assert by_gain["exp2_fraction"]["ndcg"] > 0.9
    assert by_gain["linear"]["ndcg"] > 0.9
    for numbers in by_gain.values():
        assert numbers["ndcg"] < numbers["ndcg_chance"]
        assert numbers["ndcg_corrected"] < 0


def test_k_changes_regret_and_top_performance():
    numbers = one_target([4.0, 3.0, 2.0, 1.0], [50.0, 60.0, 80.0, 70.0], k=(1, 2, 3)).summary()
    assert [numbers[f"regret@{k}"] for k in (1, 2, 3)] == pytest.approx([37.5, 25.0, 0.0])
    assert [numbers[f"top@{k}"] for k in (1, 2, 3)] == pytest.approx([50.0, 55.0, 190 / 3])
    assert numbers["top@2_best"] == 75.0
    assert "regret@5" not in numbers


@given(PAIRS, st.sampled_from(GAINS), st.integers(1, 5))
def test_numbers_are_those_of_the_twins(pairs, gain, k):
    scores, truth = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    numbers = one_target(scores, truth, gain=gain, k=k).summary()
    gained = twin.gains(truth, gain, BASELINE)
    wanted = {"average_rank": twin.best_rank(scores, truth)}
    if gained.max() > gained.min():
        wanted["ndcg"] = twin.ndcg(scores, gained)
        wanted["ndcg_chance"] = twin.ndcg(np.zeros(len(scores)), gained)
    if k <= len(truth):
        wanted[f"regret@{k}"] = twin.regret(scores, truth, k)
        wanted[f"regret@{k}_chance"] = twin.regret(np.zeros(len(scores)), truth, k)
        wanted[f"top@{k}"] = twin.top(scores, truth, k)
    if len(set(scores)) > 1 and len(set(truth)) > 1:
        wanted |= {"spearman": twin.spearman(scores, truth), "kendall": twin.kendall(scores, truth)}
    for name, value in wanted.items():
        # Some ten operations on numbers of at most 100: below 100 * 10 * 2^-53.
        assert numbers[name] == pytest.approx(value, abs=1e-12), name
    undefined = {name for name, value in numbers.items() if math.isnan(value)}
    assert not undefined & set(wanted)


@given(PAIRS, st.sampled_from(GAINS), st.integers(1, 5))
@settings(max_examples=40)
def test_ties_and_chance_are_means_over_every_order(pairs, gain, k):
    scores, truth = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    numbers = one_target(scores, truth, gain=gain, k=k).summary()
    names = ["ndcg", f"regret@{k}", f"top@{k}", "average_rank"]
    orders = list(itertools.permutations(range(len(truth))))
    is_compatible = np.array(
        [all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)) for order in orders]
    )
    every = each_order(orders, truth, gain=gain, k=k)
    for name in names:
        single = np.array([row[name] for row in every.per_target()])
        # 120 orders of at most 5 terms below 100: some hundred roundings of 100 * 2^-53.
        wanted = single[is_compatible].mean()
        assert numbers[name] == pytest.approx(wanted, abs=1e-11, nan_ok=True)
        chance = numbers[f"{name}_chance"]
        assert chance == pytest.approx(single.mean(), abs=1e-11, nan_ok=True)


@pytest.mark.parametrize("metric", ["spearman", "kendall"])
def test_correlations_average_to_zero_over_every_order(metric):
    truth = np.array([1.0, 2.0, 2.0, 5.0])
    every = each_order(list(itertools.permutations(range(4))), truth)
    assert every.summary()[metric] == pytest.approx(0.0, abs=1e-15)
    assert one_target(np.arange(4.0), truth).summary()[f"{metric}_chance"] == 0.0


@given(PAIRS)
def test_ndcg_and_correlations_are_those_of_scikit_learn_and_scipy(pairs):
    scores, truth = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    numbers = one_target(scores, truth, gain="linear").summary()
    if len(set(truth)) > 1:
        assert numbers["ndcg"] == pytest.approx(ndcg_score([truth], [scores]), abs=1e-12)
    if len(set(truth)) > 1 and len(set(scores)) > 1:
        assert numbers["spearman"] == pytest.approx(spearmanr(scores, truth)[0], abs=1e-12)
        assert numbers["kendall"] == pytest.approx(kendalltau(scores, truth)[0], abs=1e-12)


@given(PAIRS, st.randoms(use_true_random=False))
def test_numbers_do_not_depend_on_source_order_or_monotone_maps(pairs, random):
    scores, truth = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    order = list(range(len(truth)))
    random.shuffle(order)
    before = one_target(scores, truth, k=2).numbers
    np.testing.assert_array_equal(one_target(scores[order], truth[order], k=2).numbers, before)
    np.testing.assert_array_equal(one_target(np.exp(scores) - 7, truth, k=2).numbers, before)


def many_targets(rng):
    names = [f"task{at}" for at in range(6)]
    truth = rng.integers(40, 90, size=(6, 6, 3)).astype(float)
    matrix = SimilarityMatrix(rng.integers(0, 4, size=(6, 6)).astype(float), names, names, "k")
    return matrix, TransferTable(truth, tuple(names), tuple(names), (1, 2, 3))


@pytest.mark.parametrize("seed", range(5))
def test_numbers_do_not_depend_on_target_or_seed_order(seed):
    rng = np.random.default_rng(seed)
    matrix, table = many_targets(rng)
    order = [matrix.targets[at] for at in rng.permutation(6)]
    moved = evaluate(
        matrix.select(targets=order, sources=order[::-1]),
        table.select(targets=order[::-1], sources=order, seeds=[3, 1, 2]),
    )
    np.testing.assert_array_equal(moved.numbers, evaluate(matrix, table).numbers)


@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_every_number_of_threads_gives_the_same_bits(n_threads):
    matrix, table = many_targets(np.random.default_rng(0))
    reference = evaluate(matrix, table).list_numbers
    _core.set_num_threads(n_threads)
    try:
        np.testing.assert_array_equal(evaluate(matrix, table).list_numbers, reference)
    finally:
        _core.set_num_threads(None)


def test_an_order_that_ties_everything_scores_exactly_at_chance():
    numbers = one_target([1.0] * 5, [60.0, 61.0, 61.0, 70.0, 40.0]).summary()
    for metric in ("ndcg", "regret@1", "regret@3", "top@1", "average_rank"):
        assert numbers[metric] == numbers[f"{metric}_chance"]
        assert numbers[f"{metric}_corrected"] == 0.0


@given(PAIRS.filter(lambda pairs: len({truth for _, truth in pairs}) > 1))
def test_the_true_order_is_the_best_possible(pairs):
    truth = np.array([pair[1] for pair in pairs])
    numbers = one_target(truth, truth, k=1).summary()
    for metric in ("ndcg", "regret@1", "top@1", "average_rank", "spearman", "kendall"):
        assert numbers[metric] == pytest.approx(numbers[f"{metric}_best"], abs=1e-12)
    assert numbers["ndcg"] == 1.0


def test_an_evaluation_pickles_read_only():
    result = one_target([3.0, 2.0, 1.0], [60.0, 61.0, 62.0])
    back = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(back.numbers, result.numbers)
    assert back.conventions == result.conventions
    assert not back.numbers.flags.writeable
