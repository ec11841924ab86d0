"""Subsets, cascades and budgets: worked numbers, exact chance, honesty, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kinatlas import SimilarityMatrix, TransferTable, evaluate, similarity_matrix
from kinatlas.datasets import load_minilm_prompts
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.evaluation import (
    Stage,
    evaluate_budget,
    evaluate_cascade,
    evaluate_subsets,
    plan_budget,
    select_subset,
)

NAMES = tuple("abcdef")
NAN = float("nan")


def study(n_targets: int = 6, seed: int = 0):
    """Square scores of tasks, and measured transfer they half explain."""
    rng = np.random.default_rng(seed)
    names = tuple(f"task{number}" for number in range(n_targets))
    scores = rng.uniform(0.1, 1, size=(n_targets, n_targets))
    measured = 60 + 10 * scores + rng.normal(scale=3, size=scores.shape)
    np.fill_diagonal(measured, np.nan)
    table = TransferTable(measured[:, :, None], names, names, (0,))
    return SimilarityMatrix(scores, names, names, "flatten"), table


def random_regret(truth: np.ndarray, k: int) -> float:
    best = truth.max()
    picks = itertools.combinations(truth, k)
    return float(np.mean([100 * (best - max(pick)) / best for pick in picks]))


def test_without_diversity_a_subset_is_the_top_k_of_evaluate():
    matrix, table = study()
    found = evaluate_subsets(matrix, table, k=2, diversities=[0.0, 0.5])
    numbers = evaluate(matrix, table, k=2, seeds="mean").per_target()
    assert list(found.regrets[0]) == pytest.approx([row["regret@2"] for row in numbers], abs=1e-12)
    for row, chance in enumerate(found.chance):
        truth = np.delete(table.scores[row, :, 0], row)
        assert chance == pytest.approx(random_regret(truth, 2), abs=1e-10)
    assert "Not measured" in repr(found)
    assert "drawn at random" in found.explain()


def test_a_subset_is_greedy_and_never_holds_the_target():
    matrix, _ = study()
    for target in matrix.targets:
        subset = select_subset(matrix, target, 3, diversity=0.4)
        assert target not in subset.sources
        assert len(set(subset.sources)) == 3
        assert subset.weights == pytest.approx(np.array(subset.scores) / sum(subset.scores))
        left = [name for name in matrix.sources if name != target]
        assert subset.sources[0] == max(
            left, key=lambda name, t=target: matrix.select(targets=[t], sources=[name]).values[0, 0]
        )


def test_weights_are_equal_where_no_score_is_positive():
    matrix = SimilarityMatrix([[-0.1, -0.5, -0.3]], ["t"], list("abc"), "flatten")
    assert select_subset(matrix, "t", 2).weights == (0.5, 0.5)
    assert select_subset(matrix, "t", 2).sources == ("a", "c")


def test_a_subset_that_cannot_be_chosen_is_refused():
    matrix = SimilarityMatrix([[0.1, 0.5]], ["t"], ["a", "b"], "flatten")
    with pytest.raises(FormatError, match="closeness between sources"):
        select_subset(matrix, "t", 2, diversity=0.5)
    for k in (0, 3, True, 1.5):
        with pytest.raises(ShapeError, match="k is"):
            select_subset(matrix, "t", k)
    with pytest.raises(ShapeError, match="diversity"):
        select_subset(
            matrix,
            "t",
            1,
            diversity=2.0,
            between=SimilarityMatrix(np.eye(2), ["a", "b"], ["a", "b"], "x"),
        )
    with pytest.raises(UnknownNameError, match="target"):
        select_subset(matrix, "u", 1)


def test_a_cascade_of_two_stages_by_hand():
    size = SimilarityMatrix([[3.0, 2.0, 1.0]] * 2, ["t", "u"], list("abc"), "size")
    probe = SimilarityMatrix([[1.0, 2.0, 9.0], [1.0, 2.0, 9.0]], ["t", "u"], list("abc"), "probe")
    table = TransferTable.from_arrays(
        list("tttuuu"), list("abcabc"), [60.0, 80.0, 40.0, 50.0, 40.0, 20.0]
    )
    stages = [Stage("size", size, 0.5, keep=2), Stage("probe", probe, 10.0)]
    found = evaluate_cascade(stages, table)
    # c never reaches the probe, which turns to b: right for t, wrong for u.
    np.testing.assert_allclose(found.regrets, [[25.0, 0.0], [0.0, 20.0]])
    np.testing.assert_allclose(found.costs, [[1.5, 1.5], [21.5, 21.5]])
    np.testing.assert_allclose(found.n_scored, [[3, 3], [2, 2]])
    np.testing.assert_allclose(found.chance, [25.0, 100 * (50 - 110 / 3) / 50])
    assert found.explain().splitlines()[1].startswith("After 'size', at a cost of 1.5 a target")
    assert found.to_dict()["stage"] == ["random source", "size", "probe"]


def test_equals_at_the_cut_all_go_on_and_equal_picks_count_by_their_mean():
    size = SimilarityMatrix([[1.0, 1.0, 1.0]], ["t"], list("abc"), "size")
    table = TransferTable.from_arrays(["t"] * 3, list("abc"), [60.0, 80.0, 40.0])
    found = evaluate_cascade([Stage("size", size, 1.0, keep=1), Stage("again", size, 1.0)], table)
    assert found.n_scored.tolist() == [[3.0], [3.0]]
    assert found.regrets.tolist() == [[25.0], [25.0]]


def test_a_stacked_stage_never_sees_the_truth_of_its_target():
    matrix, table = study(8)
    other, _ = study(8, seed=5)
    stages = [Stage("one", other, 1.0), Stage("two", matrix, 1.0)]
    before = evaluate_cascade(stages, table, combine="stack")
    scores = table.scores.copy()
    # Any other truth whose best and ranks differ: only the regret of this target may follow.
    scores[2] = 130 - scores[2]
    after = evaluate_cascade(
        stages, TransferTable(scores, table.targets, table.sources, (0,)), combine="stack"
    )
    assert before.costs.tolist() == after.costs.tolist()
    picked = [row.regrets[1, 2] for row in (before, after)]
    truth = [np.delete(values[2, :, 0], 2) for values in (table.scores, scores)]
    places = [
        int(np.argmin(abs(100 * (t.max() - t) / t.max() - regret)))
        for t, regret in zip(truth, picked, strict=True)
    ]
    assert places[0] == places[1]


def test_stacking_finds_the_useful_stage():
    matrix, table = study(10)
    noise = SimilarityMatrix(
        np.random.default_rng(9).normal(size=(10, 10)), matrix.targets, matrix.sources, "noise"
    )
    stages = [Stage("useful", matrix, 1.0), Stage("noise", noise, 1.0)]
    last = evaluate_cascade(stages, table).regrets[1].mean()
    assert evaluate_cascade(stages, table, combine="stack").regrets[1].mean() < last


def test_a_cascade_that_makes_no_sense_is_refused():
    matrix, table = study()
    with pytest.raises(ShapeError, match="stages is empty"):
        evaluate_cascade([], table)
    with pytest.raises(DTypeError, match="expected Stage"):
        evaluate_cascade([matrix], table)
    with pytest.raises(ValueError, match="cost is -1"):
        evaluate_cascade([Stage("a", matrix, -1)], table)
    with pytest.raises(ShapeError, match="keep is 0"):
        evaluate_cascade([Stage("a", matrix, 1, keep=0)], table)
    part = matrix.select(sources=matrix.sources[:3])
    with pytest.raises(ShapeError, match="different targets or sources"):
        evaluate_cascade([Stage("a", matrix, 1), Stage("b", part, 1)], table)
    with pytest.raises(UnknownNameError, match="more than once"):
        evaluate_cascade([Stage("a", matrix, 1)] * 2, table)


def test_a_plan_prefers_the_source_that_helped_elsewhere():
    gains = np.array([[5.0, 0.0, -1.0], [6.0, 1.0, 0.0], [5.5, NAN, NAN], [NAN, NAN, NAN]])
    targets = tuple("tuvw")
    predicted = SimilarityMatrix(np.tile([0.1, 0.5, 0.9], (4, 1)), targets, tuple("abc"), "x")
    measured = SimilarityMatrix(gains, targets, tuple("abc"), "measured_gain", neutral=0.0)
    plan = plan_budget(predicted, measured, budget=1, target="w")
    assert plan.sources == ("a",)
    assert plan.improvements[0] > 0
    assert plan.n_measured == 7
    whole = plan_budget(predicted, measured, budget=99)
    assert len(whole.sources) == 5
    assert list(whole.improvements) == sorted(whole.improvements, reverse=True)
    dear = plan_budget(predicted, measured, budget=1, costs={"a": 5.0}, target="w")
    assert dear.sources == ("b",) or dear.sources == ("c",)
    assert sum(dear.costs) <= 1
    assert "expected improvement per cost" in plan.explain()


def test_with_nothing_measured_the_plan_is_the_order_of_scores():
    matrix, _ = study()
    plan = plan_budget(matrix, None, budget=3, target="task0")
    row = matrix.row("task0")
    order = [matrix.sources[at] for at in np.argsort(-row) if matrix.sources[at] != "task0"]
    assert list(plan.sources) == order[:3]
    assert np.isnan(plan.improvements).all()
    assert plan_budget(matrix, None, budget=0).sources == ()


def test_a_forecast_agrees_with_the_gaussian_written_out():
    from kinatlas import _core

    rng = np.random.default_rng(0)
    t, s = (np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4))
    z = rng.normal(size=16)
    y = 2 * z + rng.normal(size=4)[s] + rng.normal(size=16)
    kept = np.arange(16) < 12
    best = (-np.inf, None)
    unit, mean = y[kept].std(), y[kept].mean()
    for a, u, b in itertools.product([0, 0.1, 0.5, 2], repeat=3):
        k = 1 + a * np.equal.outer(t, t) + u * np.equal.outer(s, s) + b * np.outer(z, z)
        inner = k[np.ix_(kept, kept)] + np.eye(12)
        target = (y[kept] - mean) / unit
        noise = target @ np.linalg.solve(inner, target) / 12
        evidence = -6 * np.log(noise) - np.linalg.slogdet(inner)[1] / 2
        if evidence > best[0]:
            across = k[np.ix_(~kept, kept)]
            middle = mean + unit * across @ np.linalg.solve(inner, target)
            left = np.diag(k[np.ix_(~kept, ~kept)] - across @ np.linalg.solve(inner, across.T))
            best = (evidence, (middle, unit * np.sqrt(noise * (1 + left))))
    rows = _core.forecast_gains(
        (t[kept], s[kept], z[kept]), y[kept], (t[~kept], s[~kept], z[~kept]), np.zeros(4)
    )
    found = np.array(rows)
    np.testing.assert_allclose(found[:, 0], best[1][0], rtol=1e-9)
    np.testing.assert_allclose(found[:, 1], best[1][1], rtol=1e-9)
    draws = found[:, 0] + found[:, 1] * rng.normal(size=(400_000, 1))
    # Mean of 400,000 draws of deviation below 10: standard error 0.016, times four.
    np.testing.assert_allclose(found[:, 2], np.maximum(draws, 0).mean(axis=0), atol=0.064)


def test_random_order_in_a_budget_curve_is_exact():
    matrix, table = study(5)
    curve = evaluate_budget(matrix, table)
    for row in range(5):
        truth = np.delete(table.scores[row, :, 0], row)
        expected = [random_regret(truth, k) for k in range(1, 5)]
        np.testing.assert_allclose(curve.random[row], expected, atol=1e-10)
    assert curve.planned[:, -1].tolist() == [0.0] * 5
    assert (np.diff(curve.planned, axis=1) <= 0).all()
    first = evaluate(matrix, table, k=1, seeds="mean").per_target()
    assert curve.by_score[:, 0] == pytest.approx([row["regret@1"] for row in first])


def test_planning_beats_random_order_on_the_bundled_study():
    study = load_minilm_prompts()
    names = study.atlases[0].names[:8]
    atlas = study.atlases[0].select(names)
    matrix = similarity_matrix(atlas, kernel="max_pairwise", center="auto")
    curve = evaluate_budget(matrix, study.transfer.select(targets=names, sources=names))
    numbers = curve.summary()
    assert numbers["planned"] < numbers["random"]
    assert "beats random order" in curve.explain()
    assert len(repr(curve).splitlines()) <= 24


def test_a_plan_that_makes_no_sense_is_refused():
    matrix, _ = study()
    with pytest.raises(ValueError, match="budget is -1"):
        plan_budget(matrix, None, budget=-1)
    with pytest.raises(ValueError, match="cost of source 'task1' is 0"):
        plan_budget(matrix, None, budget=1, costs={"task1": 0.0})
    with pytest.raises(UnknownNameError, match="costs: source 'x'"):
        plan_budget(matrix, None, budget=1, costs={"x": 1.0})
    with pytest.raises(UnknownNameError, match="target 'x'"):
        plan_budget(matrix, None, budget=1, target="x")
    with pytest.raises(DTypeError, match="expected a SimilarityMatrix"):
        plan_budget(matrix, np.zeros((6, 6)), budget=1)
    values = matrix.values.copy()
    values[0, 1] = NAN
    with pytest.raises(NonFiniteError, match="predicted"):
        plan_budget(SimilarityMatrix(values, matrix.targets, matrix.sources, "x"), None, budget=1)
