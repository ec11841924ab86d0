"""A mixture estimated from data, so that real regression tasks can be asked the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._seeds import Rng, seed_of
from kinatlas.errors import MixtureError, ShapeError
from kinatlas.icl._arrays import Floats, count, floats, frozen
from kinatlas.icl.mixture import Mixture

__all__ = ["MixtureEstimate", "estimate_mixture"]


@dataclass(frozen=True, eq=False, repr=False)
class MixtureEstimate:
    """A mixture with bootstrap replicates, from which anything computed has an interval."""

    mixture: Mixture
    replicates: tuple[Mixture, ...]
    #: Sequences of every task.
    n_sequences: tuple[int, ...]

    def interval(self, quantity: Callable[[Mixture], Any], *, level: float = 0.95) -> Floats:
        """Return the percentile interval [2, ...] of any number or array computed from a mixture.

        Raises
        ------
        MixtureError
            If there are no replicates or ``level`` is outside (0, 1).

        Examples
        --------
        >>> generator = np.random.default_rng(1)
        >>> inputs, labels = generator.normal(size=(6, 8, 2)), generator.normal(size=(6, 8))
        >>> found = estimate_mixture([0, 0, 0, 1, 1, 1], inputs, labels, n_replicates=20, rng=1)
        >>> found.interval(lambda mixture: mixture.means).shape
        (2, 2, 2)
        """
        if not self.replicates or not 0.0 < level < 1.0:
            raise MixtureError(
                f"{len(self.replicates)} replicates and level {level}: expected at least one "
                "replicate and a level between 0 and 1"
            )
        values = np.array([quantity(mixture) for mixture in self.replicates], dtype=np.float64)
        tail = (1.0 - level) / 2.0
        return frozen(np.quantile(values, [tail, 1.0 - tail], axis=0))

    def __repr__(self) -> str:
        return (
            f"MixtureEstimate from {sum(self.n_sequences)} sequences, "
            f"{len(self.replicates)} replicates: {self.mixture!r}"
        )


def estimate_mixture(
    tasks: Sequence[Any],
    inputs: Sequence[Any],
    labels: Sequence[Any],
    *,
    shared_inputs: bool = True,
    shared_noise: bool = False,
    n_replicates: int = 200,
    rng: Rng = None,
    n_threads: int | None = None,
) -> MixtureEstimate:
    """Return the mixture behind sequences of real data, with bootstrap intervals.

    Every sequence gives a least-squares vector. A task's mean is their mean, its covariance
    their covariance less the least-squares error s2 E[(X'X)^-1], projected onto positive
    semi-definite matrices; noise is the residual variance. Replicates redraw whole sequences
    within every task. Inputs and labels are taken as centred: the model has no intercept.

    Intervals of 95 % are somewhat short where a task has few sequences: with 3, 6, 11 and 40 of
    them they held the optimal loss in 87, 89, 92 and 93 % of simulations, a coordinate of a mean
    in 75, 84, 94 and 92 %, the trace of a covariance in 79, 85, 91 and 85 % (dim 2, 8 examples).

    Parameters
    ----------
    tasks
        Name of each sequence's task [n_sequences]; at least two sequences per task.
    inputs, labels
        One array [n_examples, dim] and one [n_examples] per sequence, of any length above dim.
    shared_inputs, shared_noise
        Whether all tasks have one input covariance, one noise variance.
    n_replicates, rng, n_threads
        Bootstrap; the same ``rng`` gives the same bits for any number of threads.

    Raises
    ------
    ShapeError
        If sizes do not agree or a sequence is not longer than dim.
    MixtureError
        If a task has fewer than two sequences, or inputs are linearly dependent.
    NonFiniteError
        If a number is missing.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> inputs = generator.normal(size=(40, 30, 2))
    >>> vectors = np.repeat([[1.0, 0.0], [0.0, 1.0]], 20, axis=0)
    >>> labels = np.einsum("snd,sd->sn", inputs, vectors)
    >>> found = estimate_mixture(["a"] * 20 + ["b"] * 20, inputs, labels, n_replicates=0)
    >>> found.mixture.names, found.mixture.means.round(3).tolist() == [[1, 0], [0, 1]]
    (('a', 'b'), True)
    """
    if not len(tasks) == len(inputs) == len(labels) or len(tasks) == 0:
        raise ShapeError(
            f"{len(tasks)} tasks, {len(inputs)} inputs, {len(labels)} labels: expected one of "
            "each per sequence, and at least one"
        )
    names = list(dict.fromkeys(str(task) for task in tasks))
    rows = [floats(x, f"inputs[{i}]", 2, "[n_examples, dim]") for i, x in enumerate(inputs)]
    values = [floats(y, f"labels[{i}]", 1, "[n_examples]") for i, y in enumerate(labels)]
    for number, (x, y) in enumerate(zip(rows, values, strict=True)):
        if x.shape != (len(y), rows[0].shape[1]):
            raise ShapeError(
                f"sequence {number}: inputs {x.shape} and labels {y.shape}, expected "
                f"[n_examples, {rows[0].shape[1]}] and [n_examples]"
            )
    numbers = np.array([names.index(str(task)) for task in tasks], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int64)
    data = (np.concatenate(rows), np.concatenate(values), offsets, numbers)
    parts = _core.icl_estimate(
        data,
        len(names),
        (shared_inputs, shared_noise),
        count(n_replicates, "n_replicates"),
        seed_of(rng),
        n_threads,
    )
    mixtures = [
        Mixture(pi, mu, s, input_covariance=sx, noise_variance=s2, names=names)
        for pi, mu, s, sx, s2 in zip(*parts, strict=True)
    ]
    counts = tuple(int(total) for total in np.bincount(numbers, minlength=len(names)))
    return MixtureEstimate(mixtures[0], tuple(mixtures[1:]), counts)
