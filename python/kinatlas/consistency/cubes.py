"""Seeds of a table or of matrices as one cube, without a task as its own source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.errors import DTypeError, FormatError
from kinatlas.evaluation import TransferTable
from kinatlas.selection.seeds import stack_seeds
from kinatlas.similarity import SimilarityMatrix

__all__ = ["Cube", "Seeds", "over_targets", "seed_cube"]

Floats: TypeAlias = npt.NDArray[np.float64]

#: Measured runs of several seeds, or one matrix a seed.
Seeds: TypeAlias = TransferTable | Mapping[Any, SimilarityMatrix]


@dataclass(frozen=True)
class Cube:
    """Scores [n_targets, n_sources, n_seeds] with sorted names, NaN where missing or self."""

    values: Floats
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    what: str
    units: str

    @property
    def n_seeds(self) -> int:
        """Seeds on the last axis."""
        return int(self.values.shape[2])

    def table(self, target: int) -> Floats:
        """Return the sources [n_seeds, n_sources] that every seed of a target measured.

        Seeds without any run of the target are left out.
        """
        own, complete = self._complete(target)
        return np.ascontiguousarray(own[complete].T)

    def measured(self, target: int) -> tuple[str, ...]:
        """Return the names of the columns of ``table``."""
        _, complete = self._complete(target)
        return tuple(name for name, kept in zip(self.sources, complete, strict=True) if kept)

    def _complete(self, target: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        own = self.values[target][:, ~np.isnan(self.values[target]).all(axis=0)]
        return own, ~np.isnan(own).any(axis=1)


def seed_cube(seeds: Seeds, *, fewest: int = 2) -> Cube:
    """Return the cube, names sorted so that the caller's order changes no bit.

    Raises `DTypeError` for anything else, and `FormatError` below ``fewest`` seeds: with one seed
    nothing can be said, and nothing is invented.
    """
    if isinstance(seeds, TransferTable):
        targets, sources = sorted(seeds.targets), sorted(seeds.sources)
        table = seeds.select(targets=targets, sources=sources, seeds=sorted(seeds.seeds, key=str))
        values, what, units = table.scores.copy(), "measured transfer", table.units
    elif isinstance(seeds, Mapping):
        cube = stack_seeds(seeds)
        template = cube.template
        targets, sources = sorted(template.targets), sorted(template.sources)
        rows = [template.targets.index(name) for name in targets]
        columns = [template.sources.index(name) for name in sources]
        flat = cube.values.reshape(*cube.values.shape[:2], -1)
        values, what, units = flat[np.ix_(rows, columns)], f"'{template.kernel}'", "score"
    else:
        raise DTypeError(
            f"seeds: got {type(seeds).__name__}, expected a TransferTable with seeds, or a mapping "
            "of seed to SimilarityMatrix"
        )
    if values.shape[2] < fewest:
        raise FormatError(
            f"{what} has {values.shape[2]} seed, and consistency needs {fewest}: measure again "
            "with another seed; from one run nothing can be said about the next"
        )
    values[np.equal.outer(np.array(targets), np.array(sources))] = np.nan
    return Cube(values, tuple(targets), tuple(sources), what, units)


def over_targets(
    numbers: Floats,
    confidence: float,
    n_replicates: int,
    rng: Rng,
    n_threads: int | None,
    intervals: Sequence[str] | str = "expanded",
) -> Floats:
    """Return mean, low and high [n_columns, 3] of ``numbers`` [n_targets, n_columns], NaN left out.

    Bootstrap over targets with expanded percentiles; columns stay paired. ``intervals`` may name
    another interval, or one a column.
    """
    n_replicates = check_sampling(confidence, n_replicates, "n_replicates")[1]
    cube = np.ascontiguousarray(numbers[:, :, np.newaxis])
    strata = np.zeros(len(numbers), dtype=np.int64)
    drawn = _core.resample_means(
        cube, ("targets", strata, seed_of(rng)), (0, n_replicates), n_threads
    )
    n_columns = numbers.shape[1]
    names = np.array([intervals] * n_columns if isinstance(intervals, str) else intervals)
    found = np.full((n_columns, 3), np.nan)
    for name in dict.fromkeys(names.tolist()):
        own = np.flatnonzero(names == name)
        columns = [(int(column), -1) for column in own]
        found[own] = _core.mean_intervals(cube, drawn, columns, name, confidence)
    return found
