"""Score one prompt on one target task in two ways.

zero shot: nearest class word, no target label used.
ridge:     linear head on 8 support texts a class, mean over draws that all prompts share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from encoder import Encoder
from tasks import SPLIT_SEED, Task, seed_of
from torch import Tensor
from train import label_vectors

N_PER_CLASS = 8
N_DRAWS = 20
RIDGE_PENALTY = 0.1


@dataclass(frozen=True)
class Cell:
    """Scores in percent on all test texts, and on the two halves of the test set."""

    zero_shot: float
    zero_shot_a: float
    zero_shot_b: float
    ridge: float
    ridge_a: float
    ridge_b: float


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows [n, dim] divided by their length."""
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def ridge_predictions(support: np.ndarray, classes: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Classes of test [n, dim] by ridge regression on one-hot classes of support [m, dim].

    Solved in its dual form: with fewer support texts than dimensions the m x m system is exact
    and small.
    """
    mean = support.mean(axis=0)
    centred = support - mean
    onehot = np.eye(int(classes.max()) + 1)[classes]
    gram = centred @ centred.T + RIDGE_PENALTY * np.eye(len(centred))
    scores = (test - mean) @ centred.T @ np.linalg.solve(gram, onehot - onehot.mean(axis=0))
    best: np.ndarray = scores.argmax(axis=1)
    return best


def support_draws(task: Task) -> list[np.ndarray]:
    """Rows of the support texts in each draw; they depend on the task alone."""
    rng = seed_of(task.name, SPLIT_SEED, 1)
    classes = task.support[1]
    groups = [np.flatnonzero(classes == label) for label in range(len(task.label_texts))]
    return [
        np.concatenate([rng.choice(rows, N_PER_CLASS, replace=False) for rows in groups])
        for _ in range(N_DRAWS)
    ]


def _percent(correct: np.ndarray) -> tuple[float, float, float]:
    """Mean of correct [n] in percent: all, even places, odd places.

    Texts are sorted by class, so each half holds every class equally often (to one text).
    """
    parts = (correct, correct[0::2], correct[1::2])
    whole, even, odd = (round(100.0 * float(part.mean()), 4) for part in parts)
    return whole, even, odd


def measure(encoder: Encoder, task: Task, prompt: np.ndarray | None) -> Cell:
    """Both scores of a prompt [n_tokens, dim] on a target task; None means no prompt."""
    rows = None if prompt is None else torch.from_numpy(prompt.astype(np.float32))
    labels = label_vectors(encoder, task).numpy()
    support = _features(encoder, task.support[0], rows)
    test = _features(encoder, task.test[0], rows)
    truth = task.test[1]
    zero_shot = _percent((test @ labels.T).argmax(axis=1) == truth)
    classes = task.support[1]
    hits = [
        ridge_predictions(support[draw], classes[draw], test) == truth
        for draw in support_draws(task)
    ]
    return Cell(*zero_shot, *_percent(np.mean(hits, axis=0)))


def _features(encoder: Encoder, texts: tuple[str, ...], prompt: Tensor | None) -> np.ndarray:
    """Unit feature vectors [n_texts, dim] in double precision."""
    return unit_rows(encoder.features(texts, prompt).numpy().astype(np.float64))
