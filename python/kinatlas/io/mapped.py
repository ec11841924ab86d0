"""An atlas file opened in place: tokens stay on the disk until a kernel reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_names
from kinatlas.errors import FormatError
from kinatlas.io.tensors import FORMAT, header_of, own_metadata
from kinatlas.tasks import Atlas

__all__ = ["open_atlas"]

_TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def open_atlas(path: str | os.PathLike[str]) -> Atlas:
    """Return the atlas of a file that ``save_atlas`` wrote, mapped instead of read.

    Opening takes the time of reading names; memory is used only by what is looked at, and all
    processes of a machine share it. Whether all numbers are finite is checked where they are
    used. ``load_atlas`` reads any other file.

    Raises
    ------
    OSError
        If the file cannot be read.
    FormatError
        If it is damaged, or no atlas file that can be mapped.

    Examples
    --------
    >>> import tempfile, kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 2.0]], "rte": [[0.5, 1.0], [0.0, 1.0]]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ka.save_atlas(atlas, f"{folder}/glue.safetensors")
    ...     opened = ka.io.open_atlas(path)
    ...     opened == atlas, type(opened._buffer).__name__
    (True, 'memmap')
    """
    path = Path(path)
    texts, _ = _core.outline_tensors(str(path))
    if texts.get("format") != FORMAT:
        raise FormatError(
            f"{path}: not an atlas file; read it with load_atlas, and write it with save_atlas to "
            "open it in place"
        )
    names, origins, space = own_metadata(path, texts)
    start, header = header_of(path)
    dtype, dim, offsets = _layout(path, names, header)
    stored = np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<")
    shape = (int(offsets[-1]), dim)
    if not stored.isnative:
        raise FormatError(f"{path}: numbers are little-endian, this machine is not; use load_atlas")
    if start % stored.itemsize:
        raise FormatError(
            f"{path}: numbers start at byte {start}, no multiple of their {stored.itemsize} bytes, "
            "and cannot be used in place; write the file again with save_atlas(load_atlas(path), "
            "path)"
        )
    buffer = np.memmap(path, dtype=stored, mode="r", offset=start, shape=shape)
    return Atlas(check_names(names, "task"), space, dtype, origins, buffer, offsets)


def _layout(
    path: Path, names: list[str], header: dict[str, Any]
) -> tuple[str, int, npt.NDArray[np.int64]]:
    """Type, width and offsets, if the tensors lie behind each other in the order of the atlas."""
    missing = [name for name in names if name not in header]
    if missing or not names:
        raise FormatError(f"{path}: the file lacks the tensor of task {(missing or ['?'])[0]!r}")
    entries = [header[name] for name in names]
    stored, dim = entries[0]["dtype"], entries[0]["shape"][-1]
    end, counts = 0, []
    for name, entry in zip(names, entries, strict=True):
        if entry["dtype"] != stored or len(entry["shape"]) != 2 or entry["shape"][1] != dim:
            raise FormatError(
                f"{path}: task {name!r} is {entry['dtype']} {entry['shape']}, expected {stored} "
                f"[n_tokens, {dim}] as the first task"
            )
        if entry["data_offsets"][0] != end or not entry["shape"][0] or not dim:
            raise FormatError(
                f"{path}: task {name!r} is empty, or not stored in the order of the atlas; write "
                "the file again with save_atlas(load_atlas(path), path)"
            )
        end = entry["data_offsets"][1]
        counts.append(entry["shape"][0])
    return _TYPES[stored], dim, np.cumsum([0, *counts], dtype=np.int64)
