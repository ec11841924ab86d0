"""NumPy twins of ``src/evaluation``: the definitions, written as slowly as they read.

Every function takes predicted ``scores [n]`` and measured ``truth [n]`` and averages over random
tie breaking through the probability of each candidate at each place.
"""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

__all__ = ["average_ranks", "best_rank", "gains", "kendall", "ndcg", "regret", "spearman", "top"]

Floats = npt.NDArray[np.float64]


def average_ranks(scores: Floats) -> Floats:
    """Return ranks [n] from 0, best first: how many are better, and half of the equal others.

    Examples
    --------
    >>> average_ranks(np.array([0.5, 0.5, 0.9]))
    array([1.5, 1.5, 0. ])
    """
    better = (scores[None, :] > scores[:, None]).sum(axis=1)
    equal = (scores[None, :] == scores[:, None]).sum(axis=1)
    return np.asarray(better + (equal - 1) / 2, dtype=np.float64)


def _place_probabilities(scores: Floats) -> Floats:
    """Return P(candidate at place) [n, n] when ties are broken at random."""
    better = (scores[None, :] > scores[:, None]).sum(axis=1)[:, None]
    equal = (scores[None, :] == scores[:, None]).sum(axis=1)[:, None]
    place = np.arange(len(scores))[None, :]
    return np.asarray(((place >= better) & (place < better + equal)) / equal)


def gains(truth_percent: Floats, gain: str, baseline_percent: float = 0.0) -> Floats:
    """Return gains [n] of scores in percent, without any rescaling.

    Examples
    --------
    >>> gains(np.array([1.0, 2.0]), "exp2_percent")
    array([1., 3.])
    """
    truth = np.asarray(truth_percent, dtype=np.float64)
    exponents = {
        "exp2_percent": truth,
        "exp2_fraction": truth / 100,
        "rank": len(truth) - average_ranks(truth),
    }
    if gain in exponents:
        return np.asarray(np.exp2(exponents[gain]) - 1)
    return truth if gain == "linear" else np.maximum(0.0, truth - baseline_percent)


def ndcg(scores: Floats, gain: Floats) -> float:
    """Return expected DCG over ideal DCG, both without cutoff.

    Examples
    --------
    >>> ndcg(np.array([2.0, 1.0]), np.array([3.0, 1.0]))
    1.0
    """
    discount = 1 / np.log2(np.arange(len(gain)) + 2)
    ideal = np.sort(gain)[::-1] @ discount
    return float(gain @ _place_probabilities(scores) @ discount / ideal)


def top(scores: Floats, truth: Floats, k: int) -> float:
    """Return the expected mean truth of the first ``k``.

    Examples
    --------
    >>> top(np.array([2.0, 1.0, 1.0]), np.array([60.0, 70.0, 80.0]), 2)
    67.5
    """
    return float(truth @ _place_probabilities(scores)[:, :k].sum(axis=1) / k)


def regret(scores: Floats, truth: Floats, k: int) -> float:
    """Return the expected regret of the best of the first ``k``, in percent of the best.

    Examples
    --------
    >>> regret(np.array([2.0, 1.0]), np.array([60.0, 80.0]), 1)
    25.0
    """
    cut = np.sort(scores)[::-1][k - 1]
    inside, tied = truth[scores > cut], np.sort(truth[scores == cut])[::-1]
    places = k - len(inside)
    ways = [comb(len(tied) - at - 1, places - 1) for at in range(len(tied))]
    reached = np.maximum(tied, inside.max(initial=-np.inf))
    best = truth.max()
    return float(100 * (best - reached @ np.array(ways) / comb(len(tied), places)) / best)


def best_rank(scores: Floats, truth: Floats) -> float:
    """Return the expected place, from 1, of the best placed among the truly best.

    Examples
    --------
    >>> best_rank(np.array([3.0, 1.0, 1.0]), np.array([60.0, 80.0, 70.0]))
    2.5
    """
    winners = scores[truth == truth.max()]
    leading = winners.max()
    n_before, n_tied = (scores > leading).sum(), (scores == leading).sum()
    return float(n_before + (n_tied + 1) / ((winners == leading).sum() + 1))


def spearman(scores: Floats, truth: Floats) -> float:
    """Return the Pearson correlation of average ranks.

    Examples
    --------
    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 12)
    0.5
    """
    return float(np.corrcoef(average_ranks(scores), average_ranks(truth))[0, 1])


def kendall(scores: Floats, truth: Floats) -> float:
    """Return tau-b from the signs of all pairs.

    Examples
    --------
    >>> round(kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 12)
    0.333333333333
    """
    a, b = (np.sign(np.subtract.outer(values, values)) for values in (scores, truth))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
