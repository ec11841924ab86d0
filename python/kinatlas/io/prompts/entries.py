"""What goes with a prompt into its file, checked before it is written: what is stored stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError

__all__ = ["Metric", "as_checks", "as_evaluation", "as_gates", "as_metric", "as_metrics", "as_text"]

#: A number, or a number with the ends of its interval.
Metric = float | tuple[float, float, float]


def as_metric(value: Any, label: str) -> Metric:
    """Return a number, or (value, low, high) of three numbers in a tuple, list or array.

    Examples
    --------
    >>> as_metric([0.7, 0.6, 0.8], "metric 'auc'")
    (0.7, 0.6, 0.8)
    """
    try:
        array = np.asarray(value)
        numbers = array.astype(np.float64) if array.dtype.kind in "biuf" else None
    except (ValueError, OverflowError):
        numbers = None
    if numbers is None or numbers.shape not in ((), (3,)):
        raise DTypeError(f"{label} is {value!r}, expected a number or (value, low, high)")
    if not np.isfinite(numbers).all():
        raise NonFiniteError(f"{label} is {value!r}, expected finite numbers")
    if numbers.ndim == 0:
        return float(numbers)
    middle, low, high = numbers.tolist()
    if not low <= high:
        raise ShapeError(
            f"{label} has the interval {low:g} to {high:g}, expected (value, low, high)"
        )
    return middle, low, high


def as_metrics(metrics: Any) -> dict[str, Metric]:
    """Return metrics by name.

    Examples
    --------
    >>> as_metrics({"auc": np.float32(0.5)})
    {'auc': 0.5}
    """
    named = _named(metrics, "metrics")
    return {name: as_metric(value, f"metric {name!r}") for name, value in named.items()}


def as_checks(checks: Any) -> dict[str, bool]:
    """Return statements that were true or false, by name; a text is neither.

    Examples
    --------
    >>> as_checks({"old tasks unchanged": np.True_})
    {'old tasks unchanged': True}
    """
    named = _named(checks, "checks")
    for name, held in named.items():
        if not isinstance(held, (bool, np.bool_)):
            raise DTypeError(f"check {name!r} is {held!r}, expected True or False")
    return {name: bool(held) for name, held in named.items()}


def as_gates(gates: Any, label: str) -> dict[str, Any]:
    """Return gates by metric, as numbers that the journal can keep.

    Examples
    --------
    >>> as_gates({"auc": np.float64(0.5)}, "at_least")
    {'auc': 0.5}
    """
    named = _named(gates, label)
    return {name: bar.item() if isinstance(bar, np.generic) else bar for name, bar in named.items()}


def as_text(value: Any, label: str) -> str:
    """Return a text that a file can hold.

    Examples
    --------
    >>> as_text("first", "notes")
    'first'
    """
    if not isinstance(value, str):
        raise DTypeError(f"{label} is {value!r}, expected a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"{label} {value!r} is no Unicode text: {error.reason}") from None
    return value


def as_evaluation(evaluation: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return labels [n] of 0 and 1 and scores [n].

    Examples
    --------
    >>> as_evaluation(([0, 1], [0.2, 0.9]))[1]
    array([0.2, 0.9])
    """
    wanted = "expected (labels [n] of 0 and 1, scores [n] of the same rows)"
    if not isinstance(evaluation, (tuple, list)) or len(evaluation) != 2:
        raise ShapeError(f"evaluation: got {type(evaluation).__name__}, {wanted}")
    try:
        truth, given = (np.asarray(part, dtype=np.float64) for part in evaluation)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"evaluation: {error}; {wanted}") from None
    if truth.ndim != 1 or truth.shape != given.shape or not np.isin(truth, (0.0, 1.0)).all():
        raise ShapeError(f"evaluation: got labels {truth.shape} and scores {given.shape}, {wanted}")
    return truth, given


def _named(values: Any, label: str) -> dict[str, Any]:
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise DTypeError(f"{label}: got {values!r}, expected {{name: value}}")
    return dict(values)
