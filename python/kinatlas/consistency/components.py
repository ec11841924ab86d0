"""Where the variance of scores lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_n_threads
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.consistency.cubes import Seeds, seed_cube
from kinatlas.consistency.findings import Findings

__all__ = ["variance_components"]

_WORDS = {
    "target": "targets differ, whatever the source",
    "source": "some sources are better for every target",
    "target_x_source": "which source is best depends on the target: what a ranking can win",
    "seed": "a seed shifts all sources of a target alike, which no order sees",
    "residual": "a seed moves single sources: the noise of an order",
}


def variance_components(
    seeds: Seeds,
    *,
    confidence: float = 0.95,
    n_draws: int = 10_000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Findings:
    """Return the variance of scores split into target, source, their pair, seed, and residual.

    Model: score = mean + target + source + target x source + seed (within target) + residual, all
    random. Estimates are unbiased, so one may be negative where the truth is near 0; its share
    counts it as 0, and intervals end at 0.

    Parameters
    ----------
    seeds
        A `TransferTable` with seeds, or a mapping of seed to matrix; cells may be missing.
    confidence, n_draws, rng, n_threads
        Generalized intervals: every mean square is replaced by its sum over a chi-squared draw.

    Raises
    ------
    FormatError
        If there are fewer than two seeds.
    ShapeError
        If there are too few cells, or they fall into blocks that share no source.
    DTypeError, ValueError
        For anything but a table or a mapping, and for a confidence outside 0 to 1.

    References
    ----------
    Searle, Casella and McCulloch (1992), chapter 5; Weerahandi (1995).

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = ka.consistency.variance_components(ka.datasets.load_minilm_prompts().transfer)
    >>> found.names
    ('target', 'source', 'target_x_source', 'seed', 'residual')
    >>> abs(sum(found.columns["share"]) - 1) < 1e-12
    True
    """
    cube = seed_cube(seeds)
    check_sampling(confidence, n_draws)
    threads = check_n_threads(n_threads)
    estimates, freedom, drawn = _core.variance_components(
        np.ascontiguousarray(cube.values), (seed_of(rng), n_draws), threads
    )
    tail = (1 - confidence) / 2
    ends = np.maximum(np.quantile(drawn, [tail, 1 - tail], axis=0), 0.0)
    positive = np.maximum(estimates, 0.0)
    total = positive.sum()
    shares = positive / total if total > 0 else np.full(len(positive), np.nan)
    names = _core.component_names()
    columns: dict[str, list[Any]] = {
        "component": names,
        "value": list(estimates),
        "low": ends[0].tolist(),
        "high": ends[1].tolist(),
        "share": shares.tolist(),
        "freedom": list(freedom),
    }
    sentences = [
        f"{name} has no share: all scores are equal."
        if np.isnan(share)
        else f"{name} has {100 * share:.1f} % of the variance ({value:.4g}, {low:.4g} to "
        f"{high:.4g}): {_WORDS[name]}."
        for name, value, low, high, share, _ in zip(*columns.values(), strict=True)
    ]
    return Findings(
        title=f"Variance of {cube.what} over {cube.n_seeds} seeds, units {cube.units} squared",
        columns=columns,
        sentences=tuple(sentences),
        remarks=("seeds are taken as independent between targets",),
        conventions={"confidence": confidence, "n_draws": n_draws, "n_seeds": cube.n_seeds},
    )
