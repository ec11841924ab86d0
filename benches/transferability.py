"""Transferability scores per second: kinatlas against its NumPy twins, in one run.

The twins are written to be read, not to be fast, so the ratio says what a user gains over the
formula typed into NumPy, nothing more. One thread each; rounds alternate, the best counts.

    OPENBLAS_NUM_THREADS=1 python benches/transferability.py --n 200 --dim 64
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np

from kinatlas import _reference_transferability as twins
from kinatlas.transferability import score_many


def best_of(rounds: int, *jobs: Callable[[], object]) -> list[float]:
    """Shortest time of every job, rounds interleaved."""
    shortest = [float("inf")] * len(jobs)
    for _ in range(rounds):
        for place, job in enumerate(jobs):
            start = time.perf_counter()
            job()
            shortest[place] = min(shortest[place], time.perf_counter() - start)
    return shortest


def main() -> None:
    """Print one line a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = np.arange(given.n) % given.classes
    features = rng.normal(size=(given.n, given.dim))
    features += rng.normal(size=(given.classes, given.dim))[labels]
    print(f"{platform.processor() or platform.machine()}, n {given.n}, dim {given.dim}")
    print(f"{'method':14}{'kinatlas ms':>12}{'NumPy ms':>12}{'ratio':>8}")
    for name, twin in twins.TWINS.items():
        ours, theirs = best_of(
            given.rounds,
            lambda name=name: score_many([(features, labels)], method=name, n_threads=1),
            lambda twin=twin: twin(features, labels),
        )
        print(f"{name:14}{1000 * ours:12.2f}{1000 * theirs:12.2f}{theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
