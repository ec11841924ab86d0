"""Rankings: order, ties by rule, self excluded, cut-offs, no transfer as a candidate."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from kinatlas import _core, _reference_evaluation
from kinatlas.errors import (
    DegenerateRankingWarning,
    FormatError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from kinatlas.selection import NO_TRANSFER, RankedSource, Ranking, rank_sources
from kinatlas.similarity import SimilarityMatrix

SCORES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


def matrix_of(scores: list[float], sources: str | list[str], **known: object) -> SimilarityMatrix:
    return SimilarityMatrix([scores], ["target"], list(sources), "feature_mean", **known)


@given(SCORES)
def test_ranks_are_those_of_scipy_and_of_the_twin(scores):
    values = np.array(scores)
    ranks = _core.average_ranks(values)
    np.testing.assert_array_equal(ranks, rankdata(-values, method="average") - 1)
    np.testing.assert_array_equal(ranks, _reference_evaluation.average_ranks(values))


def test_the_best_source_comes_first_and_the_target_never():
    matrix = SimilarityMatrix(
        [[9.0, 0.2, 0.7], [0.1, 9.0, 0.3]], ["rte", "mnli"], ["rte", "mnli", "qqp"], "flatten"
    )
    ranking = rank_sources(matrix, "rte")
    assert ranking.sources == ("qqp", "mnli")
    assert [entry.rank for entry in ranking] == [0.0, 1.0]
    assert ranking.target == "rte"
    assert rank_sources(matrix, "mnli").sources == ("qqp", "rte")


def test_tied_sources_share_their_rank_and_stand_alphabetically():
    ranking = rank_sources(matrix_of([1.0, 3.0, 1.0, 1.0], "zbca"), "target")
    assert ranking.sources == ("b", "a", "c", "z")
    assert [entry.rank for entry in ranking] == [0.0, 2.0, 2.0, 2.0]
    assert [entry.n_tied for entry in ranking] == [1, 3, 3, 3]
    assert [entry.is_tied for entry in ranking] == [False, True, True, True]


@given(st.permutations(range(5)))
def test_ranking_does_not_depend_on_source_order(order):
    scores, names = [0.5, 0.1, 0.5, 0.9, 0.3], ["a", "b", "c", "d", "e"]
    moved = matrix_of([scores[at] for at in order], [names[at] for at in order])
    assert rank_sources(moved, "target") == rank_sources(matrix_of(scores, names), "target")


@given(SCORES.filter(lambda scores: len(set(scores)) > 1))
def test_increasing_maps_of_the_scores_keep_the_order(scores):
    names = [f"s{at:02d}" for at in range(len(scores))]
    mapped = [float(np.exp(score)) - 100 for score in scores]
    before = rank_sources(matrix_of(scores, names), "target")
    after = rank_sources(matrix_of(mapped, names), "target")
    assert [(e.source, e.rank) for e in before] == [(e.source, e.rank) for e in after]


def test_k_is_honoured_and_says_when_it_cuts_a_tie():
    matrix = matrix_of([3.0, 2.0, 2.0, 1.0], "abcd")
    for k in range(1, 5):
        assert len(rank_sources(matrix, "target", k=k)) == k
    assert rank_sources(matrix, "target", k=2).cuts_a_tie
    assert "cut goes through a tie" in repr(rank_sources(matrix, "target", k=2))
    assert not rank_sources(matrix, "target", k=3).cuts_a_tie
    assert rank_sources(matrix, "target", k=1).n_candidates == 4


@pytest.mark.parametrize("k", [0, -1, 5, True, 1.5, "2"])
def test_an_impossible_k_is_refused(k):
    with pytest.raises(ShapeError, match="k is"):
        rank_sources(matrix_of([3.0, 2.0, 2.0, 1.0], "abcd"), "target", k=k)


def test_one_candidate_is_a_ranking_of_one():
    ranking = rank_sources(matrix_of([0.5], "a"), "target")
    assert ranking.entries == (RankedSource("a", 0.5, 0.0, 1, "unknown"),)


def test_a_target_without_other_sources_is_refused():
    with pytest.raises(ShapeError, match="no source to rank"):
        rank_sources(SimilarityMatrix([[1.0]], ["rte"], ["rte"], "k"), "rte")


def test_an_unknown_target_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'target'"):
        rank_sources(matrix_of([0.5], "a"), "targt")


def test_equal_scores_warn_that_nothing_was_told_apart():
    with pytest.warns(DegenerateRankingWarning, match="all 3 sources"):
        ranking = rank_sources(matrix_of([0.5, 0.5, 0.5], "abc"), "target")
    assert [entry.rank for entry in ranking] == [1.0, 1.0, 1.0]


def test_a_missing_score_is_never_dropped_in_silence():
    matrix = matrix_of([0.5, float("nan"), 0.7], "abc")
    with pytest.raises(NonFiniteError, match="'b'"):
        rank_sources(matrix, "target")
    ranking = rank_sources(matrix, "target", nan_policy="omit")
    assert ranking.sources == ("c", "a")
    assert ranking.omitted == ("b",)
    assert "left out: 'b'" in repr(ranking)


def test_no_transfer_competes_where_gains_are_known():
    gains = matrix_of([2.0, 0.0, -1.0], "abc", neutral=0.0)
    ranking = rank_sources(gains, "target")
    assert ranking.sources == ("a", "b", NO_TRANSFER, "c")
    assert [entry.effect for entry in ranking] == ["help", "none", "none", "harm"]
    assert ranking[1].rank == ranking[2].rank == 1.5
    excluded = rank_sources(gains, "target", no_transfer="exclude")
    assert excluded.sources == ("a", "b", "c")
    assert excluded[2].effect == "harm"


def test_no_transfer_needs_a_neutral_score_and_a_free_name():
    with pytest.raises(FormatError, match="no neutral score"):
        rank_sources(matrix_of([1.0], "a"), "target", no_transfer="include")
    taken = matrix_of([1.0], [NO_TRANSFER], neutral=0.0)
    with pytest.raises(FormatError, match="rename it"):
        rank_sources(taken, "target")
    assert len(rank_sources(taken, "target", no_transfer="exclude")) == 1


@pytest.mark.parametrize("option", [{"no_transfer": "yes"}, {"nan_policy": "propagate"}])
def test_unknown_words_are_refused(option):
    with pytest.raises(UnknownNameError, match="expected one of"):
        rank_sources(matrix_of([1.0], "a"), "target", **option)


def test_an_index_gives_an_entry_and_a_slice_a_ranking():
    ranking = rank_sources(matrix_of([3.0, 2.0, 1.0], "abc"), "target")
    assert isinstance(ranking[0], RankedSource)
    assert isinstance(ranking[:2], Ranking)
    assert ranking[-1].source == "c"
    assert ranking[1:].sources == ("b", "c")
    assert [entry.source for entry in ranking] == ["a", "b", "c"]
    assert len(ranking[5:]) == 0
    assert "0 of 3 candidates" in repr(ranking[5:])
    with pytest.raises(IndexError):
        ranking[3]


def test_a_ranking_pickles_and_exports():
    ranking = rank_sources(matrix_of([3.0, 2.0], ["<a>", "b"]), "target")
    assert pickle.loads(pickle.dumps(ranking)) == ranking
    assert ranking.to_pandas()["source"].tolist() == ["<a>", "b"]
    assert ranking.to_polars()["rank"].to_list() == [0.0, 1.0]
    assert ranking.to_arrow()["score"].to_pylist() == [3.0, 2.0]
    assert ranking.to_dict()["n_tied"] == [1, 1]
    assert "&lt;a&gt;" in ranking._repr_html_()
    assert "<a>" not in ranking._repr_html_()


def test_a_long_ranking_prints_on_one_screen():
    names = [f"s{at:03d}" for at in range(300)]
    ranking = rank_sources(matrix_of([float(at % 7) for at in range(300)], names), "target", k=299)
    assert len(repr(ranking).splitlines()) <= 24
