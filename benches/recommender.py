"""Training a new task's head, rows per second: kinatlas against torch, in one run.

The head of the census setting (dim 123, width 128, two sources, tower 64-32, 27,063 parameters),
one epoch over cached float32 features: shuffle, gather, forward, backward, Adam. torch trains the
same architecture with its fused Adam, which is its faster one here, and logits instead of
probabilities; both start from the same numbers and must end at the same loss. Rounds alternate, so
that a busy machine is busy for everybody; the best round of each counts, in wall and in CPU time.

    python benches/recommender.py --rounds 5
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from kinatlas.composition import Features, PromptHead

DIM, WIDTH, N_SOURCES, TOWER, TAU = 123, 128, 2, (64, 32), 150.0
LEARNING_RATE, PENALTY = 1e-3, 3e-5


def rows(n: int) -> tuple[Features, np.ndarray]:
    """Random features; labels that a head can learn."""
    rng = np.random.default_rng(0)
    own = rng.standard_normal((n, N_SOURCES, WIDTH), dtype=np.float32)
    features = Features(
        x=rng.standard_normal((n, DIM), dtype=np.float32),
        shared=rng.standard_normal((n, WIDTH), dtype=np.float32),
        own=own,
        sources=("first", "second"),
        keys=rng.standard_normal((N_SOURCES, WIDTH), dtype=np.float32),
        basis_key="bench",
    )
    return features, own[:, 0, :8].sum(axis=1) > 0


def ours(features: Features, labels: np.ndarray, batch: int, n_threads: int) -> float:
    """Train one epoch; return its mean loss."""
    head = PromptHead(
        tower=TOWER,
        tau=TAU,
        epochs=1,
        batch_size=batch,
        learning_rate=LEARNING_RATE,
        reg_dnn=PENALTY,
        n_threads=n_threads,
    )
    return head.fit(features, labels).history.loss[0]


def torch_head(start: dict[str, np.ndarray]) -> Any:
    """Return the same head in torch, with the same starting numbers."""
    import torch
    from torch import nn

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            half = WIDTH // 2
            self.query = nn.Sequential(
                nn.Linear(DIM, half, bias=False), nn.ReLU(), nn.Linear(half, WIDTH, bias=False)
            )
            self.norm = nn.LayerNorm(WIDTH)
            self.gate = nn.Linear(DIM, 2, bias=False)
            self.prompt = nn.Parameter(torch.zeros(WIDTH))
            widths = (WIDTH, *TOWER, 1)
            layers: list[nn.Module] = []
            for inputs, outputs in itertools.pairwise(widths):
                layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            self.tower = nn.Sequential(*layers[:-1])

        def forward(self, x: Any, shared: Any, own: Any, keys: Any) -> Any:
            weights = torch.softmax(self.norm(self.query(x)) @ keys.T / TAU, dim=1)
            mixed = torch.bmm(weights[:, None, :], own)[:, 0] * self.prompt
            gate = torch.softmax(self.gate(x), dim=1)
            fused = gate[:, :1] * mixed + gate[:, 1:] * shared
            return self.tower(fused)[:, 0]

    names = {"proj.ln": "norm", "proj": "query", "prompt.E": "prompt"}
    renamed = {}
    for name, values in start.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        renamed[name] = torch.from_numpy(values)
    head = Head()
    head.load_state_dict(renamed)
    return head


def torch_epoch(
    features: Features, labels: np.ndarray, batch: int, start: dict[str, np.ndarray]
) -> Callable[[], float]:
    """Return one epoch of torch; it returns the mean loss."""
    import torch

    arrays = (features.x, features.shared, features.own, features.keys)
    x, shared, own, keys = (torch.from_numpy(array.copy()) for array in arrays)
    wanted = torch.from_numpy(labels.astype(np.float32))

    def run() -> float:
        head = torch_head(start)
        tower = [p for name, p in head.named_parameters() if "tower" in name and p.ndim == 2]
        optimiser = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE, fused=True)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        total = torch.zeros(())
        for some in order.split(batch):
            optimiser.zero_grad()
            logits = head(x[some], shared[some], own[some], keys)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted[some])
            (loss + PENALTY / 2 * sum(p.square().sum() for p in tower)).backward()
            optimiser.step()
            total += loss.detach() * len(some)
        return float(total) / len(x)

    return run


def measure(n: int, batch: int, n_threads: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least wall and CPU seconds of everybody."""
    features, labels = rows(n)
    runs = {"kinatlas": lambda: ours(features, labels, batch, n_threads)}
    if find_spec("torch"):
        import torch

        torch.set_num_threads(n_threads)
        still = PromptHead(tower=TOWER, epochs=1, learning_rate=1e-30)
        start = still.fit(features.take(slice(64)), labels[:64]).state()
        runs["torch"] = torch_epoch(features, labels, batch, start)
    losses, best = {}, {}
    for _ in range(rounds):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            losses[name] = run()
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            best[name] = tuple(map(min, spent, best.get(name, spent)))
    # The orders of the rows differ; over an epoch the losses agree to a few per mille.
    if max(losses.values()) > 1.02 * min(losses.values()):
        raise SystemExit(f"not the same training: {losses}")
    return best


def main() -> None:
    """Time everybody and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=32_768)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    if not find_spec("torch"):
        print("torch is not installed and therefore not in the table")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]}")
    print(f"{options.rows} rows, best of {options.rounds} alternating rounds, rows per second")
    print(f"{'batch':>6}{'threads':>8}  {'':10}{'wall':>10}{'CPU':>10}{'x torch':>9}{'CPU':>7}")
    for batch in (256, 4096):
        for n_threads in options.threads:
            best = measure(options.rows, batch, n_threads, options.rounds)
            peer = best.get("torch", best["kinatlas"])
            for name, (wall, cpu) in best.items():
                rates = f"{options.rows / wall:10.0f}{options.rows / cpu:10.0f}"
                ratios = f"{peer[0] / wall:9.2f}{peer[1] / cpu:7.2f}"
                print(f"{batch:6}{n_threads:8}  {name:10}{rates}{ratios}", flush=True)


if __name__ == "__main__":
    main()
