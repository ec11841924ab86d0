"""NumPy twins of ``src/behavior``: definitions, as slow as they read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "alignment",
    "coordinates",
    "cosine",
    "left_out",
    "mmd",
    "ridge",
    "split_half",
    "variances",
]

Floats = npt.NDArray[np.float64]


def coordinates(answers: Floats, link: str, smoothing: float, floor: float) -> Floats:
    """Return coordinates [n_probes, n_labels] of answers [n_probes, n_replicates, n_labels].

    Examples
    --------
    >>> coordinates(np.array([[[0.5, 0.5]]]), "logit", 0.0, 1e-9)
    array([[0., 0.]])
    """
    rows = []
    for answer in answers:
        known = answer[~np.isnan(answer[:, 0])]
        count, n_labels = known.shape
        if link == "identity":
            rows.append(known.mean(axis=0))
            continue
        share = (known.sum(axis=0) + smoothing) / (count + n_labels * smoothing)
        if link == "logit":
            logs = np.log(np.maximum(share, floor))
            rows.append(logs - logs.mean())
        else:
            rows.append(share - 1 / n_labels if link == "probability" else share)
    found = np.array(rows)
    if link == "rank":
        below = (found[:, None] > found[None]).sum(axis=1)
        equal = (found[:, None] == found[None]).sum(axis=1)
        n = len(found)
        found = (below + (equal + 1) / 2 - (n + 1) / 2) / n
    return found


def cosine(first: Floats, second: Floats, drawn: Sequence[int] | None = None) -> float:
    """Return the cosine of centred responses [n_probes, dim], over drawn probes if given.

    Examples
    --------
    >>> round(cosine(np.array([[1.0], [2.0]]), np.array([[5.0], [3.0]])), 9)
    -1.0
    """
    picked = list(range(len(first)) if drawn is None else drawn)
    a, b = (own[picked] - own[picked].mean(axis=0) for own in (first, second))
    norms = math.sqrt((a * a).sum()) * math.sqrt((b * b).sum())
    return float((a * b).sum() / norms) if norms > 0 else 0.0


def split_half(answers: Floats, link: str, smoothing: float, floor: float) -> float:
    """Return the mean cosine of two halves of the replicates, over all halvings.

    Examples
    --------
    >>> draw = np.array([[[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2])
    >>> round(split_half(draw, "logit", 0.5, 1e-9), 9)
    1.0
    """
    n = answers.shape[1]
    found = []
    for first in itertools.combinations(range(n), n // 2):
        second = [at for at in range(n) if at not in first]
        a, b = (coordinates(answers[:, list(own)], link, smoothing, floor)
                for own in (first, second))  # fmt: skip
        found.append(cosine(a, b))
    return float(np.mean(found))


def alignment(first: Floats, second: Floats, is_ranked: bool) -> float:
    """Return CKA or RSA of responses [n_probes, p] and [n_probes, q], by kernel matrices.

    Examples
    --------
    >>> round(alignment(np.eye(3), 2 * np.eye(3), False), 9)
    1.0
    """
    grams = []
    for own in (first, second):
        centred = own - own.mean(axis=0)
        grams.append(centred @ centred.T)
    if not is_ranked:
        sums = [(a * b).sum() for a, b in itertools.product(grams, repeat=2)]
        return float(sums[1] / math.sqrt(sums[0]) / math.sqrt(sums[3]))
    rows, columns = np.tril_indices(len(first), -1)
    ranks = [coordinates(g[rows, columns][:, None, None], "rank", 0, 0) for g in grams]
    return cosine(ranks[0], ranks[1])


def mmd(before: Iterable[Floats], after: Iterable[Floats], scale: float) -> float:
    """Return the mean over probes of the unbiased squared discrepancy, kernel of that scale.

    Examples
    --------
    >>> mmd([np.zeros((2, 1))], [np.zeros((2, 1))], 1.0)
    0.0
    """

    def kernel(x: Floats, y: Floats) -> float:
        return math.exp(-float(((x - y) ** 2).sum()) / (2 * scale))

    found = []
    for x, y in zip(before, after, strict=True):
        within = [
            np.mean([kernel(a, b) for a, b in itertools.permutations(own, 2)]) for own in (x, y)
        ]
        across = np.mean([kernel(a, b) for a, b in itertools.product(x, y)])
        found.append(within[0] + within[1] - 2 * across)
    return float(np.mean(found))


def ridge(features: Floats, responses: Floats, penalty: float) -> Floats:
    """Return weights [F, C] and intercepts as the last row, by least squares with extra rows.

    Examples
    --------
    >>> ridge(np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]]), 1e-12).round(6)
    array([[2.],
           [1.]])
    """
    n, width = features.shape
    design = np.hstack([features, np.ones((n, 1))])
    extra = np.hstack([math.sqrt(penalty * n) * np.eye(width), np.zeros((width, 1))])
    target = np.vstack([responses, np.zeros((width, responses.shape[1]))])
    found = np.linalg.lstsq(np.vstack([design, extra]), target, rcond=None)[0]
    return np.asarray(found)


def left_out(features: Floats, responses: Floats, penalty: float) -> Floats:
    """Return left-out squared errors [C] over total squares, by n fits of n - 1 probes.

    Examples
    --------
    >>> left_out(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [2.0]]), 1e-12) < 1e-9
    array([ True])
    """
    n = len(features)
    errors = np.zeros(responses.shape[1])
    for at in range(n):
        rest = np.arange(n) != at
        # The penalty is that of all n probes: leaving one out does not change it.
        found = ridge(features[rest], responses[rest], penalty * n / (n - 1))
        errors += (responses[at] - np.append(features[at], 1.0) @ found) ** 2
    whole = ((responses - responses.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(errors / whole)


def variances(responses: Floats) -> dict[str, float]:
    """Return variance components of one coordinate [n_models, n_prompts, n_probes].

    Effects are deviations of marginal means; mean squares are solved one after another.

    Examples
    --------
    >>> round(variances(np.array([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]))["probe"], 9)
    0.5
    """
    sizes = dict(zip("mpx", responses.shape, strict=True))

    def effect(kept: str) -> Floats:
        found = responses.mean(
            axis=tuple(at for at, name in enumerate("mpx") if name not in kept), keepdims=True
        )
        for size in range(len(kept)):
            for part in itertools.combinations(kept, size):
                found = found - effect("".join(part))
        return np.asarray(found)

    def mean_square(kept: str) -> float:
        repeats = math.prod(size for name, size in sizes.items() if name not in kept)
        freedom = math.prod(sizes[name] - 1 for name in kept)
        return float((effect(kept) ** 2).sum() * repeats / freedom)

    squares = {kept: mean_square(kept) for kept in ("m", "p", "x", "mp", "mx", "px", "mpx")}
    rest = squares["mpx"]
    found = {
        "model_x_prompt": (squares["mp"] - rest) / sizes["x"],
        "model_x_probe": (squares["mx"] - rest) / sizes["p"],
        "prompt_x_probe": (squares["px"] - rest) / sizes["m"],
        "residual": rest,
    }
    for name, own, others, each in (
        ("model", "m", ("mp", "mx"), sizes["p"] * sizes["x"]),
        ("prompt", "p", ("mp", "px"), sizes["m"] * sizes["x"]),
        ("probe", "x", ("mx", "px"), sizes["m"] * sizes["p"]),
    ):
        found[name] = (squares[own] - sum(squares[one] for one in others) + rest) / each
    return found
