"""Bootstrap, rank draws and agreement beside vectorised NumPy and SciPy, in the same run.

Every contender computes the same thing and is checked before it is timed. The NumPy bootstrap
draws and averages a chunk of replicates at a time; SciPy's functions are called as its users do.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from kinatlas import _core

TARGETS, SOURCES, SEEDS, CHUNK = 21, 21, 8, 250


def numpy_bootstrap(cube: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Targets, then seeds within them, a chunk of replicates at a time."""
    generator = np.random.default_rng(seed)
    n_targets, n_columns, n_seeds = cube.shape
    laid = np.ascontiguousarray(cube.transpose(0, 2, 1)).reshape(-1, n_columns)
    found = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        targets = generator.integers(0, n_targets, (size, n_targets))
        rows = targets
        if n_seeds > 1:
            seeds = generator.integers(0, n_seeds, (size, n_targets, n_seeds))
            rows = (targets[:, :, None] * n_seeds + seeds).reshape(size, -1)
        found.append(laid[rows].mean(axis=1))
    return np.concatenate(found)


def numpy_shares(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of places and of wins."""
    n = drawn.shape[1]
    ranks = (-drawn).argsort(axis=1).argsort(axis=1)
    places = np.stack([(ranks == place).mean(axis=0) for place in range(n)], axis=1)
    wins = np.stack([(drawn[:, [at]] > drawn).mean(axis=0) for at in range(n)])
    return places, wins


def ours_bootstrap(cube: np.ndarray, count: int, seed: int, n_threads: int) -> np.ndarray:
    """The same by the Rust kernel."""
    plan = ("targets_then_seeds", np.zeros(len(cube), dtype=np.int64), seed)
    return _core.resample_means(cube, plan, (0, count), n_threads)


def scipy_agreement(table: np.ndarray) -> dict[str, float]:
    """Mean over pairs of seeds, by SciPy."""
    pairs = list(itertools.combinations(table, 2))
    return {
        "spearman": float(np.mean([stats.spearmanr(a, b).statistic for a, b in pairs])),
        "kendall": float(np.mean([stats.kendalltau(a, b).statistic for a, b in pairs])),
        "weighted_kendall": float(np.mean([stats.weightedtau(a, b).statistic for a, b in pairs])),
    }


def ours_agreement(table: np.ndarray) -> dict[str, float]:
    """The same by the Rust kernels."""
    names = ("spearman", "kendall", "weighted_kendall")
    return {name: _core.mean_agreement(table, name, 0.9, 3)[0] for name in names}


def scipy_sign_flip(gaps: np.ndarray) -> float:
    """All sign patterns, by SciPy, vectorised."""
    return float(
        stats.permutation_test(
            (gaps, np.zeros(len(gaps))),
            lambda x, y, axis: (x - y).mean(axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        ).pvalue
    )


def mean_seconds(run: Callable[[int], object], at_least: float) -> float:
    """Mean over as many runs as take ``at_least`` seconds together."""
    start, number = time.perf_counter(), 0
    while number == 0 or time.perf_counter() - start < at_least:
        run(number)
        number += 1
    return (time.perf_counter() - start) / number


def check(name: str, is_same: bool) -> None:
    """Refuse to time something that computes another number."""
    if not is_same:
        raise SystemExit(f"{name}: the contenders disagree")


def main() -> None:
    """Check everybody, time everybody, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replicates", type=int, default=10_000)
    options = parser.parse_args()
    rounds, count = options.rounds, options.replicates
    generator = np.random.default_rng(0)
    cube = generator.normal(size=(TARGETS, SOURCES, SEEDS))
    table = np.ascontiguousarray(cube[0].T)
    gaps = generator.normal(size=16)
    drawn = ours_bootstrap(cube, count, 0, 1)
    theirs = numpy_bootstrap(cube, count, 0)
    error = theirs.std(axis=0) / count**0.5
    check("bootstrap", bool((abs(drawn.mean(0) - theirs.mean(0)) < 6 * error).all()))
    check("spread", np.allclose(drawn.std(0), theirs.std(0), rtol=0.05))
    places, wins, _, _ = _core.rank_shares(drawn, 0.95)
    wanted = numpy_shares(drawn)
    check("places", np.allclose(places, wanted[0], atol=1e-9))
    check("wins", np.allclose(wins, wanted[1], atol=1e-9))
    agreed, expected = ours_agreement(table), scipy_agreement(table)
    check("agreement", all(abs(agreed[name] - expected[name]) < 1e-12 for name in agreed))
    check("signs", abs(_core.sign_flip(gaps, 0, 0) - scipy_sign_flip(gaps)) < 1e-12)

    def whole(n_threads: int) -> Callable[[int], object]:
        return lambda n: _core.rank_shares(ours_bootstrap(cube, count, n, n_threads), 0.95)

    flat = np.ascontiguousarray(cube.mean(axis=2))

    def scipy_percentiles(number: int) -> object:
        return stats.bootstrap(
            (flat.T,), np.mean, axis=-1, n_resamples=count, method="percentile", rng=number
        ).confidence_interval

    def numpy_percentiles(number: int) -> object:
        means = numpy_bootstrap(flat[:, :, None], count, number)
        return np.quantile(means, [0.025, 0.975], axis=0)

    def percentiles(n_threads: int) -> Callable[[int], object]:
        plan = ("targets", np.zeros(len(flat), dtype=np.int64))
        table, columns = flat[:, :, None], [(at, -1) for at in range(flat.shape[1])]

        def run(number: int) -> np.ndarray:
            means = _core.resample_means(table, (*plan, number), (0, count), n_threads)
            return _core.mean_intervals(table, means, columns, "percentile", 0.95)

        return run

    ours, theirs = percentiles(1)(0), scipy_percentiles(0)
    # Quantiles of two independent sets of 10 000 replicates.
    check("percentiles", np.allclose(ours[:, 1:], np.transpose(theirs), atol=0.02))
    rows = [
        ("intervals, SciPy", scipy_percentiles, [(t, percentiles(t)) for t in (1, 2)]),
        ("intervals, NumPy", numpy_percentiles, [(t, percentiles(t)) for t in (1, 2)]),
        ("bootstrap", lambda n: numpy_bootstrap(cube, count, n),
         [(t, lambda n, t=t: ours_bootstrap(cube, count, n, t)) for t in (1, 2)]),
        ("bootstrap and ranks", lambda n: numpy_shares(numpy_bootstrap(cube, count, n)),
         [(t, whole(t)) for t in (1, 2)]),
        ("agreement of 8 seeds", lambda n: scipy_agreement(table),
         [(1, lambda n: ours_agreement(table))]),
        ("sign flips, 16 targets", lambda n: scipy_sign_flip(gaps),
         [(1, lambda n: _core.sign_flip(gaps, 0, 0))]),
    ]  # fmt: skip
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    size = f"{count} replicates of {TARGETS} x {SOURCES} x {SEEDS}"
    print(f"{machine}; {size}; medians of {rounds} rounds in turns, each as long as the other")
    print(f"{'':24}{'threads':>8}{'ours ms':>10}{'peer ms':>11}{'times faster':>14}")
    for name, peer, ours in rows:
        for n_threads, run in ours:
            peer(0), run(0)
            slow, fast = [], []
            for _ in range(rounds):
                slow.append(mean_seconds(peer, 0.1))
                fast.append(mean_seconds(run, slow[-1]))
            ratio = statistics.median(a / b for a, b in zip(slow, fast, strict=True))
            times = 1e3 * statistics.median(fast), 1e3 * statistics.median(slow)
            print(f"{name:24}{n_threads:8}{times[0]:10.2f}{times[1]:11.1f}{ratio:14.1f}")


if __name__ == "__main__":
    main()
