"""Results of the two studies behind this room, bundled as small tables.

``small_single`` and ``small_mixture``: a transformer of 84,624 weights trained on one retrieval
task a sequence, and the same one trained on mixtures (three seeds). ``smollm2_*``:
SmolLM2-135M-Instruct, forward only. The scripts that made them are in
``notebooks/studies/superposition_*``.
"""

from __future__ import annotations

import csv
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_known
from kinatlas.errors import FormatError, UnknownNameError
from kinatlas.superposition.record import SuperpositionRecord

__all__ = ["load_study", "load_study_states", "load_study_table", "study_names"]

_TABLES = ("small_bands", "small_hidden", "small_sweep", "smollm2_single")


def study_names() -> tuple[str, ...]:
    """Return the names of the bundled records.

    Examples
    --------
    >>> "small_single" in study_names()
    True
    """
    files = sorted(path.name for path in _folder().iterdir())
    records = (name for name in files if name.endswith(".npz") and "_states" not in name)
    return tuple(name.removesuffix(".npz") for name in records)


def load_study(name: str, *, seed: int = 0) -> SuperpositionRecord:
    """Return a bundled record: every prompt of a study, with its answers' log-probabilities.

    Parameters
    ----------
    name
        One of ``study_names()``.
    seed
        Which training run, where a study has several.

    Raises
    ------
    UnknownNameError
        For other names.
    FormatError
        For a seed the study does not have.

    Examples
    --------
    >>> load_study("small_single").tasks
    ('first', 'second', 'third')
    """
    check_known(name, study_names(), "study")
    data = _arrays(f"{name}.npz")
    n_seeds = len(data["log_probabilities"])
    if not 0 <= seed < n_seeds:
        raise FormatError(f"study '{name}': seed {seed}, expected 0 to {n_seeds - 1}")
    logs = data["log_probabilities"][seed].astype(np.float64)
    order = data["order"][seed].astype(np.int64)
    tasks = tuple(data["tasks"].tolist())
    counts = (order[:, :, None] == np.arange(len(tasks))).sum(axis=1)
    labels = data["conditions"][data["condition"]]
    return SuperpositionRecord(
        np.minimum(logs, 0.0), counts, tasks, condition=labels, query=data["query"], order=order
    )


def load_study_states(name: str) -> dict[str, npt.NDArray[np.float64]]:
    """Return hidden states of a study by set name, each [n_prompts, dim] (first seed).

    ``pure first``, ``pure second``, ... are single-task prompts, ``mixture 02/12`` ... mixed ones.
    ``patched`` [n_layers, n_sets, n_prompts] and ``bare`` [n_prompts] are the answer's probability
    with the task vector patched in and without, as `best_layer` takes them; the sets of tokens are
    ``separator``, ``letters`` and ``query``.

    Raises
    ------
    UnknownNameError
        For a study without bundled states.

    Examples
    --------
    >>> states = load_study_states("small_mixture")
    >>> states["pure first"].ndim, states["patched"].shape[:2]
    (2, (3, 3))
    """
    data = _arrays(f"{name}_states.npz")
    return {key: values.astype(np.float64) for key, values in data.items()}


def load_study_table(name: str) -> dict[str, list[Any]]:
    """Return a bundled table as columns; numbers are floats.

    Parameters
    ----------
    name
        ``small_bands``, ``small_hidden``, ``small_sweep`` or ``smollm2_single``.

    Raises
    ------
    UnknownNameError
        For other names.

    Examples
    --------
    >>> "seed" in load_study_table("small_hidden")
    True
    """
    check_known(name, _TABLES, "table")
    text = _folder().joinpath(f"{name}.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    return {column: [_number(row[column]) for row in rows] for column in rows[0]}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _folder() -> Any:
    return resources.files("kinatlas") / "data" / "superposition"


def _arrays(name: str) -> dict[str, npt.NDArray[Any]]:
    path = _folder().joinpath(name)
    if not path.is_file():
        raise UnknownNameError(f"study file '{name}' is not bundled; see study_names()")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return {key: data[key] for key in data.files}
