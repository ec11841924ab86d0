"""One run at a time asks for a ledger; the system lets go of the hold when its holder dies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinatlas.errors import LockedError

__all__ = ["held"]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the right to ask for the ledger at ``path``; reading needs no hold.

    Two runs side by side would pay for one question twice and each spend the whole budget. The
    hold is SQLite's own lock on an empty file beside the ledger, since the ledger itself must
    stay readable. The file stays; only the lock on it comes and goes.

    Raises
    ------
    LockedError
        If another run holds it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, held(Path(folder) / "answers.db"):
    ...     sorted(file.name for file in Path(folder).iterdir())
    ['answers.db.hold']
    """
    beside = sqlite3.connect(f"{path}.hold", isolation_level=None, timeout=0)
    try:
        try:
            beside.execute("PRAGMA journal_mode=MEMORY")
            beside.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise LockedError(
                f"{path}: another run asks for this ledger; wait for it, or name another ledger"
            ) from None
        yield
    finally:
        beside.close()
