"""The tables of a comparison: a row a method, a row a pair, average ranks, and what to note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import quoted
from kinatlas.errors import FormatError
from kinatlas.evaluation.comparison import NO_DIFFERENCE, CriticalDifference, MethodPairs
from kinatlas.evaluation.contest import Contest

__all__ = [
    "Settings",
    "average_ranks",
    "check_unit",
    "method_rows",
    "pair_table",
    "remarks_on",
    "strata_of",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How numbers are made: bootstrap, interval, level, correction, draws and their seeds."""

    unit: str
    interval: str
    confidence: float
    correction: str
    n_replicates: int
    n_permutations: int
    #: Of the bootstrap, of the random deals, of the sign patterns.
    seeds: tuple[int, int, int]
    n_threads: int | None
    #: 1 where more is better, else -1.
    turn: float


def strata_of(strata: Mapping[str, str] | None, targets: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return a number for the group of every target, all 0 without groups."""
    if strata is None:
        return np.zeros(len(targets), dtype=np.int64)
    absent = [name for name in targets if name not in strata]
    if absent:
        raise FormatError(f"strata: no group of targets {quoted(absent)}; give one for each")
    known = sorted({str(strata[name]) for name in targets})
    return np.array([known.index(str(strata[name])) for name in targets], dtype=np.int64)


def check_unit(unit: str, groups: npt.NDArray[np.int64], n_seeds: int) -> None:
    """Refuse to draw again what there is only one of: every interval would have no width.

    Examples
    --------
    >>> check_unit("targets", np.zeros(3, dtype=np.int64), 1)
    >>> check_unit("seeds", np.zeros(3, dtype=np.int64), 1)
    Traceback (most recent call last):
    kinatlas.errors.FormatError: unit='seeds' draws seeds again, and there is one seed; ...
    """
    if unit != "targets" and n_seeds < 2:
        raise FormatError(
            f"unit='{unit}' draws seeds again, and there is one seed; measure again with another "
            "seed, or use unit='targets'"
        )
    if unit == "targets" and len(groups) > 1 and _alone(groups) == len(groups):
        raise FormatError(
            "strata: every target is alone in its stratum, so that every draw is the same; give "
            "strata of two targets or more"
        )


def _alone(groups: npt.NDArray[np.int64]) -> int:
    return int((np.bincount(groups) == 1).sum()) if len(groups) > 1 else 0


def average_ranks(
    names: tuple[str, ...], values: Floats, confidence: float
) -> CriticalDifference | None:
    """Return average ranks over ``values`` [n_targets, n_methods]; None for one of either."""
    if min(values.shape) < 2:
        return None
    ranks, statistic, p_value, least = _core.friedman_test(values, confidence)
    order = sorted(range(len(names)), key=lambda at: (ranks[at], names[at]))
    cliques: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and ranks[order[end + 1]] - ranks[order[start]] <= least:
            end += 1
        if end > start and (not cliques or end > cliques[-1][1]):
            cliques.append((start, end))
    return CriticalDifference(
        methods=tuple(names[at] for at in order),
        average_ranks=tuple(ranks[at] for at in order),
        value=least,
        cliques=tuple(tuple(names[at] for at in order[start : end + 1]) for start, end in cliques),
        statistic=statistic,
        p_value=p_value,
        n_targets=len(values),
        confidence=confidence,
    )


def pair_table(
    names: tuple[str, ...], cube: Floats, drawn: Floats, values: Floats, settings: Settings
) -> MethodPairs:
    """Return every pair, the better method first; ``values`` are turned so that more is better."""
    means = values.mean(axis=0)
    places = [
        (a, b) if (-means[a], names[a]) <= (-means[b], names[b]) else (b, a)
        for a, b in combinations(range(len(names)), 2)
    ]
    places.sort(key=lambda pair: (-means[pair[0]], names[pair[0]], -means[pair[1]], names[pair[1]]))
    contrasts = [(a, b) if settings.turn > 0 else (b, a) for a, b in places]
    level = settings.confidence
    numbers = _core.mean_intervals(cube, drawn, contrasts, settings.interval, level)
    gaps = [np.ascontiguousarray(values[:, a] - values[:, b]) for a, b in places]
    wins = [float((gap > 0).sum() + (gap == 0).sum() / 2) for gap in gaps]
    shares = [_core.wilson(won, len(gap), level) for won, gap in zip(wins, gaps, strict=True)]
    p_values = [_core.sign_flip(gap, settings.n_permutations, settings.seeds[2]) for gap in gaps]
    adjusted = _core.adjusted_p_values(p_values, settings.correction)
    first = [names[a] for a, _ in places]
    return MethodPairs(
        {
            "first": first,
            "second": [names[b] for _, b in places],
            "difference": numbers[:, 0].tolist(),
            "low": numbers[:, 1].tolist(),
            "high": numbers[:, 2].tolist(),
            "p_value": p_values,
            "p_adjusted": adjusted,
            "p_superior": [won / len(values) for won in wins],
            "p_superior_low": [low for low, _ in shares],
            "p_superior_high": [high for _, high in shares],
            "verdict": [
                f"{name} better" if p <= 1 - level else NO_DIFFERENCE
                for name, p in zip(first, adjusted, strict=True)
            ],
        }
    )


def method_rows(
    contest: Contest,
    given: Mapping[str, object],
    numbers: Floats,
    ranks: CriticalDifference | None,
    settings: Settings,
) -> dict[str, list[Any]]:
    """Return methods and baselines best first, then what was not given, random and oracle."""
    names = contest.names
    p_values = [_p_chance(contest, at, settings) for at in range(len(names))]
    adjusted = _core.adjusted_p_values(p_values, settings.correction)
    order = sorted(range(len(names)), key=lambda at: (-settings.turn * numbers[at, 0], names[at]))
    by_rank = {} if ranks is None else dict(zip(ranks.methods, ranks.average_ranks, strict=True))
    rows: list[list[Any]] = []
    for at in order:
        kind = "baseline" if names[at] in ("data_size", "text_overlap") else "method"
        corrected = float(contest.overall[at, 3])
        tail = [by_rank.get(names[at]), p_values[at], adjusted[at]]
        rows.append([names[at], kind, *numbers[at].tolist(), corrected, *tail])
    for name in ("data_size", "text_overlap"):
        if name not in given:
            rows.append([name, "not given", *[float("nan")] * 4, None, None, None])
    for at, name, kind, corrected in (
        (len(names), "random", "chance", 0.0),
        (len(names) + 1, "oracle", "ceiling", 1.0),
    ):
        rows.append([name, kind, *numbers[at].tolist(), corrected, None, None, None])
    heads = ("method", "kind", "score", "low", "high", "corrected", "average_rank", "p_chance")
    columns = zip(*rows, strict=True)
    return {
        name: list(column)
        for name, column in zip((*heads, "p_chance_adjusted"), columns, strict=True)
    }


def _p_chance(contest: Contest, at: int, settings: Settings) -> float:
    """Return how often random deals of a method's scores do at least as well as it does."""
    own = contest.lists[at]
    dealt = _core.permuted_metric(
        (own.predicted, own.measured, own.sources),
        (own.offsets, own.baseline, own.targets),
        contest.conventions,
        contest.metric,
        (settings.seeds[1], settings.n_permutations),
        settings.n_threads,
    )
    observed = settings.turn * float(contest.overall[at, 0])
    # Means of equal numbers in another order differ by rounding only.
    reach = observed - 1e-12 * max(1.0, abs(observed))
    extreme = int((settings.turn * np.array(dealt) >= reach).sum())
    return (1 + extreme) / (1 + len(dealt))


def remarks_on(
    contest: Contest,
    kept: npt.NDArray[np.bool_],
    given: Mapping[str, object],
    metric: str,
    settings: Settings,
    groups: npt.NDArray[np.int64],
) -> tuple[str, ...]:
    """Return what was left out or not given, and how to read intervals and p-values."""
    dropped = [name for name, is_kept in zip(contest.targets, kept, strict=True) if not is_kept]
    found = [f"{metric} is undefined on targets {quoted(dropped)}: left out"] if dropped else []
    if contest.n_missing:
        found.append(f"{contest.n_missing} runs lack a score of some method: left out for all")
    if "data_size" not in given:
        found.append("data_size: not given; pass sizes={source: number of examples}")
    if "text_overlap" not in given:
        found.append("text_overlap: not given; pass a matrix, text_overlap=...")
    alone = _alone(groups)
    if alone and settings.unit != "seeds":
        found.append(
            f"{alone} of {len(groups)} targets are alone in their stratum: every draw keeps them, "
            "so intervals are too short"
        )
    if len(contest.names) > 1:
        n_pairs = len(contest.names) * (len(contest.names) - 1) // 2
        least = 2.0 ** (1 - len(groups)) * (n_pairs if settings.correction == "holm" else 1)
        if least > 1 - settings.confidence:
            found.append(
                f"with {len(groups)} targets no difference can be shown: the smallest p-value "
                f"there is comes to {min(least, 1.0):.3g} for {n_pairs} pairs"
            )
        found.append(
            f"p-values of pairs: sign flips over targets, corrected by {settings.correction}; "
            "intervals of differences are not corrected"
        )
    return tuple(found)
