"""How often is the source that a new task is made of named first? On logs whose truth is known.

Four sources, six new tasks a seed: each mixes the factor of one source with the shared factor and
one of its own, so that its most related source (by absolute correlation of the true log-odds) is
known. Named first by: leave-one-source-out (rise of validation log-loss when a source's expert
gives its mean), mean attention, correlation of labels, and a ridge probe on the frozen features.

    python notebooks/studies/recommender_new_task/sources.py --seeds 0 1 2 3
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kinatlas.composition import Features, PromptHead
from kinatlas.datasets import MultiTaskTable, multi_task_logs
from kinatlas.io.atomic import write_whole
from kinatlas.torch import MptRec, fit_recommender

SOURCES = ("click", "like", "share", "buy")
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


def losses(head: PromptHead, features: Features, labels: Any) -> np.ndarray:
    logits = head.decision_function(features)
    return np.logaddexp(0, np.where(labels == 1, -logits, logits))


def left_out(head: PromptHead, features: Features, labels: Any, means: Any) -> np.ndarray:
    """Rise of the mean log-loss [n_sources] when a source's expert gives its training mean."""
    base = losses(head, features, labels).mean()
    rises = []
    for at in range(features.n_sources):
        own = features.own.copy()
        own[:, at] = means[at]
        rises.append(losses(head, replace(features, own=own), labels).mean() - base)
    return np.array(rises)


def probed(features: Features, labels: Any, theirs: Any) -> np.ndarray:
    """Absolute correlation [n_sources] of a ridge probe of the new task with probes of the old."""
    inputs = np.hstack([features.shared, features.own.reshape(len(features), -1)]).astype(float)
    inputs = (inputs - inputs.mean(axis=0)) / (inputs.std(axis=0) + 1e-6)
    gram = inputs.T @ inputs + 10 * np.eye(inputs.shape[1])
    targets = np.column_stack([labels, theirs]).astype(float)
    scores = inputs @ np.linalg.solve(gram, inputs.T @ (targets - targets.mean(axis=0)))
    return np.abs(np.corrcoef(scores.T)[0, 1:])


def run(seed: int) -> dict[str, Any]:
    table, new, best = make(seed)
    rows, held, fresh = table.split(0.6, 0.1, 0.3, rng=seed)
    old = [part.select(tasks=SOURCES) for part in (rows, held)]
    model = MptRec(table.fields, SOURCES, expert=(64, 32), tower=(32,), seed=seed)
    record = fit_recommender(
        model,
        old[0].codes,
        old[0].labels,
        validation=(old[1].codes, old[1].labels),
        learning_rate=3e-3,
        batch_size=512,
        n_epochs=10,
        seed=seed,
    )
    found: dict[str, Any] = {"stage_1": record.epochs[record.best_epoch]["auc"]}
    judged = model.features(held.codes)
    for count in (1000, None):
        few = fresh.select(slice(0, count))
        features = model.features(few.codes)
        hits: dict[str, list[bool]] = {}
        reached = []
        for at, name in enumerate(new):
            labels = few.select(tasks=[name]).labels[:, 0]
            wanted = held.select(tasks=[name]).labels[:, 0]
            head = PromptHead(
                tower=(32,),
                learning_rate=3e-3,
                batch_size=32 if count else 256,
                epochs=40 if count else 12,
                patience=8 if count else 3,
                seed=seed,
                n_threads=1,
            ).fit(features, labels, validation=(judged, wanted))
            reached.append(max(head.history.auc))
            theirs = few.select(tasks=SOURCES).labels
            correlations = [abs(np.corrcoef(labels, one)[0, 1]) for one in theirs.T]
            named = {
                "leave_one_out": left_out(head, judged, wanted, features.own.mean(axis=0)),
                "mean_weight": head.weights(judged)[0].mean(axis=0),
                "label_correlation": np.array(correlations),
                "probe": probed(features, labels, theirs),
            }
            for method, scores in named.items():
                hits.setdefault(method, []).append(bool(scores.argmax() == best[at]))
        found[f"{count or len(fresh)} labels"] = {
            "hits": {method: [sum(one), len(one)] for method, one in hits.items()},
            "auc": reached,
        }
    found["bayes_auc"] = table.truth.bayes_auc.tolist()
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
