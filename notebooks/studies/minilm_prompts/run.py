"""Command line of the study: fetch, train, measure, collect, findings, or all of them in order.

Every trained prompt and every measured cell is one small file in the work folder, written under a
temporary name and renamed, and skipped when it is there: stop the run whenever you like and start
it again. Two processes can share the work with `--share 0/2` and `--share 1/2`.
"""

from __future__ import annotations

import os

# A second BLAS thread would only spin: the systems solved here are 64 x 64 at most. The numerical
# libraries read these when they are loaded, so they are set before anything else is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import process_time

import numpy as np
import torch
from collect import collect
from encoder import Encoder, load_encoder
from findings import report
from measure import measure
from packages import ARCHIVES, debian_index, fetch
from store import (
    INITIAL,
    NO_PROMPT,
    Plan,
    cell_path,
    prompt_path,
    read_prompt,
    write_json,
    write_prompt,
)
from tasks import PERMUTED, SPECS, Task, load_tasks
from train import Recipe, initial_prompt, train_prompt

CONTROL = f"sent_tweet{PERMUTED}"


def say(*words: object) -> None:
    """Progress goes to standard error, at once."""
    print(*words, file=sys.stderr, flush=True)


def train_all(encoder: Encoder, tasks: dict[str, Task], plan: Plan, work: Path) -> None:
    """Train every missing prompt of the plan's share, and write the initial ones."""
    for seed in plan.seeds:
        start = prompt_path(work, INITIAL, seed)
        if not start.exists():
            write_prompt(start, initial_prompt(encoder, plan.recipe, seed))
    for name, seed in plan.shared([(name, seed) for seed in plan.seeds for name in plan.sources]):
        path = prompt_path(work, name, seed)
        if path.exists():
            continue
        trained = train_prompt(encoder, tasks[name], plan.recipe, seed)
        log = {k: v for k, v in asdict(trained).items() if k != "prompt"}
        write_json(path.with_suffix(".json"), log)
        write_prompt(path, trained.prompt)
        say(f"trained {name} seed {seed}:", log)


def measure_all(encoder: Encoder, tasks: dict[str, Task], plan: Plan, work: Path) -> None:
    """Measure every missing cell of the plan's share; prompts must be trained by then."""
    # The encoder without a prompt knows no seed: it is measured once, under seed 0.
    cells = [(target, NO_PROMPT, 0) for target in plan.targets]
    for seed in plan.seeds:
        cells += [(t, s, seed) for s in (INITIAL, *plan.sources) for t in plan.targets]
    for target, source, seed in plan.shared(cells):
        path = cell_path(work, target, source, seed)
        if path.exists():
            continue
        prompt = None if source == NO_PROMPT else read_prompt(work, source, seed)
        started = process_time()
        cell = measure(encoder, tasks[target], prompt)
        seconds = process_time() - started
        write_json(path, {**asdict(cell), "cpu_seconds": seconds})
        say(f"measured {target} <- {source} seed {seed}: {cell.zero_shot:.1f} {cell.ridge:.1f}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    steps = ["fetch", "train", "measure", "collect", "findings", "all"]
    parser.add_argument("step", choices=steps)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the archives")
    parser.add_argument("--work", type=Path, required=True, help="folder of prompts and cells")
    parser.add_argument("--out", type=Path, help="folder of the results (default: WORK/out)")
    parser.add_argument("--tasks", nargs="+", default=list(SPECS), choices=list(SPECS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=Recipe().n_steps)
    parser.add_argument("--share", default="0/1", help="I/N: do every N-th job, starting at I")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps asked for."""
    options = parse(arguments)
    torch.set_num_threads(1)
    # The permuted control needs its task in the run, so a reduced run may go without it.
    controls = [CONTROL] if "sent_tweet" in options.tasks else []
    index, count = (int(number) for number in options.share.split("/"))
    plan = Plan(
        recipe=Recipe(n_steps=options.steps),
        targets=tuple(options.tasks),
        sources=(*options.tasks, *controls),
        seeds=tuple(options.seeds),
        share=(index, count),
    )
    plan.check(options.work)
    out = options.out or options.work / "out"
    steps = {options.step} if options.step != "all" else {"train", "measure", "collect", "findings"}
    if "fetch" in steps:
        for archive in ARCHIVES.values():
            say("verified", fetch(archive, options.cache))
        say("package index:", len(debian_index(options.cache)), "bytes")
        return
    if steps & {"train", "measure", "collect"}:
        tasks = load_tasks(plan.sources, options.cache)
    if steps & {"train", "measure"}:
        encoder = load_encoder(options.cache)
        if "train" in steps:
            train_all(encoder, tasks, plan, options.work)
        if "measure" in steps:
            measure_all(encoder, tasks, plan, options.work)
    if "collect" in steps:
        collect(tasks, plan, options.cache, options.work, out)
        say("results in", out)
    if "findings" in steps:
        print(json.dumps(report(out), indent=1))


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
