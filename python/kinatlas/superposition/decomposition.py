"""Where a mixture's task vector lies among the task vectors it is mixed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice
from kinatlas._core import superposition_coordinates, superposition_decomposition
from kinatlas._core import superposition_permutations as permutations
from kinatlas._frames import as_text
from kinatlas.errors import FormatError, ShapeError
from kinatlas.superposition.analysis import Estimate
from kinatlas.superposition.seeds import seed_of
from kinatlas.superposition.states import Metric, as_states, pure_states, whitened

__all__ = [
    "Coordinates",
    "Decomposition",
    "PermutationTest",
    "decompose_mixture",
    "permutation_test",
    "prompt_coordinates",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Decomposition:
    """Weights of a mixture's mean state on the task vectors, and how well they explain it.

    ``affine`` weights may be negative (a finding), ``simplex`` weights may not; both sum to 1.
    ``residual`` is ||y - C'w|| / ||y - mean(C)|| of the affine fit: 0 exact, 1 no better than the
    centroid. ``kappa`` is 1 where the mixture lands on the point its shares predict. ``ratio`` is
    the sine of its angle to that direction over ``floor``, the sine between halves of the prompts:
    at most 1 means "not distinguishable from exactly convex". A half has twice the variance of the
    whole, so the floor is generous.
    """

    tasks: tuple[str, ...]
    shares: tuple[float, ...]
    affine: tuple[Estimate, ...]
    simplex: tuple[Estimate, ...]
    residual: Estimate
    simplex_residual: Estimate
    kappa: Estimate
    sin_theta: Estimate
    floor: float
    condition_number: float
    max_cosine: float
    metric: str
    shrinkage: float | None

    @property
    def ratio(self) -> float:
        """sin_theta / floor."""
        return self.sin_theta.value / self.floor

    def __repr__(self) -> str:
        columns: dict[str, list[Any]] = {
            "task": list(self.tasks),
            "share": list(self.shares),
            "affine": [str(weight) for weight in self.affine],
            "simplex": [str(weight) for weight in self.simplex],
        }
        return (
            f"Decomposition ({self.metric}): residual {self.residual}, kappa {self.kappa}, "
            f"sin/floor {self.ratio:.2f}, condition {self.condition_number:.1f}\n"
            f"{as_text(columns)}"
        )


@dataclass(frozen=True)
class PermutationTest:
    """Mean kappa, its exact p-value over all relabellings of the mixtures, and their number."""

    kappa: float
    p_value: float
    n_relabellings: int
    per_mixture: tuple[float, ...]


@dataclass(frozen=True)
class Coordinates:
    """Place of every prompt between two task vectors: 1 at the first, 0 at the second."""

    values: Floats
    mean: float
    sd: float
    bimodality: float


def decompose_mixture(
    pure: Mapping[str, Any],
    mixture: Any,
    shares: Sequence[float] | Mapping[str, float],
    *,
    metric: Metric = "euclidean",
    n_bootstrap: int = 1000,
    n_splits: int = 500,
    confidence: float = 0.95,
    rng: Any = 0,
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Decomposition:
    """Return affine and simplex weights of a mixture's task vector, with bootstrap intervals.

    Parameters
    ----------
    pure
        States of single-task prompts of every task, {task: [n_prompts, dim]}.
    mixture
        States of mixed prompts [n_prompts, dim], same layer and position.
    shares
        Share of the examples of every task, in the order of ``pure`` or by name.
    metric
        ``whitened`` divides by the pooled within-task covariance (Ledoit-Wolf), so that massive
        activations do not decide; it is estimated once and kept for all replicates.
    n_bootstrap, confidence, rng
        Percentile bootstrap over the prompts of every set jointly. Simplex intervals are one-sided
        at the boundary.

    Raises
    ------
    ShapeError
        If the task vectors are affinely dependent, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> noise = lambda: 0.1 * rng.normal(size=(60, 3))
    >>> pure = {"copy": noise() + [1, 0, 0], "add": noise() + [0, 1, 0]}
    >>> found = decompose_mixture(pure, noise() + [0.3, 0.7, 0], [0.3, 0.7], n_bootstrap=200)
    >>> round(found.simplex[0].value, 1), found.affine[0].low < 0.3 < found.affine[0].high
    (0.3, True)
    """
    names, sets = pure_states(pure)
    mixed = as_states(mixture, "mixture")
    wanted = _shares(shares, names)
    if mixed.shape[1] != sets[0].shape[1]:
        raise ShapeError(f"mixture: width {mixed.shape[1]}, pure states have {sets[0].shape[1]}")
    check_choice(metric, ("euclidean", "whitened"), "metric")
    shrinkage = None
    if metric == "whitened":
        (*sets, mixed), shrinkage = whitened(sets, [*sets, mixed], n_threads=n_threads)
    replicates = (int(n_bootstrap), int(n_splits), float(confidence), seed_of(rng))
    rows, floor, condition, cosine = superposition_decomposition(
        sets, mixed, list(wanted), replicates, n_threads, progress
    )
    table = [Estimate(*(float(row[place]) for row in rows)) for place in range(len(rows[0]))]
    affine, simplex = table[: len(names)], table[len(names) : 2 * len(names)]
    residual, simplex_residual, kappa, sin_theta = table[2 * len(names) : 2 * len(names) + 4]
    return Decomposition(
        tasks=names,
        shares=wanted,
        affine=tuple(affine),
        simplex=tuple(simplex),
        residual=residual,
        simplex_residual=simplex_residual,
        kappa=kappa,
        sin_theta=sin_theta,
        floor=floor,
        condition_number=condition,
        max_cosine=cosine,
        metric=metric,
        shrinkage=shrinkage,
    )


def permutation_test(
    pure: Mapping[str, Any],
    mixtures: Sequence[Any],
    shares: Sequence[Sequence[float]],
    *,
    rng: Any = 0,
    n_threads: int | None = None,
) -> PermutationTest:
    """Return the mean kappa of several mixtures and its p-value under relabelling of the mixtures.

    kappa_j = <y_j - c0, delta_j> / ||delta_j||^2 with delta_j the displacement that the shares of
    mixture j predict. Up to 9 mixtures every relabelling is tried, so that p is exact and at least
    1/J!; beyond, 99,999 random ones are. A uniform mixture predicts no direction and has no kappa.

    Examples
    --------
    >>> import numpy as np
    >>> pure = {"a": np.eye(3)[:1], "b": np.eye(3)[1:2], "c": np.eye(3)[2:]}
    >>> shares = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    >>> found = permutation_test(pure, [np.array([row]) for row in shares], shares)
    >>> round(found.kappa, 9), round(found.p_value * 6), found.n_relabellings
    (1.0, 1, 6)
    """
    names, sets = pure_states(pure)
    if len(mixtures) != len(shares) or len(mixtures) < 2:
        raise ShapeError(
            f"permutation_test: {len(mixtures)} mixtures and {len(shares)} shares, expected one "
            "row of shares a mixture and at least two mixtures"
        )
    centroids = np.array([states.mean(axis=0) for states in sets])
    arms = centroids - centroids.mean(axis=0)
    wanted = np.array([_shares(row, names) for row in shares]) @ arms
    placed = [as_states(states, f"mixture {j}") for j, states in enumerate(mixtures)]
    if {states.shape[1] for states in placed} != {arms.shape[1]}:
        raise ShapeError(f"mixtures: widths differ from the pure states' {arms.shape[1]}")
    moved = np.array([states.mean(axis=0) for states in placed]) - centroids.mean(axis=0)
    lengths = (wanted**2).sum(axis=1)
    defined = lengths > 1e-20 * (arms**2).sum(axis=1).max()
    if not defined.any():
        raise ShapeError("permutation_test: every mixture is uniform, so none predicts a direction")
    scores = np.full((len(placed), len(placed)), np.nan)
    scores[:, defined] = (moved @ wanted.T)[:, defined] / lengths[defined]
    found = permutations(scores, seed_of(rng), n_threads)
    return PermutationTest(*found, tuple(np.diag(scores).tolist()))


def prompt_coordinates(states: Any, first: Any, second: Any) -> Coordinates:
    """Return where every prompt lies between two task vectors, and whether they form two clusters.

    a_i = <h_i - C2, C1 - C2> / ||C1 - C2||^2. A bimodality coefficient above 5/9 suggests that a
    mean in the middle describes no single prompt: the hidden-state side of dispersion.

    Parameters
    ----------
    states
        Mixed prompts [n_prompts, dim].
    first, second
        States of pure prompts [n_prompts, dim], or a task vector [dim].

    Examples
    --------
    >>> found = prompt_coordinates([[1.0, 5.0], [0.0, 5.0]] * 9, [1.0, 0.0], [0.0, 0.0])
    >>> found.mean, round(found.bimodality, 9)
    (0.5, 1.0)
    """
    rows = as_states(states, "states")
    ends = [
        as_states(end, name).mean(axis=0) for end, name in ((first, "first"), (second, "second"))
    ]
    if any(len(end) != rows.shape[1] for end in ends):
        raise ShapeError(
            f"coordinates: ends of {[len(e) for e in ends]}, states of {rows.shape[1]}"
        )
    values, (mean, sd, bimodality) = superposition_coordinates(rows, *ends)
    return Coordinates(values, mean, sd, bimodality)


def _shares(
    shares: Sequence[float] | Mapping[str, float], names: tuple[str, ...]
) -> tuple[float, ...]:
    if isinstance(shares, Mapping):
        shares = [float(shares.get(name, 0.0)) for name in names]
    values = tuple(float(share) for share in shares)
    if len(values) != len(names) or min(values) < 0 or abs(sum(values) - 1.0) > 1e-6:
        raise FormatError(f"shares: got {values}, expected one of at least 0 a task, with sum 1")
    return values
