"""How well do similarities of answers foresee behaviour elsewhere? 41 real boxes, rated snippets.

    python run.py CACHE_FOLDER [--draws 5]

Prints the tables of README.md. Nothing of the data is kept.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from boxes import lexicon_boxes, rule_boxes, trained_boxes
from scipy.stats import spearmanr
from texts import lexicon, read

import kinatlas as ka
from kinatlas.behavior import Responses, TextFeatures, encoder_features, ridge_space

LABELS = ("negative", "positive")


def population(cache: Path) -> tuple[dict[str, np.ndarray], list[str], np.ndarray, np.ndarray]:
    """Answers of every box to every text, the texts, and the parts train/probe/evaluation."""
    texts, domains, ratings = read(cache)
    part = np.random.default_rng(0).choice(3, len(texts), p=[0.4, 0.3, 0.3])
    train = np.flatnonzero(part == 0)
    own = lexicon_boxes(lexicon(cache)) | rule_boxes()
    own |= trained_boxes(*([rows[at] for at in train] for rows in (texts, domains, ratings)))
    answers = {name: np.clip(box(texts), 1e-6, 1 - 1e-6) for name, box in own.items()}
    return answers, texts, part, np.array(ratings)


def responses(answers: dict[str, np.ndarray], texts: list[str], rows: np.ndarray) -> Responses:
    """Answers to some texts."""
    arrays = {name: np.stack([1 - p[rows], p[rows]], axis=1) for name, p in answers.items()}
    return Responses.from_arrays(arrays, labels=LABELS, texts=[texts[at] for at in rows])


def upper(values: np.ndarray) -> np.ndarray:
    """Numbers of all pairs."""
    return values[np.triu_indices(len(values), 1)]


def paired(found: Responses, **options: object) -> ka.behavior.BehaviorSimilarity:
    """Similarity without intervals unless asked for."""
    return ka.behavior.paired_similarity(found, **{"n_replicates": 0, **options})


def frozen(texts: list[str], rows: np.ndarray, n_features: int) -> tuple[TextFeatures, dict]:
    """TF-IDF and SVD frozen on the probe texts, and every probe's features once."""
    made = ka.behavior.tfidf_features([texts[at] for at in rows], n_features)
    known = dict(zip((texts[at] for at in rows), made([texts[at] for at in rows]), strict=True))
    cached = encoder_features(
        lambda some: np.stack([known[text] for text in some]),
        [texts[at] for at in rows], name=made.id,
    )  # fmt: skip
    return cached, known


def disjoint(answers, texts, probes, features, n, rng, metric):
    """Cosines of surrogates [n_boxes, n_boxes], the boxes of every pair fitted to other probes."""
    values = responses(answers, texts, probes)
    order = rng.permutation(len(probes))
    space = ridge_space(values.take(order[-n:]), features=features, metric=metric)
    coordinates = values.coordinates()
    x = features(values.bank.texts)
    sides = []
    for picked in (order[:n], order[n : 2 * n]):
        rows = np.stack([space.fit_features(x[picked], row[picked]).vector for row in coordinates])
        sides.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return sides[0] @ sides[1].T, space.penalty


def retrieval(answers, texts, rows, rng, link):
    """Share of boxes whose twin, shifted and sharpened, is the nearest of all twins."""
    twins = {}
    for name, p in answers.items():
        logit = np.log(p / (1 - p))
        moved = (logit + rng.normal(0, 1.5)) * np.exp(rng.normal(0, 0.4))
        twins[f"twin {name}"] = 1 / (1 + np.exp(-np.clip(moved, -30, 30)))
    both = responses(answers | twins, texts, rows)
    n = len(answers)
    values = paired(both, link=link).values[:n, n:]
    return float((values.argmax(axis=1) == np.arange(n)).mean())


def uncentred(answers, texts, rows, rng):
    """The same with raw probabilities, not centred."""
    twins = []
    for p in answers.values():
        logit = np.log(p[rows] / (1 - p[rows]))
        moved = (logit + rng.normal(0, 1.5)) * np.exp(rng.normal(0, 0.4))
        twins.append(1 / (1 + np.exp(-np.clip(moved, -30, 30))))
    a = np.stack([np.concatenate([p[rows], 1 - p[rows]]) for p in answers.values()])
    b = np.stack([np.concatenate([p, 1 - p]) for p in twins])
    unit = [own / np.linalg.norm(own, axis=1, keepdims=True) for own in (a, b)]
    return float(((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(len(a))).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    start = time.perf_counter()
    answers, texts, part, _ = population(options.cache)
    probes, held_out = np.flatnonzero(part == 1), np.flatnonzero(part == 2)
    print(f"{len(answers)} boxes, {len(texts)} texts, {len(probes)} probes, "
          f"{len(held_out)} held out, {time.perf_counter() - start:.0f} s")  # fmt: skip
    rng = np.random.default_rng(1)
    truth = {link: upper(paired(responses(answers, texts, held_out), link=link).values)
             for link in ("logit", "probability", "rank")}  # fmt: skip
    print("| probes | logit | probability | rank |\n|---|---|---|---|")
    for n in (16, 64, 128, 256, 512, 1024, 2048):
        row = []
        for link, wanted in truth.items():
            row.append(np.mean([
                spearmanr(upper(paired(responses(answers, texts, rng.permutation(probes)[:n]),
                                       link=link).values), wanted).statistic
                for _ in range(options.draws)
            ]))  # fmt: skip
        print(f"| {n} | " + " | ".join(f"{value:.3f}" for value in row) + " |", flush=True)
    print("| probes a box, disjoint | function | raw | penalty |\n|---|---|---|---|")
    features, _ = frozen(texts, probes, 256)
    for n in (64, 256, 512, 1024, 2048):
        row, penalties = [], []
        for metric in ("function", "raw"):
            own = []
            for _ in range(options.draws):
                values, penalty = disjoint(answers, texts, probes, features, n, rng, metric)
                own.append(spearmanr(upper(values), truth["logit"]).statistic)
                penalties.append(penalty)
            row.append(np.mean(own))
        print(f"| {n} | {row[0]:.3f} | {row[1]:.3f} | {np.median(penalties):g} |", flush=True)
    print("| twins found, 256 probes | share |\n|---|---|")
    for link in ("logit", "probability", "rank"):
        shares = [retrieval(answers, texts, rng.permutation(probes)[:256], rng, link)
                  for _ in range(options.draws)]  # fmt: skip
        print(f"| centred {link} | {np.mean(shares):.3f} |")
    shares = [uncentred(answers, texts, rng.permutation(probes)[:256], rng)
              for _ in range(options.draws)]  # fmt: skip
    print(f"| raw probability | {np.mean(shares):.3f} |")
    print("| intervals at 90 %, coverage | 64 | 128 | 256 | 512 |\n|---|---|---|---|---|")
    everywhere = responses(answers, texts, np.flatnonzero(part > 0))
    wanted = upper(paired(everywhere).values)
    for interval in ("fisher_z", "percentile"):
        row = []
        for n in (64, 128, 256, 512):
            inside = []
            for draw in range(2 * options.draws):
                rows = rng.permutation(np.flatnonzero(part > 0))[:n]
                found = paired(responses(answers, texts, rows), n_replicates=500,
                               interval=interval, rng=draw)  # fmt: skip
                inside.append((upper(found.low) <= wanted) & (wanted <= upper(found.high)))
            row.append(np.mean(inside))
        print(f"| {interval} | " + " | ".join(f"{value:.3f}" for value in row) + " |", flush=True)
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
