"""One place that finds matplotlib and makes Axes, without ever touching global state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kinatlas._frames import require

__all__ = ["BLUE", "GREY", "ORANGE", "as_written", "new_axes", "room_for"]

# From the Okabe-Ito palette, told apart by every kind of colour vision and in print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"

# Inches of one character of a label, and the characters every figure has room for.
_CHARACTER, _USUAL = 0.085, 16


def as_written(name: object) -> str:
    """Return a name that matplotlib draws as it is, dollar signs and all.

    Examples
    --------
    >>> as_written("$x$")
    '\\\\$x\\\\$'
    """
    return str(name).replace("$", r"\$")


def room_for(names: Iterable[object]) -> float:
    """Return the inches that the longest name needs beyond the room every figure has.

    Examples
    --------
    >>> room_for(["mnli"]), round(room_for(["m" * 26]), 2)
    (0.0, 0.85)
    """
    return _CHARACTER * max(0, max((len(str(name)) for name in names), default=0) - _USUAL)


def new_axes(ax: Any, width: float, height: float) -> Any:
    """Return ``ax``, or Axes on a new figure of that size in inches, kept out of pyplot.

    A figure outside pyplot never opens a window and never leaks. A notebook shows it as the last
    value of a cell once ``%matplotlib inline`` has run.

    Examples
    --------
    >>> new_axes(None, 4, 3).figure.get_size_inches().tolist()
    [4.0, 3.0]
    """
    if ax is not None:
        return ax
    figure = require("matplotlib.figure", "plot").Figure(
        figsize=(width, height), dpi=150, layout="constrained"
    )
    return figure.add_subplot()
