"""NumPy files: ``.npz`` with one array per task, ``.npy`` with one task, T5X prompt checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import FormatError
from kinatlas.interop import as_stored
from kinatlas.io.parts import Options, Part, file_hash, space_of
from kinatlas.io.scan import Source
from kinatlas.tasks import Provenance

__all__ = ["read_npy", "read_npz"]


def read_npy(source: Source, options: Options) -> list[Part]:
    """Read one array [n_tokens, dim] or [dim] as one task.

    Raises
    ------
    FormatError
        If the file is damaged or holds Python objects.
    ShapeError, DTypeError
        If the array is no token matrix of floating-point numbers.
    """
    return _parts(source, _loaded(source))


def read_npz(source: Source, options: Options) -> list[Part]:
    """Read every array [n_tokens, dim] or [dim] of an archive as one task.

    Raises
    ------
    FormatError
        If the archive is damaged, empty, or holds Python objects.
    ShapeError, DTypeError
        If an array is no token matrix of floating-point numbers.
    """
    arrays = _loaded(source)
    if not arrays:
        raise FormatError(f"{source.path}: the archive holds no array")
    return _parts(source, arrays)


def _loaded(source: Source) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name; the one array of an ``.npy`` file has the empty name."""
    try:
        found = np.load(source.path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"": found}
        with found as archive:
            return {name: archive[name] for name in archive.files}
    except PermissionError:
        raise
    except Exception as error:  # numpy, zipfile and zlib each have their own for damaged bytes
        raise FormatError(f"{source.path}: not a readable NumPy file: {error}") from None


def _parts(source: Source, arrays: dict[str, npt.NDArray[Any]]) -> list[Part]:
    origin = Provenance(file=source.file, file_hash=file_hash(source.path))
    parts = []
    for name, array in arrays.items():
        label = f"{source.path}, array {name!r}" if name else str(source.path)
        stored = as_stored(array, label)
        parts.append(
            Part(
                task=source.member(name, is_only=len(arrays) == 1),
                space=space_of(None, "", f"dim={stored[0].shape[1]}"),
                provenance=origin,
                tokens=stored,
            )
        )
    return parts
