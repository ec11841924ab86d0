"""The ledger: every call is written before it is made and after it was answered.

SQLite in write-ahead mode was chosen over lines of JSON because a commit is atomic whatever the
moment of a kill, a unique index makes a second answer to one question impossible rather than
unlikely, and triggers refuse to change or delete a row. It is in the standard library. Each commit
waits for the disk (``synchronous=FULL``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from sys import intern
from typing import Any

from kinatlas.behavior.boxes import BlackBox, digest, fingerprint
from kinatlas.behavior.probes import probe_key
from kinatlas.behavior.secrets import check_no_secret, scrubbed, scrubbed_value
from kinatlas.errors import FormatError, LedgerError

__all__ = ["Key", "Ledger", "Outcome", "Record", "Written", "question_key"]

_VERSION = 1
_KEY = "box, prompt, params, probe, replicate"
_SCHEMA = f"""
CREATE TABLE boxes (box TEXT PRIMARY KEY, id TEXT, version TEXT, output TEXT, labels TEXT,
                    verbalizers TEXT, is_deterministic INTEGER);
CREATE TABLE prompts (prompt TEXT PRIMARY KEY, text TEXT);
CREATE TABLE parameters (params TEXT PRIMARY KEY, text TEXT);
CREATE TABLE probes (probe TEXT PRIMARY KEY, text TEXT, stratum TEXT);
CREATE TABLE attempts (attempt INTEGER PRIMARY KEY AUTOINCREMENT, box TEXT, prompt TEXT,
                       params TEXT, probe TEXT, replicate INTEGER, at TEXT,
                       tokens INTEGER, cost REAL);
CREATE TABLE outcomes (attempt INTEGER PRIMARY KEY REFERENCES attempts, kind TEXT, detail TEXT,
                       latency_ms REAL, tokens_in INTEGER, tokens_out INTEGER, cost REAL,
                       model TEXT);
CREATE TABLE answers (attempt INTEGER PRIMARY KEY REFERENCES attempts, box TEXT, prompt TEXT,
                      params TEXT, probe TEXT, replicate INTEGER, status TEXT, value TEXT,
                      mass REAL, reason TEXT, model TEXT);
CREATE UNIQUE INDEX answered_once ON answers ({_KEY}) WHERE status <> 'error';
CREATE INDEX asked ON attempts ({_KEY});
"""
_TABLES = ("boxes", "prompts", "parameters", "probes", "attempts", "outcomes", "answers")

#: Box, prompt, parameters, probe (all as hashes) and replicate: one question.
Key = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: ``ok`` or the kind of trouble, and what it cost."""

    kind: str
    detail: str = ""
    latency_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    model: str | None = None


@dataclass(frozen=True)
class Written:
    """An answer as the engine hands it over: attempt, question, status, raw value, reason."""

    attempt: int
    key: Key
    status: str
    value: Any
    mass: float = 1.0
    reason: str = ""
    model: str | None = None


@dataclass(frozen=True)
class Record:
    """One answer as it is read back."""

    key: Key
    status: str
    value: Any
    reason: str
    model: str | None


def question_key(box: BlackBox, text: str, replicate: int = 0) -> Key:
    """Return the key of one question to one box.

    Examples
    --------
    >>> from kinatlas.behavior import CallableBox
    >>> question_key(CallableBox(len, "a", output="number"), "x")[-1]
    0
    """
    prompt, params = probe_key(box.prompt), digest(dict(box.params))
    return (fingerprint(box), prompt, params, probe_key(text), replicate)


class Ledger:
    """Append-only record of questions and answers in one SQLite file; also a context manager.

    Raises
    ------
    FormatError
        If the file is not a ledger of this version.
    LedgerError
        When writing, if the disk is full or the file may not be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Ledger(pathlib.Path(folder) / "answers.db") as ledger:
    ...         print(len(ledger))
    0
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if not create and not self.path.exists():
            raise FormatError(f"{self.path}: there is no such ledger")
        try:
            self._base = sqlite3.connect(
                self.path, isolation_level=None, timeout=30, check_same_thread=False
            )
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise FormatError(f"{self.path}: not a ledger ({error})") from None

    def _prepare(self) -> None:
        # One immediate transaction, so that a kill leaves all tables or none, and two processes
        # that open a new file at once do not both fill it.
        with self._writing():
            version = self._base.execute("PRAGMA user_version").fetchone()[0]
            known = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version == 0 and known == 0:
                for statement in _SCHEMA.split(";"):
                    self._base.execute(statement)
                for table in _TABLES:
                    for verb in ("UPDATE", "DELETE"):
                        self._base.execute(
                            f"CREATE TRIGGER no_{verb}_{table} BEFORE {verb} ON {table} BEGIN "
                            "SELECT RAISE(ABORT, 'the ledger is append-only'); END"
                        )
                self._base.execute(f"PRAGMA user_version={_VERSION}")
            elif version != _VERSION:
                raise FormatError(
                    f"{self.path}: ledger version {version}, this release reads {_VERSION}"
                )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write everything inside, or nothing."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                # SQLite rolls some errors back itself.
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise LedgerError(
                f"{self.path}: the ledger cannot be written ({error}); what it holds is kept, so "
                "make room and run again"
            ) from error

    def register(self, box: BlackBox, texts: Sequence[str], strata: Sequence[str]) -> None:
        """Write down a box and the probes it will be asked; raises FormatError on a secret."""
        check_no_secret(box.params, box.id)
        _check_stable(box)
        secrets = getattr(box, "secrets", ())
        key = question_key(box, "")
        words = (
            None if box.verbalizers is None else {k: list(v) for k, v in box.verbalizers.items()}
        )
        labels = None if box.labels is None else list(box.labels)
        name, version = scrubbed(box.id, secrets), scrubbed(box.version, secrets)
        params = json.dumps(scrubbed_value(dict(box.params), secrets))
        with self._writing():
            self._base.execute(
                "INSERT OR IGNORE INTO boxes VALUES (?,?,?,?,?,?,?)",
                (key[0], name, version, box.output, json.dumps(labels), json.dumps(words),
                 box.deterministic),
            )  # fmt: skip
            self._base.execute(
                "INSERT OR IGNORE INTO prompts VALUES (?,?)",
                (key[1], scrubbed(box.prompt, secrets)),
            )
            self._base.execute("INSERT OR IGNORE INTO parameters VALUES (?,?)", (key[2], params))
            rows = zip(map(probe_key, texts), texts, strata, strict=True)
            self._base.executemany("INSERT OR IGNORE INTO probes VALUES (?,?,?)", rows)

    def answered(self, *, with_errors: bool = True) -> set[Key]:
        """Return the questions that have their answer; calls that failed for good count too."""
        rule = "" if with_errors else " WHERE status <> 'error'"
        rows = self._base.execute(f"SELECT DISTINCT {_KEY} FROM answers{rule}")
        # Keys share their hashes: interned, a million of them take 0.2 GB instead of 0.7.
        return {(*map(intern, key), replicate) for *key, replicate in rows}

    def begin(self, calls: Iterable[tuple[Key, int, float]]) -> list[int]:
        """Write that calls are about to be made, each with its most tokens and money."""
        now = datetime.now(timezone.utc).isoformat()
        with self._writing():
            return [
                self._base.execute(
                    f"INSERT INTO attempts ({_KEY}, at, tokens, cost) VALUES (?,?,?,?,?,?,?,?)",
                    (*key, now, tokens, cost),
                ).lastrowid
                or 0
                for key, tokens, cost in calls
            ]

    def finish(
        self,
        outcomes: Iterable[tuple[int, Outcome]],
        answers: Iterable[Written],
        secrets: Sequence[str] = (),
    ) -> None:
        """Write what became of calls, and the answers they gave, in one commit."""
        with self._writing():
            for attempt, one in outcomes:
                self._base.execute(
                    "INSERT INTO outcomes VALUES (?,?,?,?,?,?,?,?)",
                    (attempt, one.kind, scrubbed(one.detail, secrets), one.latency_ms,
                     one.tokens_in, one.tokens_out, one.cost, _model(one.model, secrets)),
                )  # fmt: skip
            for own in answers:
                value = json.dumps(scrubbed_value(own.value, secrets), ensure_ascii=False)
                self._base.execute(
                    "INSERT OR IGNORE INTO answers VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    (own.attempt, *own.key, own.status, value, own.mass,
                     scrubbed(own.reason, secrets), _model(own.model, secrets)),
                )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """Yield the answers in the order of their keys, whatever order they came in."""
        rows = self._base.execute(
            f"SELECT {_KEY}, status, value, reason, model FROM answers "
            f"ORDER BY {_KEY}, status = 'error', attempt"
        )
        last = None
        for *key, status, value, reason, model in rows:
            if tuple(key) != last:
                last = tuple(key)
                yield Record((*key,), status, json.loads(value), reason, model)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query that reads."""
        return self._base.execute(query, values).fetchall()

    def __len__(self) -> int:
        return int(self.rows("SELECT count(*) FROM answers")[0][0])

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __repr__(self) -> str:
        return f"Ledger {str(self.path)!r}: {len(self)} answers"


def _model(name: str | None, secrets: Sequence[str]) -> str | None:
    # An endpoint may say anything here, even the key it was sent.
    return None if name is None else scrubbed(str(name), secrets)


def _check_stable(box: BlackBox) -> None:
    """Refuse parameters that are no JSON: an object's address would be new in every process."""
    try:
        json.dumps(dict(box.params))
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"box {box.id!r}: params are {dict(box.params)!r}, expected texts, numbers, lists and "
            f"mappings of them, since answers are found again by them ({error})"
        ) from None
