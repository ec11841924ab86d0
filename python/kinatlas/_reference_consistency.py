"""NumPy twins of ``src/consistency`` and ``src/resampling``: definitions, as slow as they read.

Ties are averaged by listing every way to break them, and chance levels by listing every order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

__all__ = [
    "anova",
    "broken",
    "expected",
    "jaccard",
    "kendall_w",
    "places",
    "rbo",
    "resampled",
    "sign_flip",
    "weighted_kendall",
]

Floats = npt.NDArray[np.float64]


def resampled(cube: Floats, drawn: Iterable[tuple[int, Sequence[int]]]) -> Floats:
    """Return column means [n_columns] of a replicate that drew (target, seeds) pairs.

    Examples
    --------
    >>> resampled(np.array([[[1.0, 3.0]], [[5.0, np.nan]]]), [(0, [0, 1]), (1, [0, 1])])
    array([3.5])
    """
    rows = []
    for target, seeds in drawn:
        own = cube[target][:, list(seeds)]
        count = (~np.isnan(own)).sum(axis=1)
        total = np.nansum(own, axis=1)
        rows.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    stacked = np.array(rows)
    known = (~np.isnan(stacked)).sum(axis=0)
    sums = np.nansum(stacked, axis=0)
    return np.asarray(np.where(known > 0, sums / np.maximum(known, 1), np.nan))


def places(drawn: Floats) -> Floats:
    """Return the share of replicates [n_replicates, n] in which a column takes a place [n, n].

    Examples
    --------
    >>> places(np.array([[2.0, 1.0], [1.0, 1.0]]))
    array([[0.75, 0.25],
           [0.25, 0.75]])
    """
    n = drawn.shape[1]
    found = np.zeros((n, n))
    for row in drawn:
        better = (row[None, :] > row[:, None]).sum(axis=1)
        equal = (row[None, :] == row[:, None]).sum(axis=1)
        for at in range(n):
            found[at, better[at] : better[at] + equal[at]] += 1 / equal[at]
    return found / len(drawn)


def broken(scores: Sequence[float]) -> list[tuple[int, ...]]:
    """Return every order of candidates, best first, that breaks the ties of ``scores``.

    Examples
    --------
    >>> broken([0.5, 0.5, 0.9])
    [(2, 0, 1), (2, 1, 0)]
    """
    levels = sorted(set(scores), reverse=True)
    groups = [[at for at, own in enumerate(scores) if own == level] for level in levels]
    ways = product(*(list(permutations(group)) for group in groups))
    return [tuple(at for group in way for at in group) for way in ways]


def expected(
    first: Sequence[float],
    second: Sequence[float],
    measure: Callable[[Sequence[int], Sequence[int]], float],
) -> float:
    """Return the mean of a measure of two orders over every way to break the ties of both.

    Examples
    --------
    >>> expected([1.0, 1.0], [2.0, 1.0], lambda a, b: float(a[0] == b[0]))
    0.5
    """
    values = [measure(a, b) for a in broken(first) for b in broken(second)]
    return float(np.mean(values))


def jaccard(first: Sequence[int], second: Sequence[int], k: int) -> float:
    """Return what the first ``k`` of two orders share.

    Examples
    --------
    >>> jaccard((0, 1, 2), (1, 2, 0), 2)
    0.333...
    """
    a, b = set(first[:k]), set(second[:k])
    return len(a & b) / len(a | b)


def rbo(first: Sequence[int], second: Sequence[int], p: float) -> float:
    """Return the extrapolated rank-biased overlap of two orders of the same candidates.

    Examples
    --------
    >>> round(rbo((0, 1), (0, 1), 0.9), 12), round(rbo((0, 1), (1, 0), 0.5), 12)
    (1.0, 0.5)
    """
    n = len(first)
    shares = [len(set(first[:d]) & set(second[:d])) / d for d in range(1, n + 1)]
    weighted = sum(share * p**d for d, share in enumerate(shares, start=1))
    return shares[-1] * p**n + (1 - p) / p * weighted


def weighted_kendall(first: Floats, second: Floats) -> float:
    """Return tau with additive hyperbolic weights, by places in both lexicographic orders.

    Examples
    --------
    >>> weighted_kendall(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))
    -1.0
    """
    found = []
    for major, minor in ((first, second), (second, first)):
        order = np.lexsort((-minor, -major))
        weight = np.empty(len(first))
        weight[order] = 1 / (np.arange(len(first)) + 1)
        own = weight[:, None] + weight[None, :]
        a, b = (np.sign(np.subtract.outer(x, x)) for x in (first, second))
        found.append((own * a * b).sum() / np.sqrt((own * a * a).sum() * (own * b * b).sum()))
    return float(np.mean(found))


def kendall_w(table: Floats) -> float:
    """Return the concordance of orders given as scores [n_raters, n].

    Examples
    --------
    >>> kendall_w(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))
    1.0
    """
    m, n = table.shape
    ranks = np.stack(
        [
            (row[None, :] < row[:, None]).sum(axis=1)
            + ((row[None, :] == row[:, None]).sum(axis=1) + 1) / 2
            for row in table
        ]
    )
    ties = sum((c**3 - c) for row in table for c in np.unique(row, return_counts=True)[1])
    squares = ((ranks.sum(axis=0) - m * (n + 1) / 2) ** 2).sum()
    return float(12 * squares / (m**2 * (n**3 - n) - m * ties))


def anova(cube: Floats) -> Floats:
    """Return target, source, pair, seed and residual variance of a complete cube.

    Examples
    --------
    >>> anova(np.zeros((2, 2, 2)))
    array([0., 0., 0., 0., 0.])
    """
    t, s, r = cube.shape
    grand = cube.mean()
    by_target, by_source = cube.mean(axis=(1, 2)), cube.mean(axis=(0, 2))
    cells, levels = cube.mean(axis=2), cube.mean(axis=1)
    pair = cells - by_target[:, None] - by_source[None, :] + grand
    rest = cube - cells[:, :, None] - levels[:, None, :] + by_target[:, None, None]
    ms_target = s * r * ((by_target - grand) ** 2).sum() / (t - 1)
    ms_source = t * r * ((by_source - grand) ** 2).sum() / (s - 1)
    ms_pair = r * (pair**2).sum() / ((t - 1) * (s - 1))
    ms_seed = s * ((levels - by_target[:, None]) ** 2).sum() / (t * (r - 1))
    ms_rest = (rest**2).sum() / (t * (s - 1) * (r - 1))
    return np.array(
        [
            (ms_target - ms_pair - ms_seed + ms_rest) / (s * r),
            (ms_source - ms_pair) / (t * r),
            (ms_pair - ms_rest) / r,
            (ms_seed - ms_rest) / s,
            ms_rest,
        ]
    )


def sign_flip(differences: Sequence[float]) -> float:
    """Return the share of sign patterns whose sum is at least as far from 0.

    Examples
    --------
    >>> sign_flip([1.0, 2.0])
    0.5
    """
    observed = abs(sum(differences)) - 1e-12 * sum(map(abs, differences))
    sums = [
        abs(sum(sign * gap for sign, gap in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(total >= observed for total in sums) / len(sums)
