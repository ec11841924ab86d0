"""Atlases in Parquet, some tasks a row group, so that neither side holds the whole atlas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas._checks import check_whole, require
from kinatlas.errors import DTypeError, FormatError
from kinatlas.io.atomic import replaced
from kinatlas.tasks import Atlas

__all__ = ["iter_parquet", "read_parquet", "write_parquet"]

# Row groups of about this many bytes: large enough to compress and to skip, small enough to stream.
_GROUP_BYTES = 64 << 20


def write_parquet(
    atlas: Atlas, path: str | os.PathLike[str], *, row_group_tasks: int | None = None
) -> Path:
    """Write an atlas to Parquet, columns name, space, provenance and tokens, and return the path.

    Row groups are written one after the other, so an opened atlas larger than memory passes
    through. The file appears whole or not at all. bfloat16, which Parquet lacks, becomes float32.

    Raises
    ------
    OSError
        If the file cannot be written; nothing is left of it.
    DTypeError
        If ``atlas`` is no atlas of tokens.
    MissingDependencyError
        Without pyarrow and nanoarrow (extra ``dataframe``).

    Examples
    --------
    >>> import tempfile, kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 2.0]], "rte": [[0.5, 1.0], [0.0, 2.0]]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ka.io.write_parquet(atlas, f"{folder}/atlas.parquet", row_group_tasks=1)
    ...     ka.io.read_parquet(path) == atlas
    True
    """
    path = Path(path)
    if not isinstance(atlas, Atlas):
        raise DTypeError(f"atlas: got {type(atlas).__name__}, expected an Atlas of tokens")
    if row_group_tasks is not None:
        row_group_tasks = check_whole(row_group_tasks, "row_group_tasks")
    arrow, parquet = require("pyarrow", "dataframe"), require("pyarrow.parquet", "dataframe")
    each = max(1, atlas._buffer.nbytes // len(atlas))
    step = row_group_tasks or max(1, _GROUP_BYTES // each)
    with replaced(path) as file:
        schema = arrow.table(_part(atlas, 0, 1)).schema
        with parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer:
            for start in range(0, len(atlas), step):
                table = arrow.table(_part(atlas, start, start + step)).cast(schema)
                writer.write_table(table, row_group_size=step)
    return path


def iter_parquet(
    path: str | os.PathLike[str], *, space: str | None = None, **columns: Any
) -> Iterator[Atlas]:
    """Give one atlas per row group of a Parquet file; options as in ``Atlas.from_arrow``.

    Raises
    ------
    FormatError
        If the file is damaged, or a column has another type.
    MissingDependencyError
        Without pyarrow and nanoarrow (extra ``dataframe``).

    Examples
    --------
    >>> import tempfile, kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 2.0]], "rte": [[0.5, 1.0]]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ka.io.write_parquet(atlas, f"{folder}/atlas.parquet", row_group_tasks=1)
    ...     [part.names for part in ka.io.iter_parquet(path)]
    [('mnli',), ('rte',)]
    """
    with _opened(Path(path)) as file:
        for group in range(file.num_row_groups):
            with _damage_named(path):
                table = file.read_row_group(group)
            atlas: Atlas = Atlas.from_arrow(table, space=space, **columns)
            yield atlas


def read_parquet(
    path: str | os.PathLike[str], *, space: str | None = None, **columns: Any
) -> Atlas:
    """Return the atlas of a Parquet file; options as in ``Atlas.from_arrow``.

    Raises
    ------
    FormatError
        If the file is damaged, or a column has another type.
    MissingDependencyError
        Without pyarrow and nanoarrow (extra ``dataframe``).

    Examples
    --------
    >>> import tempfile, kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 2.0]]}, space="t5-base")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = ka.io.write_parquet(atlas, f"{folder}/atlas.parquet")
    ...     ka.io.read_parquet(path).space
    't5-base'
    """
    with _opened(Path(path)) as file:
        with _damage_named(path):
            table = file.read()
        atlas: Atlas = Atlas.from_arrow(table, space=space, **columns)
        return atlas


def _opened(path: Path) -> Any:
    parquet = require("pyarrow.parquet", "dataframe")
    with path.open("rb"):
        pass  # a file that cannot be opened is no damaged one
    with _damage_named(path):
        # Without checksums a flipped bit of a number would be a number.
        return parquet.ParquetFile(path, page_checksum_verification=True)


@contextmanager
def _damage_named(path: str | os.PathLike[str]) -> Iterator[None]:
    arrow = require("pyarrow", "dataframe")
    try:
        yield
    except (OSError, arrow.ArrowException) as error:
        raise FormatError(f"{path}: not a readable Parquet file: {error}") from None


def _part(atlas: Atlas, start: int, stop: int) -> Atlas:
    """Some tasks of an atlas, over the same buffer."""
    names, origins = atlas.names[start:stop], atlas.provenance[start:stop]
    bounds = atlas._offsets[start : start + len(names) + 1]
    rows = np.asarray(atlas._buffer[int(bounds[0]) : int(bounds[-1])])
    return Atlas(names, atlas.space, atlas.dtype, origins, rows, bounds - bounds[0])
