"""Files that appear whole or not at all, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["replaced", "write_whole"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file to write; it takes the place of ``path`` once it is complete and on the disk.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind. A full disk is named as such.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replaced(f"{folder}/scores.bin") as file:
    ...         _ = file.write(b"1234")
    ...     Path(folder, "scores.bin").read_bytes()
    b'1234'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in _FULL:
            raise OSError(
                error.errno,
                f"no space left for {path.name}; nothing was half written. Free space in that "
                "folder, or choose another",
                str(path),
            ) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], *parts: Any) -> None:
    """Write buffers behind each other to one file that appears whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/scores.bin", b"12", b"34")
    ...     Path(folder, "scores.bin").read_bytes()
    b'1234'
    """
    with replaced(path) as file:
        for part in parts:
            file.write(part)


def _sync_folder(folder: Path) -> None:
    # A rename is only on the disk once its folder is; Windows has no way to ask for that.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
