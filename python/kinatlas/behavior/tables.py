"""A table of numbers with remarks, as results of this room show themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text

__all__ = ["Table"]


@dataclass(frozen=True, repr=False)
class Table(Tabular):
    """Columns of equal length with a title; the first column names the rows.

    Examples
    --------
    >>> table = Table("Reliability", {"box": ["a"], "value": [0.5]})
    >>> table.row("a")
    {'box': 'a', 'value': 0.5}
    """

    title: str
    columns: Mapping[str, list[Any]]
    remarks: tuple[str, ...] = ()
    conventions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(next(iter(self.columns.values())))

    def row(self, name: str) -> dict[str, Any]:
        """Return one row by name; raises `UnknownNameError` for another."""
        at = check_known(name, self.names, "row")
        return {column: values[at] for column, values in self.columns.items()}

    def _columns(self) -> dict[str, list[Any]]:
        return dict(self.columns)

    def __repr__(self) -> str:
        return "\n".join([self.title, as_text(self.columns), *self.remarks])

    def _repr_html_(self) -> str:
        return as_html(self.columns, ". ".join([self.title, *self.remarks]))
