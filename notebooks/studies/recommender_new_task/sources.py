"""How often is the source that a new task is made of named first? On logs whose truth is known.

Four sources, six new tasks a seed: each mixes the factor of one source with the shared factor and
one of its own, so that its most related source (by absolute correlation of the true log-odds) is
known. Named first by: leave-one-source-out (rise of log-loss when a source's expert gives its
mean) of the served head and of a head trained with the shared part hidden, mean attention, and
correlation of labels and of ridge probes, on 6,000 rows beside those the head was trained on.

    python notebooks/studies/recommender_new_task/sources.py --seeds 0 1 2 3
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kinatlas.composition import Features, PromptHead
from kinatlas.datasets import MultiTaskTable, multi_task_logs
from kinatlas.io.atomic import write_whole
from kinatlas.selection import SourceEvidence, explain_sources, hide_shared, rank_sources
from kinatlas.torch import MptRec, fit_recommender

SOURCES = ("click", "like", "share", "buy")
METHODS = ("leave_one_out", "mean_weight", "label_correlation", "probe")
N_NEW, N_ROWS = 6, 60_000
OUT = Path(__file__).with_name("sources.json")


def make(seed: int) -> tuple[MultiTaskTable, list[str], np.ndarray]:
    """Logs, names of the new tasks, and the true best source [n_new] of each."""
    draws = np.random.default_rng(seed)
    tasks: dict[str, dict[str, float]] = {name: {"shared": 0.5, name: 1.0} for name in SOURCES}
    for at in range(N_NEW):
        best = SOURCES[int(draws.integers(len(SOURCES)))]
        weight = float(draws.uniform(0.7, 1.0) * draws.choice([-1, 1], p=[0.25, 0.75]))
        tasks[f"new {at}"] = {"shared": 0.3, best: weight, f"own {at}": 0.5}
    table = multi_task_logs(tasks, N_ROWS, dim=4, rng=seed)
    related = np.abs(table.truth.relatedness[len(SOURCES) :, : len(SOURCES)])
    return table, list(tasks)[len(SOURCES) :], related.argmax(axis=1)


def evidence(
    name: str, rows: tuple[Features, Any], judged: tuple[Features, Any], theirs: Any, seed: int
) -> SourceEvidence:
    """What a head trained on some rows says of its sources on others."""
    options = {"epochs": 20, "batch_size": 32} if len(rows[1]) <= 1000 else {"epochs": 8}
    head = PromptHead(tower=(32,), seed=seed, n_threads=1, **options).fit(*rows)
    given = {"background": rows[0], "source_labels": theirs, "n_draws": 200}
    return explain_sources(head, *judged, target=name, **given)


def run(seed: int) -> dict[str, Any]:
    table, new, best = make(seed)
    rows, held, fresh = table.split(0.6, 0.1, 0.3, rng=seed)
    old = [part.select(tasks=SOURCES) for part in (rows, held)]
    model = MptRec(table.fields, SOURCES, expert=(128, 64), tower=(32,), seed=seed)
    record = fit_recommender(
        model,
        old[0].codes,
        old[0].labels,
        validation=(old[1].codes, old[1].labels),
        learning_rate=3e-3,
        batch_size=512,
        n_epochs=6,
        seed=seed,
    )
    found: dict[str, Any] = {"stage_1": record.epochs[record.best_epoch]["auc"]}
    judged = model.features(held.codes)
    for count in (1000, None):
        few = fresh.select(slice(0, count))
        features = model.features(few.codes)
        cell = found[f"{count or len(fresh)} labels"] = {}
        for name, truth in zip(new, best, strict=True):
            labels, wanted = (part.select(tasks=[name]).labels[:, 0] for part in (few, held))
            for kind, seen in (("served", lambda given: given), ("shared hidden", hide_shared)):
                pair = (seen(features), labels), (seen(judged), wanted)
                one = evidence(name, *pair, old[1].labels, seed)
                for method in METHODS if kind == "served" else METHODS[:1]:
                    first = rank_sources(one.to_matrix(method), name)[0].source
                    hits = cell.setdefault(f"{method}, {kind}", [])
                    hits.append(int(first == SOURCES[truth]))
                cell.setdefault(f"rises, {kind}", []).append(one.leave_one_out.round(4).tolist())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3])
    torch.set_num_threads(1)
    results = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    for seed in parser.parse_args().seeds:
        if str(seed) not in results:
            results[str(seed)] = run(seed)
            write_whole(OUT, json.dumps(results, indent=1, sort_keys=True).encode())
            print(seed, results[str(seed)], flush=True)


if __name__ == "__main__":
    main()
