"""Atlases to disk, as a file that every safetensors reader opens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas.errors import DTypeError, FormatError
from kinatlas.io.atomic import write_whole
from kinatlas.io.tensors import FORMAT, VERSION
from kinatlas.tasks import Atlas

__all__ = ["save_atlas"]

_SUFFIX = ".safetensors"
_RESERVED = "__metadata__"
_STORED = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
# The widest number has 8 bytes; behind a header of such a length every number is aligned.
_ALIGNMENT = 8


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
    texts = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "names": json.dumps(atlas.names),
        "space": atlas.space,
        "provenance": json.dumps([asdict(origin) for origin in atlas.provenance]),
    }
    buffer = atlas._buffer
    little = buffer.astype(buffer.dtype.newbyteorder("<"), copy=False)
    write_whole(path, _header(atlas, texts), np.ascontiguousarray(little).reshape(-1).data)
    return path


def _header(atlas: Atlas, texts: dict[str, str]) -> bytes:
    """Tensors in the order of the atlas, so that the file can be mapped as one packed buffer."""
    width = atlas.dim * atlas._buffer.itemsize
    bounds = [int(start) * width for start in atlas._offsets]
    entries: dict[str, Any] = {_RESERVED: texts}
    for place, (name, count) in enumerate(zip(atlas.names, atlas.n_tokens, strict=True)):
        entries[name] = {
            "dtype": _STORED[atlas.dtype],
            "shape": [count, atlas.dim],
            "data_offsets": bounds[place : place + 2],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
