"""Ledgers of several machines in one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kinatlas.behavior.ledger import Ledger

__all__ = ["Merged", "merge_ledgers"]

_KEY = ("box", "prompt", "params", "probe", "replicate")
_SHARED = ("boxes", "prompts", "parameters", "probes")
_ATTEMPT = (*_KEY, "at", "tokens", "cost")
_OUTCOME = ("kind", "detail", "latency_ms", "tokens_in", "tokens_out", "cost", "model")
_ANSWER = (*_KEY, "status", "value", "mass", "reason", "model")


class Merged(NamedTuple):
    """What a merge brought: new calls, new answers, and answers to what was answered already."""

    n_calls: int
    n_answers: int
    n_answered_already: int


def merge_ledgers(into: Ledger, *others: str | Path) -> Merged:
    """Add all calls and answers of other ledgers to one, in one commit, and return the counts.

    What was spent adds up. A question that several machines asked keeps the answer that was asked
    for first, whatever the order of the files, unless ``into`` has one. Merging again adds nothing.

    Raises
    ------
    FormatError
        If a file is no ledger of this version.

    Examples
    --------
    >>> import tempfile
    >>> from kinatlas.behavior import CallableBox, ask, builtin_bank
    >>> box = CallableBox(lambda texts: list(map(len, texts)), "length", output="number")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, bank in (("a", builtin_bank().first(4)), ("b", builtin_bank().first(8))):
    ...         with Ledger(f"{folder}/{name}.db") as ledger:
    ...             _ = ask([box], bank, ledger)
    ...     with Ledger(f"{folder}/all.db") as ledger:
    ...         merge_ledgers(ledger, f"{folder}/a.db", f"{folder}/b.db")
    Merged(n_calls=12, n_answers=8, n_answered_already=4)
    """
    for path in others:
        with Ledger(path, create=False):
            pass
    base = into._base
    with _attached(base, others) as names:
        base.execute("BEGIN IMMEDIATE")
        try:
            for name in names:
                for table in _SHARED:
                    base.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM {name}.{table}")
            counts = [_merge(base, *call) for call in _calls(base, names)]
            base.execute("COMMIT")
        except BaseException:
            base.execute("ROLLBACK")
            raise
    return (
        Merged(*(sum(column) for column in zip(*counts, strict=True)))
        if counts
        else Merged(0, 0, 0)
    )


@contextmanager
def _attached(base: Any, others: tuple[str | Path, ...]) -> Iterator[list[str]]:
    names = [f"other{at}" for at in range(len(others))]
    held = []
    try:
        for name, path in zip(names, others, strict=True):
            base.execute(f"ATTACH ? AS {name}", (str(path),))
            held.append(name)
        yield names
    finally:
        for name in held:
            base.execute(f"DETACH {name}")


def _calls(base: Any, names: list[str]) -> list[tuple[str, int, tuple[Any, ...]]]:
    """Every call of the others, oldest first: ledger, its number there, and what was asked."""
    found = [
        (name, row[0], row[1:])
        for name in names
        for row in base.execute(f"SELECT attempt, {', '.join(_ATTEMPT)} FROM {name}.attempts")
    ]
    # By time, then by question and content, so that the order of the files changes nothing.
    return sorted(found, key=lambda call: (call[2][5], *map(str, call[2])))


def _merge(base: Any, name: str, attempt: int, asked: tuple[Any, ...]) -> tuple[int, int, int]:
    same = " AND ".join(f"{column} IS ?" for column in (*_KEY, "at"))
    if base.execute(f"SELECT 1 FROM main.attempts WHERE {same}", asked[:6]).fetchone():
        return 0, 0, 0
    new = base.execute(
        f"INSERT INTO main.attempts ({', '.join(_ATTEMPT)}) VALUES ({_places(_ATTEMPT)})", asked
    ).lastrowid
    added = []
    for table, columns in (("outcomes", _OUTCOME), ("answers", _ANSWER)):
        listed = ", ".join(columns)
        rows = base.execute(
            f"SELECT {listed} FROM {name}.{table} WHERE attempt = ?", (attempt,)
        ).fetchall()
        before = base.total_changes
        base.executemany(
            f"INSERT OR IGNORE INTO main.{table} (attempt, {listed}) "
            f"VALUES (?, {_places(columns)})",
            [(new, *row) for row in rows],
        )
        added.append((len(rows), base.total_changes - before))
    n_found, n_added = added[1]
    return 1, n_added, n_found - n_added


def _places(columns: tuple[str, ...]) -> str:
    return ", ".join("?" * len(columns))
