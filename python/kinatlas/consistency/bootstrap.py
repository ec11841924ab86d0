"""Which sources are good in general: a ranking over all targets, by nested bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, check_whole
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.consistency.cubes import Cube, Floats, Seeds, seed_cube
from kinatlas.consistency.sources import SourceBootstrap, summarised
from kinatlas.errors import ShapeError
from kinatlas.evaluation.verdicts import check_unit, strata_of

__all__ = ["bootstrap_sources"]

Unit = Literal["targets_then_seeds", "targets", "seeds", "targets_and_seeds"]
Normalise = Literal["z_score", "center", "none"]
_UNITS = ("targets_then_seeds", "targets", "seeds", "targets_and_seeds")
_INTERVALS = ("expanded", "percentile", "bca", "student", "skew")


def bootstrap_sources(
    seeds: Seeds,
    *,
    unit: Unit = "targets_then_seeds",
    strata: Mapping[str, str] | None = None,
    normalise: Normalise = "z_score",
    interval: Literal["expanded", "percentile", "bca", "student", "skew"] = "expanded",
    k: int = 3,
    confidence: float = 0.95,
    n_replicates: int = 10_000,
    replicates: range | None = None,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> SourceBootstrap:
    """Return the ranking of sources over all targets, with rank intervals by nested bootstrap.

    A source's value is its mean over targets, within each its mean over seeds. Every replicate
    draws targets with replacement, and seeds within each of them, the same for all sources.

    Parameters
    ----------
    seeds
        A `TransferTable`, or a mapping of seed to matrix; one seed will do for ``unit="targets"``.
    unit
        ``targets_then_seeds`` (nested), ``targets``, ``seeds`` (these targets are the ones that
        count), or ``targets_and_seeds`` (one draw of seeds for all targets).
    strata
        Group of every target; a draw replaces a target by one of its own group.
    normalise
        Within every target and seed: ``center`` takes the mean source off, ``z_score`` divides by
        their standard deviation too, so that accuracies and correlations may be averaged.
    interval
        Of the mean: ``expanded``, ``percentile``, ``bca``, ``student`` or ``skew``. Rank intervals
        are percentiles of the ranks.
    k
        Cut-off of ``p_top_k``.
    confidence
        Level of the intervals.
    n_replicates, replicates
        How many, or which numbers: shards of one range merge to the bits of the whole.
    rng, n_threads
        Same ``rng``, same numbers, on any number of threads.

    Raises
    ------
    FormatError
        If a unit of seeds is asked of one seed, a target has no stratum, or all are alone in
        theirs.
    ShapeError
        If a source was measured on no target, or ``k`` exceeds the sources.
    UnknownNameError, DTypeError, ValueError
        For unknown words, other objects, and numbers out of range.

    References
    ----------
    Davison and Hinkley (1997), section 3.8; Efron (1987) for BCa; Hesterberg (2015).

    Examples
    --------
    >>> import kinatlas as ka
    >>> study = ka.datasets.load_minilm_prompts()
    >>> found = ka.consistency.bootstrap_sources(
    ...     study.transfer, strata=study.groups, n_replicates=1000)
    >>> found.places.shape, bool(np.allclose(found.places.sum(axis=1), 1))
    ((15, 15), True)
    """
    check_choice(unit, _UNITS, "unit")
    check_choice(interval, _INTERVALS, "interval")
    check_choice(normalise, ("z_score", "center", "none"), "normalise")
    cube = seed_cube(seeds, fewest=1 if unit == "targets" else 2)
    if replicates is None:
        numbers = range(check_sampling(confidence, n_replicates, "n_replicates")[1])
    elif not isinstance(replicates, range) or replicates.step != 1 or replicates.start < 0:
        raise ValueError(f"replicates={replicates!r}: expected a range of numbers, step 1")
    else:
        numbers = replicates
        check_sampling(confidence, len(numbers), "len(replicates)")
    k = check_whole(k, "k")
    if k > len(cube.sources):
        raise ShapeError(f"k is {k}, expected 1 to {len(cube.sources)}, the number of sources")
    values = _normalised(cube, normalise)
    groups = strata_of(strata, cube.targets)
    check_unit(unit, groups, cube.n_seeds)
    seed = seed_of(rng)
    drawn = _core.resample_means(
        values, (unit, groups, seed), (numbers.start, numbers.stop), check_n_threads(n_threads)
    )
    conventions = {
        "unit": unit,
        "strata": groups.tolist(),
        "normalise": normalise,
        "interval": interval,
        "k": k,
        "confidence": confidence,
        "seed": seed,
        "n_targets": len(cube.targets),
        "n_seeds": cube.n_seeds,
    }
    empty = np.empty((0, 0))
    return summarised(
        SourceBootstrap(
            cube.sources,
            empty,
            empty,
            empty,
            empty,
            drawn,
            numbers.start,
            numbers.stop,
            conventions,
            values,
        )
    )


def _normalised(cube: Cube, normalise: str) -> Floats:
    values = cube.values
    is_absent: list[bool] = np.asarray(np.isnan(values).all(axis=(0, 2))).tolist()
    never = [name for name, absent in zip(cube.sources, is_absent, strict=True) if absent]
    if never:
        raise ShapeError(f"sources {never[:5]} were measured on no target; leave them out")
    known = ~np.isnan(values)
    count = known.sum(axis=1, keepdims=True)
    filled = np.where(known, values, 0.0)
    if normalise == "none":
        return np.ascontiguousarray(values)
    centred = values - np.divide(filled.sum(axis=1, keepdims=True), np.maximum(count, 1))
    if normalise == "center":
        return np.ascontiguousarray(centred)
    squares = np.where(known, centred**2, 0.0).sum(axis=1, keepdims=True)
    spread = np.sqrt(squares / np.maximum(count - 1, 1))
    # A target that ties all sources says that none has an advantage.
    return np.ascontiguousarray(centred / np.where(spread > 0, spread, 1.0))
