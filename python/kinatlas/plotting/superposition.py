"""Pictures of mixed prompts: the honest scatter of single prompts beside the curve of means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinatlas._checks import check_known
from kinatlas.plotting._axes import BLUE, GREY, ORANGE, as_written, new_axes
from kinatlas.superposition import (
    Analysis,
    DiscriminantPlane,
    LayerChoice,
    SuperpositionRecord,
    prompt_metrics,
)

__all__ = [
    "plot_layer_sweep",
    "plot_plane",
    "plot_prompts",
    "plot_shares",
    "plot_simplex",
]

# Okabe and Ito (2008), in the order that keeps neighbours apart.
_PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
_JITTER_SEED = 0
# Above this many points they overlap unless they are small and pale.
_CROWD = 500


def plot_shares(analysis: Analysis, task: str, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the stack of mean probabilities over the mixture's share of ``task``; return the Axes.

    This is the usual picture, and it shows means only; put ``plot_prompts`` beside it.

    Examples
    --------
    >>> from kinatlas.superposition import analyse_superposition, load_study
    >>> found = analyse_superposition(load_study("small_single"), n_bootstrap=0)
    >>> plot_shares(found, "first").get_xlabel()
    "share of 'first' among the examples"
    """
    ax = new_axes(ax, 4.8, 3.6)
    place = check_known(task, analysis.tasks, "task")
    order = np.argsort(analysis.mixture[:, place], kind="stable")
    where = analysis.mixture[order, place]
    names = [task, *(name for name in analysis.tasks if name != task)]
    rows = [
        [analysis.at("probability", analysis.conditions[row], name).value for row in order]
        for name in names
    ]
    rest = np.clip(1.0 - np.sum(rows, axis=0), 0.0, None)
    colours = [*_PALETTE[: len(names)], "#DDDDDD"]
    ax.stackplot(
        where, *rows, rest, labels=[*map(as_written, names), "other"], colors=colours, alpha=0.85
    )
    ax.plot(where, where, color="black", linewidth=1, linestyle="--", label="mixture")
    ax.set_xlim(where.min(), where.max())
    ax.set_ylim(0, 1)
    ax.set_xlabel(f"share of '{as_written(task)}' among the examples")
    ax.set_ylabel("mean probability")
    ax.set_title("Means over prompts" if title is None else title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
    return ax


def plot_prompts(
    record: SuperpositionRecord,
    task: str,
    *,
    max_points: int = 300,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw every single prompt's share of ``task`` over its mixture, and the means; return Axes.

    At most ``max_points`` prompts a condition, the first ones, spread sideways to be seen; prompts
    without any answer have no share and are left out.

    Examples
    --------
    >>> from kinatlas.superposition import load_study
    >>> plot_prompts(load_study("small_single"), "first").get_xlabel()
    "share of 'first' among the examples"
    """
    ax = new_axes(ax, 4.8, 3.6)
    place = check_known(task, record.tasks, "task")
    shares = prompt_metrics(record).shares[:, place]
    where = record.mixture[:, place]
    generator = np.random.default_rng(_JITTER_SEED)
    levels = np.unique(where)
    width = 0.35 * np.diff(levels).min() if len(levels) > 1 else 0.05
    is_crowded = min(len(record), max_points * len(record.conditions)) > _CROWD
    size, alpha = (5, 0.35) if is_crowded else (14, 0.6)
    for code, _ in enumerate(record.conditions):
        rows = np.flatnonzero((record.condition == code) & ~np.isnan(shares))
        if len(rows) == 0:
            continue
        shown = rows[:max_points]
        spread = generator.uniform(-width, width, size=len(shown))
        ax.scatter(
            where[shown] + spread, shares[shown], s=size, color=BLUE, alpha=alpha, linewidths=0
        )
        mean = (where[rows].mean(), shares[rows].mean())
        ax.scatter(*mean, s=46, color=ORANGE, edgecolors="white", zorder=3)
    ax.scatter([], [], s=size, color=BLUE, label="one prompt")
    ax.scatter([], [], s=46, color=ORANGE, label="mean")
    ax.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="mixture")
    ax.set_xlim(max(levels.min() - 0.1, -0.05), min(levels.max() + 0.1, 1.05))
    ax.set_ylim(-0.04, 1.04)
    ax.set_xlabel(f"share of '{as_written(task)}' among the examples")
    ax.set_ylabel(f"share of '{as_written(task)}' in the answer")
    ax.set_title("Single prompts" if title is None else title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
    return ax


def plot_simplex(
    weights: Mapping[str, Any],
    tasks: tuple[str, str, str],
    *,
    expected: Mapping[str, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw weights of three tasks as points in their triangle and return the Axes.

    Parameters
    ----------
    weights
        Weights [3] of every mixture that sum to 1; affine ones may lie outside.
    expected
        The shares that were mixed [3], joined to the points by a line.

    Examples
    --------
    >>> ax = plot_simplex({"half": [0.5, 0.5, 0.0]}, ("a", "b", "c"))
    >>> [text.get_text() for text in ax.texts][:3]
    ['a', 'b', 'c']
    """
    ax = new_axes(ax, 4.6, 4.0)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    outline = corners[[0, 1, 2, 0]]
    ax.plot(outline[:, 0], outline[:, 1], color=GREY, linewidth=1)
    offsets = ((-6, -12), (6, -12), (0, 7))
    for corner, name, offset in zip(corners, tasks, offsets, strict=True):
        ax.annotate(as_written(name), corner, offset, textcoords="offset points", ha="center")
    for name, row in weights.items():
        point = np.asarray(row, dtype=np.float64) @ corners
        if expected is not None and name in expected:
            wanted = np.asarray(expected[name], dtype=np.float64) @ corners
            ax.plot(*np.stack([point, wanted], axis=1), color=GREY, linewidth=1, zorder=1)
            ax.scatter(*wanted, s=40, facecolors="white", edgecolors=ORANGE, zorder=2)
        ax.scatter(*point, s=30, color=BLUE, zorder=3)
        ax.annotate(as_written(name), point, (6, 4), textcoords="offset points", fontsize="small")
    ax.scatter([], [], color=BLUE, label="weights")
    if expected is not None:
        ax.scatter([], [], facecolors="white", edgecolors=ORANGE, label="mixture")
    ax.set_aspect("equal")
    ax.margins(0.15)
    ax.axis("off")
    ax.legend(loc="upper right", frameon=False, fontsize="small")
    ax.set_title("Task vectors of mixtures" if title is None else title)
    return ax


def plot_plane(plane: DiscriminantPlane, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the discriminant plane: held-out pure prompts, centroids and mixtures; return the Axes.

    Two tasks have one axis; the second direction then only spreads the points.

    Examples
    --------
    >>> import numpy as np
    >>> from kinatlas.superposition import discriminant_plane
    >>> rng = np.random.default_rng(0)
    >>> pure = {n: rng.normal(size=(30, 4)) + 3 * np.eye(4)[k] for k, n in enumerate("abc")}
    >>> "held-out accuracy" in plot_plane(discriminant_plane(pure)).get_title()
    True
    """
    ax = new_axes(ax, 5.4, 4.0)
    generator = np.random.default_rng(_JITTER_SEED)

    def two(points: Any) -> Any:
        if points.shape[1] > 1:
            return points[:, :2]
        return np.column_stack([points[:, 0], generator.uniform(-0.5, 0.5, size=len(points))])

    for number, name in enumerate(plane.tasks):
        colour = _PALETTE[number % len(_PALETTE)]
        points = two(plane.held_out[name])
        ax.scatter(
            points[:, 0], points[:, 1], s=12, color=colour, alpha=0.6, linewidths=0,
            label=f"{as_written(name)}, held out",
        )  # fmt: skip
        centroid = two(plane.centroids[number : number + 1])[0]
        ax.scatter(*centroid, s=70, marker="X", color=colour, edgecolors="black", zorder=4)
    for number, (name, states) in enumerate(plane.mixtures.items()):
        points = two(states)
        colour = _PALETTE[(len(plane.tasks) + number) % len(_PALETTE)]
        ax.scatter(
            points[:, 0],
            points[:, 1],
            s=14,
            marker="+",
            color=colour,
            linewidths=0.8,
            label=as_written(name),
        )
    ax.set_xlabel("discriminant 1")
    ax.set_ylabel("discriminant 2" if plane.centroids.shape[1] > 1 else "")
    accuracy = f"held-out accuracy {plane.accuracy:.2f}, chance {plane.chance:.2f}"
    ax.set_title(accuracy if title is None else f"{title} ({accuracy})")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
    return ax


def plot_layer_sweep(choice: LayerChoice, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the answer probability after patching each layer and token set; return the Axes.

    Examples
    --------
    >>> import numpy as np
    >>> from kinatlas.superposition import best_layer
    >>> choice = best_layer(np.full((3, 40), 0.3), np.full(40, 0.3))
    >>> plot_layer_sweep(choice).get_xlabel()
    'patched layer'
    """
    ax = new_axes(ax, 5.2, 3.4)
    layers = np.arange(len(choice.sweep))
    for number, name in enumerate(choice.token_sets):
        colour = _PALETTE[number % len(_PALETTE)]
        ax.plot(layers, choice.sweep[:, number], marker="o", color=colour, label=as_written(name))
    ax.axhline(choice.zero_shot, color=GREY, linestyle="--", linewidth=1, label="no patch")
    ax.set_xticks(layers if len(layers) <= 12 else layers[:: len(layers) // 8])
    ax.set_ylim(0, 1)
    ax.set_xlabel("patched layer")
    ax.set_ylabel("probability of the answer")
    ax.set_title("Where the task vector works" if title is None else title)
    ax.legend(frameon=False, fontsize="small")
    return ax
