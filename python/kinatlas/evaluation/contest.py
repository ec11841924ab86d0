"""Methods brought to the same candidates, and their metric per target and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known, check_known_all, check_number, quoted
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.evaluation.lists import (
    Lists,
    by_each_seed,
    candidate_lists,
    measured_part,
    other_tasks,
    scored_cells,
)
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["BASELINES", "Contest", "Method", "entered", "metric_of", "size_matrix"]

Floats = npt.NDArray[np.float64]

#: A matrix, or one for every seed.
Method: TypeAlias = SimilarityMatrix | Mapping[Any, SimilarityMatrix]

#: Rows that every comparison has, whether or not they could be computed.
BASELINES = ("random", "data_size", "text_overlap", "oracle")


@dataclass(frozen=True)
class Contest:
    """Every method on the same lists of candidates."""

    names: tuple[str, ...]
    targets: tuple[str, ...]
    n_seeds: int
    lists: tuple[Lists, ...]
    #: Metric [n_targets, n_methods + 2, n_seeds]; last a random order and the oracle.
    cube: Floats
    #: Value, chance, best, corrected per target and over targets [n_methods, n_targets (+ 0), 4].
    per_target: Floats
    overall: Floats
    metric: int
    conventions: tuple[str, str, list[int]]
    n_missing: int


def metric_of(metric: str, gain: str, units: str) -> tuple[int, tuple[str, str, list[int]], bool]:
    """Return a metric's place, the conventions it is computed under, and whether more is better.

    Examples
    --------
    >>> metric_of("regret@5", "linear", "percent")
    (1, ('linear', 'percent', [5]), False)
    """
    name, _, cut = str(metric).partition("@")
    k = int(cut) if cut.isdecimal() and int(cut) > 0 else 1
    conventions = (gain, units, [k])
    known = _core.metric_names(conventions)
    if name in ("regret", "top") and not (cut.isdecimal() and int(cut) > 0):
        raise UnknownNameError(f"metric {metric!r} needs a cut-off of at least 1: '{name}@3'")
    place = check_known(metric, known, "metric")
    return place, conventions, name not in ("regret", "average_rank")


def entered(
    methods: Mapping[str, Method], transfer: TransferTable, metric: str, gain: str, nan_policy: str
) -> Contest:
    """Return all methods on the candidates that every one of them scores, names sorted.

    Raises as `compare_methods`.
    """
    first, table = _template(methods, transfer)
    part = measured_part(first, table)
    values = {name: _values(name, method, first, part) for name, method in methods.items()}
    shape = part.scores.shape
    scored = np.ones(shape, dtype=bool)
    for name, cube in values.items():
        try:
            scored &= scored_cells(first, np.broadcast_to(cube, shape), nan_policy)
        except NonFiniteError as error:
            raise NonFiniteError(f"method '{name}': {error}") from None
    place, conventions, _ = metric_of(metric, gain, part.units)
    runs = ~np.isnan(part.scores) & other_tasks(first)[:, :, np.newaxis]
    n_targets, _, n_seeds = shape
    names = tuple(sorted(values))
    lists = tuple(candidate_lists(values[name], part, scored, "each") for name in names)
    cube = np.full((n_targets, len(names) + 2, n_seeds), np.nan)
    per_target, overall = [], []
    for column, own in enumerate(lists):
        metrics, _ = _core.evaluate_lists(
            (own.predicted, own.measured), (own.offsets, own.baseline), conventions
        )
        cube[own.targets, column, own.seeds] = metrics[:, place, 0]
        cube[own.targets, len(names), own.seeds] = metrics[:, place, 1]
        cube[own.targets, len(names) + 1, own.seeds] = metrics[:, place, 2]
        numbers = _core.summarise_metrics(metrics, own.targets, n_targets)
        per_target.append(numbers[0][:, place])
        overall.append(numbers[1][place])
    return Contest(
        names=names,
        targets=first.targets,
        n_seeds=n_seeds,
        lists=lists,
        cube=cube,
        per_target=np.stack(per_target),
        overall=np.stack(overall),
        metric=place,
        conventions=conventions,
        n_missing=int((~scored & runs).sum()),
    )


def _template(
    methods: Mapping[str, Method], transfer: TransferTable
) -> tuple[SimilarityMatrix, TransferTable]:
    """Return a matrix with all names in sorted order, and the runs of the seeds in question."""
    first: SimilarityMatrix | None = None
    keys: dict[str, list[Any]] = {}
    for name, method in methods.items():
        if isinstance(method, Mapping):
            keys[name] = list(method)
            found, _ = by_each_seed(method, transfer, "each")
        elif isinstance(method, SimilarityMatrix):
            found = method
        else:
            raise DTypeError(
                f"method '{name}': got {type(method).__name__}, expected a SimilarityMatrix or a "
                "mapping of seed to SimilarityMatrix"
            )
        first = first or found
        for what in ("targets", "sources"):
            odd = sorted(set(getattr(first, what)) ^ set(getattr(found, what)))
            if odd:
                raise ShapeError(
                    f"method '{name}' has other {what} than '{next(iter(methods))}' ({quoted(odd)} "
                    "in one of them only); keep the common ones with .select"
                )
    if first is None:
        raise ShapeError("methods: got an empty mapping, expected at least one method")
    seeds = sorted({str(seed) for seed in transfer.seeds})
    if keys:
        name, wanted = next(iter(keys.items()))
        for other, own in keys.items():
            if set(map(str, own)) != set(map(str, wanted)):
                raise FormatError(
                    f"methods '{name}' and '{other}' have different seeds: {wanted} and {own}; "
                    "a fair comparison needs the same seeds of both"
                )
        seeds = sorted(map(str, wanted))
    ordered = first.select(targets=sorted(first.targets), sources=sorted(first.sources))
    by_label = {str(seed): seed for seed in transfer.seeds}
    places = check_known_all(seeds, list(by_label), "seed")
    return ordered, transfer.select(seeds=[list(by_label.values())[at] for at in places])


def _values(name: str, method: Method, first: SimilarityMatrix, part: TransferTable) -> Floats:
    def aligned(matrix: SimilarityMatrix) -> Floats:
        return matrix.select(targets=first.targets, sources=first.sources).values

    if isinstance(method, SimilarityMatrix):
        return aligned(method)[:, :, np.newaxis]
    by_label = {str(seed): matrix for seed, matrix in method.items()}
    return np.stack([aligned(by_label[str(seed)]) for seed in part.seeds], axis=2)


def size_matrix(sizes: Mapping[str, float], like: Method) -> SimilarityMatrix:
    """Return data sizes as the scores of all targets; raises for a source without a size.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.1, 0.2]], ["rte"], ["mnli", "qqp"], "flatten")
    >>> size_matrix({"mnli": 393_000, "qqp": 364_000}, matrix).values
    array([[393000., 364000.]])
    """
    first = next(iter(like.values())) if isinstance(like, Mapping) else like
    absent = [name for name in first.sources if name not in sizes]
    if absent:
        raise UnknownNameError(f"sizes: no size of sources {quoted(absent)}; give one for each")
    row = [
        check_number(
            sizes[name],
            f"sizes: the size of '{name}'",
            "0 or more examples",
            lambda size: size >= 0,
        )
        for name in first.sources
    ]
    return SimilarityMatrix(
        np.tile(row, (len(first.targets), 1)), first.targets, first.sources, "data_size"
    )
