"""How good chances of a label are, on rows as they are and on rows drawn again."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Answers", "paired_draws"]

Floats: TypeAlias = npt.NDArray[np.float64]

# A float32 of 0 or 1 would cost infinity; its neighbours are what was meant.
_SMALLEST = 1e-7


class Answers:
    """Chances [n] of label 1 beside labels [n] of 0 and 1, ranked once for any number of draws.

    Examples
    --------
    >>> answers = Answers(np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4]))
    >>> auc, loss = answers.measured(np.ones(3))
    >>> auc
    0.75
    """

    def __init__(self, labels: Floats, chances: Floats) -> None:
        self._places = np.unique(chances, return_inverse=True)[1]
        self._ones = np.asarray(labels, dtype=np.float64)
        kept = np.clip(chances, _SMALLEST, 1 - _SMALLEST)
        self._losses = -np.where(self._ones == 1, np.log(kept), np.log1p(-kept))

    def measured(self, counts: Floats) -> tuple[float, float]:
        """Return AUC and mean log loss of the rows, each taken as often as its count says.

        Equal chances count half (Mann and Whitney); without both labels the AUC is NaN.
        """
        hits = np.bincount(self._places, counts * self._ones)
        misses = np.bincount(self._places, counts * (1 - self._ones))
        pairs = hits.sum() * misses.sum()
        below = np.cumsum(misses) - misses / 2
        auc = float(hits @ below / pairs) if pairs else float("nan")
        return auc, float(self._losses @ counts / counts.sum())


def paired_draws(one: Answers, other: Answers, n_rows: int, n_draws: int, seed: int) -> Floats:
    """Return AUC and log loss [n_draws, 2, 2] of both on the same rows drawn with replacement.

    Examples
    --------
    >>> answers = Answers(np.array([0.0, 1.0]), np.array([0.1, 0.4]))
    >>> found = paired_draws(answers, answers, 2, 100, seed=0)
    >>> found.shape, bool((found[:, 0, 1] == found[:, 1, 1]).all())
    ((100, 2, 2), True)
    """
    stream = np.random.Generator(np.random.Philox(seed))
    found = np.empty((n_draws, 2, 2))
    for at in range(n_draws):
        # The same rows for both, so that hard rows are hard for both.
        rows = stream.integers(n_rows, size=n_rows)
        counts = np.bincount(rows, minlength=n_rows).astype(np.float64)
        found[at] = one.measured(counts), other.measured(counts)
    return found
