"""Whether a head on borrowed experts beats what else could have been done, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known, check_n_threads, check_names
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.composition.labels import as_labels
from kinatlas.errors import NonFiniteError, ShapeError

__all__ = ["TransferVerdict", "judge_transfer"]

Floats = npt.NDArray[np.float64]

# Below this many rows of the rarer class an AUC interval says nothing worth acting on.
_FEWEST_ROWS = 50
_ECE_BINS = 15
# A probability of exactly 0 or 1 that is wrong would cost infinitely much.
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class TransferVerdict(Tabular):
    """A head beside its rivals on the same rows.

    Attributes
    ----------
    verdict
        ``"transfer+"`` or ``"transfer-"`` where the interval of the AUC difference to ``against``
        lies above or below zero, ``"neutral"`` where it holds zero, ``"too few rows"`` where the
        rarer class has fewer than 50.
    names
        The head first, then the rivals.
    auc, log_loss, ece
        [n_names]; ece is the expected calibration error over 15 bins of equal width.
    gain, gain_low, gain_high
        AUC of the head minus that of each name, with its paired interval; zero for the head.
    loss_gain, loss_gain_low, loss_gain_high
        Log-loss of each name minus that of the head: above zero the head is better.
    """

    verdict: str
    against: str
    names: tuple[str, ...]
    auc: Floats
    log_loss: Floats
    ece: Floats
    gain: Floats
    gain_low: Floats
    gain_high: Floats
    loss_gain: Floats
    loss_gain_low: Floats
    loss_gain_high: Floats
    confidence: float
    n_draws: int

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "name": list(self.names),
            "AUC": self.auc.tolist(),
            "log-loss": self.log_loss.tolist(),
            "ECE": self.ece.tolist(),
            "head's AUC gain": self.gain.tolist(),
            "low": self.gain_low.tolist(),
            "high": self.gain_high.tolist(),
            "head's loss gain": self.loss_gain.tolist(),
            "loss low": self.loss_gain_low.tolist(),
            "loss high": self.loss_gain_high.tolist(),
        }

    def __repr__(self) -> str:
        return (
            f"{self.verdict} against {self.against!r} ({self.confidence:.0%} intervals, "
            f"{self.n_draws} draws)\n{as_text(self._columns())}"
        )

    def _repr_html_(self) -> str:
        return as_html(self._columns(), f"{self.verdict} against {self.against}")


def judge_transfer(
    labels: Any,
    probabilities: Mapping[str, Any],
    *,
    head: str = "head",
    against: str = "scratch",
    confidence: float = 0.95,
    n_draws: int = 1000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> TransferVerdict:
    """Judge a head against its rivals by paired bootstrap over the same rows.

    Parameters
    ----------
    labels
        [n], 0 and 1.
    probabilities
        Of label 1, {name: [n]}, or [n, 2] as ``predict_proba`` returns them; ``head`` and
        ``against`` among the names.
    confidence, n_draws, rng
        Percentile intervals over rows drawn again within each class, the same rows for all.

    Raises
    ------
    UnknownNameError
        If ``head`` or ``against`` is not among the names.
    ShapeError, NonFiniteError
        If labels are all equal, or probabilities do not fit, or are none.

    References
    ----------
    Efron and Tibshirani (1993), chapter 13 for percentile intervals.

    Examples
    --------
    >>> labels = np.arange(200) % 2
    >>> good, poor = np.where(labels, 0.9, 0.2), np.full(200, 0.5)
    >>> judge_transfer(labels, {"head": good, "scratch": poor}, n_draws=100).verdict
    'transfer+'
    """
    names = check_names(probabilities, "name")
    check_known(head, names, "head")
    check_known(against, names, "against")
    confidence, n_draws = check_sampling(confidence, n_draws)
    names = (head, *(name for name in names if name != head))
    truth = as_labels(labels, len(np.asarray(labels)), "labels")
    scores = np.stack([_column(probabilities[name], name, len(truth)) for name in names])
    seed, threads = seed_of(rng), check_n_threads(n_threads)
    areas = _core.resample_areas(scores, truth, seed, n_draws, threads)
    gains = areas[:, :1] - areas
    tails = np.quantile(gains[1:], [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    losses = _losses(scores, truth)
    cube = np.ascontiguousarray((losses - losses[:1]).T)[:, :, None]
    plan = ("targets", truth.astype(np.int64), seed)
    drawn = _core.resample_means(cube, plan, (0, n_draws), threads)
    alone = [(k, -1) for k in range(len(names))]
    loss_gains = _core.mean_intervals(cube, drawn, alone, "percentile", confidence)
    at = names.index(against)
    rarer = min(int(truth.sum()), int((~truth).sum()))
    return TransferVerdict(
        _verdict(tails[0, at], tails[1, at], rarer),
        against,
        names,
        areas[0],
        losses.mean(axis=1),
        np.array([_calibration_error(row, truth) for row in scores]),
        gains[0],
        tails[0],
        tails[1],
        loss_gains[:, 0],
        loss_gains[:, 1],
        loss_gains[:, 2],
        confidence,
        n_draws,
    )


def _verdict(low: float, high: float, rarer: int) -> str:
    if rarer < _FEWEST_ROWS:
        return "too few rows"
    return "transfer+" if low > 0 else "transfer-" if high < 0 else "neutral"


def _column(values: Any, name: str, n: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape == (n, 2):
        array = array[:, 1]
    if array.shape != (n,):
        raise ShapeError(f"probabilities of {name!r} have shape {array.shape}, expected ({n},)")
    if not np.isfinite(array).all():
        raise NonFiniteError(f"probabilities of {name!r} hold NaN or infinity")
    if array.min() < 0 or array.max() > 1:
        raise ShapeError(f"{name!r} holds numbers outside 0 to 1, expected probabilities")
    return np.ascontiguousarray(array)


def _losses(scores: Floats, truth: npt.NDArray[np.bool_]) -> Floats:
    of_truth = np.where(truth, scores, 1.0 - scores)
    losses: Floats = -np.log(np.maximum(of_truth, _LEAST_PROBABILITY))
    return losses


def _calibration_error(scores: Floats, truth: npt.NDArray[np.bool_]) -> float:
    """Return the mean distance of share and mean probability, bin by bin."""
    bins = np.minimum((scores * _ECE_BINS).astype(np.int64), _ECE_BINS - 1)
    differences = np.bincount(bins, weights=scores - truth, minlength=_ECE_BINS)
    return float(np.abs(differences).sum() / len(scores))
