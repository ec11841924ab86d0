"""Top 10 among 10^5 synthetic tasks: sketches and exact re-ranking against the exact kernel.

Tasks are families: a family's prompt plus noise of each task. Families are what a fleet of
adapters looks like (versions, seeds, sizes of one task); without any structure, the nearest
neighbour of a random prompt is an accident that no sketch can find, and the last line says so.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time

import numpy as np

import kinatlas as ka
from kinatlas.similarity import nearest_sources, plan_blocks, sketch_atlas

FAMILY, K, FEATURES = 20, 10, 128


def fleet(n_tasks: int, n_tokens: int, dim: int, noise: float, seed: int = 0) -> ka.Atlas:
    """An atlas of float32 prompts in families of 20."""
    rng = np.random.default_rng(seed)
    tokens = np.empty((n_tasks, n_tokens, dim), dtype=np.float32)
    for family in range(0, n_tasks, FAMILY):
        own = tokens[family : family + FAMILY]
        rng.standard_normal(out=own, dtype=np.float32)
        own *= noise
        own += (1.0 - min(noise, 1.0)) * rng.standard_normal((n_tokens, dim), dtype=np.float32)
    names = tuple(f"adapter/{n:06d}" for n in range(n_tasks))
    offsets = np.arange(n_tasks + 1, dtype=np.int64) * n_tokens
    origins = (ka.tasks.Provenance(),) * n_tasks
    return ka.Atlas(names, "synthetic", "float32", origins, tokens.reshape(-1, dim), offsets)


def measure(size: tuple[int, int, int], n_targets: int, noise: float, n_candidates: int) -> None:
    """Print seconds, recall and the part of all pairs that was scored exactly."""
    n_tasks = size[0]
    atlas = fleet(*size, noise)
    targets = atlas.select(atlas.names[:: n_tasks // n_targets][:n_targets])
    start = time.perf_counter()
    sketches = sketch_atlas(atlas, kernel="mean_pairwise", n_features=FEATURES, rng=0)
    built = time.perf_counter() - start
    start = time.perf_counter()
    found = nearest_sources(
        targets, atlas, kernel="max_pairwise", sketches=sketches, k=K, n_candidates=n_candidates
    )
    asked = time.perf_counter() - start
    start = time.perf_counter()
    plan = plan_blocks(atlas, targets, kernel="max_pairwise")
    parts = [(block, plan.compute(block, atlas, targets)) for block in plan]
    exhaustive = time.perf_counter() - start
    exact = np.empty((n_targets, n_tasks))
    for block, scores in parts:
        exact[slice(*block.rows), slice(*block.cols)] = scores
    hits = 0
    places = {name: place for place, name in enumerate(atlas.names)}
    for row, target in enumerate(targets.names):
        exact[row, places[target]] = -np.inf
        best = np.argpartition(-exact[row], K)[:K]
        hits += len({atlas.names[place] for place in best} & set(found.sources[row]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"noise {noise:.2f}: sketches {built:.2f} s once; {n_targets} targets {asked:.3f} s, "
        f"exhaustive {exhaustive:.2f} s, {exhaustive / asked:.0f} times faster; "
        f"recall@{K} {hits / (K * n_targets):.3f}; {found.n_scored / found.n_pairs:.2%} of pairs "
        f"scored; peak memory {peak:.2f} GiB",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=50)
    given = parser.parse_args()
    size = (given.tasks, given.tokens, given.dim)
    print(f"{platform.machine()}, {ka.num_threads()} threads, tasks x tokens x dim: {size}")
    for level in (0.3, 0.5, 1.0):
        measure(size, given.targets, level, given.candidates)
