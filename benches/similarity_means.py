"""Kernels that see mean tokens only, beside numpy and torch: how fast tokens are read.

Contenders take turns; processor time counts, the best of many rounds and the median. Reading the
same bytes once, front to back, is measured between them: a prefetcher that follows several places
at a time reads faster than that, so it is a yardstick and not the ceiling.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from similarity import atlas, unit_prompts

import kinatlas as ka


def numpy_sums(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Norms by einsum, sums of unit tokens by a product, one product of sums."""

    def means(tokens: np.ndarray) -> np.ndarray:
        norms = np.sqrt(np.einsum("sid,sid->si", tokens, tokens))
        return (1 / norms)[:, None, :] @ tokens

    return (means(targets)[:, 0] @ means(sources)[:, 0].T) / (sources.shape[1] * targets.shape[1])


def torch_sums(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The same by ``vector_norm`` and ``bmm``, torch's best."""
    import torch

    def means(tokens: np.ndarray) -> torch.Tensor:
        laid = torch.from_numpy(tokens)
        return torch.bmm((1 / torch.linalg.vector_norm(laid, dim=2))[:, None], laid)[:, 0]

    found = means(targets) @ means(sources).T
    return (found / (sources.shape[1] * targets.shape[1])).numpy()


def processor_seconds(run: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Print GB/s of every contender."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(200, 100, 768))
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    a, b = (unit_prompts(generator, tuple(options.shape)) for _ in range(2))
    sources, targets = atlas(a), atlas(b)
    contenders: dict[str, Callable[[], np.ndarray]] = {
        kernel: lambda kernel=kernel: (
            ka.similarity_matrix(
                sources, targets, kernel=kernel, n_threads=1, diagnostics=False
            ).values
        )
        for kernel in ("mean_pairwise", "feature_mean")
    }
    contenders["numpy"] = lambda: numpy_sums(a, b)
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        contenders["torch"] = lambda: torch_sums(a, b)
    exact = numpy_sums(a.astype(float), b.astype(float))
    for label, run in contenders.items():
        assert label == "feature_mean" or np.abs(run() - exact).max() < 1e-6, label
    contenders["reading alone"] = lambda: np.stack([a.max(), b.max()])
    seconds: dict[str, list[float]] = {label: [] for label in contenders}
    for _ in range(options.rounds):
        for label, run in contenders.items():
            seconds[label].append(processor_seconds(run))
    for label, times in seconds.items():
        best, middle = min(times), statistics.median(times)
        speed = (a.nbytes + b.nbytes) / best / 1e9
        print(f"{label:14} {best * 1e3:8.2f} ms  {speed:6.2f} GB/s  median {middle * 1e3:8.2f} ms")


if __name__ == "__main__":
    main()
