"""A small problem and heads trained on it, for the tests of ``composition``."""

from __future__ import annotations

import numpy as np

from kinatlas.composition import Features, PromptHead

MODES = ("prompt", "fixed", "task", "share")


def problem(
    n: int = 600, dim: int = 7, width: int = 8, n_sources: int = 3, seed: int = 0
) -> tuple[Features, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n, n_sources, width)).astype("f")
    x = rng.normal(size=(n, dim)).astype("f")
    features = Features(
        x=x,
        shared=rng.normal(size=(n, width)).astype("f"),
        own=own,
        sources=tuple(f"task{k}" for k in range(n_sources)),
        keys=rng.normal(size=(n_sources, width)).astype("f"),
        basis_key="backbone",
    )
    logits = 3 * own[:, 0, 0] + own[:, -1, 1] + x[:, 0]
    return features, rng.random(n) < 1 / (1 + np.exp(-logits))


def fitted(mode: str = "prompt", **options) -> tuple[PromptHead, Features, np.ndarray]:
    features, labels = problem()
    options = {"tower": (6, 4), "epochs": 4, "learning_rate": 1e-2, "mode": mode} | options
    return PromptHead(**options).fit(features, labels, (features, labels)), features, labels


def wide(features: Features) -> tuple[np.ndarray, ...]:
    parts = (features.x, features.shared, features.own, features.keys)
    return tuple(part.astype(np.float64) for part in parts)
