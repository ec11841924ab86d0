"""Four token similarities and two ranking scores in a few lines each.

The library has its own, tested versions; this second writing is what makes a check.
Token-normalised cosines as in Lin et al. (2024), arXiv 2407.16245.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Prompts = dict[str, np.ndarray]
Kernel = Callable[[Prompts, list[str], int, str], np.ndarray]


def unit_tokens(prompts: Prompts, names: list[str], seed: int, start: str) -> np.ndarray:
    """Tokens of unit length [n_tasks, n_tokens, dim]; drift subtracts the shared start first."""
    tokens = np.stack([prompts[f"{name}/seed{seed}"] for name in names])
    if start == "drift":
        tokens = tokens - prompts[f"untrained_prompt/seed{seed}"]
    scaled: np.ndarray = tokens / np.linalg.norm(tokens, axis=2, keepdims=True)
    return scaled


def _cosines(prompts: Prompts, names: list[str], seed: int, start: str) -> np.ndarray:
    """Cosine of every pair of tokens [n_targets, n_sources, tokens_target, tokens_source]."""
    tokens = unit_tokens(prompts, names, seed, start)
    cosines: np.ndarray = np.einsum("aih,bjh->abij", tokens, tokens)
    return cosines


def feature_mean(prompts: Prompts, names: list[str], seed: int, start: str) -> np.ndarray:
    """Cosine of the mean unit tokens [n_targets, n_sources]."""
    mean = unit_tokens(prompts, names, seed, start).mean(axis=1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    cosine: np.ndarray = mean @ mean.T
    return cosine


def max_pairwise(prompts: Prompts, names: list[str], seed: int, start: str) -> np.ndarray:
    """Best target token of each source token, averaged [n_targets, n_sources]."""
    best: np.ndarray = _cosines(prompts, names, seed, start).max(axis=2).mean(axis=2)
    return best


def mean_pairwise(prompts: Prompts, names: list[str], seed: int, start: str) -> np.ndarray:
    """Mean cosine of all pairs of tokens [n_targets, n_sources]."""
    mean: np.ndarray = _cosines(prompts, names, seed, start).mean(axis=(2, 3))
    return mean


def flatten(prompts: Prompts, names: list[str], seed: int, start: str) -> np.ndarray:
    """Mean cosine of tokens at the same position [n_targets, n_sources]."""
    cosines = _cosines(prompts, names, seed, start)
    same: np.ndarray = np.diagonal(cosines, axis1=2, axis2=3).mean(axis=2)
    return same


KERNELS: dict[str, Kernel] = {
    "feature_mean": feature_mean,
    "max_pairwise": max_pairwise,
    "mean_pairwise": mean_pairwise,
    "flatten": flatten,
}


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks [..., n] from 0 along the last axis, ties sharing their mean."""
    below = (values[..., :, None] > values[..., None, :]).sum(axis=-1)
    equal = (values[..., :, None] == values[..., None, :]).sum(axis=-1)
    mean: np.ndarray = below + (equal - 1) / 2
    return mean


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of ranks; 0 when one side is constant and so ranks nothing."""
    a, b = (ranks(values) - (len(values) - 1) / 2 for values in (first, second))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm else 0.0


def _gains(truth: np.ndarray) -> np.ndarray:
    """Gain 2^percent - 1, divided by 2^best so that nothing overflows; ratios are the same."""
    gains: np.ndarray = np.exp2(truth - truth.max()) - np.exp2(-truth.max())
    return gains


def _discounts(n: int) -> np.ndarray:
    weights: np.ndarray = 1 / np.log2(np.arange(n) + 2)
    return weights


def ndcg(predicted: np.ndarray, truth: np.ndarray) -> float:
    """NDCG over all sources; tied predictions share the mean gain of their block."""
    gains, weights = _gains(truth), _discounts(len(truth))
    expected = np.array([gains[predicted == value].mean() for value in predicted])
    found = expected[np.argsort(-predicted, kind="stable")] @ weights
    return float(found / (np.sort(gains)[::-1] @ weights))


def ndcg_chance(truth: np.ndarray) -> float:
    """Exact mean NDCG of a random order."""
    gains, weights = _gains(truth), _discounts(len(truth))
    return float(gains.mean() * weights.sum() / (np.sort(gains)[::-1] @ weights))


def mantel(
    values: np.ndarray, truth: np.ndarray, groups: list[str], n_draws: int
) -> tuple[float, float, float]:
    """Mean Spearman of values and truth [n_seeds, n_tasks, n_tasks], and two p-values.

    The null relabels the tasks of the prediction, rows and columns together, because the cells
    of one task are not independent (Mantel 1967). For the second p-value tasks change names
    inside their group only: it asks for more than knowing the groups.
    """
    n_tasks = values.shape[1]
    foreign = ~np.eye(n_tasks, dtype=bool)
    pick = np.array([np.flatnonzero(row) for row in foreign])

    def ranked(cube: np.ndarray) -> np.ndarray:
        """Centred ranks of the foreign sources, scaled to unit length."""
        rows = ranks(np.take_along_axis(cube, pick[None], axis=2))
        rows -= rows.mean(axis=2, keepdims=True)
        norm = np.linalg.norm(rows, axis=2, keepdims=True)
        scaled: np.ndarray = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
        return scaled

    def quality(order: np.ndarray) -> float:
        return float((ranked(values[:, order][:, :, order]) * aim).sum(axis=2).mean())

    aim = ranked(truth)
    observed = quality(np.arange(n_tasks))
    rng = np.random.default_rng(0)
    p_values = []
    for blocks in (["any"] * n_tasks, groups):
        hits = 0
        for _ in range(n_draws):
            order = np.arange(n_tasks)
            for block in dict.fromkeys(blocks):
                members = np.flatnonzero(np.array(blocks) == block)
                order[members] = rng.permutation(members)
            hits += quality(order) >= observed - 1e-12
        p_values.append((1 + hits) / (1 + n_draws))
    return observed, p_values[0], p_values[1]
