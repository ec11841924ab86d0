"""Clusters that stand in for a source's classes, as NLEEP wants them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_number, check_whole
from kinatlas._frames import require
from kinatlas.transferability.inputs import Packed, widened_features

__all__ = ["mixture_posteriors"]

_A_CLASS = 5  # components for every class of the target, as in the paper


def mixture_posteriors(
    packed: Packed, n_classes: int, *, n_components: int | None, variance_kept: float, rng: Any
) -> npt.NDArray[np.float64]:
    """Return posteriors [n, n_components] of a Gaussian mixture on principal components.

    Components that keep ``variance_kept`` of the variance are fitted by scikit-learn; as many
    as there are examples at most. Raises `MissingDependencyError` without scikit-learn,
    `ValueError` for ``n_components`` below 1 or ``variance_kept`` outside (0, 1).

    References
    ----------
    Li et al. 2021 (arXiv 2011.11200), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(20, 3))
    >>> packed = (rows, np.array([0, 20]))
    >>> mixture_posteriors(packed, 2, n_components=3, variance_kept=0.8, rng=0).shape
    (20, 3)
    """
    check_number(
        variance_kept, "variance_kept", "a number between 0 and 1", lambda share: 0 < share < 1
    )
    wanted = _A_CLASS * n_classes
    if n_components is not None:
        wanted = check_whole(n_components, "n_components")
    decomposition = require("sklearn.decomposition", "sklearn")
    mixture = require("sklearn.mixture", "sklearn")
    rows = widened_features(packed)
    # One feature at least, and none where all examples are equal: one cluster then.
    if not np.ptp(rows, axis=0).any():
        return np.ones((len(rows), 1))
    # By a power of two, which changes no bit of what follows but keeps squares from vanishing.
    rows = np.ldexp(rows, -int(np.frexp(np.abs(rows).max())[1]))
    reduced = decomposition.PCA(n_components=variance_kept, svd_solver="full").fit_transform(rows)
    seed = int(np.random.default_rng(rng).integers(2**31))
    model = mixture.GaussianMixture(
        n_components=min(wanted, len(rows)), random_state=seed, reg_covar=_regularisation(reduced)
    )
    with warnings.catch_warnings():
        # A mixture that has not settled, or found fewer clusters, is still a set of clusters.
        warnings.simplefilter("ignore")
        posteriors: npt.NDArray[np.float64] = model.fit(reduced).predict_proba(reduced)
    return posteriors


def _regularisation(reduced: npt.NDArray[np.float64]) -> float:
    # scikit-learn's 1e-6 relative to the variance, so that the scale of features matters less.
    return 1e-6 * float(reduced.var(axis=0).mean())
