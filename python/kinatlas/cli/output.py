"""A result on standard output: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_csv", "print_json", "print_table"]


def print_table(
    columns: Mapping[str, Sequence[Any]], title: str, notes: Sequence[str] = ()
) -> None:
    """Print columns as a table with a title above and notes below.

    Examples
    --------
    >>> print_table({"source": ["mnli"], "score": [0.5]}, "Scores")  # doctest: +ELLIPSIS
    Scores...
    """
    console = Console(soft_wrap=True)
    # Text, because names may hold brackets, which rich would read as markup.
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for name, values in columns.items():
        numeric = all(isinstance(value, (int, float)) or value is None for value in values)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    shown = [_cells(values) for values in columns.values()]
    for row in zip(*shown, strict=True):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False)


def print_json(result: Any) -> None:
    """Print a result as JSON; missing numbers become null.

    Examples
    --------
    >>> print_json({"score": float("nan")})
    {
      "score": null
    }
    """
    print(json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False))


def print_csv(columns: Mapping[str, Sequence[Any]]) -> None:
    """Print columns as CSV with a header; numbers keep every digit.

    Examples
    --------
    >>> print_csv({"source": ["mnli"], "score": [0.1]})
    source,score
    mnli,0.1
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if _missing(value) else value for value in row])


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _cells(values: Sequence[Any]) -> list[str]:
    floats = [value for value in values if isinstance(value, float) and not _missing(value)]
    # Ranks are whole or end in a half; four digits behind them would only hide the order.
    style = "g" if all(float(2 * value).is_integer() for value in floats) else ".4f"
    return [
        "-" if _missing(value) else f"{value:{style}}" if isinstance(value, float) else str(value)
        for value in values
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
