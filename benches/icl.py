"""Simulated sequences per second: kinatlas against vectorised NumPy and torch, in one run.

All draw the same model in float64 (dim 10, 50 examples, two tasks), integrate the query out and
return mean and standard error. NumPy and torch are written to be fast: chunks that fit the cache,
inputs drawn white so that no input covariance is ever multiplied, two matrix-vector products per
sequence in one batched call, no Python loop over sequences. "numpy sufficient" gives NumPy our
trick too: it draws Bartlett's factor of the Gram matrix instead of the inputs. Rounds alternate,
so that a busy machine is busy for everybody; the best round of each counts.

    python benches/icl.py --rounds 5 --threads 2
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from kinatlas.icl import Mixture, optimum, simulate
from kinatlas.icl.simulation import Simulation

DIM, N_EXAMPLES, CHUNK = 10, 50, 500


def paper_mixture() -> Mixture:
    """Setting zero_cov_12 of the paper, with label noise."""
    means = np.outer([1.4, -0.6], np.ones(DIM))
    return Mixture([0.3, 0.7], means, [np.eye(DIM), 2 * np.eye(DIM)], noise_variance=0.09)


def numpy_losses(mixture: Mixture, w: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Losses of ``count`` sequences, a chunk at a time, inputs already white (Sx = I)."""
    generator = np.random.default_rng(seed)
    roots = np.linalg.cholesky(mixture.covariances)
    deviation = mixture.noise**0.5
    found = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        tasks = (generator.random(size) > mixture.weights[0]).astype(np.intp)
        draws = generator.standard_normal((size, DIM, 1))
        beta = mixture.means[tasks] + np.matmul(roots[tasks], draws)[:, :, 0]
        x = generator.standard_normal((size, N_EXAMPLES, DIM))
        y = np.matmul(x, beta[:, :, None])[:, :, 0]
        y += deviation * generator.standard_normal((size, N_EXAMPLES))
        missed = beta - np.matmul(y[:, None, :], x)[:, 0, :] @ w.T
        found.append(np.einsum("sd,sd->s", missed, missed))
    return np.concatenate(found)


def numpy_sufficient_losses(mixture: Mixture, w: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The same losses from the Gram matrix alone."""
    generator = np.random.default_rng(seed)
    roots = np.linalg.cholesky(mixture.covariances)
    deviation = mixture.noise**0.5
    below, on = np.tril_indices(DIM, -1), np.arange(DIM)
    found = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        tasks = (generator.random(size) > mixture.weights[0]).astype(np.intp)
        draws = generator.standard_normal((size, DIM, 1))
        beta = mixture.means[tasks] + np.matmul(roots[tasks], draws)[:, :, 0]
        factor = np.zeros((size, DIM, DIM))
        factor[:, below[0], below[1]] = generator.standard_normal((size, len(below[0])))
        factor[:, on, on] = np.sqrt(generator.chisquare(N_EXAMPLES - on, (size, DIM)))
        carried = np.matmul(beta[:, None, :], factor)
        carried += deviation * generator.standard_normal((size, 1, DIM))
        missed = beta - np.matmul(factor, carried.transpose(0, 2, 1))[:, :, 0] @ w.T
        found.append(np.einsum("sd,sd->s", missed, missed))
    return np.concatenate(found)


def torch_losses(mixture: Mixture, w: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The same in torch."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    kind = {"generator": generator, "dtype": torch.float64}
    means, matrix = torch.tensor(mixture.means), torch.tensor(w.copy())
    roots = torch.linalg.cholesky(torch.tensor(mixture.covariances))
    deviation, share = mixture.noise**0.5, mixture.weights[0]
    found = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        tasks = (torch.rand(size, **kind) > share).long()
        draws = torch.randn(size, DIM, 1, **kind)
        beta = means[tasks] + torch.bmm(roots[tasks], draws)[:, :, 0]
        x = torch.randn(size, N_EXAMPLES, DIM, **kind)
        y = torch.bmm(x, beta[:, :, None])[:, :, 0]
        y += deviation * torch.randn(size, N_EXAMPLES, **kind)
        missed = beta - torch.bmm(y[:, None, :], x)[:, 0, :] @ matrix.T
        found.append((missed * missed).sum(dim=1))
    return torch.cat(found).numpy()


def check(name: str, loss: float, error: float, exact: float) -> None:
    """Refuse to time something that computes another number."""
    z = (loss - exact) / error
    if abs(z) > 5:
        raise SystemExit(f"{name}: {loss} is {z:.1f} standard errors from {exact}")


def contenders(
    mixture: Mixture, count: int, n_threads: int
) -> dict[str, Callable[[int], tuple[float, float]]]:
    """Everybody, as a function of the round that returns loss and standard error."""
    exact = optimum(mixture, N_EXAMPLES, "plain")

    def from_array(losses: np.ndarray) -> tuple[float, float]:
        return losses.mean() + mixture.noise, losses.std() / len(losses) ** 0.5

    def ours(method: str) -> Callable[[int], tuple[float, float]]:
        def run(number: int) -> tuple[float, float]:
            found: Simulation = simulate(
                mixture,
                N_EXAMPLES,
                count,
                setting=exact,
                method=method,
                rng=number,
                n_threads=n_threads,
            )
            return found.loss, found.standard_error

        return run

    methods = ("sufficient", "sequences", "antithetic", "conditional")
    found = {f"kinatlas {method}": ours(method) for method in methods}
    found["numpy"] = lambda number: from_array(numpy_losses(mixture, exact.W, count, number))
    found["numpy sufficient"] = lambda number: from_array(
        numpy_sufficient_losses(mixture, exact.W, count, number)
    )
    if find_spec("torch"):
        import torch

        torch.set_num_threads(n_threads)
        found["torch"] = lambda number: from_array(torch_losses(mixture, exact.W, count, number))
    else:
        print("torch is not installed and therefore not in the table")
    return found


def main() -> None:
    """Time everybody and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=40_000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    mixture = paper_mixture()
    exact = optimum(mixture, N_EXAMPLES, "plain").loss
    everybody = contenders(mixture, options.sequences, options.threads)
    seconds: dict[str, list[float]] = {name: [] for name in everybody}
    errors: dict[str, float] = {}
    for number in range(options.rounds):
        for name, run in everybody.items():
            start = time.perf_counter()
            loss, error = run(number)
            seconds[name].append(time.perf_counter() - start)
            check(name, loss, error, exact)
            errors[name] = error
    print(f"{platform.machine()}, {options.threads} threads, dim {DIM}, n {N_EXAMPLES}, float64")
    print(f"{options.sequences} sequences, best of {options.rounds} alternating rounds")
    print(f"{'':22}{'sequences/s':>12}{'x numpy':>9}{'error':>11}{'time to equal error':>21}")
    best = {name: min(times) for name, times in seconds.items()}
    reference = best["numpy"] * errors["numpy"] ** 2
    for name, least in best.items():
        equal = least * errors[name] ** 2 / reference
        rate = options.sequences / least
        ratio = best["numpy"] / least
        print(f"{name:22}{rate:12.0f}{ratio:9.2f}{errors[name]:11.5f}{equal:20.3f}x")


if __name__ == "__main__":
    main()
