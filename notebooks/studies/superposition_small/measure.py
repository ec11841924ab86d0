"""Measure the trained models, hold them against the acceptance bands, and write the bundled tables.

    python measure.py RUNS BUNDLE --seeds 0 1 2 --fixture tests/fixtures/superposition_small.npz

NumPy only, about one CPU minute a seed. Results of a (regime, seed) are kept in RUNS/measured and
reused, so that the script can be stopped at any time.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from forward import Forward, load
from retrieval import N_EXAMPLES, N_PLACES, exact_tasks, independent_tasks, lines, tokens

from kinatlas.superposition import (
    SuperpositionRecord,
    analyse_superposition,
    best_layer,
    decompose_mixture,
    prompt_coordinates,
)

REGIMES = ("single", "mixture")
TASKS = ("first", "second", "third")
COUNTS = (0, 2, 4, 6, 8, 10, 12)
MIXED = (2, 4, 6, 8, 10)
LAMBDAS = (0.1, 0.3, 0.5, 0.7, 0.9)
N_PROMPTS, N_STATES, N_BUNDLED, N_QUERIES = 400, 300, 50, 100
TOKEN_SETS = {"separator": [-1], "letters": [-4, -3, -2], "query": [-4, -3, -2, -1]}
BATCH = 200


def run(model, prompts):
    """Return log-probabilities [n, vocabulary] and states of the query's tokens [n, 3, 4, 48]."""
    parts = [model(prompts[start : start + BATCH]) for start in range(0, len(prompts), BATCH)]
    logs = np.concatenate([part[0] for part in parts])
    return logs, np.concatenate([part[1][:, :, -N_PLACES - 1 :] for part in parts])


def prompts_of(rng, tasks):
    letters, answers = lines(rng, tasks)
    return tokens(letters, answers), letters[:, -1]


def answered(model, rng, tasks):
    """Return the log-probabilities of the three tasks' answers [n, 3]."""
    prompts, queries = prompts_of(rng, tasks)
    return np.take_along_axis(run(model, prompts)[0], queries, axis=1)


def contrasts(model, rng, tasks):
    """Return states of the query after its context minus those of the bare query [n, 3, 4, 48]."""
    prompts, _ = prompts_of(rng, tasks)
    return run(model, prompts)[1] - run(model, prompts[:, -N_PLACES - 1 :])[1]


def sweep(model, rng, pure):
    """Return the answer probability after patching [3, n_sets, n], and without [n]."""
    patched = np.empty((3, len(TOKEN_SETS), N_PLACES * N_QUERIES))
    bare = np.empty(N_PLACES * N_QUERIES)
    for task in range(N_PLACES):
        letters, _ = lines(rng, np.full((N_QUERIES, 1), task))
        letters = letters[:, 0]
        queries = np.concatenate([letters, np.full((N_QUERIES, 1), 12)], axis=1)
        where = slice(task * N_QUERIES, (task + 1) * N_QUERIES)
        wanted = letters[:, task : task + 1]
        bare[where] = np.exp(np.take_along_axis(model(queries)[0], wanted, axis=1))[:, 0]
        for layer in range(3):
            for place, positions in enumerate(TOKEN_SETS.values()):
                vectors = pure[task].mean(axis=0)[layer, positions]
                logs = model(queries, patch=(layer, positions, vectors))[0]
                patched[layer, place, where] = np.exp(np.take_along_axis(logs, wanted, 1))[:, 0]
    return patched, bare


def measured(model, regime, seed):
    rng = np.random.default_rng([seed, REGIMES.index(regime), 99])
    found = {"exact_order": [], "exact_logs": [], "independent_order": [], "independent_logs": []}
    for count in COUNTS:
        tasks = exact_tasks(rng, N_PROMPTS, count)
        found["exact_order"].append(tasks[:, :-1])
        found["exact_logs"].append(answered(model, rng, tasks))
    for share in LAMBDAS:
        tasks = independent_tasks(rng, N_PROMPTS, share)
        found["independent_order"].append(tasks[:, :-1])
        found["independent_logs"].append(answered(model, rng, tasks))
    found["pure_logs"] = [
        answered(model, rng, np.full((N_PROMPTS, N_EXAMPLES + 1), task)) for task in range(N_PLACES)
    ]
    pure = [
        contrasts(model, rng, np.full((N_STATES, N_EXAMPLES + 1), task)) for task in range(N_PLACES)
    ]
    found["patched"], found["bare"] = sweep(model, rng, pure)
    found["pure_states"] = pure
    found["mixed_states"], found["mixed_logs"] = [], []
    for count in MIXED:
        tasks = exact_tasks(rng, N_STATES, count)
        prompts, queries = prompts_of(rng, tasks)
        logs, states = run(model, prompts)
        found["mixed_states"].append(states - run(model, prompts[:, -N_PLACES - 1 :])[1])
        found["mixed_logs"].append(np.take_along_axis(logs, queries, axis=1))
    return {name: np.asarray(values) for name, values in found.items()}


def record_of(found, kind, labels):
    order = np.concatenate(found[f"{kind}_order"]).astype(np.int64)
    logs = np.minimum(np.concatenate(found[f"{kind}_logs"]), 0.0)
    counts = (order[:, :, None] == np.arange(N_PLACES)).sum(axis=1)
    condition = np.repeat(labels, len(order) // len(labels))
    return SuperpositionRecord(logs, counts, TASKS, condition=condition, order=order)


def summarised(found, regime, seed):
    """Return a row of the bands, rows of the hidden states and of the sweep."""
    labels = [f"{count:02d}/12" for count in COUNTS]
    analysis = analyse_superposition(record_of(found, "exact", labels), n_bootstrap=0)
    choice = best_layer(found["patched"], found["bare"], token_sets=tuple(TOKEN_SETS))
    where = TOKEN_SETS[choice.token_set]

    def vectors(states):
        return states[:, choice.layer, where].reshape(len(states), -1)

    pure = {name: vectors(states) for name, states in zip(TASKS, found["pure_states"], strict=True)}
    hidden = []
    for count, states, logs in zip(MIXED, found["mixed_states"], found["mixed_logs"], strict=True):
        shares = [count / N_EXAMPLES, 0.0, 1 - count / N_EXAMPLES]
        fit = decompose_mixture(pure, vectors(states), shares, n_bootstrap=300)
        place = prompt_coordinates(vectors(states), pure["first"], pure["third"])
        weight, first = fit.simplex[0], np.exp(logs[:, 0])
        hidden.append({
            "regime": regime, "seed": seed, "count": count, "layer": choice.layer,
            "tokens": choice.token_set, "mean_first": first.mean(), "weight_first": weight.value,
            "weight_low": weight.low, "weight_high": weight.high,
            "weight_second": fit.simplex[1].value,
            "weight_third": fit.simplex[2].value, "residual": fit.residual.value,
            "kappa": fit.kappa.value, "ratio": fit.ratio, "coordinate_mean": place.mean,
            "coordinate_sd": place.sd, "bimodality": place.bimodality,
            "correlation": np.corrcoef(place.values, first)[0, 1],
        })  # fmt: skip
    means = np.array([row["mean_first"] for row in hidden])
    weights = np.array([row["weight_first"] for row in hidden])
    middle = [analysis.at("dispersion", f"{c:02d}/12", "first").value for c in (4, 6, 8)]
    middle_all = [analysis.at("dispersion_shares", f"{c:02d}/12").value for c in (4, 6, 8)]
    rule = [
        analysis.at("probability", f"{c:02d}/12", "first").value - (c + 1) / (N_EXAMPLES + 2)
        for c in MIXED
    ]
    pure_correct = [np.exp(found["pure_logs"][task][:, task]).mean() for task in range(N_PLACES)]
    bands = {
        "regime": regime, "seed": seed, "single_task": np.mean(pure_correct),
        "dispersion_low": min(middle), "dispersion_high": max(middle),
        "shares_dispersion_low": min(middle_all), "shares_dispersion_high": max(middle_all),
        "kl_half": analysis.at("kl_shape", "06/12").value, "bayes_gap": np.abs(rule).max(),
        "weight_slope": np.polyfit(means, weights, 1)[0], "patch_gain": choice.gain.value,
        "zero_shot": choice.zero_shot, "layer": choice.layer, "tokens": choice.token_set,
    }  # fmt: skip
    swept = [
        {"regime": regime, "seed": seed, "layer": layer, "tokens": name,
         "probability": choice.sweep[layer, place], "zero_shot": found["bare"].mean()}
        for layer in range(3) for place, name in enumerate(TOKEN_SETS)
    ]  # fmt: skip
    return bands, hidden, swept, choice


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({
                name: f"{value:.5g}" if isinstance(value, float) else value
                for name, value in row.items()
            })  # fmt: skip


def write_record(path, per_seed, kind, conditions):
    n_prompts = per_seed[0][f"{kind}_logs"].shape[1]
    np.savez_compressed(
        path,
        log_probabilities=np.stack(
            [np.concatenate(found[f"{kind}_logs"]) for found in per_seed]
        ).astype(np.float32),
        order=np.stack([np.concatenate(found[f"{kind}_order"]) for found in per_seed]).astype(
            np.int8
        ),
        condition=np.repeat(np.arange(len(conditions)), n_prompts).astype(np.int8),
        conditions=np.array(conditions),
        query=np.arange(len(conditions) * n_prompts, dtype=np.int32),
        tasks=np.array(TASKS),
    )


def weights_of(folder, regime, seed):
    import torch

    state = torch.load(folder / f"{regime}_{seed}.pt", weights_only=True)["network"]
    return {name: tensor.numpy() for name, tensor in state.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fixture", type=Path)
    options = parser.parse_args()
    if options.fixture:
        halves = {
            f"{regime}/{name}": array.astype(np.float16)
            for regime in REGIMES
            for name, array in weights_of(options.runs, regime, options.seeds[0]).items()
        }
        np.savez_compressed(options.fixture, **halves)
    kept = options.runs / "measured"
    kept.mkdir(exist_ok=True)
    options.bundle.mkdir(parents=True, exist_ok=True)
    bands, hidden, swept = [], [], []
    for regime in REGIMES:
        per_seed = []
        for seed in options.seeds:
            path = kept / f"{regime}_{seed}.npz"
            if not path.exists():
                # What ships is what is measured: seed 0 in the half precision of the fixture.
                shipped = options.fixture and seed == options.seeds[0]
                model = (
                    load(options.fixture, regime)
                    if shipped
                    else Forward(weights_of(options.runs, regime, seed))
                )
                np.savez(path, **measured(model, regime, seed))
            with np.load(path) as data:
                found = {name: data[name] for name in data.files}
            per_seed.append(found)
            row, states, layers, choice = summarised(found, regime, seed)
            print(
                {
                    name: value if isinstance(value, str) else round(value, 3)
                    for name, value in row.items()
                }
            )
            bands.append(row)
            hidden += states
            swept += layers
            if seed == options.seeds[0]:
                write_states(options.bundle / f"small_{regime}_states.npz", found, choice)
        write_record(
            options.bundle / f"small_{regime}.npz",
            per_seed,
            "exact",
            [f"{c:02d}/12" for c in COUNTS],
        )
        labels = [f"{share:.1f}" for share in LAMBDAS]
        write_record(
            options.bundle / f"small_{regime}_independent.npz", per_seed[:1], "independent", labels
        )
    write_csv(options.bundle / "small_bands.csv", bands)
    write_csv(options.bundle / "small_hidden.csv", hidden)
    write_csv(options.bundle / "small_sweep.csv", swept)


def write_states(path, found, choice):
    where = TOKEN_SETS[choice.token_set]

    def vectors(states):
        return states[:N_BUNDLED, choice.layer, where].reshape(N_BUNDLED, -1).astype(np.float16)

    sets = {
        f"pure {name}": states for name, states in zip(TASKS, found["pure_states"], strict=True)
    }
    sets |= {
        f"mixture {count:02d}/12": states
        for count, states in zip(MIXED, found["mixed_states"], strict=True)
    }
    arrays = {name: vectors(states) for name, states in sets.items()}
    arrays |= {name: found[name].astype(np.float16) for name in ("patched", "bare")}
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main()
