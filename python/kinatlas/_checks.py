"""Checks at the door, so that everything inside may compute without fear."""

from __future__ import annotations

import difflib
import importlib
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any

from kinatlas.errors import MissingDependencyError, ShapeError, SpaceError, UnknownNameError

__all__ = [
    "check_choice",
    "check_known",
    "check_known_all",
    "check_n_threads",
    "check_names",
    "check_number",
    "check_same_dim",
    "check_same_space",
    "check_space",
    "check_whole",
    "quoted",
    "require",
]

# Enough to recognise one's own names, short enough for one line of an error message.
_NAMES_SHOWN = 8


def check_choice(value: object, choices: Sequence[str], argument: str) -> str:
    """Return ``value`` if it is one of ``choices``.

    Examples
    --------
    >>> check_choice("tokens", ["tokens", "none"], "normalize")
    'tokens'
    >>> check_choice("token", ["tokens", "none"], "normalize")
    Traceback (most recent call last):
    kinatlas.errors.UnknownNameError: normalize='token' is unknown; did you mean 'tokens'? ...
    """
    if isinstance(value, str) and value in choices:
        return value
    raise UnknownNameError(
        f"{argument}={value!r} is unknown; {_closest(value, choices)}"
        f"expected one of: {', '.join(choices)}"
    )


def check_known(name: object, names: Sequence[str], label: str) -> int:
    """Return the position of ``name`` in ``names``.

    Examples
    --------
    >>> check_known("rte", ["mnli", "rte"], "task")
    1
    >>> check_known("mnly", ["mnli", "rte"], "task")
    Traceback (most recent call last):
    kinatlas.errors.UnknownNameError: task 'mnly' is unknown; did you mean 'mnli'? ...
    """
    if isinstance(name, str) and name in names:
        return list(names).index(name)
    shown = ", ".join(map(str, list(names)[:20])) + (", ..." if len(names) > 20 else "")
    raise UnknownNameError(
        f"{label} {name!r} is unknown; {_closest(name, names)}known are: {shown}"
    )


def check_known_all(wanted: Iterable[object], names: Sequence[str], label: str) -> list[int]:
    """Return the position of every one of ``wanted`` in ``names``; fast for long lists.

    Examples
    --------
    >>> check_known_all(["rte", "mnli"], ["mnli", "rte"], "task")
    [1, 0]
    """
    places = {name: at for at, name in enumerate(names)}
    return [
        places[name]
        if isinstance(name, str) and name in places
        else check_known(name, names, label)
        for name in wanted
    ]


def check_names(names: Iterable[object], label: str) -> tuple[str, ...]:
    """Return ``names`` as a tuple of distinct, non-empty strings.

    Examples
    --------
    >>> check_names(["mnli", "rte"], "task")
    ('mnli', 'rte')
    >>> check_names(["mnli", "mnli"], "task")
    Traceback (most recent call last):
    kinatlas.errors.UnknownNameError: task name 'mnli' appears more than once
    """
    if isinstance(names, str):
        raise UnknownNameError(f"{label} names are the text {names!r}, expected a list of names")
    checked: dict[str, None] = {}
    for name in names:
        if not isinstance(name, str) or not name:
            raise UnknownNameError(f"{label} name {name!r} is not a non-empty string")
        if name in checked:
            raise UnknownNameError(f"{label} name {name!r} appears more than once")
        checked[name] = None
    return tuple(checked)


def check_same_space(first: str, second: str, first_label: str, second_label: str) -> None:
    """Refuse two different spaces, naming both.

    Examples
    --------
    >>> check_same_space("t5-base", "t5-base", "sources", "targets")
    >>> check_same_space("t5-base", "roberta-base", "sources", "targets")
    Traceback (most recent call last):
    kinatlas.errors.SpaceError: sources live in space 't5-base', targets in 'roberta-base'; ...
    """
    if first != second:
        raise SpaceError(
            f"{first_label} live in space {first!r}, {second_label} in {second!r}; their "
            "coordinates do not mean the same thing, so no similarity between them exists"
        )


def check_same_dim(first: int, second: int, first_label: str, second_label: str) -> None:
    """Refuse two different widths, naming both.

    Examples
    --------
    >>> check_same_dim(768, 512, "sources", "targets")
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: sources have dim 768, targets have dim 512, expected equal widths
    """
    if first != second:
        raise ShapeError(
            f"{first_label} have dim {first}, {second_label} have dim {second}, "
            "expected equal widths"
        )


def check_n_threads(n_threads: object) -> int | None:
    """Return ``n_threads`` if it is None or a whole number of at least 1.

    Examples
    --------
    >>> check_n_threads(2)
    2
    >>> check_n_threads(-1)
    Traceback (most recent call last):
    ValueError: n_threads=-1: expected a whole number of at least 1, or None for all allowed
    """
    if n_threads is None:
        return None
    try:
        number = operator.index(n_threads)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(n_threads, bool) or not 1 <= number < 2**63:
        raise ValueError(
            f"n_threads={n_threads!r}: expected a whole number of at least 1, or None for all "
            "allowed"
        )
    return number


def check_whole(value: object, argument: str, least: int = 1) -> int:
    """Return ``value`` as an int if it is a whole number of at least ``least``, below 2^63.

    Examples
    --------
    >>> check_whole(3, "k")
    3
    >>> check_whole(2.5, "k")
    Traceback (most recent call last):
    ValueError: k=2.5: expected a whole number of at least 1
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    # Rust counts in 64 bits.
    if isinstance(value, bool) or not least <= number < 2**63:
        raise ValueError(f"{argument}={value!r}: expected a whole number of at least {least}")
    return number


def check_number(
    value: object, argument: str, wanted: str, is_fine: Callable[[float], bool]
) -> float:
    """Return ``value`` as a float if it is a number that is fine; NaN never is.

    Examples
    --------
    >>> check_number(0.5, "threshold", "a number between 0 and 1", lambda x: 0 < x < 1)
    0.5
    >>> check_number("x", "threshold", "a number between 0 and 1", lambda x: 0 < x < 1)
    Traceback (most recent call last):
    ValueError: threshold is 'x', expected a number between 0 and 1
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    if math.isnan(number) or not is_fine(number):
        raise ValueError(f"{argument} is {value!r}, expected {wanted}")
    return number


def check_space(space: object) -> str:
    """Return ``space`` if it is a non-empty string.

    Examples
    --------
    >>> check_space("t5-base")
    't5-base'
    """
    if not isinstance(space, str) or not space:
        raise SpaceError(f"space={space!r}: expected a non-empty string")
    return space


def quoted(names: Sequence[str]) -> str:
    """Return the first names in quotes, and how many more there are.

    Examples
    --------
    >>> quoted(["mnli", "rte"])
    "'mnli', 'rte'"
    >>> quoted(list("abcdefghij"))
    "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more"
    """
    text = ", ".join(f"'{name}'" for name in names[:_NAMES_SHOWN])
    hidden = len(names) - _NAMES_SHOWN
    return f"{text} and {hidden} more" if hidden > 0 else text


def _closest(value: object, choices: Sequence[str]) -> str:
    found = difflib.get_close_matches(str(value), choices, n=1)
    return f"did you mean {found[0]!r}? " if found else ""


def require(module: str, extra: str) -> Any:
    """Import an optional module, or say which extra of kinatlas brings it.

    Examples
    --------
    >>> require("json", "dataframe").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingDependencyError(
            f"this call needs {module}, which is not installed; "
            f"pip install {module}, or pip install 'kinatlas[{extra}]' for the whole extra",
            name=module,
        ) from None
