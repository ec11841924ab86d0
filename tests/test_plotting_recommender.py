"""The picture of what sources contribute shows the numbers it is given, and names as written."""

from __future__ import annotations

import numpy as np

from kinatlas import plotting
from kinatlas.selection import SourceEvidence

NAMES = ("$cost$", "super_natural_instructions_task001", "buy")


def evidence() -> SourceEvidence:
    rises = np.array([[0.01, -0.02, 0.03], [0.1, 0.08, 0.12], [-0.05, -0.06, -0.04]])
    weights = np.array([0.2, 0.3, 0.5])
    options = {"n_rows": 600, "confidence": 0.9}
    return SourceEvidence("a_b", NAMES, rises, weights, (0.6, 0.4), None, None, options)


def test_sources_are_drawn_by_what_leaving_them_out_costs_with_their_intervals() -> None:
    ax = plotting.plot_source_evidence(evidence())
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert [label.split("  ")[0] for label in labels] == [
        "buy",
        r"\$cost\$",
        "super_natural_instructions_task001",
    ]
    assert labels[0].endswith("weight 0.50")
    drawn = [line.get_segments()[0][:, 0].tolist() for line in ax.collections[::2]]
    assert drawn == [[-0.06, -0.04], [-0.02, 0.03], [0.08, 0.12]]
    colours = [tuple(line.get_color()[0][:3]) for line in ax.collections[::2]]
    assert len(set(colours)) == 3
    assert "90 % interval" in ax.get_xlabel()


def test_names_find_room_inside_the_figure() -> None:
    ax = plotting.plot_source_evidence(evidence())
    ax.figure.draw_without_rendering()
    inside = ax.figure.bbox.extents
    left, bottom, right, top = ax.get_tightbbox().extents
    assert left >= inside[0]
    assert bottom >= inside[1]
    assert right <= inside[2]
    assert top <= inside[3]
    assert ax.get_window_extent().width / ax.figure.dpi > 2.2
