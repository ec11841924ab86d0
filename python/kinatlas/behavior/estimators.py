"""Fitted scikit-learn estimators as black boxes; scikit-learn itself is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinatlas.behavior.boxes import CallableBox
from kinatlas.errors import FormatError

__all__ = ["EstimatorBox"]


def EstimatorBox(
    estimator: Any, id: str, *, version: str = "1", labels: Sequence[str] | None = None
) -> CallableBox:
    """Return a fitted scikit-learn classifier or regressor of texts as a black box.

    ``predict_proba`` is preferred; then ``decision_function`` of two classes through a logistic
    function; then ``predict``. Labels default to ``classes_``.

    Raises
    ------
    FormatError
        If the estimator can predict nothing.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = make_pipeline(CountVectorizer(), LogisticRegression())
    >>> box = EstimatorBox(model.fit(["good", "bad"], ["pos", "neg"]), "bag")
    >>> box.labels, len(box(["good", "bad", "fine"]))
    (('neg', 'pos'), 3)
    """
    found = getattr(estimator, "classes_", None)
    names = tuple(str(name) for name in (labels if labels is not None else _given(found)))
    if hasattr(estimator, "predict_proba"):
        return CallableBox(
            lambda texts: np.asarray(estimator.predict_proba(texts)).tolist(),
            id, version, "probabilities", names, deterministic=True,
        )  # fmt: skip
    if hasattr(estimator, "decision_function") and len(names) == 2:

        def logistic(texts: list[str]) -> list[list[float]]:
            margins = np.clip(np.asarray(estimator.decision_function(texts)), -500, 500)
            first = 1 / (1 + np.exp(margins))
            return np.stack([first, 1 - first], axis=1).tolist()  # type: ignore[no-any-return]

        return CallableBox(logistic, id, version, "probabilities", names, deterministic=True)
    if not hasattr(estimator, "predict"):
        raise FormatError(f"box {id!r}: {type(estimator).__name__} has no predict method")
    if names:
        return CallableBox(
            lambda texts: [str(name) for name in estimator.predict(texts)],
            id, version, "label", names, deterministic=True,
        )  # fmt: skip
    return CallableBox(
        lambda texts: [float(number) for number in estimator.predict(texts)],
        id, version, "number", deterministic=True,
    )  # fmt: skip


def _given(values: Any) -> Sequence[Any]:
    return () if values is None else list(values)
