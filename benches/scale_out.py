"""What a scheduler costs: one comparison by threads of one process, then by Dask's processes.

The work is W2 of the kernels' bench, n x n prompts of 100 tokens x 768, in blocks on disk both
times; runs alternate, medians are compared. Writes nothing but its lines.
"""

from __future__ import annotations

import argparse
import logging
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import kinatlas as ka

TOKENS, DIM, THREADS, ROUNDS = 100, 768, 2, 3


def atlas_of(n_tasks: int, seed: int) -> ka.Atlas:
    """Unit-norm Gaussian tokens around a centre of each prompt."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(n_tasks, TOKENS, DIM)) + rng.normal(size=(n_tasks, 1, DIM))
    tokens /= np.linalg.norm(tokens, axis=2, keepdims=True)
    tokens = tokens.astype(np.float32)
    return ka.Atlas.from_arrays({f"{seed}/{n:04d}": tokens[n] for n in range(n_tasks)})


def seconds(sides: tuple[Path, Path], folder: Path, n_tasks: int, **who: object) -> float:
    """Time one whole run into a fresh folder."""
    start = time.perf_counter()
    ka.distributed.similarity_blocks(
        *sides, folder=folder, kernel="max_pairwise", block_size=n_tasks // 4, **who
    )
    passed = time.perf_counter() - start
    shutil.rmtree(folder)
    return passed


def main(n_tasks: int) -> None:
    """Print both medians, their ratio and whether the bits agree."""
    import distributed

    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        sides = tuple(
            ka.save_atlas(atlas_of(n_tasks, seed), root / f"{seed}.safetensors") for seed in (0, 1)
        )
        cluster = distributed.LocalCluster(
            n_workers=THREADS,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        with cluster, distributed.Client(cluster) as client:
            local, spread = [], []
            seconds(sides, root / "warm", n_tasks, executor=client)
            for round_ in range(ROUNDS):
                local.append(seconds(sides, root / f"l{round_}", n_tasks, n_threads=THREADS))
                spread.append(seconds(sides, root / f"d{round_}", n_tasks, executor=client))
        work = 2 * (n_tasks * TOKENS) ** 2 * DIM / 1e9
        one, many = statistics.median(local), statistics.median(spread)
        print(f"{platform.processor() or platform.machine()}, {THREADS} threads, {work:.0f} GFLOP")
        print(f"one process, {THREADS} threads   {one:7.2f} s  {work / one:7.1f} GFLOP/s  {local}")
        print(
            f"Dask, {THREADS} x 1 thread       {many:7.2f} s  {work / many:7.1f} GFLOP/s  {spread}"
        )
        print(f"distributed / local throughput {one / many:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    main(parser.parse_args().tasks)
