"""A table of named numbers with a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text

__all__ = ["Findings"]


@dataclass(frozen=True, repr=False)
class Findings(Tabular):
    """Numbers by name, each with its interval, its chance level where it has one, and a sentence.

    Parameters
    ----------
    title
        One line.
    columns
        The table; its first column names the rows, ``value`` holds the numbers.
    sentences
        One a row.
    remarks
        What was assumed or left out.
    per_target
        The same numbers target by target, where they exist.
    conventions
        Everything the numbers depend on.

    Examples
    --------
    >>> found = Findings("Agreement", {"measure": ["spearman"], "value": [0.5]}, ("Middling.",))
    >>> found
    Agreement
    measure    value
    spearman  0.5000
    >>> found["spearman"], found.explain()
    (0.5, 'Middling.')
    """

    title: str
    columns: Mapping[str, list[Any]]
    sentences: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    per_target: Mapping[str, list[Any]] = field(default_factory=dict)
    conventions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> float:
        return float(self.columns["value"][check_known(name, self.names, "number")])

    def explain(self, name: str | None = None) -> str:
        """Return one plain sentence on a number, or on all of them, a line each.

        Raises `UnknownNameError` for a name that is no row.

        Examples
        --------
        >>> Findings("t", {"measure": ["a"], "value": [0.5]}, ("So it is.",)).explain("a")
        'So it is.'
        """
        if name is not None:
            return self.sentences[check_known(name, self.names, "number")]
        return "\n".join([*self.sentences, *self.remarks])

    def _columns(self) -> dict[str, list[Any]]:
        return dict(self.columns)

    def __repr__(self) -> str:
        return "\n".join([self.title, as_text(self.columns), *self.remarks])

    def _repr_html_(self) -> str:
        return as_html(self.columns, ". ".join([self.title, *self.remarks]))
