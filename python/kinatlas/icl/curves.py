"""Losses over context lengths, and the decoupling index over a plane: data for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kinatlas._checks import check_choice
from kinatlas._seeds import Rng, seed_of
from kinatlas.errors import MixtureError, ShapeError
from kinatlas.icl._arrays import Floats, count, floats, frozen
from kinatlas.icl.mixture import Mixture
from kinatlas.icl.optima import SETTINGS, Setting, optimum
from kinatlas.icl.questions import decoupling_index
from kinatlas.icl.simulation import simulate

__all__ = ["DecouplingMap", "LossCurves", "decoupling_map", "loss_curves"]

_FOUR = ("plain", "finetune_prompt", "joint_prompt", "joint_prompt_head")


@dataclass(frozen=True, eq=False)
class LossCurves:
    """Losses [n_settings, n_lengths], exact and perhaps simulated, noise included."""

    mixture: Mixture
    settings: tuple[str, ...]
    n_examples: tuple[int, ...]
    losses: Floats
    #: Simulated losses and standard errors of the same shape; None where none were asked for.
    simulated: Floats | None
    standard_errors: Floats | None


def loss_curves(
    mixture: Mixture,
    n_examples: Sequence[int],
    *,
    settings: Sequence[Setting | str] = _FOUR,
    n_sequences: int = 0,
    rng: Rng = None,
    n_threads: int | None = None,
) -> LossCurves:
    """Return the loss of every setting at every context length, with simulated points if asked.

    Parameters
    ----------
    mixture, n_examples, settings
        What is solved; the four curves of the paper by default.
    n_sequences
        Sequences behind every simulated point; 0 simulates nothing.
    rng, n_threads
        As for ``simulate``.

    Raises
    ------
    MixtureError, UnknownNameError
        As ``optimum`` and ``simulate``.
    ShapeError
        If ``n_examples`` is no list.

    Examples
    --------
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> loss_curves(mixture, [0, 4]).losses.round(3)
    array([[3.   , 1.269],
           [2.   , 1.121],
           [2.   , 1.056],
           [2.   , 0.857]])
    """
    seed, lengths = seed_of(rng), _lengths(n_examples)
    losses = np.empty((len(settings), len(lengths)))
    points = np.empty((2, *losses.shape))
    for row, setting in enumerate(settings):
        for column, n in enumerate(lengths):
            exact = optimum(mixture, n, setting)
            losses[row, column] = exact.loss
            if n_sequences:
                drawn = simulate(
                    mixture,
                    n,
                    n_sequences,
                    setting=exact,
                    rng=np.random.SeedSequence([seed, row, column]),
                    n_threads=n_threads,
                )
                points[:, row, column] = drawn.loss, drawn.standard_error
    return LossCurves(
        mixture=mixture,
        settings=tuple(settings),
        n_examples=lengths,
        losses=frozen(losses),
        simulated=frozen(points[0]) if n_sequences else None,
        standard_errors=frozen(points[1]) if n_sequences else None,
    )


@dataclass(frozen=True, eq=False)
class DecouplingMap:
    """Decoupling index [n_shares, n_lengths] of one setting; NaN where means do not matter."""

    setting: str
    mean_shares: tuple[float, ...]
    n_examples: tuple[int, ...]
    index: Floats


def decoupling_map(
    mixture: Mixture,
    n_examples: Sequence[int],
    mean_shares: Sequence[float],
    *,
    setting: Setting | str = "joint_prompt",
) -> DecouplingMap:
    """Return the decoupling index over context length and share of the signal in the means.

    Means and covariances of ``mixture`` are rescaled so that the means carry each share of the
    signal tr(Sx M), which itself stays as it is.

    Raises
    ------
    MixtureError
        If the mixture has no mean or no covariance to rescale, or a share is outside (0, 1).

    Examples
    --------
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> decoupling_map(mixture, [1, 10, 100], [0.1, 0.9]).index.round(2)
    array([[0.77, 0.25, 0.03],
           [0.96, 0.71, 0.2 ]])
    """
    check_choice(setting, SETTINGS, "setting")
    shares = floats(mean_shares, "mean_shares", 1, "[n_shares]")
    lengths = _lengths(n_examples)
    rows = [
        [decoupling_index(_shared(mixture, float(share)), n, setting) for n in lengths]
        for share in shares
    ]
    index = frozen(np.array(rows).reshape(len(shares), len(lengths)))
    return DecouplingMap(setting, tuple(shares.tolist()), lengths, index)


def _lengths(n_examples: Sequence[int]) -> tuple[int, ...]:
    if isinstance(n_examples, str) or not isinstance(n_examples, Iterable):
        raise ShapeError(f"n_examples is {n_examples!r}, expected a list of context lengths")
    lengths = tuple(count(n, "n_examples") for n in n_examples)
    if not lengths:
        raise ShapeError("n_examples is empty, expected at least one context length")
    return lengths


def _shared(mixture: Mixture, share: float) -> Mixture:
    traces = (mixture.covariances * mixture.input_covariance).sum(axis=(1, 2))
    within, signal = float(mixture.weights @ traces), mixture.signal
    if not 0.0 < share < 1.0:
        raise MixtureError(f"mean share {share} is outside (0, 1)")
    if not 0.0 < within < signal:
        raise MixtureError("the mixture needs means and covariances to rescale, one is all zero")
    return Mixture(
        mixture.weights,
        mixture.means * np.sqrt(share * signal / (signal - within)),
        mixture.covariances * ((1.0 - share) * signal / within),
        input_covariance=mixture.input_covariance,
        noise_variance=mixture.noise_variance,
        names=mixture.names,
    )
