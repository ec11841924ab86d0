"""What can be decided: which methods differ, when to abstain, which transfers are shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kinatlas.consistency import TransferGains
from kinatlas.evaluation import Abstention, CriticalDifference
from kinatlas.plotting._axes import BLUE, GREY, ORANGE, as_written, new_axes, room_for

__all__ = ["plot_critical_difference", "plot_gains", "plot_risk_coverage"]


def plot_critical_difference(
    found: CriticalDifference, *, ax: Any = None, title: str | None = None
) -> Any:
    """Draw average ranks on a line, methods under one bar not told apart, and return the Axes.

    References
    ----------
    Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> found = CriticalDifference(("a", "b"), (1.2, 1.8), 0.9, (("a", "b"),), 3.6, 0.06, 10, 0.95)
    >>> plot_critical_difference(found).get_xlabel()
    'average rank over 10 targets (1 is best)'
    """
    ranks = dict(zip(found.methods, found.average_ranks, strict=True))
    bars = [clique for clique in found.cliques if len(clique) > 1]
    n = len(ranks)
    ax = new_axes(ax, 6.8 + 2 * room_for(ranks), 1.5 + 0.15 * n + 0.14 * len(bars))
    for place, (name, rank) in enumerate(ranks.items()):
        # The better half is labelled to the left and the others to the right, so no label meets
        # another method's line.
        is_left = place < (n + 1) // 2
        height = place + 1 if is_left else n - place
        ax.plot([rank, rank], [0, height], color=GREY, linewidth=0.8)
        ax.scatter(rank, 0, color=BLUE, s=30, zorder=3)
        ax.annotate(
            f"{as_written(name)}  {rank:.2f}",
            (rank, height),
            xytext=(-4 if is_left else 4, 0),
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="center",
            fontsize="small",
        )
    for place, clique in enumerate(bars):
        ends = [ranks[name] for name in clique]
        depth = -0.5 - 0.5 * place
        ax.plot([min(ends) - 0.03, max(ends) + 0.03], [depth, depth], color=ORANGE, linewidth=4)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_ylim((n + 1) // 2 + 0.6, -0.9 - 0.5 * len(bars))
    low, high = min(ranks.values()), max(ranks.values())
    room = 0.6 * max(high - low, 1.0)
    # No rank lies below the first or beyond the last.
    first, last = max(1, math.floor(low)), min(n, math.ceil(high))
    ax.set_xticks(range(first, last + 1, 1 + (last - first) // 12))
    ax.set_xlim(low - room, high + room)
    ax.set_yticks([])
    ax.set_xlabel(f"average rank over {found.n_targets} targets (1 is best)")
    default = f"Under one bar: not told apart (critical difference {found.value:.2f})"
    ax.set_title(default if title is None else title)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def plot_risk_coverage(found: Abstention, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the share of useless picks against the share of targets trusted; return the Axes.

    Below the chance line the score knows when to keep quiet; the dashed line is the best any order
    of the same picks could do.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> from kinatlas.evaluation import TransferTable, evaluate_abstention
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.2, 0.4]], ["a", "b"], ["s", "t"], "flatten")
    >>> table = TransferTable.from_arrays(
    ...     list("aabb"), list("stst"), [70.0, 58, 52, 57], baseline=[60.0] * 4)
    >>> plot_risk_coverage(evaluate_abstention(matrix, table)).get_ylabel()
    'share of picks that do not help'
    """
    ax = new_axes(ax, 5.2, 3.6)
    curve = found.risk_coverage()
    ax.plot(
        curve["coverage"],
        curve["risk"],
        color=BLUE,
        marker="o",
        markersize=4,
        label="surest picks first",
    )
    ax.plot(curve["coverage"], curve["chance"], color=ORANGE, label="chance, exact")
    ax.plot(curve["coverage"], curve["best"], color=GREY, linestyle="--", label="best order")
    ax.set_xlim(0, 1.02)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("share of targets on which the pick is trusted")
    ax.set_ylabel("share of picks that do not help")
    default = as_written(f"When to abstain, by {found.kernel} ({len(found.targets)} targets)")
    ax.set_title(default if title is None else title)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_gains(found: TransferGains, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw measured gains as a heat map with a mark where they are shown, and return the Axes.

    Blue helps, orange harms, white is no transfer. A dot marks gains told apart from zero with all
    cells considered at once; unmarked colours may be seed noise. A task is crossed out as its own
    source.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = ka.consistency.transfer_gains(ka.datasets.load_minilm_prompts().transfer)
    >>> plot_gains(found).get_xlabel()
    'source'
    """
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = found.gains.shape
    across, down = room_for(found.targets), room_for(found.sources)
    ax = new_axes(ax, 2.6 + 0.42 * columns + across, 2.0 + 0.34 * rows + down)
    largest = float(np.nanmax(np.abs(found.gains)))
    colours = LinearSegmentedColormap.from_list("gains", [ORANGE, "white", BLUE])
    shown = np.ma.masked_invalid(found.gains)
    image = ax.imshow(shown, cmap=colours, vmin=-largest, vmax=largest, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label=f"gain over no transfer, {found.units}")
    names = [as_written(name) for name in found.sources]
    ax.set_xticks(range(columns), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(rows), [as_written(name) for name in found.targets])
    ax.set_xlabel("source")
    ax.set_ylabel("target")
    own = np.equal.outer(np.array(found.targets), np.array(found.sources))
    ax.scatter(*np.nonzero(own)[::-1], marker="x", color=GREY, s=18, linewidths=1)
    ax.scatter(*np.nonzero(found.is_shown)[::-1], marker="o", color="black", s=9)
    helping, harming = found.n_shown
    default = f"Shown (dots): {helping} help, {harming} harm"
    ax.set_title(default if title is None else title)
    return ax
