"""The Fisher diagonal of a head on frozen features, in closed form: no autograd."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_whole
from kinatlas.embeddings.accumulator import CONVENTIONS
from kinatlas.embeddings.coordinates import projected, space_of
from kinatlas.errors import NonFiniteError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.tasks import Provenance, Task

__all__ = ["embed_fisher"]

_HEADS = ("softmax", "logistic", "linear")
# Probabilities stored in float16 sum to 1 within this, for a thousand classes.
_SUM_TOLERANCE = 1e-2

_Floats = npt.NDArray[np.float64]


def embed_fisher(
    features: Any,
    outputs: Any,
    labels: Any = None,
    *,
    name: str,
    space: str,
    head: str = "softmax",
    convention: str = "exact",
    n_draws: int = 1,
    seed: int = 0,
    noise_variance: float = 1.0,
    dim: int | None = None,
    n_threads: int | None = None,
) -> Task:
    """Return the Fisher diagonal of a trained head as a task of one token.

    The head sees frozen features x and a constant 1; its weight [n_features + 1, n_outputs] has
    the diagonal F_kc = mean over examples of x_k^2 v_c. For gradients of a whole model use
    `FisherAccumulator`.

    Parameters
    ----------
    features
        [n, n_features], what the head sees.
    outputs
        [n, n_outputs] or [n]: probabilities of ``"softmax"`` and ``"logistic"`` heads, predictions
        of ``"linear"`` ones.
    labels
        The data's, for ``convention="gold"``: classes [n] for softmax, else numbers of the shape
        of ``outputs``.
    space
        The model whose features these are.
    head
        ``"softmax"``: classes exclude each other, v_c = p_c (1 - p_c). ``"logistic"``: every
        output is a yes-no question of its own (multi-label). ``"linear"``: a normal variable of
        ``noise_variance`` around the output.
    convention
        ``"exact"`` takes the expectation over the model's own labels, ``"gold"`` the data's
        labels ("empirical Fisher"), ``"monte_carlo"`` ``n_draws`` labels drawn from the model for
        each example, under ``seed``.
    dim
        Random projection to ``dim`` coordinates under ``seed``; see `FisherAccumulator.task`.

    Raises
    ------
    ShapeError
        If examples, outputs and labels do not fit together, or there are none.
    NonFiniteError
        If a feature, output or label is NaN or infinite.
    ValueError
        For probabilities that are none, classes out of range, or labels missing or not wanted.
    UnknownNameError
        For an unknown head or convention.

    References
    ----------
    Achille et al. 2019, Task2Vec, section 3; the gradient of a softmax head is x_k (p_c - [y = c]).

    Examples
    --------
    >>> task = embed_fisher([[1.0], [3.0]], [[0.5, 0.5], [0.5, 0.5]], name="rte", space="bert")
    >>> task.tokens
    array([[1.25, 1.25, 0.25, 0.25]])
    >>> task.space
    'bert|fisher(head=softmax, convention=exact)|33ec39ec'
    """
    check_choice(head, _HEADS, "head")
    check_choice(convention, CONVENTIONS, "convention")
    token = _numbers(features, "features")
    output = _numbers(outputs, "outputs", len(token))
    _check_outputs(output, head)
    gold = _checked_labels(labels, output.shape, head, convention)
    if head == "linear" and not (noise_variance > 0 and math.isfinite(noise_variance)):
        raise ValueError(f"noise_variance={noise_variance!r}: expected a number above 0")
    draws = (check_whole(n_draws, "n_draws", 1), check_whole(seed, "seed", 0))
    values = _core.fisher_of_head(
        (token, np.array([0, len(token)], dtype=np.int64)),
        output.ravel(),
        (head, float(noise_variance)),
        None if gold is None else gold.ravel(),
        draws if convention == "monte_carlo" else None,
        n_threads,
    )
    shape = [token.shape[1] + 1, output.shape[1]]
    settings = {
        "head": head,
        "convention": convention,
        "noise_variance": float(noise_variance) if head == "linear" else None,
        "dim": dim,
        "seed": None if dim is None else seed,
    }
    notes = (f"n_examples={len(token)}", f"n_draws={n_draws if convention == 'monte_carlo' else 0}")
    return Task(
        name,
        projected(values, dim, seed)[np.newaxis, :],
        space=space_of(space, "fisher", settings, [("head", shape)]),
        provenance=Provenance(base_model=space, method="FISHER", notes=notes),
    )


def _numbers(values: Any, label: str, n_rows: int | None = None) -> _Floats:
    """Return finite float64 numbers [n_rows, n_columns]; [n_rows] becomes one column."""
    array = values if hasattr(values, "ndim") else np.asarray(values)
    stored, dtype = as_stored(array.reshape(-1, 1) if array.ndim == 1 else array, label)
    wide: _Floats = np.ascontiguousarray(widened(stored, dtype), dtype=np.float64)
    if n_rows is not None and len(wide) != n_rows:
        raise ShapeError(f"{label} has {len(wide)} rows, there are {n_rows} examples")
    if not np.isfinite(wide).all():
        row, column = np.argwhere(~np.isfinite(wide))[0]
        raise NonFiniteError(f"{label}: example {row}, column {column} is NaN or infinite")
    return wide


def _check_outputs(outputs: _Floats, head: str) -> None:
    if head == "linear":
        return
    if outputs.min() < 0 or outputs.max() > 1:
        raise ValueError(
            f"outputs: numbers from {outputs.min():.6g} to {outputs.max():.6g} are no "
            f"probabilities; a {head} head needs its probabilities, not its logits"
        )
    sums = outputs.sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    if head == "softmax" and abs(sums[worst] - 1) > _SUM_TOLERANCE:
        raise ValueError(
            f"outputs: the probabilities of example {worst} sum to {sums[worst]:.6g}, expected 1; "
            "use head='logistic' for classes that do not exclude each other"
        )


def _checked_labels(
    labels: Any, shape: tuple[int, ...], head: str, convention: str
) -> _Floats | None:
    if (labels is None) == (convention == "gold"):
        raise ValueError(
            f"convention={convention!r}: "
            + ("give labels=" if labels is None else "labels are used by convention='gold' alone")
        )
    if labels is None:
        return None
    if head == "softmax":
        return _indicators(labels, shape)
    array = np.asarray(labels)
    found = _numbers(array.astype(np.float64) if array.dtype.kind in "biu" else labels, "labels")
    if found.shape != shape:
        raise ShapeError(f"labels have shape {found.shape}, outputs have shape {shape}")
    return found


def _indicators(labels: Any, shape: tuple[int, ...]) -> _Floats:
    classes = np.asarray(labels)
    if classes.shape != shape[:1] or classes.dtype.kind not in "iu":
        raise ShapeError(
            f"labels: got {classes.dtype} of shape {classes.shape}, expected whole numbers "
            f"[{shape[0]}], one class per example"
        )
    if classes.min() < 0 or classes.max() >= shape[1]:
        raise ValueError(
            f"labels: classes run from {classes.min()} to {classes.max()}, the head has {shape[1]}"
        )
    found: _Floats = np.eye(shape[1])[classes]
    return found
