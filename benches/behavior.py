"""Similarity of 100 boxes on 10,000 probes with 1,000 bootstrap replicates, beside plain NumPy.

NumPy gathers the drawn rows of one replicate at a time and multiplies with BLAS. Both sides are
checked against each other before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time

import numpy as np

from kinatlas import _core


def numpy_similarity(data: np.ndarray) -> np.ndarray:
    """Cosines of centred responses [n_boxes, n_probes, dim]."""
    flat = (data - data.mean(axis=1, keepdims=True)).reshape(len(data), -1)
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return unit @ unit.T


def numpy_intervals(data: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Estimate and percentiles [3, n_boxes, n_boxes], replicate after replicate."""
    generator = np.random.default_rng(seed)
    n_probes = data.shape[1]
    drawn = np.empty((count, len(data), len(data)))
    for number in range(count):
        drawn[number] = numpy_similarity(data[:, generator.integers(0, n_probes, n_probes)])
    ends = np.quantile(drawn, [0.05, 0.95], axis=0)
    return np.concatenate([numpy_similarity(data)[None], ends])


def ours(data: np.ndarray, count: int, seed: int, n_threads: int) -> np.ndarray:
    """The same by the Rust kernel."""
    strata = np.zeros(data.shape[1], dtype=np.int64)
    return _core.behavior_paired(data, (strata, count, 0.9, seed, False), n_threads)


def main() -> None:
    """Check, time, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boxes", type=int, default=100)
    parser.add_argument("--probes", type=int, default=10_000)
    parser.add_argument("--replicates", type=int, default=1000)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    shape = (options.boxes, options.probes)
    shared = generator.normal(size=(5, options.probes))
    logits = generator.normal(size=(options.boxes, 5)) @ shared + generator.normal(size=shape)
    data = np.ascontiguousarray(np.stack([logits, -logits], axis=2) / 2)
    small = np.ascontiguousarray(data[:6, :1000])
    mine, theirs = ours(small, 2000, 0, 1), numpy_intervals(small, 2000, 0)
    if not np.allclose(mine[0], theirs[0], atol=1e-12):
        raise SystemExit("the contenders disagree")
    # Ends of 2000 replicates have a standard error of about 0.05 of the spread.
    spread = (theirs[2] - theirs[1]).max()
    if not np.allclose(mine[1:], theirs[1:], atol=0.12 * spread):
        raise SystemExit("the intervals disagree")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores; {shape[0]} boxes, "
          f"{shape[1]} probes, {options.replicates} replicates")  # fmt: skip
    for n_threads in (1, 2):
        start, cpu = time.perf_counter(), time.process_time()
        ours(data, options.replicates, 1, n_threads)
        print(f"ours, {n_threads} threads {time.perf_counter() - start:8.2f} s "
              f"({time.process_time() - cpu:.2f} s of CPU)", flush=True)  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"largest memory so far {peak:.0f} MB")
    few = max(1, options.replicates // 50)
    start, cpu = time.perf_counter(), time.process_time()
    numpy_intervals(data, few, 1)
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    scale = options.replicates / few
    print(
        f"NumPy {wall * scale:8.2f} s ({used * scale:.2f} s of CPU), measured on {few} replicates"
    )


if __name__ == "__main__":
    main()
