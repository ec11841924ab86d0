"""All pairs of many LoRA adapters, from disk, mapped: seconds, pairs a second, memory.

    python benches/low_rank.py                 # 60 adapters of 4 layers
    python benches/low_rank.py --size full     # 1,000 rank-16 adapters of 32 layers, 4.2 GB

Adapters are PEFT folders, q and v projections of 1024 x 1024 in float16, made in ``--folder`` and
deleted afterwards. They are compared in a process of its own; its peak (VmHWM, mapped pages
included) and its anonymous part (RssAnon at the end) are reported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import kinatlas as ka
from kinatlas import _core

SIZES = {"small": (60, 4), "full": (1000, 32)}
RANK, DIM = 16, 1024
CONFIG = {
    "peft_type": "LORA",
    "base_model_name_or_path": "synthetic-1024",
    "task_type": "CAUSAL_LM",
    "r": RANK,
    "lora_alpha": 2 * RANK,
    "target_modules": ["q_proj", "v_proj"],
}


def write(folder: Path, n_adapters: int, n_layers: int) -> int:
    """Write adapters as PEFT does and return their bytes."""
    rng, total = np.random.default_rng(0), 0
    for number in range(n_adapters):
        tensors = []
        for layer in range(n_layers):
            for module in ("q_proj", "v_proj"):
                stem = f"base_model.model.model.layers.{layer}.self_attn.{module}"
                for factor, shape in (("A", (RANK, DIM)), ("B", (DIM, RANK))):
                    values = 0.02 * rng.standard_normal(shape, dtype=np.float32)
                    packed = values.astype(np.float16).reshape(-1).view(np.uint8)
                    name = f"{stem}.lora_{factor}.weight"
                    tensors.append((name, "float16", list(shape), packed))
        data = _core.serialize_tensors(tensors, {})
        here = folder / f"adapter{number:05d}"
        here.mkdir(parents=True)
        (here / "adapter_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        total += (here / "adapter_model.safetensors").write_bytes(data)
    return total


def compare(folder: str, precision: str) -> None:
    """Open, compare and print what it took; runs in a fresh process."""
    start = time.perf_counter()
    atlas = ka.load_atlas(folder, kind="low_rank", mapped=True)
    opened, cpu = time.perf_counter(), time.process_time()
    ka.similarity_matrix(
        atlas,
        kernel="low_rank_cosine",
        precision=precision,
        progress=True if sys.stderr.isatty() else None,
    )
    seconds, cpu = time.perf_counter() - opened, time.process_time() - cpu
    n_pairs = len(atlas) * (len(atlas) + 1) // 2
    flops = n_pairs * len(atlas.modules) * 4 * RANK * RANK * DIM
    found = {
        "precision": precision,
        "n_modules": len(atlas.modules),
        "open_s": round(opened - start, 1),
        "compare_s": round(seconds, 1),
        "cpu_s": round(cpu, 1),
        "pairs_per_s": round(n_pairs / seconds),
        "GFLOP_per_cpu_s": round(flops / cpu / 1e9, 1),
        "peak_rss_MB": status("VmHWM"),
        "anonymous_MB": status("RssAnon"),
    }
    print(json.dumps(found), flush=True)


def status(word: str) -> int:
    """Return a line of the process status in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word)) // 1024


def main() -> None:
    """Make the adapters, compare them in fresh processes, delete them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--folder", type=Path, default=Path("."))
    parser.add_argument("--precisions", default="float32,float64")
    parser.add_argument("--compare", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:
        return compare(*arguments.compare)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        start = time.perf_counter()
        n_bytes = write(Path(folder), *SIZES[arguments.size])
        print(f"{n_bytes / 1e9:.2f} GB written in {time.perf_counter() - start:.0f} s", flush=True)
        for precision in arguments.precisions.split(","):
            words = [__file__, "--compare", folder, precision]
            subprocess.run([sys.executable, *words], check=True)


if __name__ == "__main__":
    main()
