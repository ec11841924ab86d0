"""Atlases as they travel to workers: by path, opened there in place, never copied."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas.errors import DTypeError, FormatError, KinAtlasError, WorkerError
from kinatlas.io import load_atlas, open_atlas, save_atlas
from kinatlas.similarity.block_plan import AnyAtlas
from kinatlas.tasks import Atlas, LowRankAtlas
from kinatlas.tasks.mapping import let_go

__all__ = ["AtlasFile", "fingerprint", "opened"]

_STEP = 16 << 20  # bytes hashed at a time, so that a mapped atlas never comes into memory whole


@dataclass(frozen=True)
class AtlasFile:
    """An atlas by the path of its file, with the marks that tell whether it has changed since."""

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> AtlasFile:
        """Return the handle of a file or folder as it is now; raises `OSError` without one."""
        found = Path(path).resolve()
        about = found.stat()
        return cls(str(found), about.st_size, about.st_mtime_ns)

    def open(self) -> AnyAtlas:
        """Return the atlas; a second call in the same process costs nothing.

        Raises
        ------
        WorkerError
            If this machine does not see the file, or sees another state of it.
        """
        try:
            now = AtlasFile.of(self.path)
        except OSError as error:
            raise WorkerError(
                f"{os.uname().nodename if hasattr(os, 'uname') else 'worker'}: cannot open "
                f"{self.path} ({error}); workers open atlases by path, so put the file where all "
                "machines see it under one name"
            ) from None
        if now != self:
            raise WorkerError(
                f"{self.path}: {now.size:,} bytes, modified at {now.modified}; the plan was made "
                f"for {self.size:,} bytes, modified at {self.modified}. Start again"
            )
        return _opened(self)


@lru_cache(maxsize=4)
def _opened(file: AtlasFile) -> AnyAtlas:
    return _read(file.path)


def _read(path: str) -> AnyAtlas:
    if Path(path).is_file() and path.endswith(".safetensors"):
        try:
            return open_atlas(path)
        except FormatError:
            pass  # a safetensors file of somebody else's: readable, but not in place
    atlas: AnyAtlas = load_atlas(path, mapped=True)
    return atlas


def opened(
    atlas: Any, folder: Path, *, by_path: bool, label: str
) -> tuple[AnyAtlas, AtlasFile | AnyAtlas]:
    """Return the atlas here, and what to send to workers: its path, or itself within a process.

    Raises
    ------
    DTypeError
        If ``atlas`` is neither an atlas nor a path, or low-rank updates in memory would have to
        be sent.
    """
    if isinstance(atlas, (str, os.PathLike)):
        file = AtlasFile.of(atlas)
        return file.open(), file
    if not isinstance(atlas, (Atlas, LowRankAtlas)):
        raise DTypeError(
            f"{label}: got {type(atlas).__name__}, expected an atlas, or the path of one"
        )
    if not by_path:
        return atlas, atlas
    if isinstance(atlas, LowRankAtlas):
        raise DTypeError(
            f"{label}: low-rank updates in memory cannot be sent to workers; pass the path of "
            "their folder, which every worker reads once"
        )
    path = folder / "inputs" / f"{fingerprint(atlas)}.safetensors"
    if not _holds(path, atlas):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_atlas(atlas, path)
    return atlas, AtlasFile.of(path)


def _holds(path: Path, atlas: Atlas) -> bool:
    """Whether a file of an earlier job is what its name says; workers would not notice."""
    try:
        return fingerprint(open_atlas(path)) == fingerprint(atlas)
    except (OSError, KinAtlasError):
        return False


def fingerprint(atlas: AnyAtlas) -> str:
    """Return the SHA-256 of everything in an atlas that scores depend on, names included.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 2.0]]})
    >>> fingerprint(atlas) == fingerprint(atlas.rename({"mnli": "rte"}))
    False
    """
    digest = hashlib.sha256()
    digest.update(repr((type(atlas).__name__, atlas.space, len(atlas))).encode())
    digest.update("\0".join(atlas.names).encode())
    for part in _token_parts(atlas) if isinstance(atlas, Atlas) else _factor_parts(atlas):
        digest.update(part)
    return digest.hexdigest()


def _token_parts(atlas: Atlas) -> Iterator[Any]:
    yield repr((atlas.dtype, atlas.dim)).encode()
    yield atlas._offsets.tobytes()
    rows = max(1, _STEP // (atlas.dim * atlas._buffer.itemsize))
    for start in range(0, len(atlas._buffer), rows):
        part = np.asarray(atlas._buffer[start : start + rows])
        yield np.ascontiguousarray(part).data
        let_go(part)


def _factor_parts(atlas: LowRankAtlas) -> Iterator[Any]:
    for update in atlas._updates:
        for module in sorted(update):
            factors = update[module]
            about = (module, factors.a.shape, factors.b.shape, factors.a.dtype.str, factors.scale)
            yield repr(about).encode()
            yield factors.a.tobytes()
            yield factors.b.tobytes()
            let_go(factors.a)
            let_go(factors.b)
