"""Prompts as tables: what there is, and where it is served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.io.prompts.record import SHOWN, PromptRecord

__all__ = ["PromptTable", "listed"]


@dataclass(frozen=True, eq=False, repr=False)
class PromptTable(Tabular):
    """Rows about prompts with a title; exports like every table of kinatlas.

    Examples
    --------
    >>> PromptTable("Prompts", {"prompt": ["ab"], "task": ["ctr"]})
    Prompts
    prompt  task
    ab      ctr
    """

    title: str
    columns: Mapping[str, list[Any]]

    def _columns(self) -> dict[str, list[Any]]:
        return dict(self.columns)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), []))

    def __repr__(self) -> str:
        return f"{self.title}\n{as_text(self.columns)}" if len(self) else f"{self.title}: none"

    def _repr_html_(self) -> str:
        return as_html(self.columns, self.title, max_rows=20)


def listed(
    title: str, records: Iterable[PromptRecord], places: Mapping[tuple[str, str], str]
) -> PromptTable:
    """Return one row a record, with the channels that serve it and every metric there is.

    Examples
    --------
    >>> listed("Prompts", [PromptRecord("ab", "ctr", "v1")], {("ctr", "prod"): "ab"}).to_dict()
    {'prompt': ['ab'], 'task': ['ctr'], 'served as': ['ctr@prod'], 'backbone': ['v1'],
    'parent': ['']}
    """
    rows = list(records)
    served: dict[str, list[str]] = {}
    for (task, channel), name in places.items():
        served.setdefault(name, []).append(f"{task}@{channel}")
    metrics = sorted({metric for row in rows for metric in row.metrics})
    return PromptTable(
        title,
        {
            "prompt": [row.id[:SHOWN] for row in rows],
            "task": [row.task for row in rows],
            "served as": [", ".join(sorted(served.get(row.id, []))) for row in rows],
            "backbone": [row.basis_key for row in rows],
            "parent": [row.parent[:SHOWN] for row in rows],
            **{metric: [row.value(metric) for row in rows] for metric in metrics},
        },
    )
