"""How well several methods rank, each beside its own chance level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kinatlas._checks import check_known
from kinatlas.errors import ShapeError
from kinatlas.evaluation import Evaluation
from kinatlas.plotting._axes import BLUE, GREY, ORANGE, as_written, new_axes, room_for

__all__ = ["plot_evaluation"]


def plot_evaluation(
    results: Mapping[str, Evaluation | Sequence[Evaluation]],
    *,
    metric: str = "ndcg",
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw one metric of several methods as dots beside chance, and return the Axes.

    Several evaluations under one label (one a seed) give several dots, so their spread shows.
    An orange bar marks the exact chance level of each evaluation.

    Raises
    ------
    ShapeError
        If there is nothing to draw.
    UnknownNameError
        If an evaluation does not have the metric.
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> from kinatlas.evaluation import TransferTable, evaluate
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
    >>> plot_evaluation({"flatten": evaluate(matrix, table)}).get_xlabel()
    'ndcg'
    """
    if not results:
        raise ShapeError("results: got no evaluation, expected at least one under its label")
    ax = new_axes(ax, 6.0 + room_for(results), 1.3 + 0.34 * len(results))
    for height, found in enumerate(results.values()):
        for result in [found] if isinstance(found, Evaluation) else found:
            check_known(metric, result.metrics, "metric")
            numbers = result.summary()
            value, chance = numbers[metric], numbers[f"{metric}_chance"]
            ax.hlines(height, min(value, chance), max(value, chance), color=GREY, linewidth=0.8)
            ax.scatter(chance, height, marker="|", color=ORANGE, s=110, linewidths=2)
            ax.scatter(value, height, color=BLUE, s=26, zorder=3)
    ax.scatter([], [], color=BLUE, s=26, label="measured")
    ax.scatter([], [], marker="|", color=ORANGE, s=110, linewidths=2, label="chance, exact")
    ax.set_yticks(range(len(results)), [as_written(name) for name in results])
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlabel(metric)
    ax.set_title(f"{metric} of each method" if title is None else title)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
