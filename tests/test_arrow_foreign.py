"""Arrow data as others make them: keys of every width, parts, damage, and what is not written."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import kinatlas as ka
from kinatlas.errors import DTypeError, FormatError, ShapeError, SpaceError
from kinatlas.similarity import sketch_atlas
from strategies import gaussian_atlas, ragged_atlas
from test_blocks import low_rank_atlas

LISTS = pa.list_(pa.list_(pa.float32()))


def pooled(names: object, n_tasks: int, **columns: object) -> pa.Table:
    tokens = pa.array([[float(n), 1.0] for n in range(n_tasks)], pa.list_(pa.float32(), 2))
    return pa.table({"name": names, "tokens": tokens, **columns})


@pytest.mark.parametrize("kind", [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.int16()])
def test_keys_of_a_dictionary_may_use_every_bit(kind):
    # Keys beyond 127 would be negative in a signed byte, and name other tasks.
    known = [f"task{n}" for n in range(256)]
    keys = pa.array(range(128, 256), kind)
    names = pa.DictionaryArray.from_arrays(keys, pa.array(known))
    assert ka.Atlas.from_arrow(pooled(names, 128)).names == tuple(known[128:])


def test_enumerations_of_polars_and_duckdb_keep_their_names():
    duckdb = pytest.importorskip("duckdb")
    known = [f"task{n}" for n in range(200)]
    table = pooled(known, 200)
    frame = pl.DataFrame(table).with_columns(pl.col("name").cast(pl.Enum(known)))
    assert ka.Atlas.from_arrow(frame) == ka.Atlas.from_arrow(table)
    listed = ", ".join(f"'{name}'" for name in known)
    duckdb.register("numbered", table)
    found = duckdb.sql(f"select name::enum({listed}) as name, tokens from numbered")
    assert ka.Atlas.from_arrow(found) == ka.Atlas.from_arrow(table)


def test_keys_that_point_nowhere_are_missing_or_refused():
    keys = pa.Array.from_buffers(pa.int8(), 2, [pa.py_buffer(b"\1"), pa.py_buffer(b"\0\x7f")])
    names = pa.DictionaryArray.from_arrays(keys, pa.array(["a"]), safe=False)
    with pytest.raises(FormatError, match="row 1: got None, expected a name"):
        ka.Atlas.from_arrow(pooled(names, 2))
    for key in (b"\0\x7f", b"\0\xff"):
        keys = pa.Array.from_buffers(pa.int8(), 2, [None, pa.py_buffer(key)])
        names = pa.DictionaryArray.from_arrays(keys, pa.array(["a"]), safe=False)
        with pytest.raises(FormatError, match="a dictionary of 1 texts has no key"):
            ka.Atlas.from_arrow(pooled(names, 2))


def test_what_is_wrong_in_a_later_batch_is_named_by_its_task():
    def chunks(second: object) -> pa.Table:
        tokens = [pa.array([[[1.0, 2.0]]], LISTS), pa.array([second], LISTS)]
        return pa.table(
            {"name": pa.chunked_array([["a"], ["b"]]), "tokens": pa.chunked_array(tokens)}
        )

    with pytest.raises(FormatError, match="task 'b' is null"):
        ka.Atlas.from_arrow(chunks(None))
    with pytest.raises(ShapeError, match="task 'b' has no token"):
        ka.Atlas.from_arrow(chunks([]))
    with pytest.raises(FormatError, match="coordinate 1 of token 0 of task 'b' is null"):
        ka.Atlas.from_arrow(chunks([[1.0, None]]))


def test_rows_that_are_null_as_a_whole_are_not_read():
    table = pooled(["a", "b"], 2)
    columns = [column.chunk(0) for column in table.columns]
    mask = pa.array([False, True])
    rows = pa.StructArray.from_arrays(columns, names=table.column_names, mask=mask)
    with pytest.raises(FormatError, match="row 1 as a whole is null"):
        ka.Atlas.from_arrow(rows)
    assert ka.Atlas.from_arrow(rows.slice(0, 1)).names == ("a",)


def test_two_columns_of_one_name_are_refused():
    table = pooled(["a"], 1).append_column("name", pa.array(["b"]))
    with pytest.raises(FormatError, match="2 columns have the name 'name'"):
        ka.Atlas.from_arrow(table)


@pytest.mark.parametrize("space", ["", 5])
def test_a_space_is_a_text_that_says_something(space):
    with pytest.raises(SpaceError, match="non-empty"):
        ka.Atlas.from_arrow(pooled(["a"], 1), space=space)
    with pytest.raises(SpaceError, match="non-empty"):
        ka.Atlas.from_arrow(pooled(["a"], 1, space=[""]))


def test_numbers_that_are_not_aligned_are_copied():
    raw = np.arange(4, dtype=np.float32).tobytes()
    numbers = pa.Array.from_buffers(pa.float32(), 4, [None, pa.py_buffer(b"\0" + raw).slice(1)])
    table = pa.table({"name": ["a", "b"], "tokens": pa.FixedSizeListArray.from_arrays(numbers, 2)})
    atlas = ka.Atlas.from_arrow(table)
    assert atlas._buffer.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert ka.similarity_matrix(atlas, kernel="max_pairwise").values.shape == (2, 2)


def test_a_requested_schema_is_a_wish():
    atlas = ragged_atlas()
    wish = pa.schema([("name", pa.large_string())]).__arrow_c_schema__()
    matrix = ka.similarity_matrix(atlas, kernel="max_pairwise")
    sketches = sketch_atlas(atlas, kernel="mean_pairwise", n_features=4, rng=0)
    for lender in (atlas, matrix, sketches):
        capsule = lender.__arrow_c_stream__(wish)
        found = pa.RecordBatchReader._import_from_c_capsule(capsule).read_all()
        assert found == pa.table(lender)


def test_a_flipped_bit_in_parquet_is_found(tmp_path):
    path = ka.io.write_parquet(gaussian_atlas(20, n_tokens=20, dim=16), tmp_path / "a.parquet")
    group = parquet.ParquetFile(path).metadata.row_group(0)
    place = group.column(group.num_columns - 1).data_page_offset + 4000
    contents = bytearray(path.read_bytes())
    contents[place] ^= 1
    path.write_bytes(contents)
    for read in (ka.io.read_parquet, lambda path: list(ka.io.iter_parquet(path))):
        with pytest.raises(FormatError, match=r"a\.parquet: not a readable Parquet file"):
            read(path)
    with pytest.raises(FileNotFoundError):
        ka.io.read_parquet(tmp_path / "none.parquet")


@pytest.mark.parametrize("n_tasks", [0, -1, 1.5, "2", True])
def test_row_groups_hold_a_whole_number_of_tasks(tmp_path, n_tasks):
    with pytest.raises(ValueError, match="row_group_tasks="):
        ka.io.write_parquet(gaussian_atlas(2), tmp_path / "a.parquet", row_group_tasks=n_tasks)


def test_what_is_no_atlas_of_tokens_has_no_parquet_file(tmp_path):
    for wrong in (None, low_rank_atlas(2)):
        with pytest.raises(DTypeError, match="expected an Atlas of tokens"):
            ka.io.write_parquet(wrong, tmp_path / "a.parquet")
    assert not any(tmp_path.iterdir())
