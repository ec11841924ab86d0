"""What the numbers say: plain NumPy on the collected files, independent of the library."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from kernels import KERNELS, Prompts, mantel, ndcg, ndcg_chance, spearman

TWINS = ("sent_movie", "sent_movie_twin")
CONTROL = "sent_tweet_permuted"
N_RELABELLINGS = 2000
Table = dict[tuple[str, str, int], float]


def read_table(path: Path, column: str) -> Table:
    """One column of a collected table by (target, source, seed)."""
    with path.open(newline="", encoding="utf-8") as handle:
        return {
            (row["target"], row["source"], int(row["seed"])): float(row[column])
            for row in csv.DictReader(handle)
        }


def square(table: Table, names: list[str], seed: int) -> np.ndarray:
    """Values [n_targets, n_sources] of one seed."""
    return np.array([[table[target, source, seed] for source in names] for target in names])


def report(out: Path) -> dict[str, Any]:
    """All findings for both scores."""
    with (out / "tasks.csv").open(newline="", encoding="utf-8") as handle:
        groups = {row["task"]: row["group"] for row in csv.DictReader(handle)}
    with np.load(out / "prompts.npz", allow_pickle=False) as archive:
        prompts = {key: archive[key].astype(np.float64) for key in archive.files}
    found: dict[str, Any] = {}
    for kind in ("zero_shot", "ridge"):
        path = out / f"transfer_{kind}.csv"
        score, baseline = read_table(path, "score"), read_table(path, "baseline")
        found[kind] = {
            "groups": _groups(score, baseline, groups),
            "twins": _twins(score, groups),
            "permuted": _permuted(score, baseline, groups),
            "noise": _noise(out / "split_half.csv", score, groups, kind),
            "kernels": _kernels(score, groups, prompts),
        }
    return found


def _seeds(table: Table) -> list[int]:
    return sorted({seed for _, _, seed in table})


def _targets(groups: dict[str, str], *, twins: bool) -> list[str]:
    """Task names in a fixed order, with or without the second twin and never the control."""
    return [n for n in groups if groups[n] != "control" and (twins or n != TWINS[1])]


def _groups(score: Table, baseline: Table, groups: dict[str, str]) -> dict[str, Any]:
    """Mean gain over the untrained prompt: own task, same group, other group, no prompt."""
    names = _targets(groups, twins=False)
    gains: dict[str, list[float]] = {"own": [], "within": [], "between": [], "no_prompt": []}
    for (target, source, seed), value in score.items():
        if target not in names or source not in (*names, "no_prompt"):
            continue
        if source == "no_prompt":
            kind = "no_prompt"
        elif source == target:
            kind = "own"
        else:
            kind = "within" if groups[source] == groups[target] else "between"
        gains[kind].append(value - baseline[target, source, seed])
    result: dict[str, Any] = {k: round(float(np.mean(v)), 2) for k, v in gains.items() if v}
    for group in dict.fromkeys(groups[name] for name in names):
        inside = [n for n in names if groups[n] == group]
        cells = {"within": inside, "between": [n for n in names if n not in inside]}
        for kind, sources in cells.items():
            values = [
                score[t, s, seed] - baseline[t, s, seed]
                for t in inside for s in sources for seed in _seeds(score) if s != t
            ]  # fmt: skip
            if values:
                result[f"{group}_{kind}"] = round(float(np.mean(values)), 2)
    return result


def _twins(score: Table, groups: dict[str, str]) -> dict[str, Any]:
    """Place of each twin among the foreign sources of the other (1 is best), by seed and mean."""
    names = _targets(groups, twins=True)
    result: dict[str, Any] = {}
    for target, twin in (TWINS, TWINS[::-1]):
        if not {target, twin} <= set(names):
            continue
        foreign = [name for name in names if name != target]
        rows = np.array([[score[target, s, seed] for s in foreign] for seed in _seeds(score)])
        rows = np.vstack([rows, rows.mean(axis=0)])
        places = 1 + (rows > rows[:, [foreign.index(twin)]]).sum(axis=1)
        result[target] = {
            "places_by_seed": places[:-1].tolist(),
            "place_of_mean": int(places[-1]),
            "best_source": foreign[int(rows[-1].argmax())],
            "behind_best": round(float(rows[-1].max() - rows[-1, foreign.index(twin)]), 2),
        }
    return result


def _permuted(score: Table, baseline: Table, groups: dict[str, str]) -> dict[str, Any]:
    """Gain of the control over the untrained prompt: mean over seeds, by target."""
    gains = {
        target: float(np.mean([score[target, CONTROL, s] - baseline[target, CONTROL, s]
                               for s in _seeds(score)]))
        for target in _targets(groups, twins=False)
        if (target, CONTROL, 0) in score
    }  # fmt: skip
    return {
        "mean": round(float(np.mean(list(gains.values()))), 2) if gains else None,
        "by_target": {name: round(value, 2) for name, value in gains.items()},
    }


def _noise(path: Path, score: Table, groups: dict[str, str], kind: str) -> dict[str, float]:
    """Seed spread of a cell, spread over sources, and the reliability of the test set.

    The reliability is the correlation over foreign cells of the two test halves, each cell
    taken from its target's mean, stepped up to the whole test set (Spearman-Brown).
    """
    names = _targets(groups, twins=False)
    cube = np.stack([square(score, names, seed) for seed in _seeds(score)])
    foreign = ~np.eye(len(names), dtype=bool)
    halves = []
    for half in "ab":
        table = read_table(path, f"{kind}_{half}")
        mean = np.mean([square(table, names, seed) for seed in _seeds(score)], axis=0)
        rows = [row[keep] - row[keep].mean() for row, keep in zip(mean, foreign, strict=True)]
        halves.append(np.concatenate(rows))
    together = float(np.corrcoef(halves[0], halves[1])[0, 1])
    result = {"split_half_reliability": round(2 * together / (1 + together), 3)}
    if len(cube) > 1:
        result["seed_sd_of_a_cell"] = round(float(cube.std(axis=0, ddof=1)[foreign].mean()), 2)
        agreement = [
            spearman(cube[i, row, keep], cube[j, row, keep])
            for i in range(len(cube)) for j in range(i)
            for row, keep in enumerate(foreign)
        ]  # fmt: skip
        result["rank_agreement_of_two_seeds"] = round(float(np.mean(agreement)), 3)
    spread = [row[keep].std(ddof=1) for row, keep in zip(cube.mean(axis=0), foreign, strict=True)]
    result["sd_over_sources"] = round(float(np.mean(spread)), 2)
    return result


def _kernels(score: Table, groups: dict[str, str], prompts: Prompts) -> dict[str, Any]:
    """NDCG and Spearman of every kernel, its chance level, and a relabelling p-value."""
    names, seeds = _targets(groups, twins=False), _seeds(score)
    truth = np.stack([square(score, names, seed) for seed in seeds])
    foreign = ~np.eye(len(names), dtype=bool)
    cells = [(i, row, keep) for i in range(len(seeds)) for row, keep in enumerate(foreign)]
    chance = np.reshape([ndcg_chance(truth[i, r, keep]) for i, r, keep in cells], (len(seeds), -1))
    result: dict[str, Any] = {
        "chance_ndcg": round(100 * float(chance.mean()), 1),
        "chance_ndcg_by_seed": [round(100 * float(c), 1) for c in chance.mean(axis=1)],
    }
    same = np.array([[float(groups[s] == groups[t]) for s in names] for t in names])
    predictors = {"same_group": np.stack([same] * len(seeds))}
    for start in ("raw", "drift"):
        for kernel in KERNELS:
            values = [KERNELS[kernel](prompts, names, seed, start) for seed in seeds]
            predictors[f"{kernel}_{start}"] = np.stack(values)
    for name, value in predictors.items():
        quality = [ndcg(value[i, row, keep], truth[i, row, keep]) for i, row, keep in cells]
        members = [groups[task] for task in names]
        observed, p_value, p_inside = mantel(value, truth, members, N_RELABELLINGS)
        by_seed = np.reshape(quality, (len(seeds), -1)).mean(axis=1)
        result[name] = {
            "ndcg": round(100 * float(np.mean(quality)), 1),
            "ndcg_by_seed": [round(100 * float(q), 1) for q in by_seed],
            "spearman": round(observed, 3),
            "p": round(p_value, 4),
            "p_inside_groups": round(p_inside, 4),
        }
    return result
