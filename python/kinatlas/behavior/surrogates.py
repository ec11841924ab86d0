"""Ridge surrogates: a box, or a data set, as weights on frozen features of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_known_all
from kinatlas._seeds import Rng, seed_of
from kinatlas.behavior.boxes import digest
from kinatlas.behavior.features import TextFeatures, tfidf_features
from kinatlas.behavior.responses import FLOOR, Floats, Responses
from kinatlas.errors import ShapeError, SpaceError
from kinatlas.tasks import Atlas, Provenance, Task

__all__ = ["PENALTIES", "RidgeSpace", "Surrogate", "ridge_space"]

#: Penalties tried, in units of the mean variance of a feature.
PENALTIES = tuple(float(10.0**power) for power in np.arange(-3.0, 2.01, 0.5))
_JEFFREYS = 0.5


@dataclass(frozen=True, eq=False)
class RidgeSpace:
    """Features, labels, codec, penalty and metric: all that makes two embeddings comparable.

    ``metric="function"`` multiplies weights by the root of the feature covariance, so that inner
    products are mean products of the fitted functions over the corpus; ``raw`` leaves them.
    """

    features: TextFeatures
    labels: tuple[str, ...]
    codec: tuple[str, float, float, int]
    penalty: float
    metric: str = "function"

    @cached_property
    def id(self) -> str:
        """Hash of everything the coordinates depend on."""
        words = [self.features.id, list(self.labels), self.codec[0], self.codec[2], self.penalty,
                 self.metric]  # fmt: skip
        return f"behavior-ridge-{digest(words)[:16]}"

    def fit(self, texts: Sequence[str], coordinates: Floats) -> Surrogate:
        """Fit responses [n_texts, n_labels] to texts."""
        return self.fit_features(self.features(texts), coordinates)

    def fit_features(self, features: Floats, coordinates: Floats) -> Surrogate:
        """Fit responses [n_texts, n_labels] to features [n_texts, n_features]."""
        values = np.ascontiguousarray(coordinates, dtype=np.float64)
        moved = np.ascontiguousarray(features - self.features.mean)
        return Surrogate(self, _core.ridge_moments(moved, values))

    def embedded(self, weights: Floats) -> Floats:
        """Return the embedding [n_features * n_labels] of weights [n_features, n_labels]."""
        moved = weights if self.metric == "raw" else self.features.root @ weights
        return np.asarray(moved).reshape(-1)

    def fit_responses(self, responses: Responses) -> dict[str, Surrogate]:
        """Fit every box to the probes it answered; boxes may have answered different ones.

        Raises
        ------
        SpaceError
            If the labels are not the space's.
        """
        if responses.labels != self.labels:
            raise SpaceError(
                f"responses have labels {responses.labels}, the space has {self.labels}"
            )
        values = responses.coordinates(self.codec[0])[..., : len(self.labels)]
        features = self.features(responses.bank.texts)
        found = {}
        for name, own, known in zip(responses.boxes, values, responses.is_answered, strict=True):
            if known.sum() < 2:
                raise ShapeError(f"box {name!r} answered {known.sum()} probes, expected at least 2")
            found[name] = self.fit_features(features[known], own[known])
        return found

    def embed(self, responses: Responses) -> Atlas:
        """Return the model task embeddings: one task of one token a box.

        Examples
        --------
        >>> from kinatlas.behavior import builtin_bank
        >>> bank = builtin_bank().first(64)
        >>> shares = np.array([[0.9, 0.1] if "not" in t else [0.2, 0.8] for t in bank.texts])
        >>> found = Responses.from_arrays({"a": shares, "b": shares[::-1]}, labels=["n", "p"],
        ...                               texts=bank.texts)
        >>> ridge_space(found, n_features=8).embed(found).dim
        16
        """
        return Atlas.from_tasks(
            own.task(name) for name, own in self.fit_responses(responses).items()
        )

    def embed_labels(self, texts: Sequence[str], labels: Sequence[str], *, name: str) -> Task:
        """Return the data set task embedding: the same fit, with gold labels as the answers.

        Raises
        ------
        UnknownNameError
            If a label is not one of the space's.
        ShapeError
            If there is not one label a text, or only one label occurs.

        Examples
        --------
        >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]},
        ...                               labels=["neg", "pos"], texts=["dull", "great", "fine"])
        >>> space = ridge_space(found, n_features=2)
        >>> space.embed_labels(["dull day", "great day"], ["neg", "pos"], name="days").n_tokens
        1
        """
        at = check_known_all(list(labels), self.labels, "label")
        if len(at) != len(texts) or len(set(at)) < 2:
            raise ShapeError(
                f"{len(texts)} texts with {len(at)} labels of {len(set(at))} kinds, expected one "
                "label a text and at least two kinds"
            )
        shares = np.eye(len(self.labels))[at][None, :, None, :]
        link = "logit" if self.codec[0] == "rank" else self.codec[0]
        codec = (link, _JEFFREYS if link == "logit" else 0.0, FLOOR, 0)
        return self.fit(texts, _core.behavior_coordinates(shares, codec)[0]).task(name)


@dataclass(frozen=True, eq=False)
class Surrogate:
    """One fitted box: sums over its probes, from which everything else follows exactly."""

    space: RidgeSpace
    moments: Floats

    @property
    def n_probes(self) -> int:
        """Probes fitted."""
        return int(self.moments[0, 0])

    @cached_property
    def _fit(self) -> tuple[Floats, float]:
        own = self.space
        return _core.ridge_fit(
            self.moments, own.features.n_features, own.penalty * own.features.variance
        )

    @property
    def weights(self) -> Floats:
        """Weights [n_features, n_labels]."""
        return self._fit[0]

    def update(self, texts: Sequence[str], coordinates: Floats) -> Surrogate:
        """Return the fit to more probes, exactly as if all had been there at once.

        Examples
        --------
        >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]},
        ...                               labels=["neg", "pos"], texts=["dull", "great", "fine"])
        >>> space, values = ridge_space(found, n_features=2), found.coordinates()[0]
        >>> whole = space.fit(found.bank.texts, values)
        >>> parts = space.fit(found.bank.texts[:2], values[:2])
        >>> parts = parts.update(found.bank.texts[2:], values[2:])
        >>> bool(np.allclose(whole.weights, parts.weights, rtol=1e-9, atol=1e-12))
        True
        """
        return replace(self, moments=self.moments + self.space.fit(texts, coordinates).moments)

    @property
    def vector(self) -> Floats:
        """The embedding [n_features * n_labels]."""
        return self.space.embedded(self.weights)

    def task(self, name: str) -> Task:
        """Return the embedding as a task of one token."""
        origin = Provenance(
            method="behavior-ridge", notes=(f"{self.n_probes} probes", self.space.features.id)
        )
        return Task(name, self.vector[None], space=self.space.id,
                    provenance=origin)  # fmt: skip

    def draws(self, n_draws: int = 200, rng: Rng = 0) -> Floats:
        """Return draws of the embedding from its posterior [n_draws, n_features * n_labels]."""
        own = self.space
        found = _core.ridge_posterior(
            self.moments, own.features.n_features, own.penalty * own.features.variance,
            (n_draws, seed_of(rng)),
        )  # fmt: skip
        shaped = found.reshape(n_draws, *self.weights.shape)
        return np.stack([self.space.embedded(one) for one in shaped])


def ridge_space(
    responses: Responses,
    *,
    features: TextFeatures | None = None,
    n_features: int = 256,
    link: str | None = None,
    metric: str = "function",
    penalties: Sequence[float] = PENALTIES,
) -> RidgeSpace:
    """Return the space in which these and later boxes are embedded, its penalty chosen once.

    The penalty has the least squared error of leaving one probe out, in closed form, averaged
    over boxes and labels, so that it belongs to the space and not to a box.

    Parameters
    ----------
    responses
        Boxes to choose the penalty by.
    features
        Frozen features; default `tfidf_features` of the probes, ``n_features`` wide.
    link, metric
        Coordinates of answers as in `paired_similarity`; ``function`` or ``raw`` weights.
    penalties
        Candidates, in units of the mean variance of a feature.

    Raises
    ------
    ValueError
        If a penalty is not above 0.
    MissingDependencyError
        Without scikit-learn, when no features are given.

    References
    ----------
    Hoerl and Kennard (1970); Allen (1974).

    Examples
    --------
    >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]},
    ...                               labels=["neg", "pos"], texts=["dull", "great", "fine"])
    >>> ridge_space(found, n_features=2).penalty in PENALTIES
    True
    """
    check_choice(metric, ("function", "raw"), "metric")
    candidates = [float(one) for one in penalties]
    if not candidates or not all(0 < one < np.inf for one in candidates):
        raise ValueError(f"penalties={penalties!r}: expected finite numbers above 0")
    frozen = features or tfidf_features(responses.bank.texts, n_features)
    codec = responses.codec(link)
    values = responses.coordinates(codec[0])[..., : len(responses.labels)]
    x = frozen(responses.bank.texts) - frozen.mean
    scaled = [one * frozen.variance for one in candidates]
    errors = np.zeros(len(candidates))
    groups: dict[bytes, list[int]] = {}
    for row, known in enumerate(responses.is_answered):
        groups.setdefault(known.tobytes(), []).append(row)
    for rows in groups.values():
        known = responses.is_answered[rows[0]]
        if known.sum() < 3:
            continue
        # Boxes that answered the same probes share one decomposition of the features.
        y = np.concatenate([values[row][known] for row in rows], axis=1)
        errors += _core.ridge_left_out(
            np.ascontiguousarray(x[known]), np.ascontiguousarray(y), scaled
        ).sum(axis=1)
    best = int(np.argmin(errors))
    return RidgeSpace(frozen, responses.labels, codec, candidates[best], metric)
