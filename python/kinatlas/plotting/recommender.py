"""What each source contributes to a new task's head, with intervals."""

from __future__ import annotations

from typing import Any

from kinatlas.plotting._axes import BLUE, GREY, ORANGE, as_written, new_axes, room_for
from kinatlas.selection import SourceEvidence

__all__ = ["plot_source_evidence"]

_COLOURS = {"transfer+": BLUE, "neutral": GREY, "transfer-": ORANGE}


def plot_source_evidence(
    evidence: SourceEvidence, *, ax: Any = None, title: str | None = None
) -> Any:
    """Draw what leaving each source out costs, largest on top, and return the Axes.

    Beside each name stands the mean attention: how much is read, not how much it matters.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> import numpy as np
    >>> evidence = SourceEvidence(
    ...     "wish", ("click", "buy"), np.array([[0.01, -0.01, 0.03], [0.1, 0.08, 0.12]]),
    ...     np.array([0.5, 0.5]), (0.6, 0.4), None, None, {"n_rows": 600, "confidence": 0.95})
    >>> plot_source_evidence(evidence).get_title()
    "sources of 'wish'"
    """
    order = evidence.leave_one_out[:, 0].argsort()
    labels = [
        f"{as_written(evidence.sources[at])}  weight {evidence.mean_weight[at]:.2f}" for at in order
    ]
    ax = new_axes(ax, 5.4 + room_for(labels), 1.3 + 0.35 * len(order))
    verdicts = evidence.verdicts
    for height, at in enumerate(order):
        rise, low, high = evidence.leave_one_out[at]
        colour = _COLOURS[verdicts[evidence.sources[at]]]
        ax.hlines(height, low, high, color=colour, linewidth=4, alpha=0.5)
        ax.scatter(rise, height, color=colour, zorder=3, s=26)
    ax.axvline(0.0, color=GREY, linewidth=1)
    ax.set_yticks(range(len(order)), labels)
    ax.set_ylim(-0.6, len(order) - 0.4)
    level = 100 * evidence.options["confidence"]
    ax.set_xlabel(f"rise of the log-loss when left out, {level:g} % interval")
    ax.set_title(title or f"sources of '{as_written(evidence.target)}'")
    return ax
