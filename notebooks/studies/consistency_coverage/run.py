"""Which interval covers, which chance is calibrated? The simulations behind docs/consistency.md.

Every table of the page is printed by ``python run.py PART --tables N``; parts: ranks,
calibration, means, shares, methods. Random numbers are fixed by the cell's own seed, so cells may
be run in any order, and some of them with ``--only``.
"""

from __future__ import annotations

import argparse
import itertools
import zlib

import numpy as np

from kinatlas import SimilarityMatrix, TransferTable, _core, compare_methods
from kinatlas.consistency import noise_ceiling, seed_consistency

KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "t3": lambda rng, n: rng.standard_t(3, size=n),
    "clusters": lambda rng, n: 1.2 * rng.integers(0, 3, n) + 0.05 * rng.normal(size=n),
    "outlier": lambda rng, n: np.concatenate([[3.0], 0.2 * rng.normal(size=n - 1)]),
}
GAPS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n) - 1,
    "mostly zero": lambda rng, n: (rng.random(n) < 0.4) * rng.normal(size=n) * 2,
    "lognormal": lambda rng, n: np.exp(rng.normal(size=n)) - np.exp(0.5),
}


def generator(*cell: object) -> np.random.Generator:
    """A generator of the cell alone."""
    return np.random.default_rng(zlib.crc32(repr(cell).encode()))


def seed_bootstrap(cube: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Means [count, n_sources] over seeds drawn with replacement, the way most people do it."""
    n_seeds = cube.shape[1]
    return cube[:, rng.integers(0, n_seeds, (count, n_seeds))].mean(axis=2).T


def flat(cube: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws of the means under a flat prior: pooled variance, no shrinkage."""
    errors = _core.seed_errors(cube[:, :, None], 0.95)
    df = errors["freedom"]
    scale = np.sqrt(errors["variance"] * df / rng.chisquare(df, count))
    return errors["means"] + scale[:, None] * rng.normal(size=(count, len(cube)))


def hierarchical(cube: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """What `rank_sources` does."""
    errors = _core.seed_errors(cube[:, :, None], 0.95)
    streams = (int(rng.integers(2**63)), 0, count)
    return _core.rank_draws(
        errors["means"], (errors["variance"], errors["freedom"]), None, streams, 1
    )


def ranks(tables: int, only: str) -> None:
    """Coverage of rank intervals and calibration of P(top-1), by method."""
    methods = {"bootstrap": seed_bootstrap, "flat": flat, "normal model": hierarchical}
    print("truth sources seeds spread noise method | covers | p(top) claimed | happened | width")
    spread_noise = itertools.product((0.3, 1.0, 3.0), ("equal", "unequal"))
    for kind, n, r, (spread, noise) in itertools.product(
        KINDS, (5, 12, 21), (2, 3, 5, 8), spread_noise
    ):
        if not f"{kind} {n} {r} {spread} {noise}".startswith(only):
            continue
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in methods}
        rng = generator("ranks", kind, n, r, spread, noise)
        for _ in range(tables):
            truth = spread * KINDS[kind](rng, n)
            own = rng.chisquare(4, size=n) / 4 if noise == "unequal" else np.ones(n)
            cube = truth[:, None] + 2 * rng.normal(size=r)
            cube = cube + own[:, None] ** 0.5 * rng.normal(size=(n, r))
            place = (truth[None, :] > truth[:, None]).sum(axis=1)
            for name, method in methods.items():
                drawn = method(np.ascontiguousarray(cube), rng, 1000)
                shares, _, ends, _ = _core.rank_shares(np.ascontiguousarray(drawn), 0.95)
                low, high = np.array(ends).T
                top = int(shares[:, 0].argmax())
                covers = float(((low <= place) & (place <= high)).mean())
                right = float(place[top] == 0)
                found[name].append((covers, shares[top, 0], right, float((high - low).mean())))
        for name, rows in found.items():
            numbers = " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))
            print(f"{kind} {n} {r} {spread} {noise} {name} | {numbers}", flush=True)


def calibration(tables: int, only: str) -> None:
    """P(top-1) of the top pick beside how often it is right, where the spread itself varies."""
    print("sources seeds claimed between | tables | claimed | happened")
    edges = np.array([0.0, 0.3, 0.5, 0.7, 0.9, 1.0])
    for n, r in itertools.product((5, 12, 21), (2, 3, 5)):
        if not f"{n} {r}".startswith(only):
            continue
        rng = generator("calibration", n, r)
        claimed, happened = np.empty(tables), np.empty(tables)
        for number in range(tables):
            # From 0.3 to 3 times the noise of one seed, every ratio as likely as any other.
            truth = 0.3 * 10 ** rng.random() * rng.normal(size=n)
            cube = truth[:, None] + 2 * rng.normal(size=r) + rng.normal(size=(n, r))
            drawn = hierarchical(np.ascontiguousarray(cube), rng, 1000)
            shares, _, _, _ = _core.rank_shares(np.ascontiguousarray(drawn), 0.95)
            top = int(shares[:, 0].argmax())
            claimed[number], happened[number] = shares[top, 0], truth[top] == truth.max()
        for low, high in itertools.pairwise(edges):
            own = (low < claimed) & (claimed <= high)
            if own.sum() >= 30:
                numbers = f"{own.sum()} | {claimed[own].mean():.3f} | {happened[own].mean():.3f}"
                print(f"{n} {r} {low}-{high} | {numbers}", flush=True)
        numbers = f"{tables} | {claimed.mean():.3f} | {happened.mean():.3f}"
        print(f"{n} {r} all | {numbers}", flush=True)


def means(tables: int, only: str) -> None:
    """Coverage of intervals of a mean over targets, by unit and interval."""
    print("gaps targets noise unit interval | covers | width")
    for kind, n, noise in itertools.product(GAPS, (5, 8, 12, 21), (0.0, 1.0)):
        if not f"{kind} {n} {noise}".startswith(only):
            continue
        rng = generator("means", kind, n, noise)
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for number in range(tables):
            cube = GAPS[kind](rng, n)[:, None, None] + noise * rng.normal(size=(n, 1, 3))
            for unit in ("targets", "targets_then_seeds"):
                plan = (unit, np.zeros(n, dtype=np.int64), number)
                drawn = _core.resample_means(cube, plan, (0, 4000), 1)
                for interval in ("percentile", "bca", "expanded", "student", "skew"):
                    row = _core.mean_intervals(cube, drawn, [(0, -1)], interval, 0.95)[0]
                    covers = float(row[1] <= 0 <= row[2])
                    found.setdefault((unit, interval), []).append((covers, row[2] - row[1]))
        for (unit, interval), rows in found.items():
            covers, width = np.mean(rows, axis=0)
            print(f"{kind} {n} {noise} {unit} {interval} | {covers:.3f} | {width:.3f}", flush=True)


def table_of(rng: np.random.Generator, n_targets: int, spread: float, n_seeds: int):
    """A table of truths with standard deviation ``spread`` and runs with noise 1 around them."""
    truth = 50 + spread * rng.normal(size=(n_targets, 12, 1))
    scores = truth + rng.normal(size=(n_targets, 12, n_seeds))
    targets = tuple(f"t{at:05}" for at in range(n_targets))
    return TransferTable(scores, targets, tuple("abcdefghijkl"), range(n_seeds), units="percent")


def shares(tables: int, only: str) -> None:
    """Coverage of agreement between seeds and of the noise ceiling, at few targets."""
    print("what spread seeds targets | true mean | expanded covers | width | ours covers | width")
    names = ("best_source", "top_k_jaccard", "rbo", "spearman")
    parts = {
        "agreement": lambda table: seed_consistency(table, n_replicates=2000),
        "ceiling": lambda table: noise_ceiling(table, gain="linear", n_replicates=2000),
    }
    for (part, find), spread, r, n in itertools.product(
        parts.items(), (0.5, 1.0, 2.0, 4.0), (2, 3), (8, 12, 21)
    ):
        if not f"{part} {spread} {r} {n}".startswith(only):
            continue
        rng = generator("shares", part, spread, r, n)
        truth = find(table_of(rng, 20_000, spread, r))
        wanted = [name for name in truth.names if part == "ceiling" or name in names]
        covered: dict[str, list[tuple[float, ...]]] = {name: [] for name in wanted}
        for number in range(tables):
            found = find(table_of(rng, n, spread, r))
            places = [found.names.index(name) for name in wanted]
            cube = np.array([found.per_target[name] for name in wanted]).T[:, :, None]
            plan = ("targets", np.zeros(n, dtype=np.int64), number)
            drawn = _core.resample_means(np.ascontiguousarray(cube), plan, (0, 2000), 1)
            columns = [(at, -1) for at in range(len(wanted))]
            plain = _core.mean_intervals(
                np.ascontiguousarray(cube), drawn, columns, "expanded", 0.95
            )
            for name, place, (_, low, high) in zip(wanted, places, plain, strict=True):
                own = found.columns["low"][place], found.columns["high"][place]
                ends = ((low, high), own)
                row = [(float(a <= truth[name] <= b), b - a) for a, b in ends]
                covered[name].append((*row[0], *row[1]))
        for name, rows in covered.items():
            numbers = " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))
            print(f"{name} {spread} {r} {n} | {truth[name]:.3f} | {numbers}", flush=True)


def methods(tables: int, only: str) -> None:
    """How often exchangeable methods are told apart, and whether their difference 0 is covered."""
    print("targets | pair shown | any shown: none, holm, bh | above chance | difference covered")
    for n in (6, 9, 12, 21):
        if not f"{n}".startswith(only):
            continue
        rng = generator("methods", n)
        targets, sources = tuple(f"t{at:02}" for at in range(n)), tuple("abcdefgh")
        rows = []
        for number in range(tables):
            scores = 50 + rng.normal(size=(n, 8, 3))
            table = TransferTable(scores, targets, sources, (0, 1, 2), units="percent")
            entries = {
                name: SimilarityMatrix(rng.normal(size=(n, 8)), targets, sources, "k")
                for name in "wxyz"
            }
            found = compare_methods(
                entries,
                table,
                metric="spearman",
                correction="none",
                n_replicates=1000,
                n_permutations=999,
                rng=number,
            )
            pairs = found.pairs.columns
            own = list(pairs["p_value"])
            some = [
                any(p <= 0.05 for p in _core.adjusted_p_values(own, name))
                for name in ("none", "holm", "bh")
            ]
            above = np.mean([p <= 0.05 for p in found.rows["p_chance"][:4]])
            covers = np.mean(
                [low <= 0 <= high for low, high in zip(pairs["low"], pairs["high"], strict=True)]
            )
            rows.append([np.mean([p <= 0.05 for p in own]), *some, above, covers])
        numbers = " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0))
        print(f"{n} | {numbers}", flush=True)


PARTS = {
    "ranks": ranks,
    "calibration": calibration,
    "means": means,
    "shares": shares,
    "methods": methods,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--only", default="", help="cells whose line starts so: 'normal 12 5'")
    options = parser.parse_args()
    PARTS[options.part](options.tables, options.only)
