"""Heat map of a similarity matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas.plotting._axes import GREY, as_written, new_axes, room_for
from kinatlas.similarity import SimilarityMatrix

__all__ = ["plot_similarity"]

# Beyond this many columns, numbers inside cells can no longer be read.
_MOST_ANNOTATED = 16


def plot_similarity(matrix: SimilarityMatrix, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw scores as a heat map, targets down and sources across, and return the Axes.

    A source never competes for itself, so cells where both names agree are crossed out and take
    no part in the colour scale; missing scores stay white.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.5, 0.1]], ["rte"], ["mnli", "qqp"], "feature_mean")
    >>> plot_similarity(matrix).get_title()
    'feature_mean'
    """
    rows, columns = matrix.values.shape
    across, down = room_for(matrix.targets), room_for(matrix.sources)
    ax = new_axes(ax, 2.6 + 0.5 * columns + across, 2.0 + 0.36 * rows + down)
    own = np.equal.outer(np.array(matrix.targets), np.array(matrix.sources))
    shown = np.ma.masked_array(matrix.values, own | np.isnan(matrix.values))
    image = ax.imshow(shown, cmap="cividis", aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="similarity (higher is closer)")
    names = [as_written(name) for name in matrix.sources]
    ax.set_xticks(range(columns), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(rows), [as_written(name) for name in matrix.targets])
    ax.set_xlabel("source")
    ax.set_ylabel("target")
    ax.set_title(as_written(matrix.kernel) if title is None else title)
    ax.scatter(*np.nonzero(own)[::-1], marker="x", color=GREY, s=18, linewidths=1)
    if columns <= _MOST_ANNOTATED:
        _annotate(ax, shown)
    return ax


def _annotate(ax: Any, shown: Any) -> None:
    middle = (shown.min() + shown.max()) / 2
    for (row, column), value in np.ndenumerate(shown.filled(np.nan)):
        if not np.isnan(value):
            ink = "white" if value < middle else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=6)
