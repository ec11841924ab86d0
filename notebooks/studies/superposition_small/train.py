"""Train the single-task model and its mixture-trained control; stop and start at will.

    python train.py RUNS --seeds 0 1 2

Every 200 steps the whole state of a run is written; a second start goes on where the first one
stopped. About nine CPU minutes a seed.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from network import Network
from retrieval import ASKED, lines, mixed_tasks, pure_tasks, tokens
from torch.nn import functional

BATCH, RATE, WARM_UP, DECAY, SAVE_EVERY = 32, 2e-3, 200, 0.3, 200
#: Steps of a round, and rounds, of each regime. The control starts from the single-task model,
#: because a cold start on mixtures sits on the plateau ln 3 for longer than this; one round does
#: not undo the habit of answering one task (loss 0.67 to 0.81, Bayes 0.655).
ROUNDS = {"single": (1800, 1), "mixture": (2000, 2)}
TASKS = {"single": pure_tasks, "mixture": mixed_tasks}


def rate_at(step, n_steps):
    """Return the rate at a step of a round: warm-up, plateau, linear decay to zero."""
    falling = (n_steps - step) / (DECAY * n_steps)
    return RATE * min(1.0, (step + 1) / WARM_UP, falling)


def train(folder, regime, seed, round_steps, n_rounds):
    n_steps = round_steps * n_rounds
    path = folder / f"{regime}_{seed}.pt"
    torch.manual_seed(seed)
    network = Network()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    start, losses = 0, []
    if path.exists():
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        start, losses = state["step"], state["losses"]
    elif regime == "mixture":
        warm = torch.load(folder / f"single_{seed}.pt", weights_only=True)
        network.load_state_dict(warm["network"])
    began = time.process_time()
    for step in range(start, n_steps):
        # One stream a step: a resumed run sees the batches it would have seen.
        rng = np.random.default_rng([seed, list(ROUNDS).index(regime), step])
        letters, answers = lines(rng, TASKS[regime](rng, BATCH))
        logits = network(torch.from_numpy(tokens(letters, answers)))[:, torch.from_numpy(ASKED)]
        loss = functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(answers).flatten())
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step % round_steps, round_steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == n_steps:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"step": step + 1, "losses": losses}
            torch.save(state, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
            recent = math.fsum(losses[-SAVE_EVERY:]) / len(losses[-SAVE_EVERY:])
            seconds = time.process_time() - began
            print(
                f"{regime} seed {seed} step {step + 1} loss {recent:.4f} cpu {seconds:.0f} s",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for regime, (round_steps, n_rounds) in ROUNDS.items():
            train(options.folder, regime, seed, round_steps, n_rounds)


if __name__ == "__main__":
    main()
