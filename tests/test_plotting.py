"""Pictures show what the results say, and nothing else."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from kinatlas import SimilarityMatrix, TransferTable, evaluate, rank_sources
from kinatlas.errors import ShapeError, UnknownNameError
from kinatlas.plotting import plot_evaluation, plot_ranking, plot_similarity

MATRIX = SimilarityMatrix(
    [[1.0, 0.2, 0.6], [0.3, 1.0, np.nan]], ["rte", "mnli"], ["rte", "mnli", "qqp"], "flatten"
)


def test_pictures_are_drawn_on_the_axes_given_and_pyplot_is_left_alone() -> None:
    ax = Figure().add_subplot()
    assert plot_similarity(MATRIX, ax=ax) is ax
    plot_ranking(rank_sources(MATRIX, "rte"))
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_a_heat_map_shows_foreign_cells_and_crosses_out_own_and_missing_ones() -> None:
    ax = plot_similarity(MATRIX)
    shown = ax.images[0].get_array()
    assert shown.mask.tolist() == [[True, False, False], [False, True, True]]
    assert sorted(text.get_text() for text in ax.texts) == ["0.20", "0.30", "0.60"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["rte", "mnli"]


def test_a_ranking_plot_has_the_best_source_on_top_with_its_measured_place() -> None:
    measured = rank_sources(MATRIX.select(sources=["rte", "qqp", "mnli"]), "rte")
    ax = plot_ranking(rank_sources(MATRIX, "rte"), measured=measured)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["qqp  (measured rank 0)", "mnli  (measured rank 1)"]
    low, high = ax.get_ylim()
    assert low > high


def test_an_evaluation_plot_has_one_dot_and_one_chance_mark_a_seed() -> None:
    table = TransferTable.from_arrays(["rte"] * 2, ["mnli", "qqp"], [62.0, 31.0])
    result = evaluate(MATRIX.select(targets=["rte"], sources=["mnli", "qqp"]), table)
    ax = plot_evaluation({"flatten": [result, result], "other": result})
    marks = [points for points in ax.collections if isinstance(points, PathCollection)]
    dots = [points for points in marks if len(points.get_offsets()) == 1]
    assert len(dots) == 6
    with pytest.raises(ShapeError, match="no evaluation"):
        plot_evaluation({})
    with pytest.raises(UnknownNameError, match="ndgc"):
        plot_evaluation({"flatten": result}, metric="ndgc")
