"""Transfer tables: every shape they come in, what they refuse, what they export."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinatlas.errors import (
    FormatError,
    MissingDependencyError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from kinatlas.evaluation import TransferTable

LONG = {
    "target": ["rte", "rte", "mnli", "mnli"],
    "source": ["mnli", "qqp", "rte", "qqp"],
    "seed": [1, 1, 2, 2],
    "score": [71.0, 64.5, 80.0, None],
    "baseline": [60.0, 60.0, 75.0, 75.0],
}


def long_table() -> TransferTable:
    return TransferTable.from_frame(LONG)


def write(tmp_path, text, name="transfer.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_long_file_is_read_by_its_header(tmp_path):
    text = (
        "Source,step,Target,Score,SEED,baseline\n"
        "mnli,1,rte,71.0,1,60\nqqp,1,rte, 64.5,1,60\nrte,1,mnli,80.0,2,75\nqqp,1,mnli,,2,75\n"
    )
    table = TransferTable.from_csv(write(tmp_path, text))
    assert table == long_table().select(sources=["mnli", "qqp", "rte"])
    assert table.seeds == (1, 2)
    assert table.n_runs == 3
    assert table.baseline.tolist()[0][0] == 60.0


def test_a_wide_file_is_read_by_its_header(tmp_path):
    text = "target\\source,mnli,qqp,random\nrte,0.71,0.645,0.6\nmnli,0.9,nan,\n"
    table = TransferTable.from_csv(write(tmp_path, text), baseline="random")
    assert table.sources == ("mnli", "qqp")
    assert table.units == "fraction"
    np.testing.assert_array_equal(table.scores[:, :, 0], [[0.71, 0.645], [0.9, np.nan]])
    np.testing.assert_array_equal(table.baseline, [[0.6], [np.nan]])
    assert table == TransferTable.from_wide(tmp_path / "transfer.csv", baseline="random")


def test_a_wide_file_may_have_a_seed_column(tmp_path):
    text = "seed,target,mnli\n1,rte,71\n2,rte,72\nb,rte,73\n"
    table = TransferTable.from_csv(write(tmp_path, text))
    assert table.seeds == (1, 2, "b")
    assert table.scores.tolist() == [[[71.0, 72.0, 73.0]]]


def test_a_byte_order_mark_and_other_separators_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("target;mnli\nrte;71\n", encoding="utf-8-sig")
    assert TransferTable.from_csv(path, delimiter=";").targets == ("rte",)
    with pytest.raises(FormatError, match="delimiter="):
        TransferTable.from_csv(path)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_every_kind_of_frame_gives_the_same_table(make):
    assert TransferTable.from_frame(make(LONG)) == long_table()
    wide = make({"target": ["rte", "mnli"], "a": [0.5, None], "random": [0.4, 0.3]})
    table = TransferTable.from_wide(wide, baseline="random")
    assert table.targets == ("rte", "mnli")
    assert table.n_missing == 1


def test_a_pandas_index_holds_the_targets():
    frame = pd.DataFrame({"mnli": [71.0, 64.0]}, index=["rte", "qqp"])
    assert TransferTable.from_wide(frame).targets == ("rte", "qqp")
    nullable = pd.DataFrame({"target": ["rte"], "mnli": pd.array([None], dtype="Float64")})
    with pytest.raises(FormatError, match="no score was measured"):
        TransferTable.from_wide(nullable)


def test_a_measured_matrix_comes_back_as_the_same_table():
    table = TransferTable(np.array([[[0.5], [0.7]]]), ("rte",), ("mnli", "qqp"))
    assert TransferTable.from_wide(table.to_matrix().to_pandas()) == table


@pytest.mark.parametrize("frame", [7, "x.csv", pl.LazyFrame({"target": ["rte"]})])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(FormatError, match="cannot read"):
        TransferTable.from_frame(frame)


def test_frames_without_narwhals_name_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(MissingDependencyError, match=r"kinatlas\[dataframe\]"):
        TransferTable.from_frame(pd.DataFrame(LONG))
    assert long_table().n_runs == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("target,source,score\n", "is empty"),
        ("target,source,accuracy\nrte,mnli,71\n", "no 'score'"),
        ("target,mnli\nrte,71,2\n", "line 2: 3 cells, expected 2"),
        ("target,mnli\nrte,good\n", "score of source 'mnli' for target 'rte' is 'good'"),
        ("target,mnli,mnli\nrte,71,72\n", "column 'mnli' appears twice"),
        ("target,mnli\nrte,71\nrte,72\n", "listed twice, in rows 1 and 2"),
        ("target,source,score\nrte,mnli,71\nrte,mnli,\n", "listed twice"),
        ("target,mnli\nrte,\n", "no score was measured"),
        ("target,seed\nrte,1\n", "no source among the columns"),
        ("target,source,score,seed\nrte,mnli,71,\n", "seed is ''"),
        ('target,mnli\n"rte,71\n', "not a CSV file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        TransferTable.from_csv(write(tmp_path, text))


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"target,mnli\n\xff\xfe,71\n")
    with pytest.raises(FormatError, match="UTF-8"):
        TransferTable.from_csv(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError):
        TransferTable.from_csv(tmp_path / "absent.csv")


def test_an_absent_baseline_column_is_refused(tmp_path):
    path = write(tmp_path, "target,mnli\nrte,71\n")
    with pytest.raises(UnknownNameError, match="no baseline column 'random'"):
        TransferTable.from_csv(path, baseline="random")


def test_two_baselines_of_one_target_and_seed_are_refused():
    with pytest.raises(FormatError, match="target 'rte', seed 0 has two baselines, 60 and 61"):
        TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [71.0, 72.0], baseline=[60.0, 61.0])


@pytest.mark.parametrize("seed", [1.5, None, True, ""])
def test_odd_seeds_are_refused(seed):
    with pytest.raises(FormatError, match="seed is"):
        TransferTable.from_arrays(["rte"], ["a"], [71.0], seeds=[seed])


def test_columns_of_unequal_length_and_no_rows_are_refused():
    with pytest.raises(FormatError, match="2 targets, 1 sources, 1 scores"):
        TransferTable.from_arrays(["rte", "mnli"], ["a"], [71.0])
    with pytest.raises(FormatError, match="no run at all"):
        TransferTable.from_arrays([], [], [])
    with pytest.raises(UnknownNameError, match="target name 3"):
        TransferTable.from_arrays([3], ["a"], [71.0])


def test_arrays_that_do_not_fit_their_names_are_refused():
    with pytest.raises(ShapeError, match=r"expected \(1, 2, 1\)"):
        TransferTable(np.zeros((1, 2)), ("t",), ("a", "b"))
    with pytest.raises(ShapeError, match=r"baseline .* expected \(1, 1\)"):
        TransferTable(np.ones((1, 1, 1)), ("t",), ("a",), baseline=np.ones(1))
    with pytest.raises(UnknownNameError, match="seed"):
        TransferTable(np.ones((1, 1, 2)), ("t",), ("a",), seeds=(1, "1"))
    with pytest.raises(NonFiniteError, match="targets 't' hold an infinite score"):
        TransferTable(np.full((1, 1, 1), np.inf), ("t",), ("a",))


@pytest.mark.parametrize("scores", [[0.71, 71.0], [0.5, 99.0], [-0.2, 40.0], [1.0, 1.5]])
def test_mixed_units_are_refused_with_the_targets(scores):
    with pytest.raises(FormatError, match=r"mixes units: targets 'low'.*targets 'high'"):
        TransferTable.from_arrays(["low", "high"], ["a", "a"], scores)
    table = TransferTable.from_arrays(["low", "high"], ["a", "a"], scores, units="percent")
    assert table.units == "percent"


def test_units_are_decided_over_scores_and_baseline_together():
    with pytest.raises(FormatError, match="mixes units"):
        TransferTable.from_arrays(["rte"], ["a"], [71.0], baseline=[0.5])
    assert TransferTable.from_arrays(["a", "b"], ["c", "c"], [0.0, 55.0]).units == "percent"
    assert TransferTable.from_arrays(["a", "b"], ["c", "c"], [0.0, 1.0]).units == "fraction"
    with pytest.raises(FormatError, match="beyond 100"):
        TransferTable.from_arrays(["a"], ["c"], [5000.0])
    with pytest.raises(UnknownNameError, match="units='points' is unknown"):
        TransferTable.from_arrays(["a"], ["c"], [50.0], units="points")


def test_measured_matrices_average_seeds_and_keep_gaps():
    table = TransferTable(
        np.array([[[60.0, 62.0], [70.0, np.nan], [np.nan, np.nan]]]),
        ("t",),
        ("a", "b", "c"),
        (1, 2),
        baseline=np.array([[55.0, 59.0]]),
    )
    np.testing.assert_array_equal(table.to_matrix().values, [[61.0, 70.0, np.nan]])
    gains = table.to_matrix("gain")
    np.testing.assert_array_equal(gains.values, [[4.0, 15.0, np.nan]])
    assert (gains.kernel, gains.neutral) == ("measured_gain", 0.0)
    assert table.to_matrix().neutral is None
    with pytest.raises(FormatError, match="no baseline"):
        TransferTable.from_arrays(["t"], ["a"], [60.0]).to_matrix("gain")


def test_selection_keeps_units_and_order():
    table = long_table()
    part = table.select(targets=["mnli"], sources=["qqp", "rte"], seeds=[2])
    np.testing.assert_array_equal(part.scores, [[[np.nan], [80.0]]])
    assert part.baseline.tolist() == [[75.0]]
    with pytest.raises(UnknownNameError, match="seed '7' is unknown"):
        table.select(seeds=[7])
    with pytest.raises(UnknownNameError, match="source 'rt' is unknown; did you mean 'rte'"):
        table.select(sources=["rt"])


def test_self_runs_are_no_missing_runs():
    table = TransferTable(
        np.array([[[np.nan], [60.0]], [[61.0], [np.nan]]]), ("a", "b"), ("a", "b")
    )
    assert table.n_missing == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 2)),
        min_size=1,
        unique=True,
    )
)
def test_exported_runs_give_the_same_table(cells):
    targets, sources, seeds = zip(*cells, strict=True)
    scores = [2.0 + at for at in range(len(cells))]
    table = TransferTable.from_arrays(targets, sources, scores, seeds)
    for frame in (table.to_pandas(), table.to_polars(), table.to_arrow(), table.to_dict()):
        back = TransferTable.from_frame(frame)
        same = back.select(targets=table.targets, sources=table.sources, seeds=table.seeds)
        assert same == table


def test_a_table_is_frozen_pickles_and_prints_escaped():
    table = TransferTable.from_arrays(["<b>"] * 30, [f"s{at}" for at in range(30)], [60.0] * 30)
    back = pickle.loads(pickle.dumps(table))
    assert back == table
    assert not back.scores.flags.writeable
    assert long_table() != table
    assert table != "table"
    assert "<b>" not in table._repr_html_()
    assert len(repr(table).splitlines()) <= 24


def test_seeds_that_a_data_frame_wrote_with_a_point_are_whole_numbers(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("target,source,score,seed\nrte,mnli,70,1.0\nrte,mnli,71,--3\nrte,mnli,72,-2\n")
    assert TransferTable.from_csv(path).seeds == (1, "--3", -2)
    path.write_text("target,source,score,seed\nrte,mnli,70,1.0\nrte,mnli,71,1\n")
    with pytest.raises(FormatError, match="listed twice"):
        TransferTable.from_csv(path)
