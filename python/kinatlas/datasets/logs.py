"""Logs of users and items whose tasks are related by design, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinatlas._checks import check_known, check_names, check_number, check_whole
from kinatlas._seeds import Rng, seed_of
from kinatlas.datasets.table import MultiTaskTable, Truth
from kinatlas.errors import ShapeError

__all__ = ["multi_task_logs"]

# Few items get most of the traffic, as in shops: popularity falls with rank to this power.
_POPULARITY = 1.3
_N_CATEGORIES = 10


def multi_task_logs(
    tasks: Mapping[str, Mapping[str, float]],
    n_rows: int,
    *,
    base_rates: float | Mapping[str, float] = 0.3,
    label_noise: float | Mapping[str, float] = 0.0,
    funnel: tuple[str, str] | None = None,
    signal: float = 3.0,
    dim: int = 4,
    n_users: int = 2000,
    n_items: int = 500,
    rng: Rng = None,
) -> MultiTaskTable:
    """Return logs of tasks made of common factors, with their true log-odds and relatedness.

    A factor is a function of user and item; the factors are made exactly uncorrelated over the
    rows. The log-odds of a task are ``signal`` times its weighted factors (weights scaled to
    length 1) plus the constant that gives its base rate, so that the relatedness of two tasks,
    the correlation of their log-odds, is the inner product of their scaled weights. What is
    observed are the deciles of the 2 x ``dim`` coordinates of user and item.

    Parameters
    ----------
    tasks
        Weights of every task on factors of any name. A factor that only one task names is
        private; a task with nothing but a private factor is unrelated to all others, one with a
        negative weight is negated, two with equal weights are duplicates.
    base_rates
        Share of the label 1, before noise and funnel, for all tasks or by task (0.3 if missing).
    label_noise
        Chance that a label is flipped, for all tasks or by task (0 if missing).
    funnel
        ``(click, conversion)``: the conversion's label is 1 only where the click's is too. Its
        true log-odds stay those of the entire space.
    signal
        Standard deviation of the log-odds.
    dim
        Coordinates of a user, and of an item. Above 4 the deciles no longer tell the truth well.
    n_users, n_items
        Users are drawn evenly, items by a power law.
    rng
        Seed.

    Raises
    ------
    ShapeError
        If there is no task, a task has no weight, fewer rows than ten a factor, or the funnel is
        no pair of tasks.
    UnknownNameError
        If a rate, noise or funnel names no task.
    ValueError
        If a rate is not between 0 and 1, a noise not in [0, 0.5), or a size is not positive.

    References
    ----------
    The funnel is the one of Ma et al. 2018, Entire space multi-task model.

    Examples
    --------
    >>> logs = multi_task_logs(
    ...     {
    ...         "click": {"taste": 0.6, "curiosity": 0.8},
    ...         "buy": {"taste": 0.6, "need": 0.8},
    ...         "review": {"need": 1.0},
    ...     },
    ...     n_rows=2000,
    ...     rng=0,
    ... )
    >>> logs.codes.shape, logs.labels.shape
    ((2000, 8), (2000, 3))
    >>> logs.truth.relatedness.round(2).tolist()
    [[1.0, 0.36, 0.0], [0.36, 1.0, 0.8], [0.0, 0.8, 1.0]]
    """
    names = check_names(tasks, "task")
    weights = _weights(names, tasks)
    check_whole(n_rows, "n_rows", 10 * max(1, weights.shape[1]))
    for argument, size in (("dim", dim), ("n_users", n_users), ("n_items", n_items)):
        check_whole(size, argument)
    check_number(signal, "signal", "a positive number", lambda x: 0 < x < np.inf)
    rates = _by_task(base_rates, names, 0.3, "base_rates", "between 0 and 1", lambda x: 0 < x < 1)
    noise = _by_task(label_noise, names, 0.0, "label_noise", "in [0, 0.5)", lambda x: 0 <= x < 0.5)
    steps = None if funnel is None else tuple(check_known(name, names, "task") for name in funnel)
    if steps is not None and len(set(steps)) != 2:
        raise ShapeError(f"funnel={funnel!r}: expected two different tasks, (first, second)")

    draws = np.random.default_rng(seed_of(rng))
    users = draws.standard_normal((n_users, dim))
    items = draws.standard_normal((n_items, dim))
    popularity = np.arange(1, n_items + 1.0) ** -_POPULARITY
    of_row = draws.integers(n_users, size=n_rows)
    shown = draws.choice(n_items, size=n_rows, p=popularity / popularity.sum())
    factors = _factors(users, items, of_row, shown, weights.shape[1], draws)
    scores = signal * factors @ weights.T
    logits = scores + [_intercept(*pair) for pair in zip(scores.T, rates, strict=True)]
    chances = noise + (1 - 2 * noise) * _sigmoid(logits)
    labels = (draws.random(chances.shape) < chances).astype(np.int8)
    if steps is not None:
        click, conversion = steps
        labels[:, conversion] &= labels[:, click]
        chances[:, conversion] *= chances[:, click]
    return MultiTaskTable(
        codes=np.hstack([_deciles(users)[of_row], _deciles(items)[shown]]),
        dense=np.zeros((n_rows, 0), dtype=np.float32),
        labels=labels,
        fields={f"{side}_{at}": _N_CATEGORIES for side in ("user", "item") for at in range(dim)},
        tasks=names,
        origin="generated",
        truth=Truth(
            logits=logits,
            probabilities=chances,
            relatedness=weights @ weights.T,
            bayes_auc=np.array([_expected_auc(column) for column in chances.T]),
        ),
    )


def _weights(names: tuple[str, ...], tasks: Mapping[str, Mapping[str, float]]) -> Any:
    """Rows of length 1 [n_tasks, n_factors]."""
    known = {factor: None for name in names for factor in tasks[name]}
    weights = np.zeros((len(names), len(known)))
    for row, name in enumerate(names):
        for factor, weight in tasks[name].items():
            finite = check_number(
                weight, f"weight of task {name!r} on {factor!r}", "a number", np.isfinite
            )
            weights[row, list(known).index(factor)] = finite
    lengths = np.linalg.norm(weights, axis=1, keepdims=True)
    if not names or not lengths.all():
        raise ShapeError("tasks: expected at least one, each with a weight that is not 0")
    return weights / lengths


def _by_task(
    given: float | Mapping[str, float],
    names: tuple[str, ...],
    default: float,
    argument: str,
    wanted: str,
    is_fine: Any,
) -> Any:
    by_task = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
    found = np.full(len(names), default)
    for name, value in by_task.items():
        at = check_known(name, names, "task")
        found[at] = check_number(value, f"{argument} of {name!r}", f"a number {wanted}", is_fine)
    return found


def _factors(users: Any, items: Any, of_row: Any, shown: Any, n_factors: int, draws: Any) -> Any:
    """Exactly uncorrelated functions [n_rows, n_factors] of user and item, mean 0, variance 1."""
    dim = users.shape[1]
    columns = []
    for _ in range(n_factors):
        left, right = draws.standard_normal((2, dim, dim)) / np.sqrt(dim)
        ours, theirs = draws.standard_normal((2, dim)) / np.sqrt(dim)
        meeting = ((users @ left)[of_row] * (items @ right)[shown]).sum(axis=1)
        own = np.tanh(2 * users @ ours)[of_row] + 0.5 * np.sin(2 * items @ theirs)[shown]
        column = meeting + own
        columns.append((column - column.mean()) / column.std())
    factors = np.stack(columns, axis=1)
    # Once gives uncorrelated columns up to the condition of the covariance, twice to rounding.
    for _ in range(2):
        factors -= factors.mean(axis=0)
        try:
            root = np.linalg.cholesky(np.linalg.inv(factors.T @ factors / len(factors)))
        except np.linalg.LinAlgError:
            raise ShapeError(
                f"{len(factors)} rows of {len(users)} users and {len(items)} items cannot hold "
                f"{n_factors} uncorrelated factors; ask for more of them"
            ) from None
        factors = factors @ root
    return factors


def _deciles(coordinates: Any) -> Any:
    """Decile [n, dim] of every coordinate, by rank, from 0."""
    ranks = coordinates.argsort(axis=0).argsort(axis=0)
    return ranks * _N_CATEGORIES // len(coordinates)


def _intercept(scores: Any, rate: float) -> float:
    """The constant that gives scores [n_rows] this mean chance, by bisection."""
    low, high = -50.0 - np.abs(scores).max(), 50.0 + np.abs(scores).max()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(scores + middle).mean() < rate else (low, middle)
    return float(low + high) / 2


def _sigmoid(values: Any) -> Any:
    return 0.5 * (1 + np.tanh(values / 2))


def _expected_auc(chances: Any) -> float:
    """AUC of chances [n_rows] over the labels they draw, ties counting half."""
    _, at = np.unique(chances, return_inverse=True)
    misses = np.bincount(at, weights=1 - chances)
    below = np.concatenate([[0.0], np.cumsum(misses)[:-1]])
    # A row is never compared with itself.
    itself = chances * (1 - chances)
    won = chances @ (below[at] + 0.5 * misses[at]) - 0.5 * itself.sum()
    return float(won / (chances.sum() * (1 - chances).sum() - itself.sum()))
