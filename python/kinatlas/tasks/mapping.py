"""Pages of mapped files: counted as ours once looked at, until we say that we are done."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["files_of", "is_mapped", "let_go"]

_ADVICE = getattr(mmap, "MADV_DONTNEED", None)


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Return whether an array shows a file that nobody can write through it.

    Examples
    --------
    >>> is_mapped(np.zeros(3))
    False
    """
    return _file_of(array) is not None


def let_go(array: npt.NDArray[Any]) -> None:
    """Take an array's pages out of this process; they stay in the file and come back when needed.

    Without this, whoever reads a file of 20 GB is counted as using 20 GB. Arrays in memory are
    left alone.

    Examples
    --------
    >>> let_go(np.zeros(3))
    """
    file = _file_of(array)
    if file is None or _ADVICE is None or not array.flags.c_contiguous or not array.size:
        return
    start = array.ctypes.data - np.frombuffer(file, dtype=np.uint8).ctypes.data
    first = start - start % mmap.PAGESIZE
    file.madvise(_ADVICE, first, start + array.nbytes - first)


def files_of(arrays: Iterable[npt.NDArray[Any]]) -> list[npt.NDArray[np.uint8]]:
    """Return the bytes of every mapped file that some of the arrays show, each file once.

    Examples
    --------
    >>> files_of([np.zeros(3)])
    []
    """
    found = {id(file): file for array in arrays if (file := _file_of(array)) is not None}
    return [np.frombuffer(file, dtype=np.uint8) for file in found.values()]


def _file_of(array: Any) -> mmap.mmap | None:
    """The mapping behind a view; none that can be written, which would lose what was written."""
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    if not isinstance(array, mmap.mmap) or np.frombuffer(array, dtype=np.uint8).flags.writeable:
        return None
    return array
