"""When do prompts help: losses over the context, and the decoupling map."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas.icl import DecouplingMap, LossCurves
from kinatlas.plotting._axes import BLUE, GREY, ORANGE, new_axes

__all__ = ["plot_decoupling_map", "plot_loss_curves"]

# Settings in the order of their losses, in Okabe-Ito colours; dashes repeat what colour says.
_GREEN, _PURPLE, _SKY, _GOLD = "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
_STYLES: dict[str, tuple[str, str, Any, str]] = {
    "plain": ("plain", GREY, "-", "o"),
    "finetune_prompt": ("prompts added", _GOLD, (0, (6, 2)), "s"),
    "joint_prompt": ("prompts trained jointly", BLUE, (0, (4, 1, 1, 1)), "^"),
    "joint_prompt_value_shift": ("... with a value shift", _SKY, (0, (1, 1)), "v"),
    "finetune_prompt_head": ("prompts and heads added", _PURPLE, (0, (6, 2, 1, 2)), "P"),
    "joint_prompt_head": ("prompts and heads jointly", ORANGE, "-", "D"),
    "joint_prompt_head_scaled": ("... with head scales", _GREEN, (0, (2, 1)), "X"),
}


def plot_loss_curves(curves: LossCurves, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw exact losses as lines and simulated ones as points over the context; return the Axes.

    Losses are divided by the signal E[(x'beta)^2], as in the paper; without a signal they are left
    as they are. Bars, where they can be seen, are four standard errors wide.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> from kinatlas.icl import Mixture, loss_curves
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> plot_loss_curves(loss_curves(mixture, [1, 5, 10])).get_xlabel()
    'examples in context'
    """
    ax = new_axes(ax, 5.6, 3.8)
    signal = curves.mixture.signal or 1.0
    order = np.argsort(curves.n_examples)
    lengths = np.array(curves.n_examples)[order]
    for row, setting in enumerate(curves.settings):
        label, colour, dashes, marker = _STYLES[setting]
        exact = curves.losses[row, order] / signal
        ax.plot(lengths, exact, color=colour, linestyle=dashes, linewidth=1.6, label=label)
        if curves.simulated is None or curves.standard_errors is None:
            continue
        ax.errorbar(
            lengths,
            curves.simulated[row, order] / signal,
            yerr=2 * curves.standard_errors[row, order] / signal,
            fmt=marker,
            color=colour,
            markersize=4.5,
            markerfacecolor="white",
            linewidth=1,
        )
    if curves.mixture.noise > 0:
        level = curves.mixture.noise / signal
        ax.axhline(level, color=GREY, linewidth=0.8, linestyle=":", label="label noise")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("examples in context")
    ax.set_ylabel("loss / E[(x'β)²]" if curves.mixture.signal > 0 else "loss")
    points = "" if curves.simulated is None else "; lines exact, points simulated"
    ax.set_title(f"What prompts and heads buy{points}" if title is None else title)
    ax.legend(frameon=False, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_decoupling_map(found: DecouplingMap, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw the decoupling index over context length and share of the means; return the Axes.

    1: as good as prompts with heads; 0: no better than plain training. Free head scales can go
    beyond 1; the numbers say how far, the colours end there.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed (extra ``plot``).

    Examples
    --------
    >>> from kinatlas.icl import Mixture, decoupling_map
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> plot_decoupling_map(decoupling_map(mixture, [1, 10], [0.1, 0.9])).get_ylabel()
    'share of the signal in the task means'
    """
    ax = new_axes(ax, 1.8 + 0.46 * len(found.n_examples), 1.4 + 0.34 * len(found.mean_shares))
    shown = np.ma.masked_invalid(found.index)
    image = ax.imshow(shown, cmap="cividis", vmin=0, vmax=1, aspect="auto", origin="lower")
    ax.figure.colorbar(image, ax=ax, label="decoupling index")
    ax.set_xticks(range(len(found.n_examples)), [str(n) for n in found.n_examples])
    ax.set_yticks(range(len(found.mean_shares)), [f"{share:.0%}" for share in found.mean_shares])
    ax.set_xlabel("examples in context")
    ax.set_ylabel("share of the signal in the task means")
    label = _STYLES[found.setting][0]
    ax.set_title(f"How far {label} decouple" if title is None else title)
    for (row, column), value in np.ndenumerate(shown.filled(np.nan)):
        if not np.isnan(value):
            ink = "white" if value < 0.5 else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=6)
    return ax
