"""What an evaluation uses, leaves out, counts and refuses."""

import json
import math

import numpy as np
import pytest

from kinatlas.errors import FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.evaluation import TransferTable, evaluate
from kinatlas.similarity import SimilarityMatrix

NAN = float("nan")


def case(scores, truth, targets=("t",), **known):
    sources = tuple(f"s{at}" for at in range(len(scores[0])))
    matrix = SimilarityMatrix(scores, list(targets), sources, "feature_mean")
    truth = np.array(truth, dtype=float)
    cube = truth[:, :, np.newaxis] if truth.ndim == 2 else truth
    return matrix, TransferTable(cube, tuple(targets), sources, **known)


def test_equal_gains_have_no_ndcg_and_do_not_drag_the_mean():
    scores = [[3.0, 2.0, 1.0]] * 2
    result = evaluate(*case(scores, [[60.0, 61.0, 62.0], [50.0, 50.0, 50.0]], ("a", "b")))
    assert result.summary()["ndcg"] == pytest.approx(0.739667, abs=5e-7)
    assert result.n_defined[0] == 1
    rows = result.per_target()
    assert math.isnan(rows[1]["ndcg"])
    assert "ndcg: all gains are equal" in rows[1]["undefined"]
    assert rows[0]["undefined"] == ""
    assert result.undefined["ndcg"] == {"all gains are equal, every order is as good": 1}
    assert "ndcg undefined 1 times" in repr(result)


def test_all_zero_scores_are_undefined_and_not_zero():
    numbers = evaluate(*case([[3.0, 2.0]], [[0.0, 0.0]])).summary()
    assert math.isnan(numbers["ndcg"])
    assert math.isnan(numbers["regret@1"])
    assert numbers["average_rank"] == 1.0


def test_signed_gains_keep_their_sign():
    matrix, table = case([[1.0, 2.0]], [[60.0, -40.0]])
    numbers = evaluate(matrix, table, gain="linear", k=1).summary()
    # (-40 + 60 / log2(3)) / (60 - 40 / log2(3))
    assert numbers["ndcg"] == pytest.approx((-40 + 60 / np.log2(3)) / (60 - 40 / np.log2(3)))
    assert numbers["ndcg"] < 0 < numbers["ndcg_chance"]


def test_harm_earns_no_clipped_gain():
    scores, truth = [[3.0, 2.0, 1.0]], [[50.0, 70.0, 65.0]]
    matrix, table = case(scores, truth, baseline=[[60.0]])
    numbers = evaluate(matrix, table, gain="clipped_gain").summary()
    second, third = 1 / np.log2(3), 0.5
    assert numbers["ndcg"] == pytest.approx((10 * second + 5 * third) / (10 + 5 * second))
    harmful = evaluate(*case(scores, truth, baseline=[[90.0]]), gain="clipped_gain")
    assert math.isnan(harmful.summary()["ndcg"])
    with pytest.raises(FormatError, match="no baseline"):
        evaluate(*case(scores, truth), gain="clipped_gain")
    matrix, table = case(scores * 2, truth * 2, ("a", "b"), baseline=[[60.0], [NAN]])
    partly = evaluate(matrix, table, gain="clipped_gain")
    assert partly.n_defined[0] == 1
    assert partly.undefined["ndcg"] == {"no baseline was measured": 1}


def test_one_candidate_has_no_number_and_a_reason():
    result = evaluate(*case([[3.0, 2.0]], [[60.0, NAN]]))
    assert all(math.isnan(value) for value in result.summary().values())
    assert "fewer than two candidates" in result.per_target()[0]["undefined"]
    assert "no value" in result.explain("ndcg")


def test_fewer_candidates_than_k_is_no_regret_of_zero():
    result = evaluate(*case([[3.0, 2.0]], [[60.0, 50.0]]), k=(2, 3))
    assert result.summary()["regret@2"] == 0.0
    assert math.isnan(result.summary()["regret@3"])
    assert result.undefined["regret@3"] == {"fewer candidates than k": 1}


def test_equal_predictions_are_at_chance_in_every_metric():
    result = evaluate(*case([[1.0, 1.0, 1.0]], [[60.0, 61.0, 62.0]]))
    assert result.summary()["spearman"] == result.summary()["kendall"] == 0.0
    assert result.summary()["ndcg"] == result.summary()["ndcg_chance"]


def test_a_missing_run_is_missing_and_never_zero():
    complete = evaluate(*case([[3.0, 1.0]], [[60.0, 62.0]]))
    partly = evaluate(*case([[3.0, 2.0, 1.0]], [[60.0, NAN, 62.0]]))
    np.testing.assert_array_equal(partly.numbers[:2], complete.numbers[:2])
    assert partly.conventions["n_runs_missing"] == 1
    assert partly.per_target()[0]["n_candidates"] == 2


def test_a_target_without_runs_is_left_out_and_said_so():
    matrix, table = case([[3.0, 1.0]] * 2, [[60.0, 62.0], [NAN, NAN]], ("a", "b"))
    result = evaluate(matrix, table)
    assert result.n_defined[0] == 1
    assert result.per_target()[1]["undefined"] == "no run was measured"
    assert result.conventions["n_seeds_missing"] == 1


def test_a_task_is_never_its_own_source():
    names = ["a", "b", "c"]
    matrix = SimilarityMatrix(np.eye(3) * 9 + np.arange(3.0), names, names, "k")
    truth = np.array([[99.0, 50.0, 60.0], [50.0, 99.0, 60.0], [60.0, 50.0, 99.0]])
    with_self = evaluate(matrix, TransferTable(truth[:, :, None], names, names))
    np.fill_diagonal(truth, np.nan)
    without = evaluate(matrix, TransferTable(truth[:, :, None], names, names))
    np.testing.assert_array_equal(with_self.numbers, without.numbers)
    assert with_self.conventions["n_runs_used"] == 6
    assert with_self.conventions["n_runs_ignored"] == 3


def test_seeds_are_averaged_inside_targets_or_before_them():
    truth = np.array([[[60.0, 62.0], [61.0, 60.0], [62.0, NAN]]])
    matrix, table = case([[3.0, 2.0, 1.0]], truth, seeds=(1, 2))
    each = evaluate(matrix, table, k=1)
    lists = [run["average_rank"] for run in each.per_run()]
    assert lists == [3.0, 1.0]
    assert each.summary()["average_rank"] == 2.0
    assert each.per_target()[0]["n_lists"] == 2
    averaged = evaluate(matrix, table, k=1, seeds="mean")
    # Means 61, 60.5 and, from its only run, 62.
    assert averaged.summary()["average_rank"] == 3.0
    assert averaged.per_run()[0]["seed"] == "mean"
    assert averaged.conventions["n_runs_missing"] == 1


def test_targets_weigh_the_same_however_many_seeds_they_have():
    truth = np.array(
        [[[60.0, 60.0, 60.0], [62.0, 62.0, 62.0]], [[62.0, NAN, NAN], [60.0, NAN, NAN]]]
    )
    matrix, table = case([[2.0, 1.0]] * 2, truth, ("a", "b"), seeds=(1, 2, 3))
    assert evaluate(matrix, table).summary()["average_rank"] == 1.5


def test_a_name_the_table_lacks_is_refused_with_the_way_out():
    matrix, table = case([[3.0, 2.0]], [[60.0, 61.0]])
    extra = SimilarityMatrix([[1.0, 2.0]], ["t"], ["s0", "mnli"], "k")
    with pytest.raises(UnknownNameError, match=r"sources 'mnli'.*matrix\.select\(sources="):
        evaluate(extra, table)
    other = SimilarityMatrix(matrix.values, ["u"], matrix.sources, "k")
    with pytest.raises(UnknownNameError, match=r"targets 'u'.*matrix\.select\(targets="):
        evaluate(other, table)


def test_runs_of_other_tasks_are_ignored_and_counted():
    matrix, table = case([[3.0, 2.0, 1.0]] * 2, [[60.0, 61.0, 62.0]] * 2, ("a", "b"))
    part = evaluate(matrix.select(targets=["b"], sources=["s0", "s2"]), table)
    assert part.conventions["n_runs_used"] == 2
    assert part.conventions["n_runs_ignored"] == 4


def test_a_missing_prediction_is_never_dropped_in_silence():
    matrix, table = case([[3.0, NAN, 1.0]], [[60.0, 61.0, 62.0]])
    with pytest.raises(NonFiniteError, match="'s1' for target 't'"):
        evaluate(matrix, table)
    result = evaluate(matrix, table, nan_policy="omit")
    assert result.conventions["n_scores_missing"] == 1
    assert result.per_target()[0]["n_candidates"] == 2


@pytest.mark.parametrize("k", [0, (1, -2), 1.5, True, ("1",), "1"])
def test_impossible_cut_offs_are_refused(k):
    with pytest.raises(ShapeError, match="k is"):
        evaluate(*case([[3.0, 2.0]], [[60.0, 61.0]]), k=k)


@pytest.mark.parametrize("option", [{"gain": "exp"}, {"seeds": "all"}, {"nan_policy": "keep"}])
def test_unknown_words_are_refused(option):
    with pytest.raises(UnknownNameError, match="expected one of"):
        evaluate(*case([[3.0, 2.0]], [[60.0, 61.0]]), **option)


def test_every_number_has_a_sentence_and_the_page_is_escaped():
    matrix, table = case([[3.0, 2.0, 1.0]], [[60.0, 61.0, 62.0]])
    named = SimilarityMatrix(matrix.values, matrix.targets, matrix.sources, "<k>")
    result = evaluate(named, table)
    lines = result.explain().splitlines()
    assert len(lines) == len(result.metrics)
    assert all(
        line.startswith(f"{name} is") for line, name in zip(lines, result.metrics, strict=True)
    )
    with pytest.raises(UnknownNameError, match="did you mean 'ndcg'"):
        result.explain("ndcgs")
    assert "<k>" not in result._repr_html_()
    assert len(repr(result).splitlines()) <= 24


def test_results_export_to_json_and_frames():
    result = evaluate(*case([[3.0, 2.0, 1.0]], [[60.0, 61.0, 62.0]]))
    assert json.loads(json.dumps(result.to_dict()))["conventions"]["gain"] == "exp2_percent"
    assert result.to_pandas()["regret@1"].tolist() == [result.summary()["regret@1"]]
    assert result.to_polars()["target"].to_list() == ["t"]
    assert result.to_arrow()["n_candidates"].to_pylist() == [3]
    assert result.summary_table()["metric"] == list(result.metrics)


def test_one_matrix_a_seed_is_judged_by_that_seeds_runs_alone() -> None:
    names = (["x"], ["a", "b", "c"], "flatten")
    right = SimilarityMatrix([[1.0, 2.0, 3.0]], *names)
    wrong = SimilarityMatrix([[3.0, 2.0, 1.0]], *names)
    table = TransferTable.from_arrays(
        ["x"] * 6,
        ["a", "b", "c"] * 2,
        [60.0, 61.0, 62.0, 62.0, 61.0, 60.0],
        seeds=[0, 0, 0, 1, 1, 1],
    )
    assert evaluate({0: right, 1: wrong}, table).summary()["ndcg"] == 1.0
    assert evaluate({0: right}, table).conventions["n_seeds"] == 1
    alone = [evaluate(right, table.select(seeds=[seed])).summary()["ndcg"] for seed in (0, 1)]
    both = evaluate({0: right, 1: right}, table).summary()["ndcg"]
    assert both == evaluate(right, table).summary()["ndcg"]
    assert both == pytest.approx(sum(alone) / 2, rel=1e-15)


def test_matrices_of_seeds_must_agree_and_meet_the_table() -> None:
    table = TransferTable.from_arrays(["x", "x"], ["a", "b"], [60.0, 61.0], seeds=[0, 0])
    first = SimilarityMatrix([[1.0, 2.0]], ["x"], ["a", "b"], "flatten")
    with pytest.raises(ShapeError, match="different sources"):
        evaluate({0: first, 1: first.select(sources=["b", "a"])}, table)
    with pytest.raises(UnknownNameError, match="seed"):
        evaluate({7: first}, table)
    with pytest.raises(ShapeError, match="empty mapping"):
        evaluate({}, table)
    with pytest.raises(FormatError, match="seeds='each'"):
        evaluate({0: first}, table, seeds="mean")
