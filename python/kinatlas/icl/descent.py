"""What optimisation reaches, beside what exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads
from kinatlas._seeds import Rng, seed_of
from kinatlas.icl._arrays import MOST_NUMBERS, Floats, count, frozen, positive
from kinatlas.icl.mixture import Mixture, check_mixture
from kinatlas.icl.optima import SETTINGS, Optimum, Setting, optimum
from kinatlas.icl.weights import AttentionWeights

__all__ = ["Training", "fit_gd"]

# More would not fit into memory as pieces of a batch.
_MOST_SEQUENCES = 10_000_000

# Size of random initial weights; docs/icl.md has the trials behind the value and the form. Query
# and key start equal and the value near a multiple of the identity, because directions in which
# their product has the wrong sign must cross a saddle, and most random starts then stay there.
_INITIAL_SCALE = 0.2


@dataclass(frozen=True, eq=False, repr=False)
class Training:
    """Where training stopped, beside the optimum of the same setting.

    Examples
    --------
    >>> mixture = Mixture([1.0], [[1.0, 0.0]], [np.eye(2)])
    >>> fit_gd(mixture, 4, "plain", n_steps=300).gap < 1e-8
    True
    """

    optimum: Optimum
    method: str
    #: Final loss, noise included: exact for "population", on fresh sequences for "adam".
    loss: float
    #: Its standard error; 0 where the loss is exact.
    standard_error: float
    #: Loss (noise included) along the way.
    history: Floats
    #: Preconditioner W [dim, dim] that was reached.
    W: Floats
    #: Raw weights, for "adam".
    weights: AttentionWeights | None

    @property
    def n_steps(self) -> int:
        """Steps taken; the history of "population" also holds the loss before the first."""
        return len(self.history) - (self.method == "population")

    @property
    def gap(self) -> float:
        """Final over optimal loss, less one; 0.02 is two per cent above the optimum."""
        return self.loss / self.optimum.loss - 1.0

    def __repr__(self) -> str:
        return (
            f"Training of {self.optimum.setting} by {self.method}: {self.loss:.6g} after "
            f"{self.n_steps} steps, optimum {self.optimum.loss:.6g} ({100 * self.gap:+.2f} %)"
        )


def fit_gd(
    mixture: Mixture,
    n_examples: int,
    setting: Setting | str,
    *,
    method: Literal["population", "adam"] = "population",
    n_steps: int = 4000,
    batch_per_task: int = 384,
    learning_rate: float = 5e-3,
    start: AttentionWeights | None = None,
    n_check: int = 100_000,
    rng: Rng = None,
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Training:
    """Train instead of solving, to see what optimisation reaches.

    ``population`` descends (accelerated gradient, restarts) on the exact loss of W, biases and
    shifts from zero. ``adam`` trains the raw query, key and value matrices, prompts and heads on
    fresh sequences with the query integrated out, the learning rate falling along a cosine; where
    attention is frozen half-way, ``n_steps`` counts each of the two phases.

    Parameters
    ----------
    mixture, n_examples, setting
        What is learnt.
    method, n_steps
        See above.
    batch_per_task, learning_rate, start, n_check, rng, n_threads, progress
        For ``adam``: sequences of each task in a step, highest learning rate, initial weights
        (random by default), sequences of each task for the final loss, seed, threads, and a
        callable that receives the number of finished steps.

    Raises
    ------
    MixtureError
        If there are no examples, or ``population`` is asked for free head scales.
    UnknownNameError
        If setting or method is unknown.

    Examples
    --------
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> abs(fit_gd(mixture, 4, "joint_prompt", n_steps=500).gap) < 1e-8
    True
    """
    check_choice(method, ("population", "adam"), "method")
    check_choice(setting, SETTINGS, "setting")
    check_mixture(mixture)
    exact = optimum(mixture, count(n_examples, "n_examples", 1), setting)
    n_steps = count(n_steps, "n_steps", 1)
    if method == "population":
        return _descend(exact, n_steps)
    n_threads = check_n_threads(n_threads)
    count(n_examples * mixture.dim, "n_examples times dim", 1, MOST_NUMBERS)
    schedule = (
        n_steps,
        count(batch_per_task, "batch_per_task", 1, _MOST_SEQUENCES),
        positive(learning_rate, "learning_rate"),
        count(n_check, "n_check", 2, _MOST_SEQUENCES),
    )
    seed = seed_of(rng)
    first = start if start is not None else _random_start(exact, seed)
    layer, history, losses, errors = _core.icl_train(
        mixture._arrays, n_examples, setting, first._arrays, schedule, seed, n_threads, progress
    )
    trained = AttentionWeights(*layer)
    return Training(
        optimum=exact,
        method=method,
        loss=float(mixture.weights @ losses),
        standard_error=float(np.sqrt(mixture.weights**2 @ errors**2)),
        history=frozen(history),
        W=frozen((trained.query @ trained.key.T)[:-1, :-1]),
        weights=trained,
    )


def _descend(exact: Optimum, n_steps: int) -> Training:
    mixture, zeros = exact.mixture, np.zeros_like(exact.mixture.means)
    is_frozen = exact.setting.startswith("finetune")
    first = exact.W if is_frozen else np.zeros((mixture.dim, mixture.dim))
    start = (first, np.ones(mixture.n_tasks), zeros, zeros)
    predictor, history = _core.icl_descend(
        mixture._arrays, exact.n_examples, exact.setting, start, n_steps
    )
    return Training(
        optimum=exact,
        method="population",
        loss=float(history[-1]) + mixture.noise,
        standard_error=0.0,
        history=frozen(history + mixture.noise),
        W=frozen(predictor[0]),
        weights=None,
    )


def _random_start(exact: Optimum, seed: int) -> AttentionWeights:
    generator = np.random.default_rng(seed)
    width, n_tasks = exact.mixture.dim + 1, exact.mixture.n_tasks
    query, noise = _INITIAL_SCALE * generator.standard_normal((2, width, width))
    value = noise + np.eye(width)
    prompts = _INITIAL_SCALE * generator.standard_normal((n_tasks, width))
    if exact.setting == "plain":
        prompts[:] = 0.0
    heads = np.zeros((n_tasks, width))
    heads[:, -1] = 1.0
    return AttentionWeights(query, query, value, prompts, heads)
