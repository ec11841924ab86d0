"""The superposition room once more in plain NumPy, to read beside the formulas and to test against.

Slow on purpose: one prompt, one replicate, one support at a time.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "affine_weights",
    "condition_statistics",
    "ledoit_wolf",
    "permutation_p",
    "prompt_numbers",
    "simplex_weights",
    "vote_curve",
]

Floats = npt.NDArray[np.float64]


def prompt_numbers(log_p: Any, mixture: Any, threshold: float = 0.1) -> dict[str, float]:
    """Return the numbers of one prompt with S > 0, from log_p [n_tasks] and mixture [n_tasks].

    Examples
    --------
    >>> round(float(prompt_numbers(np.log([0.25, 0.25]), [0.5, 0.5])["leak"]), 6)
    0.693147
    """
    p, pi = np.exp(np.asarray(log_p, dtype=np.float64)), np.asarray(mixture, dtype=np.float64)
    total = p.sum()
    share = p / total
    middle = (pi + share) / 2
    entropy = -_xlogy(share, share).sum()
    with np.errstate(divide="ignore"):
        kl = (_xlogy(pi, pi) - np.where(pi > 0, pi * np.log(p), 0.0)).sum()
    return {
        "total_mass": total,
        "other": 1 - total,
        "kl": kl,
        "kl_shape": kl + np.log(total),
        "leak": -np.log(total),
        "total_variation": np.abs(share - pi).sum() / 2,
        "jensen_shannon": sum(
            (_xlogy(part, part) - _xlogy(part, middle)).sum() / 2 for part in (pi, share)
        ),
        "brier": ((share - pi) ** 2).sum(),
        "entropy": entropy,
        "entropy_ratio": entropy / -_xlogy(pi, pi).sum(),
        "effective_tasks": np.exp(entropy),
        "coverage": np.mean(share[pi > 0] >= threshold * pi[pi > 0]),
    }


def condition_statistics(log_p: Any, mixture: Any, last: Any = None) -> dict[str, Any]:
    """Return dispersions, Jensen gap and order effects of one condition's prompts.

    log_p [n_prompts, n_tasks], all answered; mixture [n_prompts, n_tasks]; last [n_prompts].

    Examples
    --------
    >>> found = condition_statistics(np.log([[0.9, 0.1], [0.1, 0.9]]), [[0.5, 0.5]] * 2)
    >>> round(float(found["dispersion"]), 6)
    0.64
    """
    p, pi = np.exp(np.asarray(log_p)), np.asarray(mixture, dtype=np.float64)
    share = p / p.sum(axis=1, keepdims=True)
    mean, mean_share, mean_pi = p.mean(axis=0), share.mean(axis=0), pi.mean(axis=0)
    kl = (_xlogy(pi, pi) - _xlogy(pi, share)).sum(axis=1).mean()
    kl_of_mean = (_xlogy(mean_pi, mean_pi) - _xlogy(mean_pi, mean_share)).sum()
    found = {
        "dispersion_tasks": p.var(axis=0) / (mean * (1 - mean)),
        "dispersion": p.var(axis=0).sum() / (mean * (1 - mean)).sum(),
        "dispersion_shares": share.var(axis=0).sum() / (mean_share * (1 - mean_share)).sum(),
        "jensen_gap": kl - kl_of_mean,
        "kl_of_mean": kl_of_mean,
    }
    if last is not None:
        found["order_effect"] = np.array(
            [p[last == k, k].mean() - p[last != k, k].mean() for k in range(p.shape[1])]
        )
    return found


def vote_curve(lambdas: Any, n_votes: int) -> Floats:
    """Return the chance of a majority for a task of share lambda, ties halved, by counting.

    Examples
    --------
    >>> vote_curve([0.25], 3)
    array([0.15625])
    """
    where = np.asarray(lambdas, dtype=np.float64)
    mass = np.ones((len(where), 1))
    for _ in range(n_votes):
        lost = np.pad(mass, ((0, 0), (0, 1))) * (1 - where[:, None])
        mass = lost + np.pad(mass, ((0, 0), (1, 0))) * where[:, None]
    votes = np.arange(n_votes + 1)
    wins: Floats = (mass * ((2 * votes > n_votes) + 0.5 * (2 * votes == n_votes))).sum(axis=1)
    return wins


def affine_weights(centroids: Any, target: Any) -> Floats:
    """Return the least-squares weights with sum 1 of target [dim] on centroids [n_tasks, dim].

    Examples
    --------
    >>> affine_weights(np.eye(2), [0.25, 0.75]).round(12)
    array([0.25, 0.75])
    """
    points, wanted = np.asarray(centroids, dtype=np.float64), np.asarray(target, dtype=np.float64)
    moved = (points[:-1] - points[-1]).T
    free = np.linalg.lstsq(moved, wanted - points[-1], rcond=None)[0]
    return np.append(free, 1 - free.sum())


def simplex_weights(centroids: Any, target: Any) -> Floats:
    """Return the best weights in the simplex by trying every support.

    Examples
    --------
    >>> simplex_weights([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.25, -3.0]).round(12)
    array([0.75, 0.25, 0.  ])
    """
    points, wanted = np.asarray(centroids, dtype=np.float64), np.asarray(target, dtype=np.float64)
    best, least = np.zeros(len(points)), np.inf
    for size in range(1, len(points) + 1):
        for support in combinations(range(len(points)), size):
            weights = np.zeros(len(points))
            weights[list(support)] = (
                affine_weights(points[list(support)], wanted) if size > 1 else 1.0
            )
            misfit = ((wanted - weights @ points) ** 2).sum()
            if weights.min() >= 0 and misfit < least:
                best, least = weights, misfit
    return best


def permutation_p(scores: Any) -> float:
    """Return the share of relabellings whose mean score reaches that of the diagonal.

    Examples
    --------
    >>> permutation_p(np.eye(3)) * 6
    1.0
    """
    table = np.asarray(scores, dtype=np.float64)
    rows = np.arange(len(table))
    found = [table[rows, list(order)].sum() for order in permutations(rows)]
    return float(np.mean(np.array(found) >= np.trace(table) - 1e-12 * np.abs(table).max()))


def ledoit_wolf(sets: list[Floats]) -> tuple[float, Floats]:
    """Return the shrinkage and the shrunk covariance pooled within sets of rows [n_k, dim].

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shrinkage, covariance = ledoit_wolf([rng.normal(size=(2000, 2)) * [1.0, 3.0]])
    >>> shrinkage < 0.01, np.sqrt(np.diag(covariance)).round()
    (True, array([1., 3.]))
    """
    rows = np.concatenate([states - states.mean(axis=0) for states in sets])
    n_rows, dim = rows.shape
    covariance = rows.T @ rows / n_rows
    sphere = np.trace(covariance) / dim
    distance = ((covariance - sphere * np.eye(dim)) ** 2).sum() / dim
    noise = sum(((np.outer(row, row) - covariance) ** 2).sum() for row in rows)
    shrinkage = min(1.0, float(noise / (n_rows**2 * dim) / distance))
    shrunk: Floats = (1 - shrinkage) * covariance + shrinkage * sphere * np.eye(dim)
    return shrinkage, shrunk


def _xlogy(first: Floats, second: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(first == 0, 0.0, first * np.log(second))
