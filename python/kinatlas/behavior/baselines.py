"""What every comparison stands beside: boxes that know nothing, and a few labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kinatlas._checks import check_known_all
from kinatlas._seeds import Rng
from kinatlas.behavior.responses import Floats, Responses
from kinatlas.behavior.tables import Table
from kinatlas.errors import ShapeError

__all__ = ["baseline_scores", "pareto_front", "with_baselines"]


def with_baselines(responses: Responses, *, rng: Rng = 0) -> Responses:
    """Return the same boxes and four that know nothing: constant, random, length, consensus.

    ``(constant)`` always gives the mean answer of all boxes, ``(random)`` a random one,
    ``(length)`` leans to the first label on long probes, ``(consensus)`` answers the mean of all
    boxes to the probe. A box much like one of them has shown little of its own.

    Raises
    ------
    ShapeError
        If the answers are not shares of labels.

    Examples
    --------
    >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8]]}, labels=["pos", "neg"])
    >>> with_baselines(found).boxes
    ('a', '(constant)', '(random)', '(length)', '(consensus)')
    """
    if responses.kind != "labels":
        raise ShapeError(f"baselines need shares of labels, got {responses.kind}")
    shared = responses.common()
    means = np.nanmean(shared.answers, axis=2)
    n_probes, n_labels = means.shape[1:]
    consensus = means.mean(axis=0)
    generator = np.random.default_rng(rng)
    lengths = np.array([len(text) for text in shared.bank.texts], dtype=np.float64)
    ranks = (lengths.argsort(kind="stable").argsort(kind="stable") + 0.5) / n_probes
    by_length = np.repeat((1 - ranks)[:, None] / max(n_labels - 1, 1), n_labels, axis=1)
    by_length[:, 0] = ranks
    rows = np.stack([
        np.repeat(consensus.mean(axis=0)[None], n_probes, axis=0),
        generator.dirichlet(np.ones(n_labels), n_probes),
        by_length / by_length.sum(axis=1, keepdims=True),
        consensus,
    ])  # fmt: skip
    added = np.repeat(rows[:, :, None], shared.n_replicates, axis=2)
    return replace(
        shared,
        boxes=(*shared.boxes, "(constant)", "(random)", "(length)", "(consensus)"),
        answers=np.concatenate([shared.answers, added]),
        mass=np.concatenate([shared.mass, np.ones(added.shape[:3])]),
    )


def baseline_scores(
    responses: Responses, truth: Sequence[str], *, k: Sequence[int] = (16, 64, 256), rng: Rng = 0
) -> Table:
    """Return what cheap ways would score each box on inputs of the target data set.

    ``consensus`` is the mean chance that the box answers as the mean of all boxes does, without
    any label; ``k labels`` is the accuracy on k random labelled inputs; ``all labels`` the truth
    that all of them stand in for; ``random`` is a shuffled order.

    Parameters
    ----------
    responses
        Answers to inputs of the data set.
    truth
        Gold label of each input, in the order of ``responses.bank``.
    k
        Numbers of labelled inputs; those above what there is are left out.
    rng
        Of the inputs picked.

    Raises
    ------
    ShapeError
        If there is not one label for each input.
    UnknownNameError
        If a label is not one of the boxes'.

    Examples
    --------
    >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8]], "b": [[0.9, 0.1]] * 2},
    ...                               labels=["pos", "neg"])
    >>> baseline_scores(found, ["pos", "neg"]).columns["all labels"]
    [1.0, 0.5]
    """
    if len(truth) != len(responses.bank):
        raise ShapeError(f"{len(truth)} labels for {len(responses.bank)} inputs")
    gold = np.array(check_known_all(list(truth), responses.labels, "label"))
    known = np.flatnonzero(responses.is_answered.all(axis=0))
    means = np.nanmean(responses.answers[:, known], axis=2)
    # A failure is even over the labels and right for none of them.
    failed = np.nanmax(responses.mass[:, known], axis=2) == 0
    credit = _credit(means) * ~failed[..., None]
    right = np.take_along_axis(credit, gold[known][None, :, None], axis=2)[..., 0]
    agreed = (means * means.mean(axis=0)).sum(axis=2).mean(axis=1)
    generator = np.random.default_rng(rng)
    columns: dict[str, list[Any]] = {"box": list(responses.boxes)}
    columns["random"] = generator.permutation(len(responses.boxes)).astype(float).tolist()
    columns["consensus"] = agreed.tolist()
    for count in k:
        if count <= len(known):
            picked = generator.permutation(len(known))[:count]
            columns[f"{count} labels"] = right[:, picked].mean(axis=1).tolist()
    columns["all labels"] = right.mean(axis=1).tolist()
    return Table(f"Baselines on {len(known)} inputs of the data set", columns)


def _credit(means: Floats) -> Floats:
    """Share of the win of each label: the largest, ties shared."""
    best = means >= means.max(axis=2, keepdims=True) - 1e-12
    return np.asarray(best / best.sum(axis=2, keepdims=True))


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """Return which boxes no other box beats in both cost and score; ties are kept.

    Raises
    ------
    ShapeError
        If there is not one score a cost.

    Examples
    --------
    >>> pareto_front([1.0, 2.0, 3.0], [0.5, 0.9, 0.8])
    [True, True, False]
    """
    if len(costs) != len(scores):
        raise ShapeError(f"{len(costs)} costs and {len(scores)} scores")
    pairs = list(zip(costs, scores, strict=True))
    return [
        not any((c <= cost and s > score) or (c < cost and s >= score) for c, s in pairs)
        for cost, score in pairs
    ]
