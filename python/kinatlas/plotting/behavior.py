"""Cost beside score of black boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kinatlas.behavior import pareto_front
from kinatlas.plotting._axes import BLUE, GREY, ORANGE, new_axes

__all__ = ["plot_pareto"]


def plot_pareto(
    names: Sequence[str],
    costs: Sequence[float],
    scores: Sequence[float],
    *,
    cost_label: str = "cost",
    score_label: str = "score",
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw scores over costs; the boxes no other beats in both are named and joined.

    Raises
    ------
    ShapeError
        If there is not one cost and one score a name.
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> ax = plot_pareto(["a", "b", "c"], [1.0, 2.0, 3.0], [0.5, 0.9, 0.8])
    >>> [text.get_text() for text in ax.texts]
    ['a', 'b']
    >>> plot_pareto(["a", "b"], [1.0, 1.0], [0.5, 0.5]).texts[0].get_text()
    'a and 1 more'
    """
    best = pareto_front(costs, scores)
    ax = new_axes(ax, 5.8, 3.8)
    front = sorted(
        (cost, score, name)
        for name, cost, score, is_best in zip(names, costs, scores, best, strict=True)
        if is_best
    )
    rest = [(c, s) for c, s, is_best in zip(costs, scores, best, strict=True) if not is_best]
    if rest:
        ax.scatter(*zip(*rest, strict=True), color=GREY, s=22, label="beaten in both")
    ax.step(
        [own[0] for own in front], [own[1] for own in front], where="post", color=BLUE, linewidth=1
    )
    ax.scatter(
        [own[0] for own in front], [own[1] for own in front], color=ORANGE, s=34, zorder=3,
        label="beaten by none",
    )  # fmt: skip
    tied: dict[tuple[float, float], list[str]] = {}
    for cost, score, name in front:
        tied.setdefault((cost, score), []).append(name)
    for place, own in tied.items():
        shown = own[0] if len(own) == 1 else f"{own[0]} and {len(own) - 1} more"
        # Below and to the right lies what the box beats: no line of the front runs there.
        ax.annotate(
            shown, place, xytext=(6, -6), textcoords="offset points", va="top", fontsize="small"
        )
    if min(costs) > 0 and max(costs) > 30 * min(costs):
        ax.set_xscale("log")
    ax.set_xlabel(cost_label)
    ax.set_ylabel(score_label)
    ax.set_title("Score for its cost" if title is None else title)
    ax.legend(loc="best", fontsize="small", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
