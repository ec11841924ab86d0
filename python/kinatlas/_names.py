"""Names people type: checked once, and answered with a suggestion when nobody knows them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from kinatlas.errors import FormatError, UnknownNameError

__all__ = ["indices_of", "quoted", "unique_names", "unknown_name"]

# Enough to recognise one's own names, short enough for one line of an error message.
_SHOWN = 8


def quoted(names: Iterable[str], *, shown: int = _SHOWN) -> str:
    """Return names in quotes, the first ``shown`` of them, and how many follow.

    Examples
    --------
    >>> quoted(["mnli", "rte"])
    "'mnli', 'rte'"
    >>> quoted(["a", "b", "c"], shown=1)
    "'a' and 2 more"
    """
    names = list(names)
    text = ", ".join(f"'{name}'" for name in names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"


def unknown_name(kind: str, name: str, known: Sequence[str]) -> UnknownNameError:
    """Return the error that says which name is unknown and which known ones come close.

    Examples
    --------
    >>> print(unknown_name("target", "rtee", ["rte", "mnli"]))
    unknown target 'rtee'; did you mean 'rte'? Known: 'rte', 'mnli'
    """
    close = difflib.get_close_matches(str(name), known, n=3)
    hint = f"did you mean {quoted(close)}? " if close else ""
    return UnknownNameError(f"unknown {kind} '{name}'; {hint}Known: {quoted(known)}")


def unique_names(kind: str, names: Iterable[object]) -> tuple[str, ...]:
    """Return names as a tuple after refusing empty, non-text and repeated ones.

    Examples
    --------
    >>> unique_names("source", ["mnli", "rte"])
    ('mnli', 'rte')
    """
    if isinstance(names, str):
        raise FormatError(f"{kind}s: got the text '{names}', expected a sequence of names")
    result: list[str] = []
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise FormatError(
                f"{kind} number {position}: got {name!r}, expected a non-empty text as its name"
            )
        result.append(str(name))
    seen: set[str] = set()
    for name in result:
        if name in seen:
            raise FormatError(f"{kind} '{name}' appears twice; every {kind} needs its own name")
        seen.add(name)
    return tuple(result)


def indices_of(kind: str, names: Iterable[str], known: Sequence[str]) -> list[int]:
    """Return the position of every name among the known ones.

    Examples
    --------
    >>> indices_of("source", ["rte"], ["mnli", "rte"])
    [1]
    """
    place = {name: index for index, name in enumerate(known)}
    result = []
    for name in unique_names(kind, names):
        if name not in place:
            raise unknown_name(kind, name, known)
        result.append(place[name])
    return result
