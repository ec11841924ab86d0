"""What a folder held: every file, whether it was read, and why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kinatlas._frames import Tabular, as_html, as_text

__all__ = ["LoadEntry", "LoadReport"]

_HTML_ROWS = 200


@dataclass(frozen=True)
class LoadEntry:
    """One file, or one task of a file that holds several.

    Examples
    --------
    >>> LoadEntry(file="rte/adapter_model.bin", kind="adapter", reason="a pickle").status
    'skipped'
    """

    file: str
    kind: str
    status: Literal["read", "skipped"] = "skipped"
    task: str | None = None
    reason: str | None = None
    n_tokens: int | None = None
    dim: int | None = None
    dtype: str | None = None
    space: str | None = None
    notes: tuple[str, ...] = ()
    #: Tensors of the file that are not part of the task, each with the reason.
    skipped_tensors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, repr=False)
class LoadReport(Tabular):
    """Everything ``load_atlas`` saw below a path, in path order.

    Examples
    --------
    >>> report = LoadReport("adapters", (LoadEntry("notes.txt", "other", reason="no weights"),))
    >>> report
    adapters: 0 tasks read, 1 files skipped
    file       kind   status   task  n_tokens  dim  dtype  space  reason
    notes.txt  other  skipped                                     no weights
    >>> len(report), report.skipped[0].file
    (1, 'notes.txt')
    """

    path: str
    entries: tuple[LoadEntry, ...]

    @property
    def read(self) -> tuple[LoadEntry, ...]:
        """Entries that became tasks."""
        return tuple(entry for entry in self.entries if entry.status == "read")

    @property
    def skipped(self) -> tuple[LoadEntry, ...]:
        """Entries that did not, each with its reason."""
        return tuple(entry for entry in self.entries if entry.status == "skipped")

    def summary(self) -> str:
        """Return the counts on one line.

        Examples
        --------
        >>> LoadReport("adapters", ()).summary()
        '0 tasks read, 0 files skipped'
        """
        return f"{len(self.read)} tasks read, {len(self.skipped)} files skipped"

    def reasons(self) -> dict[str, int]:
        """Return how often each reason for skipping occurred, most frequent first."""
        counts = Counter(entry.reason or "" for entry in self.skipped)
        return dict(counts.most_common())

    def spaces(self) -> dict[str, int]:
        """Return how many tasks were read of each space, most frequent first.

        Examples
        --------
        >>> LoadReport("adapters", ()).spaces()
        {}
        """
        return dict(Counter(str(entry.space) for entry in self.read).most_common())

    def overview(self) -> dict[str, list[str]]:
        """Return three narrow columns for a terminal: file, what became of it, and why.

        Examples
        --------
        >>> entry = LoadEntry("rte.npy", "npy", "read", "rte", n_tokens=5, dim=8, dtype="float32")
        >>> LoadReport("adapters", (entry,)).overview()
        {'file': ['rte.npy'], 'result': ['5 x 8 float32'], 'note': ['']}
        """
        return {
            "file": [entry.file for entry in self.entries],
            "result": [
                entry.status
                if entry.status == "skipped"
                else "low rank"
                if entry.n_tokens is None
                else f"{entry.n_tokens} x {entry.dim} {entry.dtype}"
                for entry in self.entries
            ],
            "note": [entry.reason or "; ".join(entry.notes) for entry in self.entries],
        }

    def _columns(self) -> dict[str, list[Any]]:
        entries = self.entries
        return {
            "file": [entry.file for entry in entries],
            "kind": [entry.kind for entry in entries],
            "status": [entry.status for entry in entries],
            "task": [entry.task for entry in entries],
            "n_tokens": [entry.n_tokens for entry in entries],
            "dim": [entry.dim for entry in entries],
            "dtype": [entry.dtype for entry in entries],
            "space": [entry.space for entry in entries],
            "reason": [entry.reason or "; ".join(entry.notes) for entry in entries],
        }

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[LoadEntry]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"{self.path}: {self.summary()}\n{as_text(self._columns())}"

    def _repr_html_(self) -> str:
        title = f"{self.path}: {self.summary()}"
        return as_html(self._columns(), title, max_rows=_HTML_ROWS)
