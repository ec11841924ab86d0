"""Whether scores are fractions or percent, decided over a whole table and never per row."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice, quoted
from kinatlas.errors import FormatError, NonFiniteError

__all__ = ["Units", "resolve_units"]

Units = Literal["fraction", "percent"]


def resolve_units(
    units: str,
    scores: npt.NDArray[np.float64],
    baseline: npt.NDArray[np.float64] | None,
    targets: tuple[str, ...],
) -> Units:
    """Return the units of scores [n_targets, n_sources, n_seeds], found out if ``auto``.

    Exponential gains double with every percent, so a table that mixes both units would silently
    reward the wrong rows; it is refused. Zero belongs to either unit.

    Examples
    --------
    >>> import numpy as np
    >>> resolve_units("auto", np.array([[[62.5, 0.0]]]), None, ("rte",))
    'percent'
    """
    check_choice(units, ("auto", *get_args(Units)), "units")
    rows = scores.reshape(len(targets), -1)
    rows = rows if baseline is None else np.concatenate([rows, baseline], axis=1)
    _check_finite(rows, targets)
    if units != "auto":
        return "fraction" if units == "fraction" else "percent"
    size = np.abs(rows)
    small, large = (size > 0) & (size <= 1), size > 1
    if not large.any():
        return "fraction"
    if small.any():
        raise FormatError(
            f"transfer table mixes units: targets {_named(targets, small)} hold scores within 0 "
            f"and 1, targets {_named(targets, large)} scores up to {np.nanmax(rows):g}; convert "
            "one of them, or pass units='percent' (or 'fraction') if all are meant so"
        )
    if (size > 100).any():
        raise FormatError(
            f"targets {_named(targets, size > 100)} hold scores beyond 100, up to "
            f"{np.nanmax(size):g}: neither fractions nor percent; scores must be accuracies or "
            "the like, higher is better; units='percent' takes them as they are"
        )
    return "percent"


def _check_finite(rows: npt.NDArray[np.float64], targets: tuple[str, ...]) -> None:
    infinite = np.isinf(rows)
    if infinite.any():
        raise NonFiniteError(
            f"transfer table: targets {_named(targets, infinite)} hold an "
            "infinite score, expected finite numbers, or empty cells where a run is missing"
        )
    if np.isnan(rows).all():
        raise FormatError("transfer table: no score was measured, all cells are empty")


def _named(targets: tuple[str, ...], cells: npt.NDArray[np.bool_]) -> str:
    return quoted([name for name, row in zip(targets, cells, strict=True) if row.any()])
