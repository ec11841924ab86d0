"""An atlas as an Arrow table and back: ``name, space, provenance, tokens``.

``tokens`` is ``List<FixedSizeList<float, dim>>``, the schema of a multivector column, so the table
is one that vector databases take as it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._arrow import (
    Named,
    batches,
    held,
    lists_of,
    numbers_of,
    refuse_nulls,
    struct_stream,
    text_column,
)
from kinatlas._arrow_text import text_of
from kinatlas._checks import check_known, check_names, check_space
from kinatlas.errors import FormatError, ShapeError, SpaceError
from kinatlas.interop import widened
from kinatlas.tasks.packing import Packed, Stored, pack, refuse_nonfinite
from kinatlas.tasks.provenance import Provenance

__all__ = ["ArrowTable"]

_LISTS = {"list": np.int32, "large_list": np.int64}


def stream_of(
    names: tuple[str, ...],
    space: str,
    provenance: tuple[Provenance, ...],
    stored: Stored,
    offsets: npt.NDArray[np.int64],
) -> Any:
    """Return the table of an atlas; tokens are lent, except bfloat16, which Arrow lacks."""
    origins = [
        json.dumps({key: value for key, value in asdict(origin).items() if value not in (None, ())})
        for origin in provenance
    ]
    columns = {
        "name": text_column(names),
        "space": text_column([space], each=len(names)),
        "provenance": text_column(origins),
        "tokens": lists_of(widened(*stored), offsets),
    }
    return struct_stream(columns)


class Part:
    """What one batch holds: names, spaces, provenance, and packed tokens of one type."""

    def tasks(self) -> list[Stored]:
        """Tokens [n_tokens, dim] of every task."""
        buffer, offsets = self.packed
        return [(buffer[start:stop], self.dtype) for start, stop in pairwise(offsets)]

    def __init__(self, columns: list[str], batch: Any, wanted: dict[str, str], first: int) -> None:
        def text(role: str) -> list[Any] | None:
            column = wanted[role]
            if column not in columns:
                return None
            # A child does not know which part of it a sliced batch means.
            view = batch.child(columns.index(column)).view()
            found = text_of(view, view.offset + batch.offset, len(batch))
            if found is None:
                raise FormatError(
                    f"column {column!r}: the type is {view.storage_type}, expected string"
                )
            return found

        tokens = columns[check_known(wanted["tokens"], columns, "column")]
        check_known(wanted["name"], columns, "column")
        for column in wanted.values():
            if columns.count(column) > 1:
                raise FormatError(f"{columns.count(column)} columns have the name {column!r}")
        self.names = text("name") or []
        self.spaces = text("space")
        self.provenance = text("provenance")
        for at, name in enumerate(self.names):
            if not isinstance(name, str):
                raise FormatError(
                    f"column {wanted['name']!r}, row {first + at}: got {name!r}, expected a name"
                )
        view = batch.child(columns.index(tokens)).view()
        span = _Span.of(view, batch.offset, len(batch))
        found, self.dtype = _tokens(span, tokens, self.names)
        self.packed = (held(found[0], batch), found[1])


def read_batches(data: Any, wanted: dict[str, str], label: str) -> list[Part]:
    """Return the parts of a table that hold at least one task.

    Raises
    ------
    UnknownNameError
        If a column is missing.
    FormatError, ShapeError
        If a column has another type, a value is missing, or widths differ.
    """
    parts: list[Part] = []
    for columns, batch in batches(data, label):
        if len(batch):
            parts.append(Part(columns, batch, wanted, sum(len(part.names) for part in parts)))
    if not parts:
        raise ShapeError(f"{label}: the table has no row, an atlas needs at least one task")
    return parts


def space_of(parts: list[Part], asked: str | None) -> str:
    """Return the one space of all rows; raises `SpaceError` where there are several."""
    found = {space for part in parts for space in (part.spaces or [])} - {None}
    if asked is not None and found - {asked}:
        raise SpaceError(f"the rows live in {sorted(found)}, not in {asked!r}")
    if asked is not None:
        return asked
    if len(found) > 1:
        raise SpaceError(
            f"the rows live in {len(found)} spaces, {', '.join(sorted(found)[:5])}; filter the "
            "table to one of them"
        )
    return check_space(next(iter(found), "unspecified"))


def provenance_of(parts: list[Part]) -> tuple[Provenance, ...]:
    """Return the provenance of all rows; raises `FormatError` for what is none."""
    origins: list[Provenance] = []
    for part in parts:
        for text in part.provenance or [None] * len(part.names):
            try:
                fields = json.loads(text) if text else {}
                fields["notes"] = tuple(fields.get("notes", ()))
                origins.append(Provenance(**fields))
            except (ValueError, TypeError, AttributeError) as error:
                raise FormatError(
                    f"column 'provenance', row {len(origins)}: {text!r} is no provenance ({error})"
                ) from None
    return tuple(origins)


@dataclass(frozen=True)
class _Span:
    """Some elements of an array; ``offset`` counts from the start of its buffers."""

    view: Any
    offset: int
    length: int

    @classmethod
    def of(cls, view: Any, start: int, length: int) -> _Span:
        return cls(view, view.offset + start, length)

    @property
    def kind(self) -> str:
        return str(self.view.storage_type)

    def inner(self, where: str, named: Named) -> tuple[_Span, npt.NDArray[np.int64]]:
        """The elements of all lists, and where each list starts among them."""
        refuse_nulls(self.view, self.offset, self.length, where, named)
        child = self.view.child(0) if self.view.n_children else None
        if self.kind == "fixed_size_list":
            size = self.view.layout.child_size_elements
            bounds = np.arange(self.length + 1, dtype=np.int64) * size
            return _Span.of(child, self.offset * size, self.length * size), bounds
        if self.kind not in _LISTS:
            raise FormatError(
                f"{where}: the type is {self.kind}, expected a list of tokens, "
                "List<FixedSizeList<float, dim>>, or one token, FixedSizeList<float, dim>"
            )
        offsets = np.frombuffer(self.view.buffer(1), dtype=_LISTS[self.kind])
        bounds = offsets[self.offset : self.offset + self.length + 1].astype(np.int64)
        first, last = int(bounds[0]), int(bounds[-1])
        return _Span.of(child, first, last - first), bounds - first


def _tokens(tasks: _Span, column: str, names: list[str]) -> tuple[Packed, str]:
    where = f"column {column!r}"

    def task(at: int) -> str:
        return f"task {names[at]!r}"

    def token(at: int) -> str:
        owner = _owner(bounds, at)
        return f"token {at - int(bounds[owner])} of {task(owner)}"

    def coordinate(at: int) -> str:
        owner = _owner(starts, at)
        return f"coordinate {at - int(starts[owner])} of {token(owner)}"

    tokens, bounds = tasks.inner(where, task)
    if tokens.kind not in {"fixed_size_list", *_LISTS}:
        tokens, bounds = tasks, np.arange(tasks.length + 1, dtype=np.int64)
    empty = np.flatnonzero(np.diff(bounds) < 1)
    if len(empty):
        raise ShapeError(f"{where}: {task(int(empty[0]))} has no token, expected at least one")
    coordinates, starts = tokens.inner(where, token)
    widths = np.diff(starts)
    ragged = np.flatnonzero(widths != widths[0])
    if len(ragged) or widths[0] < 1:
        at = int(ragged[0]) if len(ragged) else 0
        raise ShapeError(
            f"{where}: {token(at)} has {int(widths[at])} coordinates, expected as many as the "
            f"first, {int(widths[0])}, and at least one"
        )
    numbers = (coordinates.offset, coordinates.length)
    values, dtype = numbers_of(coordinates.view, *numbers, where, coordinate)
    return (values.reshape(-1, int(widths[0])), bounds), dtype


def _owner(bounds: npt.NDArray[np.int64], at: int) -> int:
    """Which list holds an element."""
    return int(np.searchsorted(bounds, at, side="right")) - 1


class ArrowTable:
    """The Arrow side of an atlas."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Lend the atlas as a table (name, space, provenance, tokens) to any Arrow reader.

        There is one way to lend it, so a requested schema, a wish in the protocol, is not met.
        """
        atlas: Any = self
        stored = (atlas._buffer, atlas.dtype)
        fields = (atlas.names, atlas.space, atlas.provenance, stored, atlas._offsets)
        return stream_of(*fields).__arrow_c_stream__()

    @classmethod
    def from_arrow(
        cls,
        data: Any,
        *,
        name: str = "name",
        tokens: str = "tokens",
        space: str | None = None,
    ) -> Any:
        """Build an atlas from anything that speaks the Arrow protocol, without a copy if it can.

        Data in one batch are looked at in place; several batches are put together. Columns
        ``space`` and ``provenance`` are read where they exist.

        Parameters
        ----------
        data
            A pyarrow, polars, duckdb, pandas or other table.
        name, tokens
            Columns with task names and with tokens: ``List<FixedSizeList<float, dim>>``, lists of
            lists of one length, or one token a task, ``FixedSizeList<float, dim>``.
        space
            The space where the table has no such column.

        Raises
        ------
        UnknownNameError
            If a column is missing or a name is repeated.
        FormatError
            If a column has another type or a value is missing.
        ShapeError, NonFiniteError, SpaceError
            If widths differ, a task is empty, a number is NaN or infinite, or spaces mix.
        MissingDependencyError
            Without nanoarrow (extra ``dataframe``).

        Examples
        --------
        >>> import kinatlas as ka
        >>> import polars
        >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 2.0], [0.0, 1.0]], "rte": [[0.5, 1.0]]})
        >>> frame = polars.DataFrame(atlas)
        >>> frame.columns, ka.Atlas.from_arrow(frame) == atlas
        (['name', 'space', 'provenance', 'tokens'], True)
        """
        label = type(data).__name__
        space = None if space is None else check_space(space)
        wanted = {"name": name, "tokens": tokens, "space": "space", "provenance": "provenance"}
        parts = read_batches(data, wanted, label)
        names = check_names((each for part in parts for each in part.names), "task")
        if len(parts) == 1:
            (buffer, offsets), dtype = parts[0].packed, parts[0].dtype
            refuse_nonfinite(buffer, offsets, names)
        else:
            spans = [span for part in parts for span in part.tasks()]
            (buffer, offsets), dtype = pack(names, spans)
        make: Any = cls
        return make(names, space_of(parts, space), dtype, provenance_of(parts), buffer, offsets)
