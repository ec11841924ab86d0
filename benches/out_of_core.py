"""An atlas larger than memory: what a comparison of it takes, and how little memory.

    python benches/out_of_core.py                     # 1 GB of tokens, max_memory 100 MB
    python benches/out_of_core.py --size full         # 20 GB of tokens, max_memory 2 GB

The file is made in ``--folder`` and deleted afterwards. Eight targets are compared with all sources
in a process of its own, whose peak (VmHWM, mapped pages included) is what is reported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

import kinatlas as ka
from kinatlas.io.save import _header
from kinatlas.io.tensors import FORMAT, VERSION

SIZES = {"small": (1e9, 100e6), "full": (20e9, 2e9)}
N_TOKENS, DIM, N_TARGETS = 100, 768, 8


def write(path: Path, n_bytes: float) -> int:
    """Write random tasks of 100 x 768 float32 numbers as ``save_atlas`` would, in parts."""
    n_tasks = int(n_bytes // (4 * N_TOKENS * DIM))
    names = tuple(f"task{number:06d}" for number in range(n_tasks))
    origins = (ka.tasks.Provenance(),) * n_tasks
    nothing = np.broadcast_to(np.float32(0), (n_tasks * N_TOKENS, DIM))
    offsets = np.arange(n_tasks + 1, dtype=np.int64) * N_TOKENS
    texts = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "names": json.dumps(names),
        "space": "synthetic",
        "provenance": json.dumps([asdict(origin) for origin in origins]),
    }
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(
            _header(ka.Atlas(names, "synthetic", "float32", origins, nothing, offsets), texts)
        )
        for start in range(0, n_tasks, 256):
            shape = (min(256, n_tasks - start), N_TOKENS, DIM)
            file.write((rng.random(shape, dtype=np.float32) - np.float32(0.5)).data)
    return n_tasks


def compare(path: str, max_memory: float, kernel: str) -> None:
    """Compare and print what it took; runs in a fresh process."""
    start = time.perf_counter()
    atlas = ka.io.open_atlas(path)
    opened = time.perf_counter()
    targets = atlas.select(list(atlas.names[:N_TARGETS]))
    found = ka.distributed.similarity_blocks(
        path,
        targets,
        out=f"{path}.{kernel}.npy",
        kernel=kernel,
        center="features",
        max_memory=max_memory,
        progress=sys.stderr.isatty(),
    )
    seconds = time.perf_counter() - opened
    print(
        json.dumps(
            {
                "kernel": kernel,
                "n_sources": len(atlas),
                "n_blocks": len(found.plan),
                "open_s": round(opened - start, 2),
                "compare_s": round(seconds, 1),
                "pairs_per_s": round(N_TARGETS * len(atlas) / seconds),
                "GB_per_s": round(atlas._buffer.nbytes / seconds / 1e9, 3),
                "peak_rss_MB": round(peak_rss() / 1e6),
            }
        )
    )


def peak_rss() -> int:
    """Return the most memory this process ever held, pages of mapped files included."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Make the file, compare it in fresh processes, delete it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--folder", type=Path, default=Path("."))
    parser.add_argument("--kernels", default="max_pairwise,feature_mean")
    parser.add_argument("--compare", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:
        path, max_memory, kernel = arguments.compare
        return compare(path, float(max_memory), kernel)
    n_bytes, max_memory = SIZES[arguments.size]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "atlas.safetensors")
        start = time.perf_counter()
        n_tasks = write(path, n_bytes)
        took = time.perf_counter() - start
        print(f"{n_tasks} tasks, {path.stat().st_size / 1e9:.2f} GB written in {took:.0f} s")
        for kernel in arguments.kernels.split(","):
            words = [__file__, "--compare", str(path), str(max_memory), kernel]
            subprocess.run([sys.executable, *words], check=True)


if __name__ == "__main__":
    main()
