"""Sums of a Fisher accumulator on disk: a safetensors file that appears whole or not at all."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_whole
from kinatlas.errors import FormatError

__all__ = ["SETTINGS", "checked_path", "read", "writable_path", "write"]

SETTINGS = ("convention", "rows_per_example", "square", "shard_size")
_FORMAT = "kinatlas-fisher-1"
_SUFFIX = ".safetensors"


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the path if it ends in ``.safetensors``.

    Examples
    --------
    >>> checked_path("sums.safetensors").name
    'sums.safetensors'
    """
    found = Path(path)
    if found.suffix != _SUFFIX:
        raise FormatError(f"{found}: saved sums end in {_SUFFIX}")
    return found


def writable_path(path: str | os.PathLike[str]) -> Path:
    """Return a checked path whose folder exists.

    Examples
    --------
    >>> writable_path("no/such/sums.safetensors")
    Traceback (most recent call last):
    FileNotFoundError: no/such/sums.safetensors: there is no folder no/such; make it first
    """
    found = checked_path(path)
    if not found.parent.is_dir():
        raise FileNotFoundError(f"{found}: there is no folder {found.parent}; make it first")
    return found


def write(
    path: Path,
    settings: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    sums: _core.FisherSums | None,
) -> Path:
    """Write settings and sums and return the path.

    Raises `ValueError` where nothing was accumulated.

    Examples
    --------
    >>> write(Path("w.safetensors"), {}, {}, None)
    Traceback (most recent call last):
    ValueError: no example was accumulated, so there is nothing to save
    """
    if sums is None:
        raise ValueError("no example was accumulated, so there is nothing to save")
    tensors = [
        (f"{part}.{name}", "float64", [len(array)], np.frombuffer(array.tobytes(), np.uint8))
        for name, whole, running in sums.sums()
        for part, array in (("whole", whole), ("running", running))
    ]
    about = {"counts": sums.counts(), "settings": settings, "shapes": list(shapes.items())}
    texts = {"format": _FORMAT, "about": json.dumps(about)}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(_core.serialize_tensors(tensors, texts))
            # The new name must not be on disk before the bytes are.
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]], _core.FisherSums]:
    """Return settings, shapes and sums.

    Raises `FormatError` for a file that holds none.

    Examples
    --------
    >>> read(Path("nowhere.safetensors"))
    Traceback (most recent call last):
    OSError: cannot read nowhere.safetensors: ...
    """
    texts, _ = _core.outline_tensors(str(path))
    if texts.get("format") != _FORMAT:
        raise FormatError(f"{path}: the file holds no Fisher sums")
    try:
        about = json.loads(texts["about"])
        settings = {key: about["settings"][key] for key in SETTINGS}
        for key in ("rows_per_example", "shard_size"):
            check_whole(settings[key], key, 1)
        shapes = {
            name: tuple(check_whole(size, "shape", 1) for size in shape)
            for name, shape in about["shapes"]
        }
        merged, running = (check_whole(count, "counts", 0) for count in about["counts"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: the description of the sums is damaged: {error}") from None
    names = [f"{part}.{name}" for name in shapes for part in ("whole", "running")]
    arrays = [array for array, _ in _core.read_tensors(str(path), names)]
    for name, array in zip(names, arrays, strict=True):
        size = math.prod(shapes[name.partition(".")[2]])
        if array.size != size or not np.isfinite(array).all():
            raise FormatError(
                f"{path}: the sums {name!r} are damaged: {array.size} numbers, expected {size}, "
                "all finite"
            )
    sums = list(zip(shapes, arrays[::2], arrays[1::2], strict=True))
    layout = (settings["shard_size"], settings["rows_per_example"], settings["square"])
    return settings, shapes, _core.FisherSums.restored(sums, [merged, running], layout)
