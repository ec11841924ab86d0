"""From responses to ordinary tasks, and how alike surrogates are beyond their noise."""

from __future__ import annotations

import numpy as np

from kinatlas._checks import check_choice
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.behavior.paired import BehaviorSimilarity
from kinatlas.behavior.responses import Floats, Responses
from kinatlas.behavior.surrogates import RidgeSpace, ridge_space
from kinatlas.errors import ShapeError
from kinatlas.tasks import Atlas, Provenance

__all__ = ["embed_behavior", "surrogate_similarity"]

_N_HALVINGS = 4


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
    n_draws: int = 200,
    rng: Rng = 0,
) -> BehaviorSimilarity:
    """Return cosines of ridge surrogates, with posterior intervals and self-cosines as ceiling.

    A cosine of estimated weights is biased towards 0: the same box on two disjoint halves of its
    own probes is far from 1. ``reliability`` is that self-cosine stepped up to all probes, and
    ``corrected`` divides by its root.

    Parameters
    ----------
    responses
        Answers of boxes with one label set, to any probes.
    space
        Default a new one, chosen on these responses.
    confidence, n_draws, rng
        Of the intervals: equal tails of draws of the weights, moved to the estimate.

    Raises
    ------
    ShapeError
        If a box answered fewer than eight probes.

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
    seed = seed_of(rng)
    vectors = _unit(np.stack([own.task(name).tokens[0] for name, own in fitted.items()]))
    values = np.clip(vectors @ vectors.T, -1.0, 1.0)
    drawn = np.stack([
        _unit(own.draws(n_draws, np.random.SeedSequence([seed, at])))
        for at, own in enumerate(fitted.values())
    ])  # fmt: skip
    low, high = values.copy(), values.copy()
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    for a in range(len(vectors)):
        for b in range(a + 1, len(vectors)):
            cosines = (drawn[a] * drawn[b]).sum(axis=1)
            # Draws scatter around the estimate in every direction, which lowers their cosine a
            # second time; their spread is kept and their centre moved back.
            z = np.arctanh(np.clip(cosines, -1 + 1e-12, 1 - 1e-12))
            centre = np.arctanh(np.clip(values[a, b], -1 + 1e-12, 1 - 1e-12))
            ends = np.tanh(centre + np.quantile(z - np.median(z), tails))
            low[a, b] = low[b, a] = ends[0]
            high[a, b] = high[b, a] = ends[1]
    options = {"space": chosen.id, "penalty": chosen.penalty, "metric": chosen.metric,
               "confidence": confidence, "n_draws": n_draws,
               "n_probes": int(min(own.n_probes for own in fitted.values()))}  # fmt: skip
    reliability = _self_cosines(responses, chosen, seed)
    return BehaviorSimilarity(responses.boxes, values, low, high, reliability, "ridge", options)


def _self_cosines(responses: Responses, space: RidgeSpace, seed: int) -> Floats:
    """Cosine of each box with itself on disjoint halves of its probes, stepped up to all."""
    features = space.features(responses.bank.texts)
    values = responses.coordinates(space.codec[0])[..., : len(space.labels)]
    found = np.zeros(len(responses.boxes))
    for row, known in enumerate(responses.is_answered):
        at = np.flatnonzero(known)
        if len(at) < 8:
            raise ShapeError(
                f"box {responses.boxes[row]!r} answered {len(at)} probes, expected at least 8"
            )
        for number in range(_N_HALVINGS):
            order = np.random.default_rng([seed, row, number]).permutation(at)
            halves = [
                _unit(space.fit_features(features[own], values[row][own]).vector)
                for own in np.array_split(order, 2)
            ]
            found[row] += float(halves[0] @ halves[1]) / _N_HALVINGS
    return np.where(found > 0, 2 * found / (1 + found), 0.0)


def _unit(values: Floats) -> Floats:
    norms = np.sqrt((values * values).sum(axis=-1, keepdims=True))
    return np.asarray(np.divide(values, norms, out=np.zeros_like(values), where=norms > 0))
