"""How reliable a mean over seeds is, and what a correlation would be without their noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._seeds import Rng
from kinatlas.consistency.cubes import Seeds, over_targets, seed_cube
from kinatlas.consistency.findings import Findings
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.similarity import SimilarityMatrix

__all__ = ["reliability"]


def reliability(
    seeds: Seeds,
    predictor: SimilarityMatrix | Mapping[Any, SimilarityMatrix] | None = None,
    *,
    confidence: float = 0.95,
    n_replicates: int = 10_000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Findings:
    """Return how reliable the mean over seeds is, and a predictor's correlation freed of noise.

    ``split_half`` correlates the means of two halves of the seeds over sources, averaged over all
    halvings; ``spearman_brown`` steps it up to all seeds. With a predictor, ``correlation`` is
    its Pearson correlation with the mean over seeds, and ``disattenuated`` that divided by the
    root of the reliabilities (of the predictor too, if it has seeds), both pooled over targets
    first; it may exceed 1 by chance.

    Parameters
    ----------
    seeds
        A `TransferTable` with seeds, or a mapping of seed to matrix.
    predictor
        A matrix, or a mapping of seed to matrix, of the same targets and sources.
    confidence, n_replicates, rng, n_threads
        Expanded bootstrap percentiles over targets; ``disattenuated`` is a ratio of means and has
        no interval.

    Raises
    ------
    FormatError
        If there are fewer than two seeds.
    ShapeError
        If the predictor lacks a target or source.
    DTypeError, ValueError
        For anything but a table or a mapping, and for a confidence outside 0 to 1.

    References
    ----------
    Spearman (1910); Brown (1910); Spearman (1904) for attenuation.

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = ka.consistency.reliability(ka.datasets.load_minilm_prompts().transfer)
    >>> 0 < found["split_half"] < found["spearman_brown"] < 1
    True
    """
    cube = seed_cube(seeds)
    values = np.full((len(cube.targets), 3), np.nan)
    for target in range(len(cube.targets)):
        table = cube.table(target)
        if min(table.shape) >= 2 and table.shape[1] >= 3:
            values[target, :2] = _core.split_half(table)
    names = ["split_half", "spearman_brown"]
    own = 1.0
    if predictor is not None:
        other, own = _predictor(predictor, cube.targets, cube.sources)
        means = _core.seed_means(np.ascontiguousarray(cube.values))
        for target in range(len(cube.targets)):
            values[target, 2] = _pearson(means[target], other[target])
        names.append("correlation")
    numbers = over_targets(values[:, : len(names)], confidence, n_replicates, rng, n_threads)
    rows = [[name, *row] for name, row in zip(names, numbers.tolist(), strict=True)]
    words = [
        "two halves of the seeds correlate this much over sources",
        "the mean over all seeds would correlate this much with the mean of as many new ones",
        "the predictor's correlation with the mean over seeds",
    ]
    if predictor is not None:
        product = max(numbers[1, 0], 0.0) * max(own, 0.0)
        clean = numbers[2, 0] / product**0.5 if product > 0 else float("nan")
        rows.append(["disattenuated", clean, float("nan"), float("nan")])
        words.append("the correlation if neither side had seed noise")
    heads = ("measure", "value", "low", "high")
    columns = {
        name: list(column) for name, column in zip(heads, zip(*rows, strict=True), strict=True)
    }
    return Findings(
        title=f"Reliability of {cube.what} over {cube.n_seeds} seeds",
        columns=columns,
        sentences=tuple(
            f"{row[0]} is {row[1]:.3f}: {word}."
            if row[1] == row[1]
            else f"{row[0]} has no value: too few sources, or seeds that do not agree."
            for row, word in zip(rows, words[: len(rows)], strict=True)
        ),
        per_target={"target": list(cube.targets)}
        | {name: values[:, at].tolist() for at, name in enumerate(names)},
        conventions={"confidence": confidence, "n_seeds": cube.n_seeds},
    )


def _predictor(
    predictor: Any, targets: tuple[str, ...], sources: tuple[str, ...]
) -> tuple[Any, float]:
    by_seed = predictor if isinstance(predictor, Mapping) else {0: predictor}
    if not by_seed or not all(isinstance(own, SimilarityMatrix) for own in by_seed.values()):
        raise DTypeError("predictor: expected a SimilarityMatrix, or a mapping of seed to one")
    cube = seed_cube(by_seed, fewest=1)
    absent = [*set(targets).difference(cube.targets), *set(sources).difference(cube.sources)]
    if absent:
        raise ShapeError(
            f"predictor: no scores of {sorted(absent)[:5]}; select the common targets and sources"
        )
    rows = [cube.targets.index(name) for name in targets]
    columns = [cube.sources.index(name) for name in sources]
    part = cube.values[np.ix_(rows, columns)]
    if cube.n_seeds < 2:
        return part[:, :, 0], 1.0
    found = [_core.split_half(np.ascontiguousarray(_complete(table))) for table in part]
    known = [whole for _, whole in found if not np.isnan(whole)]
    return part.mean(axis=2), float(np.mean(known)) if known else float("nan")


def _complete(table: Any) -> Any:
    return table[~np.isnan(table).any(axis=1)].T


def _pearson(first: Any, second: Any) -> float:
    known = ~(np.isnan(first) | np.isnan(second))
    a, b = first[known], second[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
