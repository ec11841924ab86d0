"""NumPy files: ``.npz`` with one array per task, ``.npy`` with one task, T5X prompt checkpoints."""

from __future__ import annotations

import zipfile

import numpy as np

from kinatlas.errors import FormatError
from kinatlas.interop import as_stored
from kinatlas.io.parts import Options, Part, file_hash, space_of
from kinatlas.io.scan import Source
from kinatlas.tasks import Provenance
from kinatlas.tasks.packing import Stored

__all__ = ["read_npy", "read_npz"]


def read_npy(source: Source, options: Options) -> list[Part]:
    """Read one array [n_tokens, dim] or [dim] as one task.

    Raises
    ------
    FormatError
        If the file is damaged or holds Python objects.
    ShapeError, DTypeError
        If the array is not one or two rows of floating-point numbers.
    """
    stored = _loaded(source, None)
    return [_part(source, source.task, stored)]


def read_npz(source: Source, options: Options) -> list[Part]:
    """Read every array [n_tokens, dim] or [dim] of an archive as one task.

    Raises
    ------
    FormatError
        If the archive is damaged, empty, or holds Python objects.
    ShapeError, DTypeError
        If an array is not one or two rows of floating-point numbers.
    """
    try:
        with np.load(source.path, allow_pickle=False) as archive:
            names = list(archive.files)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FormatError(f"{source.path}: not a readable .npz archive: {error}") from None
    if not names:
        raise FormatError(f"{source.path}: the archive holds no array")
    is_only = len(names) == 1
    return [
        _part(source, source.member(name, is_only=is_only), _loaded(source, name)) for name in names
    ]


def _loaded(source: Source, name: str | None) -> Stored:
    label = f"{source.path}" if name is None else f"{source.path}, array {name!r}"
    try:
        found = np.load(source.path, allow_pickle=False)
        array = found if name is None else found[name]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise FormatError(f"{label}: not a readable array: {error}") from None
    return as_stored(array, label)


def _part(source: Source, task: str, stored: Stored) -> Part:
    return Part(
        task=task,
        space=space_of(None, "", f"dim={stored[0].shape[1]}"),
        provenance=Provenance(file=source.file, file_hash=file_hash(source.path)),
        tokens=stored,
    )
