"""Consistency: agreement with oracles, exact chance, variance, ceilings, reliability, planning."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import kinatlas as ka
from kinatlas import SimilarityMatrix, TransferTable, _core, consistency, evaluate
from kinatlas import _reference_consistency as twin
from kinatlas.errors import FormatError, NonFiniteError, ShapeError, UnknownNameError

LISTS = st.integers(2, 5).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3).map(float), min_size=n, max_size=n)] * 2)
)
CORRELATIONS = {
    "spearman": lambda a, b: stats.spearmanr(a, b).statistic,
    "kendall": lambda a, b: stats.kendalltau(a, b).statistic,
    "weighted_kendall": lambda a, b: stats.weightedtau(a, b).statistic,
}


def table(shape=(6, 5, 3), seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    t, s, r = shape
    cube = 60 + rng.normal(size=(t, s, 1)) + noise * rng.normal(size=shape)
    names = [f"t{at}" for at in range(t)], [f"s{at}" for at in range(s)]
    return TransferTable(cube, *map(tuple, names), tuple(range(r)), units="percent")


@pytest.mark.parametrize("measure", CORRELATIONS)
@settings(deadline=None)
@given(LISTS)
def test_correlations_are_those_of_scipy(measure, lists):
    first, second = lists
    value, chance = consistency.order_agreement(first, second, measure)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert np.isnan(value)
        return
    assert value == pytest.approx(CORRELATIONS[measure](first, second), abs=1e-12)
    assert chance == 0
    if measure == "weighted_kendall":
        assert value == pytest.approx(
            twin.weighted_kendall(np.array(first), np.array(second)), abs=1e-12
        )


@pytest.mark.parametrize("n", [8, 60])
def test_weighted_kendall_takes_both_zeros_for_one_number(n):
    rng = np.random.default_rng(n)
    for _ in range(100):
        first, second = rng.choice([0.0, -0.0, 1.0, -1.0], (2, n))
        value, _ = consistency.order_agreement(first, second, "weighted_kendall")
        wanted = stats.weightedtau(first + 0.0, second + 0.0).statistic
        assert value == pytest.approx(wanted, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(LISTS, st.floats(0.1, 0.99))
def test_rank_biased_overlap_is_the_mean_over_ways_to_break_ties(lists, p):
    value, _ = consistency.order_agreement(*lists, "rbo", persistence=p)
    assert value == pytest.approx(twin.expected(*lists, lambda a, b: twin.rbo(a, b, p)), abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(LISTS, st.integers(1, 6))
def test_overlap_of_the_tops_is_the_mean_over_ways_to_break_ties(lists, k):
    value, chance = consistency.order_agreement(*lists, "top_k_jaccard", k=k)
    if k > len(lists[0]):
        assert np.isnan(value)
        assert np.isnan(chance)
        return
    wanted = twin.expected(*lists, lambda a, b: twin.jaccard(a, b, k))
    assert value == pytest.approx(wanted, abs=1e-12)
    best, _ = consistency.order_agreement(*lists, "best_source")
    assert best == pytest.approx(twin.expected(*lists, lambda a, b: a[0] == b[0]), abs=1e-12)


def test_worked_example_of_rank_biased_overlap():
    # Overlaps 0/1, 1/2, 3/3 at p = 1/2: 1/8 + (1/4 * 1/2 + 1/8 * 1) = 3/8.
    value, _ = consistency.order_agreement([3, 2, 1], [2, 1, 3], "rbo", persistence=0.5)
    assert value == pytest.approx(0.125 + 0.5 * (0.5**1) ** 2 + 0.125, abs=1e-15)


@pytest.mark.parametrize("measure", ["spearman", "kendall", "weighted_kendall", "rbo",
                                     "top_k_jaccard", "best_source"])  # fmt: skip
@pytest.mark.parametrize("n", [2, 3, 5])
def test_chance_is_the_mean_over_every_order(measure, n):
    fixed = list(range(n))
    k = min(3, n)
    found = [
        consistency.order_agreement(fixed, order, measure, k=k)
        for order in itertools.permutations(fixed)
    ]
    assert np.mean([value for value, _ in found]) == pytest.approx(found[0][1], abs=1e-12)


def test_chance_agrees_with_simulation():
    rng = np.random.default_rng(0)
    for measure in ("rbo", "top_k_jaccard", "best_source", "weighted_kendall"):
        found = [
            consistency.order_agreement(rng.normal(size=12), rng.normal(size=12), measure)
            for _ in range(2000)
        ]
        values = np.array([value for value, _ in found])
        assert abs(values.mean() - found[0][1]) < 5 * values.std() / len(values) ** 0.5


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(2, 5), st.integers(0, 10**6))
def test_concordance_is_that_of_the_twin_and_of_friedman(m, n, seed):
    scores = np.random.default_rng(seed).integers(0, 4, size=(m, n)).astype(float)
    if all(len(set(row)) == 1 for row in scores):
        assert np.isnan(_core.concordance(scores))
        return
    value = _core.concordance(scores)
    assert value == pytest.approx(twin.kendall_w(scores), abs=1e-12)
    if n >= 3:
        friedman = stats.friedmanchisquare(*scores.T).statistic
        assert value == pytest.approx(friedman / (m * (n - 1)), abs=1e-12)


def test_chance_of_concordance_is_one_over_raters_ties_or_not():
    for rows in ([[1.0, 2, 3], [1, 2, 3]], [[1.0, 1, 2], [1, 2, 3]], [[1.0, 1, 2], [2, 2, 1]]):
        values = [
            _core.concordance(np.array([rows[0], order]))
            for order in itertools.permutations(rows[1])
        ]
        assert np.mean(values) == pytest.approx(1 / 2, abs=1e-12)


def test_what_scipy_refuses_or_leaves_open_has_a_contract():
    for measure in CORRELATIONS:
        assert np.isnan(consistency.order_agreement([1.0, 1.0], [1.0, 2.0], measure)[0])
        assert np.isnan(consistency.order_agreement([1.0], [2.0], measure)[0])
    value, chance = consistency.order_agreement([1.0] * 4, [1.0, 2, 3, 4], "rbo")
    assert value == pytest.approx(chance, abs=1e-14)
    assert consistency.order_agreement([-1.0, -5.0], [-2.0, -3.0], "kendall")[0] == 1
    with pytest.raises(NonFiniteError):
        consistency.order_agreement([np.nan, 1.0], [1.0, 2.0])
    with pytest.raises(ShapeError):
        consistency.order_agreement([1.0], [1.0, 2.0])
    with pytest.raises(UnknownNameError, match="did you mean"):
        consistency.order_agreement([1.0, 2.0], [1.0, 2.0], "kendal")
    with pytest.raises(ValueError, match="persistence is 1"):
        consistency.order_agreement([1.0, 2.0], [1.0, 2.0], "rbo", persistence=1.0)
    with pytest.raises(ValueError, match="k=0"):
        consistency.order_agreement([1.0, 2.0], [1.0, 2.0], "top_k_jaccard", k=0)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 5), st.integers(2, 5), st.integers(2, 4), st.integers(0, 10**6))
def test_components_of_a_complete_table_are_the_analysis_of_variance(t, s, r, seed):
    cube = np.random.default_rng(seed).normal(size=(t, s, r))
    found, _, _ = _core.variance_components(cube, (0, 100), 1)
    np.testing.assert_allclose(found, twin.anova(cube), rtol=1e-9, atol=1e-10)


def test_components_find_the_truth_in_tables_with_holes():
    rng, wanted, sums = np.random.default_rng(0), np.array([4.0, 1.0, 2.0, 0.5, 0.25]), []
    deviations = wanted**0.5
    for _ in range(60):
        parts = [rng.normal(size=shape) for shape in
                 ((12, 1, 1), (1, 12, 1), (12, 12, 1), (12, 1, 3), (12, 12, 3))]  # fmt: skip
        cube = sum(scale * part for scale, part in zip(deviations, parts, strict=True))
        cube[np.eye(12, dtype=bool)] = np.nan
        sums.append(_core.variance_components(cube, (0, 100), 1)[0])
    error = np.std(sums, axis=0) / 60**0.5
    assert (abs(np.mean(sums, axis=0) - wanted) < 4 * error).all()


def test_findings_tell_every_number_in_a_sentence():
    truth = table()
    found = [
        consistency.seed_consistency(truth, n_replicates=200),
        consistency.variance_components(truth, n_draws=200),
        consistency.noise_ceiling(truth, gain="linear", n_replicates=200),
        consistency.reliability(truth, truth.to_matrix(), n_replicates=200),
        consistency.seeds_needed(truth, 1.0),
    ]
    for one in found:
        assert len(one.sentences) == len(one.names)
        assert all(sentence.endswith(".") for sentence in one.sentences)
        assert len(repr(one).splitlines()) <= 24
        assert one.to_pandas().shape[0] == len(one.names)
        assert "<table>" in one._repr_html_()
        assert one.explain(one.names[0]) in one.explain()
        with pytest.raises(UnknownNameError):
            one["nothing"]


def test_consistency_of_identical_seeds_is_perfect_and_of_noise_is_chance():
    same = table(noise=0.0)
    found = consistency.seed_consistency(same, n_replicates=200)
    for name in ("spearman", "kendall", "rbo", "top_k_jaccard", "best_source", "kendall_w"):
        assert found[name] == pytest.approx(1, abs=1e-12)
    assert found["seed_deviation"] == pytest.approx(0, abs=1e-12)
    noise = table((200, 6, 3), noise=1e6)
    found = consistency.seed_consistency(noise, n_replicates=200)
    chance = dict(zip(found.columns["measure"], found.columns["chance"], strict=True))
    for name in ("spearman", "rbo", "top_k_jaccard", "best_source", "kendall_w"):
        values = np.array(found.per_target[name])
        assert abs(found[name] - chance[name]) < 5 * values.std() / 200**0.5


def test_the_ceiling_is_the_evaluation_of_one_seed_by_another():
    truth = table((5, 6, 2))
    found = consistency.noise_ceiling(truth, gain="linear", k=1, n_replicates=200)
    layers = [truth.select(seeds=[seed]) for seed in (0, 1)]
    both = [
        evaluate(layers[a].to_matrix(), layers[b], gain="linear", k=1).summary()
        for a, b in ((0, 1), (1, 0))
    ]
    for name in ("ndcg", "regret@1", "spearman"):
        assert found[name] == pytest.approx(np.mean([one[name] for one in both]), rel=1e-12)


def test_reliability_is_spearman_browns_and_frees_a_correlation_of_noise():
    truth = table((40, 20, 4), noise=1.0)
    rng = np.random.default_rng(1)
    found = consistency.reliability(truth, n_replicates=200)
    # True spread 1, noise 1: halves of two seeds correlate 1 / (1 + 1/2), four seeds 1 / (1 + 1/4).
    assert found["split_half"] == pytest.approx(2 / 3, abs=0.05)
    assert found["spearman_brown"] == pytest.approx(4 / 5, abs=0.05)
    # A predictor that knows the truth exactly: what the seeds' noise takes off comes back.
    clean = np.random.default_rng(0).normal(size=(40, 20, 1))[:, :, 0]
    perfect = SimilarityMatrix(clean, truth.targets, truth.sources, "oracle")
    with_it = consistency.reliability(truth, perfect, n_replicates=200)
    assert with_it["correlation"] < 0.95
    assert with_it["disattenuated"] == pytest.approx(1, abs=0.04)
    noisy = {
        seed: SimilarityMatrix(
            clean + rng.normal(size=clean.shape), truth.targets, truth.sources, "k"
        )
        for seed in range(4)
    }
    again = consistency.reliability(truth, noisy, n_replicates=200)
    assert again["disattenuated"] == pytest.approx(1, abs=0.06)


def test_seeds_needed_are_the_fewest_that_do():
    truth = table((1, 8, 3), noise=2.0)
    plan = consistency.seeds_needed(truth, 1.0)
    deviation, count = plan["t0"], int(plan.columns["seeds_for_width"][0])

    def width(n):
        return 2 * stats.t.ppf(0.975, 7 * (n - 1)) * deviation * (2 / n) ** 0.5

    assert width(count) <= 1.0 < width(count - 1)
    never = consistency.seeds_needed(truth, 1e-9)
    assert np.isnan(never.columns["seeds_for_width"][0])
    assert "more than" in never.explain("t0")


def test_a_source_bootstrap_ranks_what_is_better_everywhere_first():
    cube = np.random.default_rng(0).normal(size=(20, 4, 3)) + np.array([3.0, 0, 0, -3])[:, None]
    truth = TransferTable(cube + 50, tuple(f"t{i:02}" for i in range(20)), tuple("abcd"),
                          (0, 1, 2), units="percent")  # fmt: skip
    for interval in ("expanded", "percentile", "bca", "student"):
        found = consistency.bootstrap_sources(truth, interval=interval, k=1, n_replicates=400)
        assert found.to_dict()["source"][0] == "a"
        assert found.p_beats("a", "d") == 1
        assert found.to_dict()["p_top_1"][0] == 1
    shuffled = truth.select(targets=truth.targets[::-1], sources=tuple("dbca"), seeds=(2, 0, 1))
    again = consistency.bootstrap_sources(shuffled, interval=interval, k=1, n_replicates=400)
    assert again.to_dict() == found.to_dict()
    other = consistency.bootstrap_sources(truth, k=2, n_replicates=400)
    with pytest.raises(FormatError, match="different data or settings"):
        found.merged(other)


@pytest.mark.parametrize(
    "call",
    [consistency.seed_consistency, consistency.variance_components, consistency.noise_ceiling,
     consistency.reliability, consistency.seeds_needed, consistency.bootstrap_sources],
)  # fmt: skip
def test_one_seed_is_refused_and_nothing_invented(call):
    with pytest.raises(FormatError, match=r"nothing can be said|needs 2"):
        call(table((4, 4, 1)))
    with pytest.raises(TypeError):
        call([1, 2, 3])


def test_predictions_of_seeds_are_measured_like_truth():
    study = ka.datasets.load_minilm_prompts()
    seeds = {s: ka.similarity_matrix(a, kernel="feature_mean") for s, a in study.atlases.items()}
    found = consistency.seed_consistency(seeds, n_replicates=200)
    assert found["spearman"] > 0.3
    assert found.conventions["k"] == 3
    assert consistency.variance_components(seeds, n_draws=200)["target_x_source"] > 0
