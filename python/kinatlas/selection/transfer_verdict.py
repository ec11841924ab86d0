"""Did transfer help a new task? Its head against a model from scratch, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas._answers import Answers, paired_draws
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError

__all__ = ["TransferVerdict", "judge_transfer"]

# Below this many rows of the rarer label an interval of an AUC means little.
_FEWEST_RARE = 50


@dataclass(frozen=True)
class TransferVerdict:
    """A head's AUC and log-loss less those of its rival, with paired bootstrap intervals.

    ``verdict`` is ``transfer+`` if the interval of the AUC lies above 0, ``transfer-`` if below
    (train from scratch, or drop sources), ``neutral`` if 0 is in it, and ``undecided`` with fewer
    than 50 rows of the rarer label. Gains are (estimate, low, high); a positive ``log_loss_gain``
    means a smaller loss than the rival's.
    """

    verdict: str
    auc: float
    rival_auc: float
    auc_gain: tuple[float, float, float]
    log_loss_gain: tuple[float, float, float]
    n_rows: int
    n_rare: int
    confidence: float

    def __repr__(self) -> str:
        gain, low, high = self.auc_gain
        return (
            f"{self.verdict}: AUC {self.auc:.4f} against {self.rival_auc:.4f}, {gain:+.4f} "
            f"[{low:+.4f}, {high:+.4f}] ({self.n_rows} rows, {self.n_rare} of the rarer label)"
        )


def judge_transfer(
    labels: Any,
    chances: Any,
    rival: Any,
    *,
    confidence: float = 0.95,
    n_draws: int = 1000,
    rng: Rng = 0,
) -> TransferVerdict:
    """Return whether a head beats its rival on held-out rows, both resampled together.

    Parameters
    ----------
    labels
        0 or 1 [n].
    chances, rival
        Chance of label 1 [n] by the head, and by what it is held against: a model trained from
        scratch on the same labels, a frozen shared bottom, another version.
    confidence, n_draws, rng
        Of the bootstrap over rows.

    Raises
    ------
    ShapeError
        If the lengths differ, or there is only one label.
    DTypeError, NonFiniteError
        If a label is not 0 or 1, or a chance is not between 0 and 1.

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> labels = draws.integers(2, size=500)
    >>> good = np.clip(0.5 + 0.3 * (labels - 0.5) + 0.2 * draws.normal(size=500), 0.01, 0.99)
    >>> judge_transfer(labels, good, draws.random(500)).verdict
    'transfer+'
    """
    confidence, n_draws = check_sampling(confidence, n_draws)
    wanted = np.asarray(labels)
    if wanted.ndim != 1 or not np.isin(wanted, (0, 1)).all():
        raise DTypeError(f"labels: shape {wanted.shape}, expected 0 or 1 for every row")
    positive = wanted == 1
    n_rare = int(min(positive.sum(), (~positive).sum()))
    if n_rare == 0:
        raise ShapeError(f"labels: all {len(positive)} are alike, so that no AUC exists")
    both = [
        _checked(values, len(positive), name)
        for values, name in ((chances, "chances"), (rival, "rival"))
    ]
    ours, theirs = (Answers(wanted, values) for values in both)
    drawn = paired_draws(ours, theirs, len(positive), n_draws, seed_of(rng))
    # Less loss is the gain.
    gains = (drawn[:, 0] - drawn[:, 1]) * (1, -1)
    (auc, loss), (rival_auc, rival_loss) = (
        one.measured(np.ones(len(positive))) for one in (ours, theirs)
    )
    ends = np.nanquantile(gains, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    (low, lower), (high, higher) = ends.tolist()
    verdict = "transfer+" if low > 0 else "transfer-" if high < 0 else "neutral"
    return TransferVerdict(
        verdict=verdict if n_rare >= _FEWEST_RARE else "undecided",
        auc=auc,
        rival_auc=rival_auc,
        auc_gain=(auc - rival_auc, low, high),
        log_loss_gain=(rival_loss - loss, lower, higher),
        n_rows=len(positive),
        n_rare=n_rare,
        confidence=confidence,
    )


def _checked(values: Any, n_rows: int, name: str) -> Any:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (n_rows,):
        raise ShapeError(f"{name}: shape {found.shape}, expected ({n_rows},), one for every row")
    if not ((found >= 0) & (found <= 1)).all():
        raise NonFiniteError(f"{name}: hold NaN or numbers outside 0 to 1, expected chances")
    return found
