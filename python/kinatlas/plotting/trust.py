"""How far an order can be trusted: intervals of ranks, spread of seeds, where variance lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinatlas._checks import check_known
from kinatlas.consistency import Findings
from kinatlas.errors import FormatError
from kinatlas.evaluation import TransferTable
from kinatlas.plotting._axes import BLUE, GREY, ORANGE, as_written, new_axes, room_for
from kinatlas.selection import Ranking
from kinatlas.similarity import SimilarityMatrix

__all__ = ["plot_rank_intervals", "plot_seed_spread", "plot_variance"]


def plot_rank_intervals(ranking: Ranking, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the rank of every source with its interval, best on top, and return the Axes.

    Letters on the right are groups: sources that share one are not told apart. The number beside a
    name is the chance that the source is truly the best.

    Raises
    ------
    FormatError
        If the ranking knows no seeds: then there is no interval to draw.
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> from kinatlas.selection import rank_sources
    >>> seeds = {seed: SimilarityMatrix([[0.2 + seed / 100, 0.9]], ["rte"], ["sst2", "mnli"], "k")
    ...          for seed in range(4)}
    >>> plot_rank_intervals(rank_sources(seeds, "rte")).get_xlabel()
    'rank of the true mean, 95 % interval (0 is best)'
    """
    if ranking.uncertainty is None:
        raise FormatError(
            f"ranking: the order for '{ranking.target}' knows no seeds, so it has no intervals; "
            "rank a mapping {seed: matrix}, or draw it with plot_ranking"
        )
    entries = list(ranking)
    ax = new_axes(ax, 5.8 + room_for(ranking.sources), 1.3 + 0.3 * len(entries))
    for height, entry in enumerate(entries):
        ax.hlines(height, entry.rank_low, entry.rank_high, color=GREY, linewidth=4, alpha=0.6)
        ax.scatter(entry.rank, height, color=BLUE, zorder=3, s=26)
        ax.annotate(
            entry.group,
            (1.02, height),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize="small",
            annotation_clip=False,
        )
    labels = [f"{as_written(entry.source)}  {entry.p_top_1:.0%}" for entry in entries]
    ax.set_yticks(range(len(entries)), labels)
    ax.set_ylim(len(entries) - 0.5, -0.5)
    ax.set_xlim(-0.5, ranking.n_candidates - 0.5)
    level = f"{100 * ranking.uncertainty.confidence:g} %"
    ax.set_xlabel(f"rank of the true mean, {level} interval (0 is best)")
    default = as_written(f"Sources for {ranking.target} by {ranking.kernel}; % is P(best)")
    ax.set_title(default if title is None else title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_seed_spread(
    seeds: TransferTable | Mapping[Any, SimilarityMatrix],
    target: str,
    *,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Draw the score of every source under every seed as dots, best mean on top; return the Axes.

    The bar is the mean over seeds. Where dots of neighbouring rows overlap, one more seed can turn
    their order round.

    Raises
    ------
    UnknownNameError
        If there is no such target.
    FormatError
        If the target has no source that was scored, or there is no seed at all.
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> table = TransferTable.from_arrays(
    ...     ["rte"] * 4, ["a", "a", "b", "b"], [60.0, 64, 61, 59], seeds=[0, 1, 0, 1])
    >>> [label.get_text() for label in plot_seed_spread(table, "rte").get_yticklabels()]
    ['a', 'b']
    """
    if isinstance(seeds, TransferTable):
        row = check_known(target, seeds.targets, "target")
        sources, values, what = seeds.sources, seeds.scores[row], f"score in {seeds.units}"
    else:
        if not seeds:
            raise FormatError("seeds: got an empty mapping, expected {seed: matrix}")
        first = next(iter(seeds.values()))
        sources, what = first.sources, f"similarity by {first.kernel}"
        values = np.stack(
            [matrix.select(sources=sources).row(target) for matrix in seeds.values()], axis=1
        )
    kept = [
        at for at, name in enumerate(sources) if name != target and not np.isnan(values[at]).all()
    ]
    if not kept:
        raise FormatError(f"target '{target}' has no source with a score to draw")
    means = {at: float(np.nanmean(values[at])) for at in kept}
    order = sorted(kept, key=lambda at: (-means[at], sources[at]))
    ax = new_axes(ax, 5.6 + room_for(sources), 1.2 + 0.3 * len(order))
    for height, at in enumerate(order):
        own = values[at][~np.isnan(values[at])]
        ax.hlines(height, own.min(), own.max(), color=GREY, linewidth=1)
        ax.scatter(own, [height] * len(own), color=BLUE, s=22, zorder=3)
        ax.scatter(means[at], height, marker="|", color=ORANGE, s=110, linewidths=2, zorder=4)
    ax.set_yticks(range(len(order)), [as_written(sources[at]) for at in order])
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlabel(as_written(f"{what}, a dot a seed, bar the mean"))
    default = as_written(f"What the seeds say about {target}")
    ax.set_title(default if title is None else title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_variance(components: Findings, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw each component of variance with its interval, as `variance_components` found it.

    Only target_x_source is what a ranking per target can win; only residual is its noise.

    Raises
    ------
    UnknownNameError
        If these are not components of variance.
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = ka.consistency.variance_components(ka.datasets.load_minilm_prompts().transfer)
    >>> plot_variance(found).get_ylabel()
    ''
    """
    check_known("residual", components.names, "component of variance")
    names = [name.replace("_", " ") for name in components.names]
    table = components.columns
    ax = new_axes(ax, 5.8, 1.2 + 0.34 * len(names))
    for height, (value, low, high, share) in enumerate(
        zip(table["value"], table["low"], table["high"], table["share"], strict=True)
    ):
        colour = ORANGE if components.names[height] == "residual" else BLUE
        ax.barh(height, max(value, 0.0), color=colour, height=0.6, alpha=0.8)
        ax.hlines(height, low, high, color="black", linewidth=1)
        ax.annotate(
            f"{share:.0%}",
            (1.02, height),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize="small",
            annotation_clip=False,
        )
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(left=0)
    level = f"{100 * components.conventions['confidence']:g} %"
    ax.set_xlabel(f"variance, line the {level} interval, share on the right")
    ax.set_title("Where the variance lies" if title is None else title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
