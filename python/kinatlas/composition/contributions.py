"""How much each source adds to what a head's tower reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kinatlas.composition.features import Features
from kinatlas.composition.fitting import check_features
from kinatlas.composition.head import PromptHead
from kinatlas.errors import ShapeError

__all__ = ["source_contributions"]

# Rows whose experts are copied at a time.
_ROWS_AT_ONCE = 8192


def source_contributions(
    head: PromptHead, features: Features, *, background: Features | None = None
) -> npt.NDArray[np.float64]:
    """Return the mean over rows of w_a W_k |(own_k - mean_k) o E_new| for every source [n_sources].

    It stands between the mean weight, which ignores what an expert says, and the loss without a
    source, which also asks whether it matters.

    Parameters
    ----------
    head, features
        A trained head, and rows; sources in the order of ``features.sources``.
    background
        Rows that an expert's mean is taken over, normally the training rows; the same rows if
        left out.

    Raises
    ------
    SpaceError, UnknownNameError
        If rows come from another backbone or have other sources.
    ShapeError
        If the head reads no source.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> own = rng.normal(size=(600, 2, 4)).astype("f")
    >>> own[:, 0] = 1.0  # an expert that says the same of every row
    >>> features = Features(
    ...     x=rng.normal(size=(600, 3)).astype("f"), shared=rng.normal(size=(600, 4)).astype("f"),
    ...     own=own, sources=("click", "buy"), keys=rng.normal(size=(2, 4)).astype("f"),
    ...     basis_key="example")
    >>> head = PromptHead(tower=(8,), epochs=2).fit(features, own[:, 1, 0] > 0)
    >>> click, buy = source_contributions(head, features)
    >>> bool(click == 0), bool(buy > 0.1)
    (True, True)
    """
    state = head.state()
    if "prompt.E" not in state:
        raise ShapeError("the head is of mode 'share' and reads no source; none contributes")
    weights, gate = head.weights(features)
    shares = weights * gate[:, :1]
    if background is not None:
        check_features(background, "background")
    base = features if background is None else background.select(features.sources)
    means = base.own.mean(axis=0, dtype=np.float64).astype(np.float32)
    totals = np.zeros(features.n_sources)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        added = (features.own[rows] - means) * state["prompt.E"]
        totals += (shares[rows] * np.linalg.norm(added, axis=2)).sum(axis=0, dtype=np.float64)
    return totals / len(features)
