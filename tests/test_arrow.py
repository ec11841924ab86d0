"""Arrow both ways: exact, in place where the protocol allows, and clear about what does not fit."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace

import nanoarrow
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas.errors import FormatError, NonFiniteError, ShapeError, SpaceError, UnknownNameError
from kinatlas.tasks import Provenance
from strategies import gaussian_atlas, ragged_atlas


def described(dtype: str = "float32") -> ka.Atlas:
    rng = np.random.default_rng(1)
    arrays = {f"t{n}": rng.normal(size=(n + 1, 3)).astype(dtype) for n in range(4)}
    known = {"t1": Provenance(base_model="t5", seed=3, notes=("a", "b")), "t2": Provenance(step=0)}
    return ka.Atlas.from_arrays(arrays, space="t5-base", provenance=known)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("reader", [pa.table, pl.DataFrame, nanoarrow.ArrayStream])
def test_an_atlas_comes_back_equal_in_every_bit(reader, dtype):
    atlas = described(dtype)
    assert ka.Atlas.from_arrow(reader(atlas)) == atlas


def test_nothing_is_copied_on_the_way_out_and_back():
    atlas = described()
    table = pa.table(atlas)
    lent = table.column("tokens").chunk(0).values.values.buffers()[1]
    assert lent.address == address(atlas._buffer)
    assert address(ka.Atlas.from_arrow(table)._buffer) == address(atlas._buffer)


def test_lent_memory_outlives_the_atlas_it_came_from():
    expected = gaussian_atlas(40, n_tokens=50, dim=64, dtype="float32")
    table = pa.table(gaussian_atlas(40, n_tokens=50, dim=64, dtype="float32"))
    again = ka.Atlas.from_arrow(table)
    del table
    gc.collect()
    rubbish = [np.ones((2000, 64), dtype=np.float32) for _ in range(20)]
    assert again == expected, len(rubbish)
    assert not again._buffer.flags.writeable


def test_the_schema_is_that_of_a_multivector_column():
    schema = pa.table(described("float16")).schema
    assert schema.field("tokens").type == pa.list_(pa.list_(pa.float16(), 3))
    assert schema.names == ["name", "space", "provenance", "tokens"]


def test_duckdb_and_pandas_take_and_give_atlases():
    duckdb = pytest.importorskip("duckdb")
    atlas = described("float64")
    table = pa.table(atlas)
    duckdb.register("tasks", table)
    assert ka.Atlas.from_arrow(duckdb.sql("select * from tasks")) == atlas
    longer = duckdb.sql("select * from tasks where len(tokens) > 2").to_arrow_table()
    assert ka.Atlas.from_arrow(longer) == atlas.select(["t2", "t3"])
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert ka.Atlas.from_arrow(frame) == atlas


def test_parts_and_slices_of_tables_are_read_where_they_lie():
    atlas = described()
    table = pa.table(atlas)
    assert ka.Atlas.from_arrow(table.slice(1, 2)) == atlas.select(["t1", "t2"])
    assert ka.Atlas.from_arrow(pa.concat_tables([table.slice(2), table.slice(0, 2)])) == (
        atlas.select(["t2", "t3", "t0", "t1"])
    )
    struct = table.to_batches()[0].to_struct_array().slice(1, 2)
    assert struct.offset == 1
    assert ka.Atlas.from_arrow(struct) == atlas.select(["t1", "t2"])
    assert ka.Atlas.from_arrow(pl.DataFrame(atlas)[1:3]) == atlas.select(["t1", "t2"])
    assert ka.Atlas.from_arrow(table.to_batches()[0]) == atlas


@settings(max_examples=25)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=7), st.integers(1, 5), st.integers(1, 4))
def test_any_ragged_atlas_survives_any_chunking(lengths, dim, step):
    rng = np.random.default_rng(len(lengths))
    atlas = ka.Atlas.from_arrays(
        {f"t{at}": rng.normal(size=(count, dim)) for at, count in enumerate(lengths)}
    )
    table = pa.table(atlas)
    chunks = [table.slice(start, step) for start in range(0, len(lengths), step)]
    assert ka.Atlas.from_arrow(pa.concat_tables(chunks)) == atlas


def test_a_hundred_thousand_tasks_pass_in_place():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, 100_000)
    offsets = np.cumsum([0, *counts], dtype=np.int64)
    buffer = rng.normal(size=(int(offsets[-1]), 4)).astype(np.float32)
    names = tuple(f"adapter/{n}" for n in range(len(counts)))
    atlas = ka.Atlas(names, "t5", "float32", (Provenance(),) * len(names), buffer, offsets)
    table = pa.table(atlas)
    again = ka.Atlas.from_arrow(table)
    assert again == atlas
    assert address(again._buffer) == address(buffer)


def test_names_are_read_however_texts_are_stored():
    atlas = described()
    table = pa.table(atlas)
    long = ["short", "x" * 13, "", "a name that is longer than what a view holds"]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        names = pa.array([name or "empty" for name in long]).cast(kind)
        found = ka.Atlas.from_arrow(table.set_column(0, "name", names).slice(1))
        assert found.names == ("x" * 13, "empty", long[3])
    coded = pa.array(["u", "v", "w", "z"]).dictionary_encode()
    spaces = pa.array(["t5", "t5", None, "t5"]).dictionary_encode()
    again = table.set_column(0, "name", coded).set_column(1, "space", spaces)
    assert ka.Atlas.from_arrow(again.slice(2)).names == ("w", "z")
    assert ka.Atlas.from_arrow(again).space == "t5"


def test_one_token_a_task_and_lists_of_lists_are_accepted():
    pooled = pa.table(
        {"name": ["a", "b"], "tokens": pa.array([[1.0, 2], [3, 4]], pa.list_(pa.float32(), 2))}
    )
    assert ka.Atlas.from_arrow(pooled).n_tokens == (1, 1)
    nested = pl.DataFrame({"task": ["a", "b"], "rows": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]})
    found = ka.Atlas.from_arrow(nested, name="task", tokens="rows", space="t5")
    assert (found.n_tokens, found.space, found.dtype) == ((1, 2), "t5", "float64")
    assert np.array_equal(found["b"].tokens, [[3.0, 4.0], [5.0, 6.0]])


def test_bfloat16_leaves_as_the_same_values_in_float32():
    stored = np.array([[0x3F80, 0xC020]], dtype=np.uint16)
    atlas = replace(ka.Atlas.from_arrays({"a": [[1.0, 2.0]]}), dtype="bfloat16", _buffer=stored)
    again = ka.Atlas.from_arrow(pa.table(atlas))
    assert again.dtype == "float32"
    assert again["a"].tokens.tolist() == [[1.0, -2.5]]


FSL = pa.list_(pa.list_(pa.float32(), 2))


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"name": ["a"]}, UnknownNameError, "column 'tokens' is unknown"),
        ({"tokens": pa.array([[[1, 2]]], FSL)}, UnknownNameError, "column 'name' is unknown"),
        ({"name": ["a"], "tokens": ["x"]}, FormatError, "type is string, expected a list"),
        ({"name": ["a"], "tokens": [[[1, 2]]]}, FormatError, "numbers are int64, expected float16"),
        (
            {"name": ["a", "b"], "tokens": pa.array([[[1, 2]], None], FSL)},
            FormatError,
            "column 'tokens': task 'b' is null, 1 in all",
        ),
        (
            {"name": ["a"], "tokens": pa.array([[[1, 2], None]], FSL)},
            FormatError,
            "token 1 of task 'a' is null",
        ),
        (
            {"name": ["a", "b"], "tokens": pa.array([[[1, 2]], [[1, 2], [1, None]]], FSL)},
            FormatError,
            "coordinate 1 of token 1 of task 'b' is null",
        ),
        (
            {"name": pa.array([None], pa.string()), "tokens": pa.array([[[1, 2]]], FSL)},
            FormatError,
            "row 0: got None",
        ),
        (
            {"name": [1], "tokens": pa.array([[[1, 2]]], FSL)},
            FormatError,
            "column 'name': the type is int64, expected string",
        ),
        (
            {"name": ["a", "b"], "tokens": pa.array([[[1, 2]], []], FSL)},
            ShapeError,
            "task 'b' has no token",
        ),
        (
            {"name": ["a", "b"], "tokens": [[[1.0, 2]], [[1.0]]]},
            ShapeError,
            "token 0 of task 'b' has 1",
        ),
        ({"name": ["a", "a"], "tokens": [[[1.0]], [[1.0]]]}, UnknownNameError, "more than once"),
        ({"name": ["a"], "tokens": [[[float("nan")]]]}, NonFiniteError, "task 'a': token 0"),
        (
            {"name": ["a", "b"], "tokens": [[[1.0]], [[1.0]]], "space": ["x", "y"]},
            SpaceError,
            "2 spaces",
        ),
        (
            {"name": ["a"], "tokens": [[[1.0]]], "provenance": ["{"]},
            FormatError,
            "row 0: '{' is no",
        ),
        ({"name": pa.array([], pa.string()), "tokens": pa.array([], FSL)}, ShapeError, "no row"),
    ],
)
def test_what_does_not_fit_is_named(columns, error, message):
    with pytest.raises(error, match=message):
        ka.Atlas.from_arrow(pa.table(columns))


def test_other_objects_and_other_spaces_are_refused():
    with pytest.raises(FormatError, match="got list, expected Arrow data"):
        ka.Atlas.from_arrow([1.0])
    with pytest.raises(FormatError, match="one column"):
        ka.Atlas.from_arrow(pa.array([1.0]))
    with pytest.raises(SpaceError, match="not in 'other'"):
        ka.Atlas.from_arrow(pa.table(described()), space="other")


def test_results_are_tidy_tables():
    matrix = ka.similarity_matrix(ragged_atlas(), kernel="max_pairwise")
    table = pa.table(matrix)
    assert table.column_names == ["target", "source", "score"]
    lent = table.column("score").chunk(0)
    assert lent.buffers()[1].address == address(matrix.values)
    rows = table.to_pylist()
    assert len(rows) == 25
    for row in rows:
        place = matrix.sources.index(row["source"])
        assert row["score"] == matrix.row(row["target"])[place]
    ranking = ka.rank_sources(matrix, "task0")
    assert pl.DataFrame(ranking)["source"].to_list() == list(ranking.sources)
    rows = [(t, s) for t in matrix.targets for s in matrix.sources]
    scores = 60 + 20 * np.random.default_rng(0).random(len(rows))
    truth = ka.TransferTable.from_arrays(*zip(*rows, strict=True), scores)
    result = ka.evaluate(matrix, truth)
    assert pa.table(result).num_rows == len(result.targets)


def test_parquet_comes_back_exact_in_row_groups_and_streams(tmp_path):
    for dtype in ("float16", "float32", "float64"):
        atlas = described(dtype)
        path = ka.io.write_parquet(atlas, tmp_path / f"{dtype}.parquet", row_group_tasks=2)
        assert parquet.ParquetFile(path).num_row_groups == 2
        assert ka.io.read_parquet(path) == atlas
        parts = list(ka.io.iter_parquet(path))
        assert [part.names for part in parts] == [("t0", "t1"), ("t2", "t3")]
        assert ka.Atlas.stack(parts) == atlas
        opened = ka.io.open_atlas(ka.save_atlas(atlas, tmp_path / f"{dtype}.safetensors"))
        assert ka.io.read_parquet(ka.io.write_parquet(opened, path)) == atlas
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(FormatError, match=r"x\.parquet: not a readable Parquet file"):
        ka.io.read_parquet(tmp_path / "x.parquet")


def test_lancedb_takes_an_atlas_as_a_multivector_table(tmp_path):
    lancedb = pytest.importorskip("lancedb")
    for dtype in ("float16", "float32"):
        atlas = described(dtype)
        table = lancedb.connect(tmp_path / dtype).create_table("atlas", pa.table(atlas))
        assert ka.Atlas.from_arrow(table.to_arrow()) == atlas
    found = table.search(atlas["t2"].tokens, vector_column_name="tokens").distance_type("cosine")
    assert found.limit(1).to_arrow()["name"].to_pylist() == ["t2"]


def test_neither_pyarrow_nor_nanoarrow_is_loaded_before_it_is_asked_for():
    code = "import sys, kinatlas; print(sorted({'pyarrow', 'nanoarrow'} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n"
    code = (
        "import kinatlas as ka, polars as pl, sys\n"
        "atlas = ka.Atlas.from_arrays({'a': [[1.0, 2.0]]})\n"
        "ka.Atlas.from_arrow(pl.DataFrame(atlas)); print('pyarrow' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"
