"""Names of tasks are drawn as they are written, and have the room they need."""

from __future__ import annotations

import numpy as np
import pytest

import kinatlas as ka
from kinatlas import plotting
from kinatlas.consistency import transfer_gains
from kinatlas.errors import FormatError
from kinatlas.evaluation import CriticalDifference, evaluate_abstention

# What matplotlib would read as mathematics, most of it broken.
ODD = ("$x$", r"a$\frac$", "cost$_^$ 5$", "a_b", "<b>&", "$")
LONG = tuple(f"super_natural_instructions_task{at:03d}_winogrande" for at in range(6))


def pictures(names: tuple[str, ...]) -> list[object]:
    rng = np.random.default_rng(0)
    table = ka.TransferTable(
        60 + rng.normal(size=(5, 6, 3)), names[:5], names, (0, 1, 2), np.full((5, 3), 59.5)
    )
    seeds = {
        seed: ka.SimilarityMatrix(rng.normal(size=(5, 6)), names[:5], names, names[1])
        for seed in range(3)
    }
    ranking = ka.rank_sources(seeds, names[0])
    ranks = CriticalDifference(names[:3], (1.2, 1.9, 2.9), 0.9, (names[:2],), 3.6, 0.06, 9, 0.95)
    return [
        plotting.plot_rank_intervals(ranking),
        plotting.plot_ranking(ranking, measured=ranking),
        plotting.plot_seed_spread(seeds, names[0]),
        plotting.plot_seed_spread(table, names[0]),
        plotting.plot_gains(transfer_gains(table)),
        plotting.plot_similarity(seeds[0]),
        plotting.plot_evaluation({name: ka.evaluate(seeds[0], table) for name in names[:3]}),
        plotting.plot_risk_coverage(evaluate_abstention(seeds[0], table)),
        plotting.plot_critical_difference(ranks),
    ]


def test_dollar_signs_are_no_mathematics():
    for ax in pictures(ODD):
        ax.figure.draw_without_rendering()
    shown = plotting.plot_ranking(ka.rank_sources(
        ka.SimilarityMatrix([[0.5]], ["t"], ["$x$"], "k"), "t"
    ))  # fmt: skip
    (label,) = shown.get_yticklabels()
    assert label.get_text() == r"\$x\$"  # how matplotlib is told to draw $x$


def test_long_names_leave_the_axes_their_width():
    for ax in pictures(LONG):
        ax.figure.draw_without_rendering()
        box = ax.get_window_extent()
        assert box.width / ax.figure.dpi > 2.2
        assert box.height / ax.figure.dpi > 0.7


def test_average_ranks_are_marked_at_whole_places_only():
    names = ("first", "second", "third")
    ranks = CriticalDifference(names, (1.0, 2.0, 3.0), 0.5, (), 3.6, 0.06, 9, 0.95)
    ticks = plotting.plot_critical_difference(ranks).get_xticks()
    assert ticks.tolist() == [1, 2, 3]


def test_no_seed_is_nothing_to_draw():
    with pytest.raises(FormatError, match="seeds: got an empty mapping"):
        plotting.plot_seed_spread({}, "rte")
