"""A million prompts of eight tasks, analysed with 1,000 bootstrap replicates, beside NumPy.

NumPy gets the same reduction: sums of every prompt once, then for each replicate the counts of a
multinomial and one matrix product. It is timed on fewer replicates and scaled, which is in its
favour (its memory stays warm). The target is ten seconds on two cores.

    python benches/superposition.py --prompts 1000000 --replicates 1000 --threads 2
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from itertools import pairwise

import numpy as np

from kinatlas.superposition import SuperpositionRecord, analyse_superposition

N_TASKS, N_CONDITIONS = 8, 5
NUMPY_REPLICATES = 10


def drawn(n_prompts: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities and mixtures of five conditions."""
    generator = np.random.default_rng(0)
    mass = generator.dirichlet(np.ones(N_TASKS + 1), size=n_prompts)[:, :N_TASKS]
    shares = 0.5 * np.eye(N_TASKS)[:N_CONDITIONS] + 0.5 / N_TASKS
    return np.log(mass), np.repeat(shares, -(-n_prompts // N_CONDITIONS), axis=0)[:n_prompts]


def numpy_columns(logs: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """What every statistic of a condition is made of [n_prompts, 2 + 3 n_tasks + 7]."""
    p = np.exp(logs)
    mass = p.sum(axis=1, keepdims=True)
    share = p / mass
    middle = (share + mixture) / 2
    kl = (mixture * (np.log(mixture) - logs)).sum(axis=1)
    entropy = -(share * np.log(share)).sum(axis=1)
    js = (share * np.log(share / middle) + mixture * np.log(mixture / middle)).sum(axis=1) / 2
    shape = [
        np.abs(share - mixture).sum(axis=1) / 2, js, ((share - mixture) ** 2).sum(axis=1),
        entropy, np.exp(entropy), (share >= 0.1 * mixture).mean(axis=1),
    ]  # fmt: skip
    return np.column_stack([mass, kl, np.log(mass), p, p**2, share, (share**2).sum(axis=1), *shape])


def numpy_analysis(logs: np.ndarray, mixture: np.ndarray, replicates: int) -> tuple[float, float]:
    """Seconds once, and seconds a replicate."""
    began = time.perf_counter()
    columns = numpy_columns(logs, mixture)
    bounds = np.linspace(0, len(logs), N_CONDITIONS + 1).astype(int)
    once = time.perf_counter() - began
    generator = np.random.default_rng(0)
    began = time.perf_counter()
    for _ in range(replicates):
        for start, stop in pairwise(bounds):
            size = stop - start
            counts = np.bincount(generator.integers(size, size=size), minlength=size)
            counts.astype(np.float64) @ columns[start:stop]
    return once, (time.perf_counter() - began) / replicates


def main() -> None:
    """Time both in alternating rounds; the best round of each counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=1_000_000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logs, mixture = drawn(options.prompts)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ours, theirs = [], []
    for _ in range(options.rounds):
        began, used = time.perf_counter(), time.process_time()
        record = SuperpositionRecord(logs, mixture)
        analyse_superposition(record, n_bootstrap=options.replicates, n_threads=options.threads)
        ours.append((time.perf_counter() - began, time.process_time() - used))
        once, each = numpy_analysis(logs, mixture, NUMPY_REPLICATES)
        theirs.append(once + each * options.replicates)
    wall, processor = min(ours)
    print(f"kinatlas, {options.threads} threads: {wall:.1f} s ({processor:.1f} s of processor)")
    print(
        f"NumPy: {min(theirs):.1f} s, {NUMPY_REPLICATES} replicates scaled to {options.replicates}"
    )


if __name__ == "__main__":
    main()
