"""NumPy twins of ``src/transferability``: the definitions, written as slowly as they read.

Features are ``x [n, dim]``, labels ``y [n]`` class numbers from 0 without gaps. Nothing here
shares an idea with the Rust code beyond the formula: no singular values, no closed forms for
what is left out, no tricks for ties.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "TWINS",
    "energy",
    "gbc",
    "h_score",
    "knn",
    "leep",
    "linear_probe",
    "log_evidence",
    "logme",
    "nce",
    "parc",
    "sfda",
    "trans_rate",
]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def log_evidence(x: Floats, target: Floats, alpha: float, beta: float) -> float:
    """Return ln p(target) under target ~ N(0, x x' / alpha + I / beta).

    Examples
    --------
    >>> round(log_evidence(np.zeros((1, 1)), np.zeros(1), 1.0, 1.0), 4)
    -0.9189
    """
    covariance = x @ x.T / alpha + np.eye(len(x)) / beta
    distance = target @ np.linalg.solve(covariance, target)
    determinant = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return float(-(distance + determinant) / 2)


def logme(x: Floats, y: Whole) -> float:
    """Return the mean over classes of the largest evidence, per example.

    Examples
    --------
    >>> round(logme(np.array([[1.0], [-1.0]]), np.array([0, 1])), 4)
    -1.0724
    """
    scale = np.linalg.norm(x, 2) ** 2 or 1.0
    total = 0.0
    for c in range(y.max() + 1):
        target = (y == c).astype(np.float64)

        def at(log_ratio: float, target: Floats = target) -> float:
            ratio = np.exp(log_ratio) * scale
            inner = np.eye(len(x)) + x @ x.T / ratio
            beta = float(len(x) / (target @ np.linalg.solve(inner, target)))
            return log_evidence(x, target, float(ratio * beta), beta)

        low, high = np.log(1e-12), np.log(1e12)
        for n_points in (401, *[41] * 10):  # fine at first: two bumps may stand side by side
            points = np.linspace(low, high, n_points)
            best = max(points, key=at)
            width = (high - low) / (n_points - 1)
            low, high = max(low, best - width), min(high, best + width)
        total += at(best)
    return float(total / (y.max() + 1) / len(x))


def h_score(x: Floats, y: Whole) -> float:
    """Return the H-score with the shrinkage of Ledoit and Wolf.

    Examples
    --------
    >>> round(h_score(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])), 4)
    1.0
    """
    n, dim = x.shape
    z = x - x.mean(axis=0)
    covariance = z.T @ z / n
    mean = np.trace(covariance) / dim
    if mean == 0:
        return 0.0
    spread = ((covariance - mean * np.eye(dim)) ** 2).sum()
    noise = sum(((np.outer(row, row) - covariance) ** 2).sum() for row in z) / n**2
    shrinkage = min(1.0, noise / spread) if spread > 0 else 0.0
    means = np.stack([z[y == c].mean(axis=0) for c in y])
    between = means.T @ means / n
    shrunk = (1 - shrinkage) * covariance + shrinkage * mean * np.eye(dim)
    return float((1 - shrinkage) * np.trace(np.linalg.pinv(shrunk, hermitian=True) @ between))


def leep(theta: Floats, y: Whole) -> float:
    """Return LEEP of probabilities ``theta [n, n_source_classes]``.

    Examples
    --------
    >>> round(leep(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1])), 4)
    -0.6931
    """
    theta = theta / theta.sum(axis=1, keepdims=True)
    joint = np.stack([theta[y == c].sum(axis=0) for c in range(y.max() + 1)]) / len(y)
    marginal = joint.sum(axis=0)
    conditional = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)
    return float(np.mean([np.log(conditional[c] @ row) for c, row in zip(y, theta, strict=True)]))


def nce(z: Whole, y: Whole) -> float:
    """Return -H(Y | Z) of source labels ``z [n]``.

    Examples
    --------
    >>> round(nce(np.array([0, 0]), np.array([0, 1])), 4)
    -0.6931
    """
    pairs = list(zip(z.tolist(), y.tolist(), strict=True))
    return float(np.mean([np.log(pairs.count((a, b)) / z.tolist().count(a)) for a, b in pairs]))


def trans_rate(x: Floats, y: Whole, epsilon: float = 1e-4) -> float:
    """Return TransRate at distortion ``epsilon``.

    Examples
    --------
    >>> trans_rate(np.ones((3, 2)), np.array([0, 1, 1]))
    0.0
    """
    z = x - x.mean(axis=0)

    def rate(rows: Floats) -> float:
        inner = np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * epsilon)
        return float(np.linalg.slogdet(inner)[1] / 2)

    inside = sum(np.mean(y == c) * rate(z[y == c]) for c in range(y.max() + 1))
    return float(rate(z) - inside)


def gbc(x: Floats, y: Whole, covariance: str = "spherical") -> float:
    """Return minus the summed Bhattacharyya coefficients of ordered pairs of classes.

    Examples
    --------
    >>> gbc(np.zeros((4, 1)), np.array([0, 0, 1, 1]))
    -2.0
    """
    dim, classes = x.shape[1], range(y.max() + 1)
    floor = 1e-6 * x.var(axis=0).mean()
    if floor == 0:
        return -float(len(classes) * (len(classes) - 1))
    inside = np.stack([x[i] - x[y == c].mean(axis=0) for i, c in enumerate(y)])

    def spread(c: int) -> Floats:
        rows = inside if (y == c).sum() == 1 else inside[y == c]
        own = (rows**2).mean(axis=0)
        own = np.full(dim, own.mean()) if covariance == "spherical" else own
        return np.asarray(np.diag(own + floor))

    total = 0.0
    for i in classes:
        for j in classes:
            if i == j:
                continue
            first, second = spread(i), spread(j)
            middle = (first + second) / 2
            apart = x[y == i].mean(axis=0) - x[y == j].mean(axis=0)
            logs = [np.linalg.slogdet(matrix)[1] for matrix in (middle, first, second)]
            distance = apart @ np.linalg.solve(middle, apart) / 8
            total += np.exp(-(distance + (logs[0] - (logs[1] + logs[2]) / 2) / 2))
    return float(-total)


def parc(x: Floats, y: Whole) -> float:
    """Return Spearman's rho between correlations of features and equality of labels.

    Examples
    --------
    >>> parc(np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0]]), np.array([0, 0, 1]))
    1.0
    """
    rows = x - x.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-12 * abs(x).max())
    places = np.tril_indices(len(x), -1)
    close = np.round((rows @ rows.T)[places], 12)
    same = (y[:, None] == y[None, :])[places].astype(np.float64)
    ranks = [
        (values[None, :] < values[:, None]).sum(axis=1)
        + (values[None, :] == values[:, None]).sum(axis=1) / 2
        for values in (close, same)
    ]
    if min(np.ptp(rank) for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def sfda(x: Floats, y: Whole) -> float:
    """Return the mean log posterior of the own class on self-challenged features.

    Examples
    --------
    >>> round(sfda(np.zeros((2, 1)), np.array([0, 1])), 4)
    -0.6931
    """
    classes = range(y.max() + 1)

    def log_own(z: Floats) -> Floats:
        means = np.stack([z[y == c].mean(axis=0) for c in classes])
        inside = z - means[y]
        covariance = inside.T @ inside / len(z)
        weight = max(np.exp(-np.linalg.eigvalsh(covariance)[-1]), 1e-10)
        solved = np.linalg.solve((1 - weight) * covariance + weight * np.eye(z.shape[1]), means.T)
        shares = np.array([np.mean(y == c) for c in classes])
        scores = z @ solved - np.einsum("cd,dc->c", means, solved) / 2 + np.log(shares)
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return np.asarray(logs[np.arange(len(z)), y])

    z = x - x.mean(axis=0)
    sure = np.exp(log_own(z))[:, None]
    others = np.stack([z[y != c].mean(axis=0) for c in y])
    return float(log_own(sure * z + (1 - sure) * others).mean())


def energy(x: Floats, y: Whole | None = None, temperature: float = 1.0) -> float:
    """Return the mean negative energy; labels play no part.

    Examples
    --------
    >>> round(energy(np.zeros((2, 3))), 4)
    1.0986
    """
    return float((temperature * np.log(np.exp(x / temperature).sum(axis=1))).mean())


def knn(x: Floats, y: Whole, k: int = 5) -> float:
    """Return leave-one-out accuracy, all ties shared.

    Examples
    --------
    >>> knn(np.array([[0.0], [1.0], [9.0]]), np.array([0, 0, 1]), k=1)
    0.6666666666666666
    """
    won = 0.0
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        distances = {j: float(((x[i] - x[j]) ** 2).sum()) for j in others}
        last = sorted(distances.values())[min(k, len(others)) - 1]
        nearer = [j for j in others if distances[j] < last]
        equal = [j for j in others if distances[j] == last]
        share = (min(k, len(others)) - len(nearer)) / len(equal)
        votes = np.zeros(y.max() + 1)
        for j in nearer:
            votes[y[j]] += 1
        for j in equal:
            votes[y[j]] += share
        winners = np.flatnonzero(votes > votes.max() - 1e-9)
        won += (y[i] in winners) / len(winners)
    return float(won / len(x))


def linear_probe(x: Floats, y: Whole) -> float:
    """Return leave-one-out accuracy of ridge regression, refitted for every example.

    Examples
    --------
    >>> linear_probe(np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1]))
    1.0
    """
    n, dim = x.shape
    truth = (y[:, None] == np.arange(y.max() + 1)).astype(np.float64)
    largest = np.linalg.norm(x - x.mean(axis=0), 2) ** 2
    best = (np.inf, 0.0)
    for exponent in range(6, -7, -1):
        predicted = np.empty_like(truth)
        for i in range(n):
            rest = np.arange(n) != i
            middle, level = x[rest].mean(axis=0), truth[rest].mean(axis=0)
            z = x[rest] - middle
            inner = z.T @ z + largest * 10.0**exponent / n * np.eye(dim)
            weights = np.linalg.pinv(inner, hermitian=True) @ z.T @ (truth[rest] - level)
            predicted[i] = level + (x[i] - middle) @ weights
        error = float(((predicted - truth) ** 2).sum())
        if error < best[0] * (1 - 1e-9):
            winners = predicted > predicted.max(axis=1, keepdims=True) - 1e-9
            right = winners[np.arange(n), y] / winners.sum(axis=1)
            best = (error, float(right.mean()))
    return best[1]


#: Every twin of a score on features, by name.
TWINS = {
    function.__name__: function
    for function in (logme, h_score, trans_rate, gbc, parc, sfda, energy, knn, linear_probe)
}
