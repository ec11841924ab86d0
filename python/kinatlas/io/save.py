"""Atlases to disk, as a file that every safetensors reader opens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.errors import DTypeError, FormatError
from kinatlas.io.tensors import FORMAT, VERSION
from kinatlas.tasks import Atlas

__all__ = ["save_atlas"]

_SUFFIX = ".safetensors"
_RESERVED = "__metadata__"


def save_atlas(atlas: Atlas, path: str | os.PathLike[str]) -> Path:
    """Write an atlas to one safetensors file, each task a tensor [n_tokens, dim], and return it.

    Numbers keep their stored type. Names and their order, the space and the provenance stand in
    the file's metadata. The file appears whole or not at all, and the same atlas gives the same
    bytes.

    Raises
    ------
    DTypeError
        If ``atlas`` is not an atlas of tokens.
    FormatError
        If ``path`` does not end in ``.safetensors``, or a task has a name the format reserves.

    Examples
    --------
    >>> import tempfile
    >>> import kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 2.0]], "rte": [[0.5, 1.0]]}, space="t5-base")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ka.save_atlas(atlas, f"{folder}/glue.safetensors")
    ...     ka.load_atlas(path) == atlas
    True
    """
    if not isinstance(atlas, Atlas):
        raise DTypeError(f"save_atlas: got {type(atlas).__name__}, expected an Atlas of tokens")
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise FormatError(f"{path}: atlas files end in {_SUFFIX}")
    if _RESERVED in atlas.names:
        raise FormatError(f"task {_RESERVED!r}: the format reserves this name; rename the task")
    tensors = [
        (task.name, task.dtype, list(task._stored.shape), _bytes(task._stored)) for task in atlas
    ]
    texts = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "names": json.dumps(atlas.names),
        "space": atlas.space,
        "provenance": json.dumps([asdict(origin) for origin in atlas.provenance]),
    }
    _write(path, _core.serialize_tensors(tensors, texts))
    return path


def _bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
