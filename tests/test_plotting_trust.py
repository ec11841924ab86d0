"""Pictures of intervals, spread, variance and decisions show what the results say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import kinatlas as ka
from kinatlas.consistency import transfer_gains, variance_components
from kinatlas.errors import FormatError, UnknownNameError
from kinatlas.evaluation import CriticalDifference, evaluate_abstention
from kinatlas.plotting import (
    plot_critical_difference,
    plot_gains,
    plot_rank_intervals,
    plot_risk_coverage,
    plot_seed_spread,
    plot_variance,
)

SOURCES = ("a", "b", "c", "rte")


def seeds() -> dict[int, ka.SimilarityMatrix]:
    generator = np.random.default_rng(1)
    means = np.array([0.9, 0.5, 0.45, 1.0])
    return {
        seed: ka.SimilarityMatrix(
            [means + 0.02 * generator.normal(size=4)], ["rte"], SOURCES, "flatten"
        )
        for seed in range(4)
    }


def labels(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_a_ladder_shows_rank_intervals_groups_and_chances() -> None:
    ranking = ka.rank_sources(seeds(), "rte")
    ax = plot_rank_intervals(ranking)
    assert [label.split()[0] for label in labels(ax)] == list(ranking.sources) == ["a", "b", "c"]
    groups = [text.get_text() for text in ax.texts]
    assert groups == [entry.group for entry in ranking]
    bars = [line.get_segments()[0] for line in ax.collections if hasattr(line, "get_segments")]
    ends = [(bar[0][0], bar[1][0]) for bar in bars]
    assert ends == [(entry.rank_low, entry.rank_high) for entry in ranking]
    with pytest.raises(FormatError, match="no intervals"):
        plot_rank_intervals(ka.rank_sources(seeds()[0], "rte"))


def test_the_spread_has_a_dot_a_seed_and_leaves_the_target_out() -> None:
    ax = plot_seed_spread(seeds(), "rte")
    assert labels(ax) == ["a", "b", "c"]
    dots = [points for points in ax.collections if len(points.get_offsets()) == 4]
    assert len(dots) == 3
    with pytest.raises(UnknownNameError, match="mnli"):
        plot_seed_spread(seeds(), "mnli")
    alone = ka.SimilarityMatrix([[1.0]], ["rte"], ["rte"], "flatten")
    with pytest.raises(FormatError, match="no source"):
        plot_seed_spread({0: alone}, "rte")


def test_the_order_of_sources_in_a_matrix_does_not_matter_to_the_spread() -> None:
    turned = {seed: matrix.select(sources=SOURCES[::-1]) for seed, matrix in seeds().items()}
    mixed = seeds() | {3: turned[3]}
    first, second = plot_seed_spread(seeds(), "rte"), plot_seed_spread(mixed, "rte")
    for one, other in zip(first.collections, second.collections, strict=True):
        assert np.array_equal(one.get_offsets(), other.get_offsets())


def test_variance_bars_are_the_components() -> None:
    found = variance_components(ka.datasets.load_minilm_prompts().transfer)
    ax = plot_variance(found)
    widths = [patch.get_width() for patch in ax.patches]
    assert widths == pytest.approx([max(value, 0.0) for value in found.columns["value"]])
    assert labels(ax)[2] == "target x source"


def test_gains_are_dotted_where_they_are_shown_and_white_is_zero() -> None:
    found = transfer_gains(ka.datasets.load_minilm_prompts().transfer)
    ax = plot_gains(found)
    low, high = ax.images[0].get_clim()
    assert low == -high
    dots = ax.collections[-1].get_offsets()
    assert {(int(row), int(column)) for column, row in dots} == set(
        map(tuple, np.argwhere(found.is_shown).tolist())
    )


def test_methods_under_one_bar_are_a_clique() -> None:
    found = CriticalDifference(
        ("a", "b", "c"), (1.2, 1.9, 2.9), 1.0, (("a", "b"), ("b", "c")), 9.0, 0.01, 10, 0.95
    )
    ax = plot_critical_difference(found, ax=Figure().add_subplot())
    assert [text.get_text() for text in ax.texts] == ["a  1.20", "b  1.90", "c  2.90"]
    bars = [line.get_xdata() for line in ax.lines if line.get_linewidth() == 4]
    assert [(min(bar), max(bar)) for bar in bars] == [
        pytest.approx((1.17, 1.93)),
        pytest.approx((1.87, 2.93)),
    ]


def test_the_risk_curve_is_the_results_own() -> None:
    matrix = ka.SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
    table = ka.TransferTable.from_arrays(
        list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4
    )
    found = evaluate_abstention(matrix, table)
    ax = plot_risk_coverage(found)
    curve = found.risk_coverage()
    for line, name in zip(ax.lines, ("risk", "chance", "best"), strict=True):
        assert line.get_ydata().tolist() == curve[name]
        assert line.get_xdata().tolist() == curve["coverage"]
