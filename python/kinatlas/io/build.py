"""Which of the parts found belong together, and the atlas they form."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from kinatlas._checks import check_names
from kinatlas.errors import SpaceError
from kinatlas.io.parts import UNLABELLED, Part
from kinatlas.tasks import Atlas, LowRankAtlas
from kinatlas.tasks.packing import pack

__all__ = ["as_atlas", "chosen"]

_WORDS = {"tokens": "token embeddings", "low_rank": "low-rank updates"}


def chosen(
    parts: list[Part], kind: str | None, space: str | None, label: str
) -> tuple[list[Part], str]:
    """Return the parts of one kind and one space, and that space.

    Raises
    ------
    SpaceError
        If several remain, or what was asked for is not there; the message lists what is.
    """
    kinds = Counter(part.kind for part in parts)
    if kind is None and len(kinds) > 1:
        found = " and ".join(f"{count} {_WORDS[key]}" for key, count in kinds.items())
        raise SpaceError(
            f"{label}: holds {found}, which cannot be compared with each other; choose with "
            "kind='tokens' or kind='low_rank'"
        )
    if kind is not None and kind not in kinds:
        raise SpaceError(f"{label}: holds no {_WORDS[kind]}, only {_WORDS[next(iter(kinds))]}")
    parts = [part for part in parts if kind in (None, part.kind)]
    spaces = Counter(part.space for part in parts)
    if space is None and len(spaces) == 1:
        return parts, next(iter(spaces))
    if space in spaces:
        return [part for part in parts if part.space == space], str(space)
    if space is not None and len(spaces) == 1 and _is_unlabelled(next(iter(spaces))):
        return parts, space
    listed = "\n".join(f"  {name!r} ({count} tasks)" for name, count in spaces.items())
    if space is None:
        raise SpaceError(
            f"{label}: holds tasks of {len(spaces)} spaces, whose coordinates do not mean the "
            f"same thing; choose one with space=\n{listed}"
        )
    raise SpaceError(f"{label}: no task lives in space {space!r}; there are\n{listed}")


def as_atlas(parts: list[Part], space: str, report: Any) -> Atlas | LowRankAtlas:
    """Return the atlas of parts of one kind and space.

    Raises
    ------
    ShapeError, NonFiniteError
        If a task is empty, widths or module sizes differ, or a number is NaN or infinite.
    """
    names = check_names((part.task for part in parts), "task")
    origins = tuple(part.provenance for part in parts)
    tokens = [part.tokens for part in parts if part.tokens is not None]
    if tokens:
        packed, dtype = pack(names, tokens)
        return Atlas(names, space, dtype, origins, *packed, report)
    atlas = LowRankAtlas.from_factors(
        {part.task: part.factors for part in parts},
        space=space,
        provenance=dict(zip(names, origins, strict=True)),
    )
    return replace(atlas, report=report)


def _is_unlabelled(space: str) -> bool:
    return space.startswith(f"{UNLABELLED}|")
