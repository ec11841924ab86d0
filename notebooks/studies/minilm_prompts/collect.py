"""Turn the pieces of a run into the bundled files: numbers only, never a text."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import measure
import numpy as np
import packages
import tasks as task_module
import torch
from store import (
    INITIAL,
    NO_PROMPT,
    Plan,
    cell_path,
    prompt_path,
    read_json,
    read_prompt,
    write_bytes,
    write_json,
)
from tasks import Task

KINDS = ("zero_shot", "ridge")
NOTES = [
    "Numbers only: trained vectors and accuracies. No text of any corpus is included.",
    "Scores are accuracies in percent; baseline is the untrained prompt of the same seed.",
    "Source no_prompt has no seed: its one measurement is repeated for every seed.",
    "Source sent_tweet_permuted was trained on shuffled classes: a control that should not help.",
    "sent_movie and sent_movie_twin are disjoint halves of one corpus: a control that should.",
    "Every prompt of one seed started from the same untrained prompt.",
    "Prompts were rounded to half precision before they were measured.",
    "Ridge scores share their support texts over all sources and seeds of a target.",
]


def collect(tasks: dict[str, Task], plan: Plan, cache: Path, work: Path, out: Path) -> None:
    """Write prompts, transfer tables, split halves, task table and provenance to `out`.

    Raises FileNotFoundError when a prompt or a cell of the plan is still missing.
    """
    _write_prompts(plan, work, out)
    rows = [
        (target, source, seed, _cell(work, target, source, seed))
        for target in plan.targets
        for source in (*plan.sources, INITIAL, NO_PROMPT)
        for seed in plan.seeds
    ]
    for kind in KINDS:
        table = []
        for target, source, seed, cell in rows:
            baseline = _cell(work, target, INITIAL, seed)[kind]
            table.append((target, source, seed, cell[kind], baseline))
        header = ("target", "source", "seed", "score", "baseline")
        _write_csv(out / f"transfer_{kind}.csv", header, table)
    halves = [f"{kind}_{half}" for kind in KINDS for half in "ab"]
    table_of_halves = [(t, s, seed, *(cell[h] for h in halves)) for t, s, seed, cell in rows]
    _write_csv(out / "split_half.csv", ("target", "source", "seed", *halves), table_of_halves)
    counts = {name: _counts(task) for name, task in tasks.items()}
    columns = ("task", *next(iter(counts.values())))
    _write_csv(out / "tasks.csv", columns, [(name, *row.values()) for name, row in counts.items()])
    write_json(out / "provenance.json", _provenance(tasks, plan, cache, work))


def _cell(work: Path, target: str, source: str, seed: int) -> dict[str, Any]:
    """One measured cell; without a prompt the seed plays no part and was measured as 0."""
    return read_json(cell_path(work, target, source, 0 if source == NO_PROMPT else seed))


def _write_prompts(plan: Plan, work: Path, out: Path) -> None:
    """All prompts as one plain .npz with keys like `sent_tweet/seed0`."""
    arrays = {
        f"{source}/seed{seed}": read_prompt(work, source, seed)
        for source in (*plan.sources, INITIAL)
        for seed in plan.seeds
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(out / "prompts.npz", buffer.getvalue())


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one table with Unix line ends, so that its hash is the same everywhere."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_bytes(path, buffer.getvalue().encode())


def _counts(task: Task) -> dict[str, object]:
    """Group and sizes of a task."""
    return {
        "group": task.group,
        "n_classes": len(task.label_texts),
        "n_pool": task.n_pool,
        "n_train": len(task.train[0]),
        "n_support": len(task.support[0]),
        "n_test": len(task.test[0]),
    }


def _provenance(tasks: dict[str, Task], plan: Plan, cache: Path, work: Path) -> dict[str, Any]:
    """Where the numbers come from, as far as a file can say it."""
    index = packages.debian_index(cache)
    here = Path(__file__).parent
    logs = {
        f"{source}/seed{seed}": read_json(prompt_path(work, source, seed).with_suffix(".json"))
        for source in plan.sources
        for seed in plan.seeds
    }
    cells = [read_json(path) for path in sorted((work / "cells").rglob("*.json"))]
    return {
        "name": "minilm_prompts",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "script": "notebooks/studies/minilm_prompts",
        "script_sha256": {
            path.name: packages.sha256_of(path) for path in sorted(here.glob("*.py"))
        },
        "backbone": "paraphrase-MiniLM-L3-v2, frozen, single precision",
        "packages": [asdict(archive) for archive in packages.ARCHIVES.values()],
        "debian_index": {
            "read_with": "apt-cache dumpavail",
            "sha256": sha256(index).hexdigest(),
            "n_packages": index.count(b"\nPackage: ") + index.startswith(b"Package: "),
        },
        "software": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "machine": platform.machine(),
            "n_threads": 1,
        },
        "recipe": asdict(plan.recipe),
        "max_tokens": 32,
        "ridge": {
            "n_per_class": measure.N_PER_CLASS,
            "n_draws": measure.N_DRAWS,
            "penalty": measure.RIDGE_PENALTY,
        },
        "seeds": list(plan.seeds),
        "split_seed": task_module.SPLIT_SEED,
        "label_texts": {name: list(task.label_texts) for name, task in tasks.items()},
        "training": logs,
        "cpu_seconds": {
            "training": round(sum(log["cpu_seconds"] for log in logs.values()), 1),
            "measuring": round(sum(cell["cpu_seconds"] for cell in cells), 1),
        },
        "notes": NOTES,
    }
