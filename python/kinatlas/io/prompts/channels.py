"""Which prompt each channel serves: a journal that only grows, so that every move can be undone.

SQLite, as for the ledger of black boxes: a move is one transaction, whatever the moment of a kill,
and two that are made at once follow each other. Moves are few, so the plain journal is used
rather than write-ahead mode: then a folder that may only be read can be served from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from kinatlas.errors import FormatError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Channels", "Move"]

_VERSION = 1
_SCHEMA = (
    "CREATE TABLE moves (move INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, "
    "task TEXT NOT NULL, channel TEXT NOT NULL, prompt TEXT NOT NULL, previous TEXT NOT NULL, "
    "at TEXT NOT NULL, reason TEXT NOT NULL, gates TEXT NOT NULL)",
    *(
        f"CREATE TRIGGER no_{verb} BEFORE {verb} ON moves BEGIN "
        "SELECT RAISE(ABORT, 'moves are only added'); END"
        for verb in ("UPDATE", "DELETE")
    ),
)
_COLUMNS = "kind, task, channel, prompt, previous, at, reason, gates"
# Others hold the journal for milliseconds; after half a minute something is wrong.
_PATIENCE = 30


@dataclass(frozen=True)
class Move:
    """One line of the journal: ``promote`` or ``rollback``, from one prompt to another."""

    kind: str
    task: str
    channel: str
    prompt: str
    previous: str
    at: str
    reason: str
    gates: str

    @classmethod
    def now(
        cls, kind: str, place: tuple[str, str], ends: tuple[str, str], reason: str, gates: object
    ) -> Move:
        """Return a move of a (task, channel) from the second to the first of two prompts, dated.

        Examples
        --------
        >>> Move.now("promote", ("ctr", "prod"), ("b", "a"), "better", {}).previous
        'a'
        """
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        prompt, previous = ends
        return cls(kind, *place, prompt, previous, at, reason, json.dumps(gates, sort_keys=True))


class Channels:
    """The journal of one store.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     channels = Channels(Path(folder, "channels.db"))
    ...     place = ("ctr", "prod")
    ...     for prompt in ("a", "b"):
    ...         _ = channels.move(place, lambda held, new=prompt: Move.now(
    ...             "promote", place, (new, held[-1] if held else ""), "", {}))
    ...     channels.held("ctr", "prod")
    ('a', 'b')
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists():
            with self._open(self._reading()) as base:
                version = _version(base)
            if version == _VERSION:
                return
            if version:
                raise FormatError(f"{path}: journal version {version}, expected {_VERSION}")
        with self._open("rwc") as base:
            base.execute("BEGIN IMMEDIATE")
            # Another process may have been faster.
            for statement in _SCHEMA if _version(base) == 0 else ():
                base.execute(statement)
            base.execute(f"PRAGMA user_version={_VERSION}")
            base.execute("COMMIT")

    @contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        # Loaded where it is used: most who import kinatlas keep no store.
        import sqlite3

        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        base = None
        try:
            base = sqlite3.connect(address, isolation_level=None, timeout=_PATIENCE, uri=True)
            base.execute("PRAGMA synchronous=FULL")
            yield base
        except sqlite3.DatabaseError as error:
            raise FormatError(
                f"{self.path}: the journal of this prompt store cannot be used ({error})"
            ) from None
        finally:
            if base is not None:
                base.close()

    def _reading(self) -> str:
        # After a kill in the middle of a move, whoever reads first undoes what was half written.
        return "rw" if os.access(self.path, os.W_OK) else "ro"

    def moves(self, task: str | None = None, channel: str | None = None) -> list[Move]:
        """Return all moves, or those of one task or channel, oldest first."""
        with self._open(self._reading()) as base:
            return _moves(base, task, channel)

    def held(self, task: str, channel: str) -> tuple[str, ...]:
        """Return what a channel can be rolled back to, oldest first; the last one is served."""
        return _replayed(self.moves(task, channel))

    def places(self) -> dict[tuple[str, str], str]:
        """Return which prompt every (task, channel) serves."""
        found = self.moves()
        return {(move.task, move.channel): move.prompt for move in found}

    def move(
        self, place: tuple[str, str], decide: Callable[[tuple[str, ...]], Move | None]
    ) -> Move | None:
        """Write the move that ``decide`` makes of what the channel holds, with nobody between."""
        with self._open("rw") as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                made = decide(_replayed(_moves(base, *place)))
                if made is not None:
                    values = tuple(vars(made).values())
                    base.execute(f"INSERT INTO moves ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)", values)
                base.execute("COMMIT")
            except BaseException:
                # A full disk has ended the transaction already; its name must not be lost.
                if base.in_transaction:
                    base.execute("ROLLBACK")
                raise
        return made


def _version(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA user_version").fetchone()[0])


def _moves(base: sqlite3.Connection, task: str | None, channel: str | None) -> list[Move]:
    rows = base.execute(
        f"SELECT {_COLUMNS} FROM moves WHERE (?1 IS NULL OR task = ?1) "
        "AND (?2 IS NULL OR channel = ?2) ORDER BY move",
        (task, channel),
    )
    return [Move(*row) for row in rows]


def _replayed(moves: list[Move]) -> tuple[str, ...]:
    """A promotion puts a prompt on the pile, a rollback takes prompts off down to its own."""
    pile: list[str] = []
    for move in moves:
        if move.kind == "promote":
            pile.append(move.prompt)
            continue
        pile.pop()
        while pile[-1] != move.prompt:
            pile.pop()
    return tuple(pile)
