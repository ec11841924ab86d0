"""The closed forms' Monte-Carlo twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads
from kinatlas._seeds import Rng, seed_of
from kinatlas.errors import MixtureError
from kinatlas.icl._arrays import MOST_NUMBERS, Floats, count, frozen
from kinatlas.icl.mixture import Mixture, check_mixture
from kinatlas.icl.optima import Optimum, Setting, optimum

__all__ = ["Method", "Simulation", "simulate"]

# Where nothing is left to draw, the standard error is 0 and sums still round.
_ROUNDING = 1e-14

# Pieces of 1024 sequences are listed before they are drawn: 160 MB of them.
_MOST_SEQUENCES = 10_000_000_000

Method = Literal["sequences", "antithetic", "sufficient", "conditional"]
_METHODS = ("sequences", "antithetic", "sufficient", "conditional")


@dataclass(frozen=True, eq=False, repr=False)
class Simulation:
    """A simulated loss with its standard error, beside the exact one.

    Examples
    --------
    >>> mixture = Mixture([1.0], [[1.0, 2.0]], [np.eye(2)])
    >>> result = simulate(mixture, 5, 10_000, setting="plain", rng=1)
    >>> abs(result.z_score) < 4
    True
    """

    optimum: Optimum
    method: str
    #: Simulated loss, noise included, and its standard error.
    loss: float
    standard_error: float
    #: The same for every task [n_tasks]; NaN where a task never occurs.
    task_losses: Floats
    task_standard_errors: Floats
    #: Sequences drawn for every task [n_tasks].
    n_sequences: npt.NDArray[np.int64]

    @property
    def z_score(self) -> float:
        """Simulated less exact loss in standard errors, of which rounding is the least."""
        error = max(self.standard_error, _ROUNDING * self.optimum.loss)
        gap = self.loss - self.optimum.loss
        return gap / error if error > 0 else 0.0

    @property
    def relative_error(self) -> float:
        """Simulated over exact loss, less one."""
        if self.optimum.loss == 0.0:
            return 0.0 if self.loss == 0.0 else float("inf")
        return self.loss / self.optimum.loss - 1.0

    def __repr__(self) -> str:
        return (
            f"Simulation of {self.optimum.setting} at n_examples={self.optimum.n_examples}: "
            f"{self.loss:.6g} +- {self.standard_error:.2g}, exact {self.optimum.loss:.6g} "
            f"(z = {self.z_score:+.2f}, {self.n_sequences.sum()} sequences, {self.method})"
        )


def simulate(
    mixture: Mixture,
    n_examples: int,
    n_sequences: int = 100_000,
    *,
    setting: Setting | str | Optimum = "plain",
    method: Method | str = "sufficient",
    rng: Rng = None,
    n_threads: int | None = None,
) -> Simulation:
    """Return the loss of a setting's optimum on drawn sequences, the query integrated out.

    Tasks are strata: each gets its share of ``n_sequences``, so the choice of the task adds no
    variance. ``sufficient`` draws only what the loss depends on, the Gram matrix of the inputs
    and the noise it carries: losses have the distribution that ``sequences``, which draws
    everything, gives them. ``antithetic`` uses every context twice, with opposite task deviation
    and label noise; ``conditional`` draws the Gram matrix and integrates task vector and noise
    out. docs/icl.md has their measured efficiency.

    Parameters
    ----------
    mixture, n_examples
        What is drawn.
    n_sequences
        Sequences in all, at least two (antithetic: four) for every task that occurs.
    setting
        A setting, whose optimum is simulated, or an ``Optimum``, possibly of another mixture of
        the same shape: then the exact loss beside it is not that of ``mixture``.
    method, rng, n_threads
        See above; the same ``rng`` gives the same bits for any number of threads.

    Raises
    ------
    MixtureError
        If there are too few or too many sequences, or an ``Optimum`` is of another context length.
    UnknownNameError
        If setting or method is unknown.

    Examples
    --------
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 2.0], [0.0, 1.0]], [np.eye(2), np.eye(2)])
    >>> simulate(mixture, 5, 1000, setting="joint_prompt", rng=1).n_sequences.tolist()
    [500, 500]
    """
    check_choice(method, _METHODS, "method")
    check_mixture(mixture)
    n_examples = count(n_examples, "n_examples")
    if method in ("sequences", "antithetic"):
        count(n_examples * mixture.dim, "n_examples times dim", 0, MOST_NUMBERS)
    exact = setting if isinstance(setting, Optimum) else optimum(mixture, n_examples, setting)
    if exact.n_examples != n_examples:
        raise MixtureError(
            f"setting: an Optimum for n_examples={exact.n_examples}, but n_examples is "
            f"{n_examples}; its loss is exact for its own context length only"
        )
    losses, errors, counts = _core.icl_simulate(
        mixture._arrays,
        exact._predictor,
        n_examples,
        count(n_sequences, "n_sequences", 0, _MOST_SEQUENCES),
        method,
        seed_of(rng),
        check_n_threads(n_threads),
    )
    occurs = mixture.weights > 0
    weights = mixture.weights[occurs]
    return Simulation(
        optimum=exact,
        method=method,
        loss=float(weights @ losses[occurs]),
        standard_error=float(np.sqrt(weights**2 @ errors[occurs] ** 2)),
        task_losses=frozen(np.where(occurs, losses, np.nan)),
        task_standard_errors=frozen(errors),
        n_sequences=counts.astype(np.int64),
    )
