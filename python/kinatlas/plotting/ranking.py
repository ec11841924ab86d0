"""One target's sources, best first."""

from __future__ import annotations

from typing import Any

from kinatlas.plotting._axes import BLUE, GREY, as_written, new_axes, room_for
from kinatlas.selection import Ranking

__all__ = ["plot_ranking"]


def plot_ranking(
    ranking: Ranking,
    *,
    measured: Ranking | None = None,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw the score of every source, best on top, and return the Axes.

    With ``measured``, a ranking by measured transfer, each name carries the place the source
    really took (from 0), so that a wrong order is seen at once.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> from kinatlas.selection import rank_sources
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> matrix = SimilarityMatrix([[0.5, 0.1]], ["rte"], ["mnli", "qqp"], "feature_mean")
    >>> plot_ranking(rank_sources(matrix, "rte")).get_title()
    'Sources for rte'
    """
    entries = list(ranking)
    ax = new_axes(ax, 5.6 + room_for(ranking.sources), 1.2 + 0.3 * len(entries))
    places = {entry.source: entry.rank for entry in measured} if measured is not None else {}
    labels = [
        f"{as_written(entry.source)}  (measured rank {places[entry.source]:g})"
        if entry.source in places
        else as_written(entry.source)
        for entry in entries
    ]
    height = range(len(entries))
    scores = [entry.score for entry in entries]
    ax.hlines(height, min(scores), scores, color=GREY, linewidth=1)
    ax.scatter(scores, height, color=BLUE, zorder=3, s=26)
    ax.set_yticks(height, labels)
    ax.invert_yaxis()
    ax.set_xlabel("similarity (higher is closer)")
    default = as_written(f"Sources for {ranking.target}")
    ax.set_title(default if title is None else title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
