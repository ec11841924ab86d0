"""Matrices of several seeds as one cube, and which seeds count as independent."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice
from kinatlas.errors import DTypeError, FormatError, ShapeError
from kinatlas.similarity import SimilarityMatrix

__all__ = ["SEED_UNITS", "SeedCube", "stack_seeds"]

#: What is independent of what when matrices are keyed by seed.
SEED_UNITS = ("auto", "seeds", "source_seeds", "target_seeds", "both_seeds")


@dataclass(frozen=True)
class SeedCube:
    """Scores [n_targets, n_sources, n_first, n_second] over seeds, with their names.

    ``first`` are the seeds that count as independent (``second`` has one place unless both kinds
    do); ``unit`` names them.
    """

    values: npt.NDArray[np.float64]
    template: SimilarityMatrix
    unit: str

    @property
    def n_seeds(self) -> int:
        """Independent seeds, of the scarcer kind where there are two."""
        first, second = self.values.shape[2:]
        return int(first if second == 1 else min(first, second))


def stack_seeds(matrices: Mapping[Any, SimilarityMatrix], unit: str = "auto") -> SeedCube:
    """Return the matrices of all seeds as one cube, seeds in a fixed order.

    Keys are seeds, or pairs (source seed, target seed). ``auto`` takes ``seeds``, and
    ``both_seeds`` where pairs form a full grid of at least two by two. ``source_seeds`` and
    ``target_seeds`` average over the other seed of a pair first. Rows and columns are brought
    into the order of the first matrix.

    Raises
    ------
    ShapeError
        If the mapping is empty, or the matrices differ in names, or pairs leave holes.
    DTypeError
        If a value is no SimilarityMatrix.
    FormatError
        If the kernels differ, or a unit needs pairs and the keys are none.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.2, 0.9]], ["rte"], ["sst2", "mnli"], "flatten")
    >>> stack_seeds({0: matrix, 1: matrix}).values.shape
    (1, 2, 2, 1)
    >>> grid = {(source, target): matrix for source in range(3) for target in range(2)}
    >>> stack_seeds(grid).unit, stack_seeds(grid, "target_seeds").values.shape
    ('both_seeds', (1, 2, 2, 1))
    """
    check_choice(unit, SEED_UNITS, "unit")
    if not matrices:
        raise ShapeError("matrix: got an empty mapping, expected at least one seed's matrix")
    keys = sorted(matrices, key=_order)
    template = matrices[keys[0]]
    aligned = {key: _aligned(key, matrices[key], keys[0], template) for key in keys}
    grid = _grid(keys)
    if unit == "auto":
        unit = "both_seeds" if grid is not None and min(map(len, grid)) > 1 else "seeds"
    if unit == "seeds":
        return SeedCube(np.stack(list(aligned.values()), axis=2)[..., None], template, unit)
    if grid is None:
        raise FormatError(
            f"unit='{unit}' needs a matrix for every pair (source seed, target seed), got the keys "
            f"{', '.join(map(repr, keys[:6]))}; use unit='seeds', or add the missing pairs"
        )
    rows = [np.stack([aligned[a, b] for b in grid[1]], axis=2) for a in grid[0]]
    values = np.stack(rows, axis=2)
    if unit == "source_seeds":
        values = values.mean(axis=3, keepdims=True)
    elif unit == "target_seeds":
        values = values.mean(axis=2)[..., None]
    return SeedCube(values, template, unit)


def _order(key: Hashable) -> tuple[Any, ...]:
    """Numbers by size, then texts; the order seeds are listed in must not matter."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(
        (0, part, "") if isinstance(part, int | float | np.number) else (1, 0, str(part))
        for part in parts
    )


def _grid(keys: list[Any]) -> tuple[list[Any], list[Any]] | None:
    if not all(isinstance(key, tuple) and len(key) == 2 for key in keys):
        return None
    first = list(dict.fromkeys(key[0] for key in keys))
    second = sorted({key[1] for key in keys}, key=_order)
    return (first, second) if len(first) * len(second) == len(keys) else None


def _aligned(
    seed: object, matrix: SimilarityMatrix, first_seed: object, template: SimilarityMatrix
) -> npt.NDArray[np.float64]:
    if not isinstance(matrix, SimilarityMatrix):
        raise DTypeError(
            f"matrix of seed {seed!r}: got {type(matrix).__name__}, expected a SimilarityMatrix"
        )
    for what in ("targets", "sources"):
        names, wanted = getattr(matrix, what), getattr(template, what)
        if set(names) != set(wanted):
            odd = sorted(set(names) ^ set(wanted))
            raise ShapeError(
                f"the matrices of seeds {first_seed!r} and {seed!r} have different {what}: "
                f"'{odd[0]}' is in one of them only; keep the common ones with .select"
            )
    for what in ("kernel", "neutral"):
        if getattr(matrix, what) != getattr(template, what):
            raise FormatError(
                f"the matrices of seeds {first_seed!r} and {seed!r} have different {what}: "
                f"{getattr(template, what)!r} and {getattr(matrix, what)!r}; seeds repeat one "
                "measurement, so everything else must agree"
            )
    return matrix.select(targets=template.targets, sources=template.sources).values
