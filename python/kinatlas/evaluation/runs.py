"""Measured runs, one a row, gathered into arrays; a run that is not listed is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas.errors import FormatError, UnknownNameError

__all__ = ["Column", "Gathered", "Seed", "gather", "number", "seed_label"]

#: A whole number, or a text that is not one.
Seed: TypeAlias = int | str
#: One cell a run.
Column: TypeAlias = Sequence[Any] | npt.NDArray[Any]

_WHOLE = re.compile(r"(-?[0-9]+)(\.0*)?")
_MISSING = {"", "-", "na", "n/a", "nan", "none", "null"}


@dataclass(frozen=True)
class Gathered:
    """Scores [n_targets, n_sources, n_seeds] and baseline [n_targets, n_seeds], with names."""

    scores: npt.NDArray[np.float64]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[Seed, ...]
    baseline: npt.NDArray[np.float64] | None


def gather(
    targets: Column,
    sources: Column,
    scores: Column,
    seeds: Column | None = None,
    baseline: Column | None = None,
) -> Gathered:
    """Return the arrays of runs given as columns of equal length, names as they first appear.

    Raises `FormatError` for columns of unequal length, no run, a run listed twice, a score that
    is no number, and for two baselines of one target and seed.

    Examples
    --------
    >>> gather(["rte", "rte"], ["mnli", "qqp"], [0.7, ""]).scores[0, :, 0]
    array([0.7, nan])
    """
    columns: dict[str, Column] = {"targets": targets, "sources": sources, "scores": scores}
    columns |= {} if seeds is None else {"seeds": seeds}
    columns |= {} if baseline is None else {"baseline": baseline}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise FormatError(f"transfer table: got {found}, expected one of each for every run")
    if not len(scores):
        raise FormatError("transfer table: no run at all, expected at least one row")
    target_of = _Places("target", targets)
    source_of = _Places("source", sources)
    labels = [0] * len(scores) if seeds is None else [seed_label(seed) for seed in seeds]
    seed_of = _Places("seed", labels)
    shape = (len(target_of.names), len(source_of.names), len(seed_of.names))
    cube = np.full(shape, np.nan)
    rows: dict[tuple[int, int, int], int] = {}
    cells = zip(target_of.places, source_of.places, seed_of.places, strict=True)
    for row, (cell, score) in enumerate(zip(cells, scores, strict=True)):
        if cell in rows:
            raise FormatError(
                f"transfer table: target '{targets[row]}', source '{sources[row]}', seed "
                f"{labels[row]!r} is listed twice, in rows {rows[cell] + 1} and {row + 1} "
                "(counting runs from 1); keep one, or tell them apart by a seed column"
            )
        rows[cell] = row
        cube[cell] = number(score, f"score of source '{sources[row]}' for target '{targets[row]}'")
    return Gathered(
        scores=cube,
        targets=target_of.names,
        sources=source_of.names,
        seeds=seed_of.names,
        baseline=None if baseline is None else _baselines(target_of, seed_of, baseline),
    )


class _Places:
    """Names in order of first appearance, and the place of every row's name."""

    def __init__(self, kind: str, column: Column) -> None:
        found: dict[Any, int] = {}
        self.places = [found.setdefault(name, len(found)) for name in column]
        for name in found:
            if kind != "seed" and (not isinstance(name, str) or not name):
                raise UnknownNameError(
                    f"transfer table: {kind} name {name!r} is not a non-empty text"
                )
        self.names: tuple[Any, ...] = tuple(found)


def _baselines(target_of: _Places, seed_of: _Places, column: Column) -> npt.NDArray[np.float64]:
    result = np.full((len(target_of.names), len(seed_of.names)), np.nan)
    for target, seed, value in zip(target_of.places, seed_of.places, column, strict=True):
        name = target_of.names[target]
        found = number(value, f"baseline of target '{name}'")
        known = result[target, seed]
        if not np.isnan(known) and not np.isnan(found) and known != found:
            raise FormatError(
                f"transfer table: target '{name}', seed {seed_of.names[seed]!r} has two "
                f"baselines, {known:g} and {found:g}; expected one score without transfer"
            )
        if not np.isnan(found):
            result[target, seed] = found
    return result


def number(value: Any, where: str) -> float:
    """Return a cell as a number; empty cells and the usual words for missing become NaN.

    Examples
    --------
    >>> number("0.5", "cell"), number("", "cell")
    (0.5, nan)
    """
    if value is None or type(value).__name__ == "NAType":
        return float("nan")
    if isinstance(value, str) and value.strip().lower() in _MISSING:
        return float("nan")
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise FormatError(
            f"transfer table: {where} is {value!r}, expected a number, or an empty cell where "
            "the run is missing"
        ) from None


def seed_label(seed: Any) -> Seed:
    """Return a seed as a whole number where it is one, else as its text.

    Examples
    --------
    >>> seed_label("42"), seed_label(42.0), seed_label("42.0"), seed_label("a")
    (42, 42, 42, 'a')
    """
    if isinstance(seed, str) and seed.strip():
        text = seed.strip()
        # A column with one empty cell makes data frames write 1 as 1.0.
        whole = _WHOLE.fullmatch(text)
        return int(whole[1]) if whole else text
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return int(seed)
    if isinstance(seed, float | np.floating) and float(seed).is_integer():
        return int(seed)
    raise FormatError(f"transfer table: seed is {seed!r}, expected a whole number or a text")
