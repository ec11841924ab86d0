"""A mixture of linear regression tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_names
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.icl._arrays import Floats, floats, frozen, n_axes_of

__all__ = ["Mixture", "check_mixture"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Mixture:
    """Tasks k with probability pi_k whose vectors are beta ~ N(mu_k, S_k).

    A sequence draws its task, its vector beta, inputs x ~ N(0, Sx) and labels
    y = x'beta + N(0, s2). Task identity is known to the model.

    Parameters
    ----------
    weights
        Probabilities pi [n_tasks]; at least 0, summing to 1.
    means
        Task means mu [n_tasks, dim].
    covariances
        Task covariances S [n_tasks, dim, dim], positive semi-definite.
    input_covariance
        Sx [dim, dim] shared by all tasks, or [n_tasks, dim, dim]; positive definite. Identity by
        default.
    noise_variance
        s2 of the labels, a number or [n_tasks]. A variance: the square of a noise level.
    names
        One name per task; "task 0", "task 1", ... by default.

    Raises
    ------
    MixtureError
        If weights do not sum to one or a covariance is not one.
    ShapeError, DTypeError, NonFiniteError
        If sizes do not agree, or numbers are missing or infinite.

    Examples
    --------
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> mixture
    Mixture of 2 tasks: dim 2, shared inputs, E[y^2] = 3
    >>> Mixture([0.5, 0.6], [[1.0], [0.0]], [[[1.0]], [[1.0]]])
    Traceback (most recent call last):
    kinatlas.errors.MixtureError: weights sum to 1.1, expected 1; divide them by their sum
    """

    weights: Floats
    means: Floats
    covariances: Floats
    input_covariance: Floats
    noise_variance: Floats
    names: tuple[str, ...]

    def __init__(
        self,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        input_covariance: Any = None,
        noise_variance: Any = 0.0,
        names: Sequence[str] | None = None,
    ) -> None:
        weights = floats(weights, "weights", 1, "[n_tasks]")
        means = floats(means, "means", 2, "[n_tasks, dim]")
        covariances = floats(covariances, "covariances", 3, "[n_tasks, dim, dim]")
        inputs = np.eye(means.shape[1]) if input_covariance is None else input_covariance
        if n_axes_of(inputs, "input_covariance") == 2:
            inputs = [inputs]
        shape = "[dim, dim] or [n_tasks, dim, dim]"
        inputs = floats(inputs, "input_covariance", 3, shape)
        is_shared = n_axes_of(noise_variance, "noise_variance") == 0
        noise = [noise_variance] if is_shared else noise_variance
        noise = floats(noise, "noise_variance", 1, "a number or [n_tasks]")
        numbers = range(len(weights))
        if names is None:
            names = [f"task {number}" for number in numbers]
        names = check_names(map(str, names), "task")
        if len(names) != len(weights):
            raise ShapeError(f"names has {len(names)} entries, expected {len(weights)}")
        _core.icl_check_mixture((weights, means, covariances, inputs, noise))
        fields = (*map(frozen, (weights, means, covariances, inputs, noise)), names)
        for name, value in zip(self.__dataclass_fields__, fields, strict=True):
            object.__setattr__(self, name, value)

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.weights)

    @property
    def dim(self) -> int:
        """Width of an input."""
        return int(self.means.shape[1])

    @property
    def has_shared_inputs(self) -> bool:
        """Whether all tasks draw their inputs from one distribution."""
        return bool((self.input_covariance == self.input_covariance[0]).all())

    @property
    def signal(self) -> float:
        """E[(x'beta)^2], the loss of predicting 0 without label noise: tr(Sx M)."""
        moments = self.covariances + self.means[:, :, None] * self.means[:, None, :]
        traces = (moments * self.input_covariance).sum(axis=(1, 2))
        return float(self.weights @ traces)

    @property
    def noise(self) -> float:
        """Average label noise variance, which no model can predict."""
        return float(self.weights @ np.broadcast_to(self.noise_variance, self.weights.shape))

    @property
    def _arrays(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return (
            self.weights,
            self.means,
            self.covariances,
            self.input_covariance,
            self.noise_variance,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (*self._arrays, self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mixture):
            return NotImplemented
        pairs = zip(self._arrays, other._arrays, strict=True)
        return self.names == other.names and all(np.array_equal(a, b) for a, b in pairs)

    def __hash__(self) -> int:
        return hash((self.names, self.means.tobytes()))

    def __repr__(self) -> str:
        inputs = "shared inputs" if self.has_shared_inputs else "inputs per task"
        tasks = "1 task" if self.n_tasks == 1 else f"{self.n_tasks} tasks"
        power = self.signal + self.noise
        return f"Mixture of {tasks}: dim {self.dim}, {inputs}, E[y^2] = {power:.6g}"


def check_mixture(mixture: object) -> None:
    """Raise DTypeError unless ``mixture`` is one.

    Examples
    --------
    >>> check_mixture("a")
    Traceback (most recent call last):
    kinatlas.errors.DTypeError: mixture: got str, expected a Mixture
    """
    if not isinstance(mixture, Mixture):
        raise DTypeError(f"mixture: got {type(mixture).__name__}, expected a Mixture")


def _rebuilt(
    weights: Floats,
    means: Floats,
    covariances: Floats,
    inputs: Floats,
    noise: Floats,
    names: tuple[str, ...],
) -> Mixture:
    return Mixture(
        weights, means, covariances, input_covariance=inputs, noise_variance=noise, names=names
    )
