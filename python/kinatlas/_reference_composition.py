"""NumPy twins of ``src/composition``: definitions and hand-made derivatives.

Tensors come by their names in files. Nothing is fused, cut into chunks or shared with the Rust
code beyond the formula: the query is formed, the layer normalisation is differentiated through its
Jacobian, every row is a loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

__all__ = [
    "attention",
    "auc",
    "hadamard_cosine",
    "head_answer",
    "head_slopes",
    "mixture",
    "regularised",
    "representation",
]

Floats = npt.NDArray[np.float64]
State = Mapping[str, Floats]
#: x [n, dim], shared [n, width], own [n, n_sources, width], keys [n_sources, width].
Table = tuple[Floats, Floats, Floats, Floats]

_NORM_FLOOR = 1e-5


def softmax(scores: Floats) -> Floats:
    """Return weights of sum one along the last axis.

    Examples
    --------
    >>> softmax(np.zeros(2))
    array([0.5, 0.5])
    """
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return weights


def head_answer(
    state: State, table: Table, mode: str, tau: float
) -> tuple[Floats, Floats, Floats, list[Floats]]:
    """Return logits [n], weights [n, n_sources], gate [n, 2] and the inputs of the tower's layers.

    Examples
    --------
    >>> state = {"tower.0.weight": np.array([[1.0, 2.0]]), "tower.0.bias": np.array([0.5])}
    >>> table = (np.ones((1, 1)), np.array([[3.0, 4.0]]), np.ones((1, 1, 2)), np.ones((1, 2)))
    >>> head_answer(state, table, "share", 150.0)[0]
    array([11.5])
    """
    x, shared, own, _ = table
    n, n_sources = own.shape[:2]
    weights, gate, fused = np.zeros((n, n_sources)), np.tile([0.0, 1.0], (n, 1)), shared
    if mode != "share":
        weights = _weights(state, table, mode, tau)
        mixed = np.einsum("nk,nkr->nr", weights, own)
        gate = softmax(x @ state["gate.weight"].T)
        fused = gate[:, :1] * mixed * state["prompt.E"] + gate[:, 1:] * shared
    inputs = [fused]
    while True:
        name = f"tower.{2 * (len(inputs) - 1)}"
        out = inputs[-1] @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        if f"tower.{2 * len(inputs)}.weight" not in state:
            return out[:, 0], weights, gate, inputs
        inputs.append(np.maximum(out, 0.0))


def _weights(state: State, table: Table, mode: str, tau: float) -> Floats:
    x, _, own, keys = table
    if mode == "fixed":
        return np.full(own.shape[:2], 1.0 / own.shape[1])
    if mode == "task":
        return np.tile(softmax(keys @ state["prompt.E"] / tau), (len(x), 1))
    return softmax(_query(state, x)[0] @ keys.T / tau)


def _query(state: State, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the query, the hidden layer and what is normalised."""
    hidden = np.maximum(x @ state["proj.0.weight"].T, 0.0)
    raw = hidden @ state["proj.2.weight"].T
    centred = raw - raw.mean(axis=1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=1, keepdims=True) + _NORM_FLOOR)
    return centred / scale * state["proj.ln.weight"] + state["proj.ln.bias"], hidden, raw


def head_slopes(
    state: State, table: Table, labels: npt.NDArray[np.bool_], mode: str, tau: float, beta_kl: float
) -> tuple[float, dict[str, Floats]]:
    """Return mean BCE + beta KL(weights || uniform) and its slope by every tensor.

    Examples
    --------
    >>> state = {"tower.0.weight": np.zeros((1, 2)), "tower.0.bias": np.zeros(1)}
    >>> table = (np.ones((1, 1)), np.array([[3.0, 4.0]]), np.ones((1, 1, 2)), np.ones((1, 2)))
    >>> loss, slopes = head_slopes(state, table, np.array([True]), "share", 150.0, 0.0)
    >>> round(loss, 4), slopes["tower.0.weight"]
    (0.6931, array([[-1.5, -2. ]]))
    """
    x, shared, own, keys = table
    n, n_sources = own.shape[:2]
    logits, weights, gate, inputs = head_answer(state, table, mode, tau)
    loss = float(np.mean(np.logaddexp(0.0, logits) - labels * logits))
    slopes: dict[str, Floats] = {name: np.zeros_like(values) for name, values in state.items()}
    flow = ((1.0 / (1.0 + np.exp(-logits)) - labels) / n)[:, None]
    for number in range(len(inputs) - 1, -1, -1):
        name = f"tower.{2 * number}"
        slopes[f"{name}.weight"] = flow.T @ inputs[number]
        slopes[f"{name}.bias"] = flow.sum(axis=0)
        flow = flow @ state[f"{name}.weight"]
        if number:
            flow = flow * (inputs[number] > 0)
    if mode == "share":
        return loss, slopes
    prompt = state["prompt.E"]
    mixed = np.einsum("nk,nkr->nr", weights, own)
    slopes["prompt.E"] = (flow * gate[:, :1] * mixed).sum(axis=0)
    by_gate = np.stack([(flow * mixed * prompt).sum(axis=1), (flow * shared).sum(axis=1)], axis=1)
    slopes["gate.weight"] = _through_softmax(gate, by_gate).T @ x
    if mode == "fixed":
        return loss, slopes
    by_weight = np.einsum("nr,nkr->nk", flow * gate[:, :1] * prompt, own)
    excess = np.log(weights * n_sources)
    loss += beta_kl * float((weights * excess).sum(axis=1).mean())
    by_score = _through_softmax(weights, by_weight + beta_kl / n * (excess + 1.0)) / tau
    if mode == "task":
        slopes["prompt.E"] += by_score.sum(axis=0) @ keys
    else:
        _query_slopes(state, x, by_score @ keys, slopes)
    return loss, slopes


def _through_softmax(weights: Floats, flow: Floats) -> Floats:
    back: Floats = weights * (flow - (weights * flow).sum(axis=1, keepdims=True))
    return back


def _query_slopes(state: State, x: Floats, flow: Floats, slopes: dict[str, Floats]) -> None:
    _, hidden, raw = _query(state, x)
    width = raw.shape[1]
    back = np.zeros_like(raw)
    for row, values in enumerate(raw):
        centred = values - values.mean()
        scale = np.sqrt((centred**2).mean() + _NORM_FLOOR)
        normed = centred / scale
        slopes["proj.ln.weight"] += flow[row] * normed
        slopes["proj.ln.bias"] += flow[row]
        # d normed / d raw = (I - 1 1' / r) / s - centred centred' / (r s^3), symmetric.
        jacobian = np.eye(width) - 1.0 / width
        jacobian = jacobian / scale - np.outer(centred, centred) / (width * scale**3)
        back[row] = jacobian @ (flow[row] * state["proj.ln.weight"])
    slopes["proj.2.weight"] = back.T @ hidden
    back = back @ state["proj.2.weight"] * (hidden > 0)
    slopes["proj.0.weight"] = back.T @ x


def auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Return the share of pairs in the right order, ties half.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    above, below = scores[labels][:, None], scores[~labels][None, :]
    return float(((above > below) + 0.5 * (above == below)).mean())


def regularised(weights: Floats, scores: Floats, tau: float, beta_kl: float) -> float:
    """Return what attention maximises: score / tau + entropy - beta KL(weights || uniform).

    Examples
    --------
    >>> round(regularised(np.array([0.5, 0.5]), np.array([1.0, 3.0]), 1.0, 0.0), 4)
    2.6931
    """
    terms = np.log(np.where(weights > 0, weights, 1.0))
    entropy = -(weights * terms).sum()
    distance = (weights * (terms + np.log(len(weights)))).sum()
    return float(weights @ scores / tau + entropy - beta_kl * distance)


def attention(prompts: Floats, query: Floats, tau: float, target: Floats | None = None) -> Floats:
    """Return sum of softmax(max-pooled key . query / tau) prompts, the target as one more, twice.

    Examples
    --------
    >>> attention(np.array([[[1.0, 0.0]], [[3.0, 0.0]]]), np.zeros(2), 1.0)
    array([[2., 0.]])
    """
    everything = list(prompts) + ([] if target is None else [target])
    scores = np.array([prompt.max(axis=0) @ query for prompt in everything]) / tau
    mixed: Floats = np.zeros_like(everything[0])
    for weight, prompt in zip(softmax(scores), everything, strict=True):
        mixed = mixed + weight * prompt
    return mixed if target is None else mixed + target


def mixture(prompts: Floats, scores: Floats, top: int) -> Floats:
    """Return the mean of the prompts with the ``top`` scores, weighted by them.

    Examples
    --------
    >>> mixture(np.array([[1.0], [2.0], [9.0]]), np.array([1.0, 3.0, 0.5]), 2)
    array([1.75])
    """
    best = np.argsort(-scores, kind="stable")[:top]
    mixed: Floats = sum(scores[k] * prompts[k] for k in best) / scores[best].sum()
    return mixed


def representation(
    own: Floats, keys: Floats, query: Floats, tau: float, sides: tuple[Floats, Floats, Floats]
) -> Floats:
    """Return w_a (sum_k W_k own_k) o target + w_s shared, row by row; sides: gate, target, shared.

    Examples
    --------
    >>> sides = np.array([[0.5, 0.5]]), np.array([2.0]), np.array([[3.0]])
    >>> representation(np.ones((1, 1, 1)), np.ones((1, 1)), np.ones((1, 1)), 1.0, sides)
    array([[2.5]])
    """
    gate, target, shared = sides
    rows = []
    for row, asked in enumerate(query):
        weights = softmax(keys @ asked / tau)
        mixed = sum(weight * own[k, row] for k, weight in enumerate(weights))
        rows.append(gate[row, 0] * mixed * target + gate[row, 1] * shared[row])
    return np.array(rows)


def hadamard_cosine(first: Floats, second: Floats) -> float:
    """Return the cosine of two matrices, number by number.

    Examples
    --------
    >>> hadamard_cosine(np.eye(2), np.ones((2, 2))) ** 2
    0.4999999999999999
    """
    norm = np.linalg.norm(first) * np.linalg.norm(second)
    return float((first * second).sum() / norm) if norm > 0 else 0.0
