"""Transfer tables in other people's shapes: CSV files and data frames, long or wide.

Long: one row a run, columns ``target``, ``source``, ``score``, optional ``seed`` and baseline.
Wide: one row a target (and seed), one column a source.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from kinatlas._checks import quoted
from kinatlas._frames import require
from kinatlas.errors import FormatError, UnknownNameError
from kinatlas.evaluation.runs import Gathered, gather

__all__ = ["Shape", "Table", "gather_table", "read_csv", "read_frame"]

#: Column names and columns of equal length.
Table: TypeAlias = tuple[list[str], list[list[Any]]]
Shape: TypeAlias = Literal["auto", "wide"]

_LONG = ("target", "source", "score")


def read_csv(path: str | os.PathLike[str], delimiter: str = ",") -> Table:
    """Return the columns of a CSV file in UTF-8, as text without outer blanks.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.csv"
    >>> _ = path.write_text("target,mnli\\nrte,0.7\\n", encoding="utf-8")
    >>> read_csv(path)
    (['target', 'mnli'], [['rte'], ['0.7']])
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [
                (reader.line_num, [cell.strip() for cell in row])
                for reader in [csv.reader(stream, delimiter=delimiter, strict=True)]
                for row in reader
                if row
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"'{path}' is not a CSV file in UTF-8: {error}") from None
    if len(rows) < 2:
        raise FormatError(f"'{path}' is empty, expected a header and at least one row")
    header = rows[0][1]
    if len(header) < 2:
        raise FormatError(
            f"'{path}' has the single column '{header[0]}'; if another sign than "
            f"'{delimiter}' parts its columns, pass delimiter="
        )
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise FormatError(
                f"'{path}', line {line}: {len(row)} cells, expected {len(header)} as in the header"
            )
    return header, [list(column) for column in zip(*(row for _, row in rows[1:]), strict=True)]


def read_frame(frame: Any) -> Table:
    """Return the columns of a mapping of lists, or of a pandas, polars or Arrow table.

    A pandas index of names becomes a first column ``target``.

    Examples
    --------
    >>> read_frame({"target": ["rte"], "mnli": [0.7]})
    (['target', 'mnli'], [['rte'], [0.7]])
    """
    if isinstance(frame, Mapping):
        return [str(name) for name in frame], [list(column) for column in frame.values()]
    narwhals = require("narwhals", "dataframe")
    try:
        table = narwhals.from_native(frame, eager_only=True)
    except TypeError:
        raise FormatError(
            f"cannot read {type(frame).__name__} as a table; expected a mapping of columns, or a "
            "pandas, polars or Arrow table (collect lazy ones first)"
        ) from None
    names = [str(name) for name in table.columns]
    columns = [table[name].to_list() for name in table.columns]
    index = narwhals.maybe_get_index(table)
    if index is not None and len(index) and all(isinstance(name, str) for name in index):
        return ["target", *names], [list(index), *columns]
    return names, columns


def gather_table(table: Table, shape: Shape, baseline: str | None) -> Gathered:
    """Return the runs of a table; its header tells long from wide unless ``shape`` says wide.

    Examples
    --------
    >>> gather_table((["t", "a", "random"], [["rte"], [0.7], [0.5]]), "auto", "random").baseline
    array([[0.5]])
    """
    header, columns = table
    lower = [name.lower() for name in header]
    repeated = sorted({name for name in lower if lower.count(name) > 1})
    if repeated:
        raise FormatError(f"transfer table: column {quoted(repeated)} appears twice")
    found = [name for name in _LONG if name in lower]
    if shape == "auto" and {"target", "source"} <= set(found) and "score" not in found:
        raise FormatError(
            "transfer table: columns 'target' and 'source' but no 'score'; a long table needs "
            f"{quoted(_LONG)}, got {quoted(header)}"
        )
    by_name = dict(zip(lower, columns, strict=True))
    place = _baseline_column(header, lower, baseline)
    if shape == "auto" and len(found) == len(_LONG):
        return gather(
            by_name["target"],
            by_name["source"],
            by_name["score"],
            by_name.get("seed"),
            None if place is None else columns[place],
        )
    return _gather_wide(header, columns, place)


def _baseline_column(header: list[str], lower: list[str], baseline: str | None) -> int | None:
    if baseline is None:
        return lower.index("baseline") if "baseline" in lower else None
    if baseline in header:
        return header.index(baseline)
    raise UnknownNameError(
        f"transfer table has no baseline column '{baseline}'; its columns are {quoted(header)}"
    )


def _gather_wide(header: list[str], columns: list[list[Any]], place: int | None) -> Gathered:
    first = next((at for at, name in enumerate(header) if name.lower() == "target"), 0)
    seeds = next((at for at, name in enumerate(header) if name.lower() == "seed"), None)
    sources = [at for at in range(len(header)) if at not in (first, seeds, place)]
    if not sources:
        raise FormatError(
            f"transfer table: no source among the columns {quoted(header)}; a wide table has one "
            "column of target names and one column for each source"
        )
    n_rows = len(columns[first])

    def repeated(column: Sequence[Any]) -> list[Any]:
        return [cell for cell in column for _ in sources]

    return gather(
        repeated(columns[first]),
        [header[at] for at in sources] * n_rows,
        [columns[at][row] for row in range(n_rows) for at in sources],
        None if seeds is None else repeated(columns[seeds]),
        None if place is None else repeated(columns[place]),
    )
