"""Do the seeds agree on the order, and is their noise smaller than what sources differ by?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, check_number, check_whole
from kinatlas._seeds import Rng
from kinatlas.consistency.cubes import Floats, Seeds, over_targets, seed_cube
from kinatlas.consistency.findings import Findings
from kinatlas.errors import DTypeError

__all__ = ["order_agreement", "seed_consistency"]

Measure = Literal["spearman", "kendall", "weighted_kendall", "rbo", "top_k_jaccard", "best_source"]
_MEASURES = ("spearman", "kendall", "weighted_kendall", "rbo", "top_k_jaccard", "best_source")
# From 0 to 1, often exactly at an end: a score interval covers where percentiles do not.
_SHARES = ("rbo", "top_k_jaccard", "best_source", "kendall_w")
_WORDS = {
    "spearman": "mean rank correlation of two seeds' orders",
    "kendall": "pairs of sources that two seeds order alike, less those they do not",
    "weighted_kendall": "the same with the top of the order counting most",
    "rbo": "overlap of two seeds' orders, the top counting most",
    "top_k_jaccard": "share of sources common to the best {k} of two seeds",
    "best_source": "how often two seeds name the same best source",
    "kendall_w": "agreement of all seeds at once, 1 for identical orders",
}


def order_agreement(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    measure: Measure | str = "spearman",
    *,
    k: int = 3,
    persistence: float = 0.9,
) -> tuple[float, float]:
    """Return how well two lists of scores [n] agree on an order, and the exact chance level.

    Chance is the expectation for two independent random orders. Ties: tau-b and rho correct for
    them; ``rbo``, ``top_k_jaccard`` and ``best_source`` are exact expectations over breaking them
    at random. NaN stands where there is no value: below two candidates, a correlation with a list
    of equal scores, fewer candidates than ``k``.

    Parameters
    ----------
    first, second
        Scores [n] of the same candidates, higher is better, finite.
    measure
        ``spearman``, ``kendall`` (tau-b), ``weighted_kendall`` (hyperbolic weights), ``rbo``,
        ``top_k_jaccard``, ``best_source``.
    k
        Cut-off of ``top_k_jaccard``.
    persistence
        Of ``rbo``: 0.9 puts 86 % of the weight on the first ten.

    Raises
    ------
    UnknownNameError, ShapeError, NonFiniteError, ValueError
        For an unknown measure, unequal lengths, a score that is not finite, a ``k`` below 1 or a
        persistence outside 0 to 1.

    References
    ----------
    Kendall (1945); Vigna (2015); Webber, Moffat and Zobel (2010), eq. 30; Corsi and Urbano (2024).

    Examples
    --------
    >>> order_agreement([3.0, 2.0, 1.0], [3.0, 1.0, 2.0], "best_source")
    (1.0, 0.333...)
    """
    check_choice(measure, _MEASURES, "measure")
    k, persistence = _cut(k, persistence)
    lists = []
    for scores in (first, second):
        try:
            lists.append(np.ascontiguousarray(scores, dtype=np.float64).reshape(-1))
        except (TypeError, ValueError):
            raise DTypeError("scores to compare are not numbers; expected [n] floats") from None
    return _core.agreement(lists[0], lists[1], measure, persistence, k)


def seed_consistency(
    seeds: Seeds,
    *,
    k: int = 3,
    persistence: float = 0.9,
    confidence: float = 0.95,
    n_replicates: int = 10_000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Findings:
    """Return how far seeds agree on the order of sources, beside chance, with intervals.

    For every target the sources that all its seeds measured are compared, seed against seed;
    numbers are means over pairs of seeds, then over targets. ``seed_deviation`` is the standard
    deviation over seeds of a source's score (root mean square over sources), ``source_spread``
    that of the seed means over sources, and ``noise_to_spread`` their ratio: above about 1 one
    run cannot order the sources.

    Parameters
    ----------
    seeds
        A `TransferTable` with seeds, or a mapping of seed to matrix.
    k, persistence
        Of ``top_k_jaccard`` and ``rbo``.
    confidence, n_replicates, rng, n_threads
        Expanded bootstrap percentiles over targets; score intervals for measures from 0 to 1
        (``rbo``, ``top_k_jaccard``, ``best_source``, ``kendall_w``).

    Raises
    ------
    FormatError
        If there are fewer than two seeds.
    DTypeError, ValueError
        For anything but a table or a mapping, and for a confidence outside 0 to 1.

    References
    ----------
    Kendall and Babington Smith (1939) for W, whose chance level is 1 / n_seeds; `order_agreement`.

    Examples
    --------
    >>> import kinatlas as ka
    >>> truth = ka.datasets.load_minilm_prompts().transfer
    >>> found = ka.consistency.seed_consistency(truth, n_replicates=1000)
    >>> 0 < found["best_source"] < 1 and found["spearman"] > 0.3
    True
    """
    cube = seed_cube(seeds)
    k, persistence = _cut(k, persistence)
    check_n_threads(n_threads)
    names = ("seed_deviation", "source_spread", "noise_to_spread", *_MEASURES, "kendall_w")
    values = np.full((len(cube.targets), len(names)), np.nan)
    chances = np.full_like(values, np.nan)
    for target in range(len(cube.targets)):
        table = cube.table(target)
        if min(table.shape) < 2:
            continue
        values[target, :3] = _spreads(table)
        for place, measure in enumerate(_MEASURES, start=3):
            found = _core.mean_agreement(table, measure, persistence, k)
            values[target, place], chances[target, place] = found
        values[target, -1] = _core.concordance(table)
        chances[target, -1] = 1 / len(table)
    intervals = ["share" if name in _SHARES else "expanded" for name in names]
    # Rounding may carry a share past 1.
    shares = np.isin(names, list(_SHARES))
    values[:, shares] = values[:, shares].clip(0.0, 1.0)
    numbers = over_targets(values, confidence, n_replicates, rng, n_threads, intervals)
    defined = ~np.isnan(values)
    level = [
        float(own[known].mean()) if known.any() and not np.isnan(own[known]).any() else None
        for own, known in zip(chances.T, defined.T, strict=True)
    ]
    columns: dict[str, list[Any]] = {
        "measure": list(names),
        "value": numbers[:, 0].tolist(),
        "low": numbers[:, 1].tolist(),
        "high": numbers[:, 2].tolist(),
        "chance": level,
        "n_targets": defined.sum(axis=0).tolist(),
    }
    return Findings(
        title=f"Consistency of {cube.what} over {cube.n_seeds} seeds, {len(cube.targets)} targets",
        columns=columns,
        sentences=tuple(
            _sentence(row, k, cube.units) for row in zip(*columns.values(), strict=True)
        ),
        remarks=_remarks(values, cube.targets),
        per_target={"target": list(cube.targets)}
        | {name: column.tolist() for name, column in zip(names, values.T, strict=True)},
        conventions={"k": k, "persistence": persistence, "confidence": confidence},
    )


def _cut(k: object, persistence: object) -> tuple[int, float]:
    wanted = "more than 0 and less than 1"
    return check_whole(k, "k"), check_number(persistence, "persistence", wanted, _is_share)


def _is_share(number: float) -> bool:
    return 0 < number < 1


def _spreads(table: Floats) -> tuple[float, float, float]:
    noise = float(np.sqrt(table.var(axis=0, ddof=1).mean()))
    spread = float(table.mean(axis=0).std(ddof=1))
    return noise, spread, noise / spread if spread > 0 else float("nan")


def _remarks(values: Floats, targets: tuple[str, ...]) -> tuple[str, ...]:
    lost = [name for name, row in zip(targets, values, strict=True) if np.isnan(row[0])]
    if not lost:
        return ()
    return (f"{len(lost)} targets without two seeds of two sources were left out: {lost[:5]}",)


def _sentence(row: tuple[Any, ...], k: int, units: str) -> str:
    name, value, low, high, chance, count = row
    if np.isnan(value):
        return f"{name} has no value: no target defines it."
    shown = f"{name} is {value:.3f} ({low:.3f} to {high:.3f}) over {count} targets"
    if name == "seed_deviation":
        return f"{shown}: one source's {units} moves by this much from seed to seed."
    if name == "source_spread":
        return f"{shown}: sources differ by this much once seeds are averaged."
    if name == "noise_to_spread":
        verdict = "smaller than" if value < 1 else "as large as"
        return f"{shown}: the noise of one run is {verdict} what sources differ by."
    level = "" if chance is None else f"; independent random orders get {chance:.3f}"
    return f"{shown}: {_WORDS[name].format(k=k)}{level}."
