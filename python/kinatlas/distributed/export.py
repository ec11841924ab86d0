"""All blocks as one file, some targets at a time, so that memory never holds the whole matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas._frames import require
from kinatlas.errors import FormatError
from kinatlas.io.atomic import replaced

__all__ = ["check_out", "write_npy", "write_parquet"]

#: The number of the first target, and scores [n_rows, n_sources].
Bands: TypeAlias = Iterable[tuple[int, npt.NDArray[np.float64]]]


def check_out(out: Path, *, resume: bool) -> None:
    """Refuse before the work what could not be written after it.

    Raises
    ------
    FormatError
        If it is named neither ``.npy`` nor ``.parquet``, lies in no folder, or is there already.
    MissingDependencyError
        If it ends in ``.parquet`` and pyarrow is not installed.
    """
    if out.suffix not in (".npy", ".parquet"):
        raise FormatError(f"out={str(out)!r}: expected a name ending in .npy or .parquet")
    if not out.parent.is_dir() or out.is_dir():
        raise FormatError(f"out={str(out)!r}: expected a file in a folder that exists")
    if out.exists() and not resume:
        raise FormatError(
            f"out={str(out)!r} is there already; pass resume=True to finish or repeat it, or "
            "choose another name"
        )
    if out.suffix == ".parquet":
        require("pyarrow.parquet", "dataframe")


def write_npy(path: Path, shape: tuple[int, int], bands: Bands) -> Path:
    """Write scores to one ``.npy`` file [n_targets, n_sources].

    Written, not mapped: on a full disk a write says so, where a mapping ends the process.
    """
    with replaced(path) as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for _, scores in bands:
            file.write(np.ascontiguousarray(scores, dtype="<f8").data)
    return path


def write_parquet(path: Path, targets: Sequence[str], sources: Sequence[str], bands: Bands) -> Path:
    """Write a tidy table (target, source, score), names dictionary-encoded, a band a row group."""
    arrow, parquet = require("pyarrow", "dataframe"), require("pyarrow.parquet", "dataframe")
    names = arrow.dictionary(arrow.int32(), arrow.string())
    schema = arrow.schema([("target", names), ("source", names), ("score", arrow.float64())])
    known = [arrow.array(list(side), arrow.string()) for side in (targets, sources)]
    with replaced(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for top, scores in bands:
            height, width = scores.shape
            rows = np.repeat(np.arange(top, top + height, dtype=np.int32), width)
            columns = np.tile(np.arange(width, dtype=np.int32), height)
            writer.write_batch(_batch(arrow, schema, known, rows, columns, scores))
    return path


def _batch(arrow: Any, schema: Any, known: list[Any], *columns: Any) -> Any:
    rows, sources, scores = columns
    encoded = [
        arrow.DictionaryArray.from_arrays(arrow.array(indices), names)
        for indices, names in zip((rows, sources), known, strict=True)
    ]
    return arrow.RecordBatch.from_arrays([*encoded, arrow.array(scores.reshape(-1))], schema=schema)
