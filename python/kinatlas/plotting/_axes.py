"""One place that finds matplotlib and makes Axes, without ever touching global state."""

from __future__ import annotations

from typing import Any

from kinatlas._frames import require

__all__ = ["BLUE", "GREY", "ORANGE", "new_axes"]

# From the Okabe-Ito palette, told apart by every kind of colour vision and in print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"


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
