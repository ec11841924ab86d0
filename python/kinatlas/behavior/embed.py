"""From responses to ordinary tasks, and how alike surrogates are beyond their noise."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from kinatlas._checks import check_choice
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.behavior.paired import BehaviorSimilarity
from kinatlas.behavior.responses import Floats, Responses
from kinatlas.behavior.surrogates import RidgeSpace, ridge_space
from kinatlas.errors import ShapeError
from kinatlas.tasks import Atlas, Provenance

__all__ = ["embed_behavior", "surrogate_similarity"]

# A half of fewer than four probes has no spread worth the name.
_LEAST_PROBES = 8


def embed_behavior(
    responses: Responses,
    *,
    method: str = "paired",
    space: RidgeSpace | None = None,
    link: str | None = None,
    mass: str = "aside",
) -> Atlas:
    """Return black boxes as tasks: of one token a probe, or of one token of surrogate weights.

    Parameters
    ----------
    responses
        Answers of boxes with one label set.
    method
        ``paired``: centred coordinates [n_probes, n_labels] of the probes all boxes answered;
        compare them with kernel ``flatten`` or ``linear_cka``. Best where probes are shared.
        ``ridge``: weights of a closed-form surrogate; needed where probes differ, and to compare
        with data sets (`RidgeSpace.embed_labels`).
    space
        Ridge only: the space to embed into; default a new one, chosen on these responses.
    link, mass
        Coordinates, as in `paired_similarity`; mass is for ``paired`` only.

    Raises
    ------
    SpaceError
        If the labels are not those of the space.
    ShapeError
        If fewer than two probes were answered by all boxes (paired).

    References
    ----------
    Wang, Xu, Gui and He (2024), "Towards Unified Task Embeddings Across Multiple Models", with
    the closed form in place of the trained prefix.

    Examples
    --------
    >>> import kinatlas as ka
    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> found = ka.behavior.Responses.from_arrays(
    ...     {"a": shares, "not a": shares[:, ::-1]}, labels=["pos", "neg"])
    >>> matrix = ka.similarity_matrix(ka.embed_behavior(found), kernel="flatten", normalize=None)
    >>> matrix.values.round(6)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    check_choice(method, ("paired", "ridge"), "method")
    if method == "ridge":
        return (space or ridge_space(responses, link=link)).embed(responses)
    shared = responses.common()
    values = shared.coordinates(link, mass=mass)
    values = values - values.mean(axis=1, keepdims=True)
    origin = Provenance(method="behavior-paired", notes=(f"{len(shared.bank)} probes",))
    return Atlas.from_arrays(
        dict(zip(shared.boxes, values, strict=True)),
        space=shared.space(link, mass=mass),
        provenance=dict.fromkeys(shared.boxes, origin),
    )


def surrogate_similarity(
    responses: Responses,
    space: RidgeSpace | None = None,
    *,
    confidence: float = 0.9,
    n_draws: int = 100,
    rng: Rng = 0,
) -> BehaviorSimilarity:
    """Return cosines of ridge surrogates, with intervals and self-cosines as ceiling.

    A cosine of estimated weights is biased towards 0: the same box on two disjoint halves of its
    own probes is far from 1. ``reliability`` is that self-cosine stepped up to all probes, and
    ``corrected`` divides by its root. The intervals are about the mean cosine that as many other
    probes would give (docs/behavior.md has their coverage), not about that of endless probes.

    Parameters
    ----------
    responses
        Answers of boxes with one label set, to any probes.
    space
        Default a new one, chosen on these responses.
    confidence, n_draws, rng
        Of the intervals: the probes of every box are halved so many times, and the spread of
        atanh over halves is what as many probes as there are would spread. Draws from the
        posterior of the weights know nothing of which probes were drawn, and covered 39 % at 90.

    Raises
    ------
    ShapeError
        If a box answered fewer than eight probes.

    References
    ----------
    Shao and Wu (1989), "A general theory for jackknife variance estimation", for the half deleted.

    Examples
    --------
    >>> from kinatlas.behavior import builtin_bank
    >>> bank = builtin_bank().first(64)
    >>> shares = np.array([[0.9, 0.1] if "not" in t else [0.2, 0.8] for t in bank.texts])
    >>> found = Responses.from_arrays({"a": shares, "not a": shares[:, ::-1]},
    ...                               labels=["n", "p"], texts=bank.texts)
    >>> round(surrogate_similarity(found, ridge_space(found, n_features=8)).values[0, 1], 6)
    np.float64(-1.0)
    """
    check_sampling(confidence, n_draws)
    chosen = space or ridge_space(responses)
    fitted = chosen.fit_responses(responses)
    vectors = _unit(np.stack([own.vector for own in fitted.values()]))
    values = np.clip(vectors @ vectors.T, -1.0, 1.0)
    spread, own_cosines = _halved(responses, chosen, n_draws, seed_of(rng))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    low, high = np.tanh(_atanh(values) - reach), np.tanh(_atanh(values) + reach)
    for ends in (low, high):
        np.fill_diagonal(ends, np.diag(values))
    options = {"space": chosen.id, "penalty": chosen.penalty, "metric": chosen.metric,
               "confidence": confidence, "n_draws": n_draws,
               "n_probes": int(min(own.n_probes for own in fitted.values()))}  # fmt: skip
    reliability = np.where(own_cosines > 0, 2 * own_cosines / (1 + own_cosines), 0.0)
    return BehaviorSimilarity(responses.boxes, values, low, high, reliability, "ridge", options)


def _halved(
    responses: Responses, space: RidgeSpace, n_draws: int, seed: int
) -> tuple[Floats, Floats]:
    """Spread of atanh of cosines over halves [n_boxes, n_boxes], and self-cosines [n_boxes]."""
    features = space.features(responses.bank.texts)
    values = responses.coordinates(space.codec[0])[..., : len(space.labels)]
    groups: dict[bytes, list[int]] = {}
    for row, known in enumerate(responses.is_answered):
        if known.sum() < _LEAST_PROBES:
            raise ShapeError(
                f"box {responses.boxes[row]!r} answered {known.sum()} probes, expected at least "
                f"{_LEAST_PROBES}"
            )
        groups.setdefault(known.tobytes(), []).append(row)
    n_boxes = len(responses.boxes)
    total, squares, own = np.zeros((n_boxes, n_boxes)), np.zeros((n_boxes, n_boxes)), 0.0
    for number in range(n_draws):
        halves = np.zeros((2, n_boxes, space.features.n_features * len(space.labels)))
        for rows in groups.values():
            # Boxes with the same probes are halved alike and share one decomposition.
            at = np.flatnonzero(responses.is_answered[rows[0]])
            order = np.random.default_rng([seed, rows[0], number]).permutation(at)
            for side, picked in enumerate(np.array_split(order, 2)):
                together = np.concatenate([values[row][picked] for row in rows], axis=1)
                weights = space.fit_features(features[picked], together).weights
                parts = np.split(weights, len(rows), axis=1)
                halves[side, rows] = [space.embedded(part) for part in parts]
        sides = _unit(halves)
        for side in sides:
            z = _atanh(side @ side.T)
            total, squares = total + z, squares + z * z
        own = own + (sides[0] * sides[1]).sum(axis=1) / n_draws
    mean = total / (2 * n_draws)
    return np.sqrt(np.maximum(squares / (2 * n_draws) - mean * mean, 0.0)), np.asarray(own)


def _atanh(values: Floats) -> Floats:
    return np.asarray(np.arctanh(np.clip(values, -1 + 1e-12, 1 - 1e-12)))


def _unit(values: Floats) -> Floats:
    norms = np.sqrt((values * values).sum(axis=-1, keepdims=True))
    return np.asarray(np.divide(values, norms, out=np.zeros_like(values), where=norms > 0))
