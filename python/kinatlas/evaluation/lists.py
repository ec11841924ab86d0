"""Predictions and runs laid end to end: one list of candidates per target and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import quoted
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = [
    "Lists",
    "by_each_seed",
    "candidate_lists",
    "measured_part",
    "other_tasks",
    "scored_cells",
]


@dataclass(frozen=True)
class Lists:
    """Candidates end to end; list ``i`` owns ``offsets[i]`` to ``offsets[i + 1]``."""

    predicted: npt.NDArray[np.float64]
    measured: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    baseline: npt.NDArray[np.float64]
    targets: npt.NDArray[np.int64]
    seeds: list[int]
    #: Number of each candidate's source.
    sources: npt.NDArray[np.int64]


def candidate_lists(
    values: npt.NDArray[np.float64],
    part: TransferTable,
    scored: npt.NDArray[np.bool_],
    seeds: str,
) -> Lists:
    """Return the scored and measured candidates of ``values`` [n_targets, n_sources, n_seeds]."""
    cube, baseline = part.scores, part.baseline
    if baseline is None:
        baseline = np.full((cube.shape[0], cube.shape[2]), np.nan)
    if seeds == "mean":
        cube = _core.seed_means(cube)[:, :, np.newaxis]
        baseline = _core.seed_means(baseline[:, np.newaxis, :])
    used = scored & ~np.isnan(cube)
    values = np.broadcast_to(values, cube.shape)
    places = [(int(target), int(seed)) for target, seed in np.argwhere(used.any(axis=1))]
    predicted = [values[target, used[target, :, seed], seed] for target, seed in places]
    measured = [cube[target, used[target, :, seed], seed] for target, seed in places]
    ends = np.cumsum([len(column) for column in measured], dtype=np.int64)
    return Lists(
        predicted=np.concatenate([*predicted, np.empty(0)]),
        measured=np.concatenate([*measured, np.empty(0)]),
        offsets=np.concatenate([np.zeros(1, dtype=np.int64), ends]),
        baseline=np.array([baseline[place] for place in places], dtype=np.float64),
        targets=np.array([target for target, _ in places], dtype=np.int64),
        seeds=[seed for _, seed in places],
        sources=np.concatenate(
            [*(np.flatnonzero(used[target, :, seed]) for target, seed in places), []]
        ).astype(np.int64),
    )


def measured_part(matrix: SimilarityMatrix, transfer: TransferTable) -> TransferTable:
    """Return the runs of the matrix's targets and sources; raises `UnknownNameError`."""
    _check_listed("source", "sources", matrix.sources, transfer.sources)
    _check_listed("target", "targets", matrix.targets, transfer.targets)
    return transfer.select(targets=matrix.targets, sources=matrix.sources)


def _check_listed(kind: str, argument: str, wanted: Sequence[str], listed: Sequence[str]) -> None:
    known = set(listed)
    absent = [name for name in wanted if name not in known]
    if absent:
        raise UnknownNameError(
            f"{kind}s {quoted(absent)} of the matrix are not in the transfer table, which has "
            f"{quoted(listed)}; evaluate the measured part: matrix.select({argument}=[...]), or "
            "rename them to match"
        )


def other_tasks(matrix: SimilarityMatrix) -> npt.NDArray[np.bool_]:
    """Return where a source is not the target itself [n_targets, n_sources]."""
    found: npt.NDArray[np.bool_] = np.not_equal.outer(
        np.array(matrix.targets), np.array(matrix.sources)
    )
    return found


def scored_cells(
    matrix: SimilarityMatrix, values: npt.NDArray[np.float64], nan_policy: str
) -> npt.NDArray[np.bool_]:
    """Return which cells are candidates; raises `NonFiniteError` for a missing score."""
    others = other_tasks(matrix)[:, :, np.newaxis]
    missing = np.isnan(values) & others
    if missing.any() and nan_policy == "raise":
        target, source, _ = np.argwhere(missing)[0]
        raise NonFiniteError(
            f"the matrix has no score of source '{matrix.sources[source]}' for target "
            f"'{matrix.targets[target]}' ({int(missing.sum())} scores are missing); "
            "nan_policy='omit' leaves such candidates out and counts them"
        )
    scored: npt.NDArray[np.bool_] = others & ~missing
    return scored


def by_each_seed(
    by_seed: Mapping[Any, SimilarityMatrix], transfer: TransferTable, seeds: str
) -> tuple[SimilarityMatrix, TransferTable]:
    """Return the first matrix and the runs of the mapping's seeds, all matrices alike."""
    if not by_seed:
        raise ShapeError("matrix: got an empty mapping, expected at least one seed's matrix")
    if seeds == "mean":
        raise FormatError(
            "seeds='mean' averages runs over seeds, but every seed has a matrix of its own; "
            "use seeds='each', or one matrix"
        )
    for seed, found in by_seed.items():
        if not isinstance(found, SimilarityMatrix):
            raise DTypeError(
                f"matrix of seed {seed!r}: got {type(found).__name__}, expected a SimilarityMatrix"
            )
    first_seed, first = next(iter(by_seed.items()))
    for seed, other in by_seed.items():
        for what in ("targets", "sources", "kernel"):
            if getattr(first, what) != getattr(other, what):
                raise ShapeError(
                    f"the matrices of seeds {first_seed} and {seed} have different {what}: "
                    f"{getattr(first, what)!r} and {getattr(other, what)!r}"
                )
    return first, transfer.select(seeds=by_seed)
