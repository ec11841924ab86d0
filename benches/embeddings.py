"""Fisher accumulation and task-vector differencing as a share of memory bandwidth, beside torch.

Everything runs on one thread. Bandwidth is what a copy between two large arrays moves (read and
written bytes; the read for ownership of the target is not counted). A Fisher batch moves its
gradients once and the float64 sums twice; a difference moves both models once. torch adds squares
to float64 sums in place (``addcmul_``), to float32 sums likewise, and by one reduction over the
batch. CPU time, rounds in turn, the best round counts: other jobs on the machine should not.

    python benches/embeddings.py --rounds 5
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import kinatlas as ka

N_COORDINATES = 4_000_000
N_MODEL = 32_000_000


def bandwidth_job() -> tuple[Callable[[], object], int]:
    """A copy far larger than any cache, and the bytes it moves."""
    source, target = np.ones(32_000_000), np.zeros(32_000_000)
    return lambda: np.copyto(target, source), 2 * source.nbytes


def fisher_jobs(batch: int) -> dict[str, tuple[Callable[[], object], int]]:
    """Name to work and bytes moved, for one batch of float32 gradients."""
    gradients = np.random.default_rng(0).standard_normal((batch, N_COORDINATES), np.float32)
    fisher = ka.FisherAccumulator(n_threads=1, shard_size=1 << 40)
    moved = gradients.nbytes + 2 * 8 * N_COORDINATES
    jobs = {f"kinatlas, batch {batch}": (lambda: fisher.partial_fit({"w": gradients}), moved)}
    if find_spec("torch") is None:
        return jobs
    import torch

    torch.set_num_threads(1)
    rows = torch.from_numpy(gradients)
    wide, narrow = (torch.zeros(N_COORDINATES, dtype=t) for t in (torch.float64, torch.float32))

    def in_place_wide() -> None:
        for row in rows:
            wide.addcmul_(row.double(), row.double())

    def in_place_narrow() -> None:
        for row in rows:
            narrow.addcmul_(row, row)

    def reduced() -> None:
        narrow.add_(rows.square().sum(dim=0))

    return jobs | {
        f"torch addcmul_ into float64, batch {batch}": (in_place_wide, moved),
        f"torch addcmul_ into float32, batch {batch}": (in_place_narrow, moved),
        f"torch square().sum(0) in float32, batch {batch}": (reduced, moved),
    }


def difference_jobs(folder: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """The same for two models on disk, small enough to stay in the page cache."""
    generator = np.random.default_rng(0)
    paths = {}
    for name in ("base", "tuned"):
        model = ka.Atlas.from_arrays(
            {"w": generator.standard_normal((1000, N_MODEL // 1000), "f4")}
        )
        paths[name] = ka.save_atlas(model, folder / f"{name}.safetensors")
    tuned = {"t": paths["tuned"]}
    moved = 2 * 4 * N_MODEL

    def project() -> object:
        return ka.embed_task_vector(paths["base"], paths["tuned"], name="t", n_threads=1)

    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "kinatlas, projected": (project, moved),
        "kinatlas, exact norm": (
            lambda: ka.task_vector_similarity(paths["base"], tuned, n_threads=1),
            moved,
        ),
    }
    if find_spec("torch") is None or find_spec("safetensors") is None:
        return jobs
    from safetensors.torch import load_file

    def in_place() -> object:
        change = load_file(paths["tuned"])["w"].sub_(load_file(paths["base"])["w"])
        return change.flatten().double().square().sum()

    return jobs | {"torch load_file, sub_, norm": (in_place, moved)}


def main() -> None:
    """Print one line per job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{platform.processor() or platform.machine()}, one thread, best of {rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        for jobs in (*(fisher_jobs(size) for size in (1, 8, 64)), difference_jobs(Path(folder))):
            report({"copy": bandwidth_job()} | jobs, rounds)


def report(jobs: dict[str, tuple[Callable[[], object], int]], rounds: int) -> None:
    """Run the jobs in turns and print bytes per second and the share of the copy's."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, (job, _) in jobs.items():
            start = time.process_time()
            job()
            best[name] = min(best[name], time.process_time() - start)
    rates = {name: moved / best[name] / 1e9 for name, (_, moved) in jobs.items()}
    for name, rate in rates.items():
        share = 100 * rate / rates["copy"]
        print(f"  {name:<44} {rate:7.2f} GB/s  {share:5.0f} % of copy  {best[name]:8.3f} s")


if __name__ == "__main__":
    main()
