"""One writer at a time in a folder; the system lets go of the lock when its holder dies."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kinatlas.errors import LockedError

__all__ = ["locked"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the file stays, only the lock on it comes and goes.

    Raises
    ------
    LockedError
        If another process holds it; the message names machine and process.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
    ...     Path(folder, ".lock").exists()
    True
    """
    path = folder / ".lock"
    with path.open("a+b") as file:
        try:
            _take(file)
        except OSError:
            raise LockedError(
                f"{folder}: {_holder(path)} works on this folder; wait for it, or choose another"
            ) from None
        try:
            file.truncate(0)
            file.write(json.dumps([socket.gethostname(), os.getpid()]).encode())
            file.flush()
            yield
        finally:
            _release(file)


def _holder(path: Path) -> str:
    try:
        host, process = json.loads(path.read_text(encoding="utf-8"))
        return f"process {process} on {host}"
    except (OSError, ValueError):
        return "another process"


if os.name == "nt":  # pragma: no cover
    import msvcrt

    # Far behind the text, which others must be able to read meanwhile.
    _FAR = 1 << 30

    def _take(file: BinaryIO) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        file.seek(0)

    def _release(file: BinaryIO) -> None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined, unused-ignore]

else:
    import fcntl

    def _take(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
