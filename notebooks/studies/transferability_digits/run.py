"""Which transferability score finds the best source network? Digits, eight ways to label them.

Every source is a small network trained on one labelling of scikit-learn's digits; its hidden
layer gives the features of every target. Measured: held-out accuracy of a logistic head trained
on a few examples of the target, three seeds. Predicted: each score on those few examples. Takes
about two minutes; needs scikit-learn, downloads nothing.

    python notebooks/studies/transferability_digits/run.py
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import kinatlas as ka
from kinatlas.selection import transferability_matrix
from kinatlas.transferability import method_names

LABELLINGS = {
    "parity": [0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
    "below_five": [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
    "loops": [1, 0, 0, 0, 1, 0, 1, 0, 2, 1],
    "prime": [0, 0, 1, 1, 0, 1, 0, 1, 0, 0],
    "by_three": [0, 1, 2, 0, 1, 2, 0, 1, 2, 0],
    "round": [2, 0, 1, 2, 0, 1, 2, 0, 2, 2],
    "pairs": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
    "all_ten": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
}
N_HIDDEN, N_FEW, SEEDS = 12, 120, (0, 1, 2)


def hidden(network: MLPClassifier, images: np.ndarray) -> np.ndarray:
    """Activations [n, N_HIDDEN] of the one hidden layer."""
    return np.maximum(images @ network.coefs_[0] + network.intercepts_[0], 0)


def run_seed(seed: int) -> tuple[dict[str, ka.SimilarityMatrix], np.ndarray]:
    """Predicted matrices by method, and measured accuracy [n_targets, n_sources] in percent."""
    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(digits))
    images, digits = images[order] / 16, digits[order]
    source, few, held = np.split(np.arange(len(digits)), [800, 800 + N_FEW])
    names = list(LABELLINGS)
    networks = {}
    for name in names:
        network = MLPClassifier((N_HIDDEN,), max_iter=150, random_state=seed)
        networks[name] = network.fit(images[source], np.array(LABELLINGS[name])[digits[source]])
    inputs: dict[str, dict[str, np.ndarray]] = {}
    predicted: dict[str, dict[str, np.ndarray]] = {}
    measured = np.full((len(names), len(names)), np.nan)
    for row, target in enumerate(names):
        labels = np.array(LABELLINGS[target])[digits]
        others = [name for name in names if name != target]
        inputs[target] = {name: hidden(networks[name], images[few]) for name in others}
        predicted[target] = {name: networks[name].predict_proba(images[few]) for name in others}
        for name in others:
            head = LogisticRegression(max_iter=2000)
            head.fit(inputs[target][name], labels[few])
            right = head.score(hidden(networks[name], images[held]), labels[held])
            measured[row, names.index(name)] = 100 * right
    few_labels = {target: np.array(LABELLINGS[target])[digits[few]] for target in names}
    matrices = {}
    for method in method_names():
        given = inputs
        if method in ("leep", "nce"):
            given = predicted
        if method == "nce":
            given = {
                target: {name: theta.argmax(axis=1) for name, theta in cells.items()}
                for target, cells in predicted.items()
            }
        matrices[method] = transferability_matrix(given, few_labels, method=method).select(
            targets=names, sources=names
        )
    return matrices, measured


def main() -> None:
    """Print a Markdown table, best method first."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    warnings.simplefilter("ignore")
    runs = [run_seed(seed) for seed in SEEDS]
    names = tuple(LABELLINGS)
    table = ka.TransferTable(np.stack([run[1] for run in runs], axis=2), names, names, SEEDS)
    rows = []
    for method in method_names():
        by_seed = {seed: run[0][method] for seed, run in zip(SEEDS, runs, strict=True)}
        numbers = ka.evaluate(by_seed, table, gain="rank", k=1, nan_policy="omit").summary()
        rows.append((method, *(numbers[name] for name in ("spearman", "ndcg", "regret@1"))))
    chance = (0.0, numbers["ndcg_chance"], numbers["regret@1_chance"])
    print("| method | Spearman | NDCG (rank) | regret@1 |\n| --- | ---: | ---: | ---: |")
    for row in [*sorted(rows, key=lambda row: -row[1]), ("random order", *chance)]:
        print("| {} | {:.2f} | {:.2f} | {:.2f} |".format(*row))


if __name__ == "__main__":
    main()
