"""Which examples decide: a weight for every position of the context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_known
from kinatlas._core import superposition_positions, superposition_vote
from kinatlas.errors import ShapeError
from kinatlas.superposition.record import SuperpositionRecord

__all__ = ["PositionWeights", "VoteModel", "fit_votes", "position_weights"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PositionWeights:
    """How much an example of the task at each position adds to the task's probability."""

    task: str
    weights: Floats
    standard_errors: Floats


@dataclass(frozen=True)
class VoteModel:
    """As if ``n_eff`` examples voted and the task needed more than ``threshold`` of them."""

    n_eff: float
    threshold: float
    rmse: float


def position_weights(record: SuperpositionRecord, task: str) -> PositionWeights:
    """Return the least-squares weight of every context position, first example first.

    The probability of ``task`` is regressed on its indicator at every position, with an intercept;
    standard errors are robust to prompts that share a query. A weight that lives on one position
    only means that a single example decides; equal weights mean that examples are counted.

    Raises
    ------
    ShapeError
        If the record has no order, or the weights are not identified: exact counts make the
        indicators sum to a constant. Draw examples independently, or pool several mixtures.

    Examples
    --------
    >>> import numpy as np
    >>> order = np.random.default_rng(0).integers(2, size=(200, 3))
    >>> first = 0.1 + 0.8 * (order[:, 2] == 0)
    >>> record = SuperpositionRecord(np.log(np.c_[first, 1 - first]), [0.5, 0.5], order=order)
    >>> np.abs(position_weights(record, "task 0").weights.round(9))
    array([0. , 0. , 0.8])
    """
    number = check_known(task, record.tasks, "task")
    if record.order is None:
        raise ShapeError("position_weights: the record has no order; pass order= when building it")
    indicators = (record.order == number).astype(np.float64)
    probabilities = np.exp(record.log_probabilities[:, number])
    weights, errors = superposition_positions(indicators, probabilities, record.query)
    return PositionWeights(task, weights, errors)


def fit_votes(
    lambdas: npt.ArrayLike,
    shares: npt.ArrayLike,
    *,
    max_votes: int = 51,
    vote_threshold: str = "majority",
) -> VoteModel:
    """Return the vote model of a mean curve: shares [n_conditions] at mixtures [n_conditions].

    P(lambda) ~ Pr[Bin(n_eff, lambda) > theta n_eff] + half the probability of a tie. Only odd n_eff
    are tried, because an even one has the curve of the odd one below it.

    Examples
    --------
    >>> lambdas = [0.1, 0.3, 0.5, 0.7, 0.9]
    >>> fit_votes(lambdas, lambdas).n_eff
    1.0
    >>> fit_votes(lambdas, [l**3 + 3 * l**2 * (1 - l) for l in lambdas]).n_eff
    3.0
    """
    where = np.asarray(lambdas, dtype=np.float64)
    means = np.asarray(shares, dtype=np.float64)
    if where.ndim != 1 or where.shape != means.shape or max_votes < 1:
        raise ShapeError(
            f"fit_votes: lambdas {where.shape}, shares {means.shape}, max_votes {max_votes}; "
            "expected two sequences of one length and at least one vote"
        )
    found = superposition_vote(where.tolist(), means.tolist(), int(max_votes), vote_threshold)
    return VoteModel(*found)
