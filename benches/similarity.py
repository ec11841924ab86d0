"""Best-partner similarity beside its peers: same tokens, same threads, a process per thread count.

Every contender is checked against float64 before it is timed; one that is wrong is left out and
named. Contenders take turns, the ceiling is measured between them, and ratios are medians over
rounds. The default sizes keep a run to minutes; ``--size full`` takes the workloads as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import similarity_page
import similarity_peers as peers

import kinatlas as ka
from kinatlas import _core

# Name: sources, targets, tokens, dim at full size; sources, targets in a quick run.
STACKED = {
    "W1": ((13, 10, 100, 768), (13, 10)),
    "W2": ((200, 200, 100, 768), (40, 40)),
    "W3": ((512, 512, 20, 1024), (128, 128)),
    "W5": ((64, 64, 100, 4096), (20, 20)),
    "W6": ((1000, 1000, 8, 768), (250, 250)),
}
QUERY_TOKENS, DIM, SHORTEST, LONGEST = 32, 128, 64, 256
# Long enough to meet the machine's other guests, short enough to follow them.
CEILING_SECONDS = 0.05
DOCUMENTS = {"full": 10_000, "quick": 1_500}
# Of the mean form, unit tokens: float32 sums are off by some 1e-7.
MOST_ERROR = 2e-6
# Of tokens rounded to bfloat16, by our bound 4e-3, in fact a tenth of that.
MOST_ERROR_BF16 = 4e-3


@dataclass
class Workload:
    """Contenders by name, with what one run costs."""

    name: str
    flops: float
    bytes_read: float
    exact: np.ndarray
    contenders: dict[str, Callable[[], np.ndarray]]


def unit_prompts(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Gaussian tokens around a centre per prompt, of norm 1."""
    tokens = generator.normal(size=shape) + 0.5 * generator.normal(size=(shape[0], 1, shape[2]))
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    return tokens.astype(np.float32)


def ours(
    sources: ka.Atlas,
    targets: ka.Atlas,
    n_threads: int,
    precision: str = "auto",
    method: str = "exact",
) -> Callable[[], np.ndarray]:
    """The public function, tokens taken as normalised, as all contenders do.

    Every product is made unless another method is named, so that rates count what was done.
    """
    return lambda: ka.similarity_matrix(
        sources, targets, kernel="max_pairwise", normalize=None, diagnostics=False,
        n_threads=n_threads, precision=precision, method=method,
    ).values  # fmt: skip


def stacked(name: str, size: str, n_threads: int) -> Workload:
    """All pairs of two stacks of prompts."""
    (n_s, n_t, n, dim), quick = STACKED[name]
    if size == "quick":
        n_s, n_t = quick
    generator = np.random.default_rng(0)
    a, b = unit_prompts(generator, (n_s, n, dim)), unit_prompts(generator, (n_t, n, dim))
    contenders: dict[str, Callable[[], np.ndarray]] = {
        "kinatlas": ours(atlas(a), atlas(b), n_threads),
        "kinatlas bf16": ours(atlas(a), atlas(b), n_threads, "bf16"),
        "kinatlas as it comes": ours(atlas(a), atlas(b), n_threads, method="auto"),
    }
    for label, run in peers.STACKED.items():
        # A matrix of all tokens, 4 bytes each.
        huge = 4 * n_s * n_t * n * n > 2e9 and label in (
            "numpy one product",
            "torch einsum",
            "jax einsum",
        )
        if peers.is_safe(label, n, n, dim) and not huge:
            contenders[label] = lambda run=run: run(a, b)
    exact = peers.numpy_one_product(a.astype(float), b[:2].astype(float))
    flops = 2.0 * n_s * n_t * n * n * dim
    return Workload(name, flops, a.nbytes + b.nbytes, exact, contenders)


def one_query(size: str, n_threads: int) -> Workload:
    """W4: one query against ragged documents."""
    generator = np.random.default_rng(0)
    count = DOCUMENTS[size]
    lengths = generator.integers(SHORTEST, LONGEST + 1, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = unit_prompts(generator, (1, int(offsets[-1]), DIM))[0]
    query = unit_prompts(generator, (1, QUERY_TOKENS, DIM))[0]
    documents = ka.Atlas.from_arrays(
        {f"d{i}": rows[offsets[i] : offsets[i + 1]] for i in range(count)}, space="bench"
    )
    asked = ka.Atlas.from_arrays({"query": query}, space="bench")
    contenders = {"kinatlas": ours(asked, documents, n_threads)}
    for label, run in peers.ONE_QUERY.items():
        contenders[label] = lambda run=run: run(query, rows, offsets)
    exact = peers.query_loop(query.astype(float), rows.astype(float), offsets[:101])
    return Workload("W4", 2.0 * QUERY_TOKENS * len(rows) * DIM, rows.nbytes, exact, contenders)


def atlas(prompts: np.ndarray) -> ka.Atlas:
    """A stack of prompts with names."""
    return ka.Atlas.from_arrays({f"t{i}": p for i, p in enumerate(prompts)}, space="bench")


def ceiling(n_threads: int, *, is_bf16: bool = False) -> float:
    """GFLOP/s of products in registers, kept up for ``CEILING_SECONDS``.

    Not the best half millisecond: other guests of the machine take their part of that too.
    """
    start, rates = time.perf_counter(), []
    while time.perf_counter() - start < CEILING_SECONDS:
        rates.append(_core._fma_peak(1, n_threads, is_bf16=is_bf16) or float("nan"))
    return statistics.harmonic_mean(rates)


def measured(work: Workload, rounds: int, n_threads: int) -> list[dict[str, Any]]:
    """Seconds of every contender that is right, in turns."""
    errors = {}
    for label, run in list(work.contenders.items()):
        found = run()[: len(work.exact)]
        errors[label] = float(np.abs(found - work.exact).max())
        if errors[label] > (MOST_ERROR_BF16 if "bf16" in label else MOST_ERROR):
            print(f"{work.name}: {label} is wrong by {errors[label]:.1e} and left out")
            del work.contenders[label]
    seconds: dict[str, list[float]] = {label: [] for label in work.contenders}
    shares: dict[str, list[float]] = {label: [] for label in work.contenders}
    processor: dict[str, list[float]] = {label: [] for label in work.contenders}
    for _ in range(rounds):
        for label, run in work.contenders.items():
            before = ceiling(n_threads, is_bf16="bf16" in label)
            start, busy = time.perf_counter(), time.process_time()
            run()
            processor[label].append(time.process_time() - busy)
            seconds[label].append(time.perf_counter() - start)
            after = ceiling(n_threads, is_bf16="bf16" in label)
            rate = work.flops / seconds[label][-1] / 1e9
            shares[label].append(rate / statistics.harmonic_mean([before, after]))
    return [
        {
            "workload": work.name,
            "name": label,
            "best": min(times),
            "median": statistics.median(times),
            "gflops": work.flops / min(times) / 1e9,
            # Of what the ceiling was just before and after.
            "share": statistics.median(shares[label]),
            # While it ran: what is left of a busy machine's noise.
            "busy_gflops": n_threads * work.flops / min(processor[label]) / 1e9,
            "ratio": statistics.median(
                theirs / mine for theirs, mine in zip(times, seconds["kinatlas"], strict=True)
            ),
            "busy_ratio": min(processor[label]) / min(processor["kinatlas"]),
            "error": errors[label],
            "intensity": work.flops / work.bytes_read,
        }
        for label, times in seconds.items()
    ]


def bandwidth() -> float:
    """GB/s of reading 256 MB, the best of five."""
    values = np.ones(1 << 26, dtype=np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        values.max()
        seconds.append(time.perf_counter() - start)
    return values.nbytes / min(seconds) / 1e9


def child(options: argparse.Namespace) -> None:
    """Measure with the number of threads that the environment was set to."""
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(options.child)
        torch.set_float32_matmul_precision(options.torch_precision)
    rows = []
    for name in options.workloads:
        work = (
            one_query(options.size, options.child)
            if name == "W4"
            else stacked(name, options.size, options.child)
        )
        rows += measured(work, options.rounds, options.child)
    path = _core._simd_paths()[0][0]
    found = {
        "threads": options.child,
        "simd": path,
        "peak": ceiling(options.child),
        "best_peak": _core._fma_peak(50, options.child),
        "bf16_peak": ceiling(options.child, is_bf16=True),
        "bandwidth": bandwidth(),
    }
    print(json.dumps(found | {"rows": rows}))


def main() -> None:
    """One child per number of threads, one page for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--workloads", nargs="+", default=["W1", "W2", "W3", "W4", "W5", "W6"])
    parser.add_argument("--torch-precision", default="highest", choices=("highest", "medium"))
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    runs = []
    for count in options.threads:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, str(count))
        if count == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        command = [sys.executable, *sys.argv, "--child", str(count)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        *notes, last = done.stdout.strip().splitlines()
        print(*notes, sep="\n")
        runs.append(json.loads(last))
    found = {
        "machine": f"{processor_name()}, {len(os.sched_getaffinity(0))} cores",
        "method": f"{options.size} sizes, {options.rounds} rounds in turns; GFLOP/s from the best "
        "round; share of the ceiling kept up before and after, for bf16 that of its own products, "
        "and ratios are medians over rounds (above 1: slower than ours); "
        "'by CPU time' counts only the time that a contender was running, for busy machines",
        "runs": runs,
    }
    similarity_page.write(found, options.out)
    print(similarity_page.markdown(found))


def processor_name() -> str:
    """Name of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
