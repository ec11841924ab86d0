"""One prompt out of several: every rule in use, behind one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas.composition.factors import FACTORS
from kinatlas.composition.prompts import Floats, Prompts, as_numbers, read_prompts, stored
from kinatlas.composition.rules import RULES, Asked, Mixture
from kinatlas.errors import ShapeError
from kinatlas.tasks import Atlas

__all__ = ["Composition", "compose_prompts"]


@dataclass(frozen=True, eq=False, repr=False)
class Composition:
    """A composed prompt with the weights it was made of.

    Attributes
    ----------
    prompt
        Shaped as the prompts given; a batch of queries adds a dimension in front.
    weights
        [n_sources], or [n_rows, n_sources] for a batch, in the order of ``sources``. What a target
        or a null key took is missing from their sum.
    sources, how, pooling
        Names, the rule, and how keys were made of prompts (None where no key was needed).
    duplicates
        Groups of sources that are the same; attention counts each of them.
    """

    prompt: npt.NDArray[Any]
    weights: Floats
    sources: tuple[str, ...]
    how: str
    pooling: str | None
    duplicates: tuple[tuple[str, ...], ...]
    _mixture: Mixture
    _places: list[int]
    _outer: Floats | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.prompt, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name} {weight:.3g}"
            for name, weight in zip(self.sources, np.atleast_2d(self.weights).mean(0), strict=True)
        )
        return f"Composition {self.how!r} of shape {self.prompt.shape}: {shown}"

    def slopes(self, upstream: Any) -> dict[str, Floats]:
        """Return slopes of a loss, given ``upstream``, its slope by the prompt (same shape).

        ``"mixing"`` is by the weights in use; ``"weights"`` by those given (rules mixture, token
        and arithmetic), ``"query"`` or ``"target"`` by what attends, through the weights alone.

        Raises
        ------
        ShapeError
            If ``upstream`` is not shaped as the prompt.

        Examples
        --------
        >>> found = compose_prompts({"a": [1.0, 0.0], "b": [0.0, 2.0]}, "fixed")
        >>> found.slopes([1.0, 1.0])
        {'mixing': array([1., 2.])}
        """
        given = np.asarray(upstream, dtype=np.float64)
        if given.shape != self.prompt.shape:
            raise ShapeError(f"upstream has shape {given.shape}, expected {self.prompt.shape}")
        mixture = self._mixture
        n_rows = len(mixture.weights)
        inner = given.reshape(n_rows, -1)
        if self._outer is not None:
            inner = inner * self._outer
        packed = mixture.packed
        flow = _core.mix_slopes(packed, np.ascontiguousarray(inner).ravel())
        shaped = flow.reshape(n_rows, -1)
        found = {"mixing": self._named(shaped)}
        if mixture.kind == "arithmetic":
            found["weights"] = found["mixing"]
        elif mixture.kept is not None:
            centred = shaped - (mixture.weights * shaped).sum(axis=1, keepdims=True)
            found["weights"] = self._named(mixture.kept * centred / mixture.total)
        elif mixture.kind != "none" and mixture.queries is not None:
            slopes = _core.attention_slopes(
                mixture.weights.ravel(),
                flow,
                mixture.keys.ravel(),
                mixture.keys.shape[1],
                mixture.sharpness,
            ).reshape(mixture.queries.shape)
            if mixture.kind == "token":
                found["weights"] = self._named(slopes)
            else:
                found[mixture.kind] = slopes[0] if mixture.is_single else slopes
        return found

    def _named(self, columns: Floats) -> Floats:
        """Return columns of sorted sources in the order of ``sources``."""
        ordered = columns[:, self._places]
        return ordered[0] if self._mixture.is_single else ordered


def compose_prompts(
    prompts: Mapping[str, Any] | Atlas,
    how: str,
    *,
    weights: Any = None,
    query: Any = None,
    keys: Mapping[str, Any] | None = None,
    target: Any = None,
    tau: float | None = None,
    beta_kl: float = 0.0,
    pooling: str = "max",
    role: str = "key_and_sum",
    top: int | None = None,
    origin: Any = None,
    null_key: Any = None,
    gate: Any = None,
    shared: Any = None,
    u: Any = None,
    v: Any = None,
) -> Composition:
    """Compose a prompt out of the prompts of several sources, [n_tokens, dim] or [dim] each.

    Parameters
    ----------
    prompts
        Atlas, or {name: array}; equal shapes.
    how
        ``"single"``: the source with the largest weight (equals share); ``"mixture"``: weighted
        mean over the ``top`` weights; ``"attention"``: softmax of ``query`` times keys over tau,
        where ``target`` adds a key and itself (``role`` ``"key_and_sum"``, ``"key"``, ``"sum"``);
        ``"token"``: softmax of weights [n_tokens, n_sources] row by row; ``"representation"``:
        w_a (attention over representations [n_rows, width]) * target + w_s ``shared``, with
        ``gate`` [n_rows, 2] = (w_a, w_s); ``"fixed"``: mean; ``"task"``: attention with the target
        prompt itself as query; ``"arithmetic"``: ``origin`` + sum of weights times differences;
        ``"low_rank"``: the only prompt times ``u`` [n_tokens, n_ranks] ``v`` [n_ranks, dim],
        number by number; ``"gate_scale"``: the only prompt [.., dim] times
        2 sigmoid(w2 relu(w1 z)), with ``gate`` = (z [m], w1 [h, m], w2 [dim, h]).
    weights
        Scores or factors of the sources, {name: number} or in the order of the prompts.
    query
        [dim], or [n_rows, dim] for a batch.
    keys
        Keys of the sources; without them prompts are pooled over rows by ``pooling``, ``"max"``,
        ``"mean"`` or ``"flat"``.
    tau
        Temperature; default e * dim (attention), 1 (token), 150 (representation, task).
    beta_kl
        Weight of KL(weights || uniform) beside the entropy; it divides the scores by 1 + beta_kl.
    null_key
        A key that stands for nothing, so that a query may abstain.

    Raises
    ------
    UnknownNameError
        If a rule, source or option is unknown.
    ShapeError, DTypeError, NonFiniteError
        If numbers do not fit, are not floating point, or not finite.

    References
    ----------
    Vu et al. 2022 (SPoT, arXiv 2110.07904); Asai et al. 2022 (ATTEMPT, arXiv 2205.11961); Bai et
    al. 2024 (MPT-Rec, arXiv 2408.17214); Ilharco et al. 2023 (task arithmetic, arXiv 2212.04089);
    Wang et al. 2023 (multitask prompt tuning, arXiv 2303.02861); Chang et al. 2023 (PEPNet, arXiv
    2302.01115).

    Examples
    --------
    >>> prompts = {"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]]}
    >>> compose_prompts(prompts, "mixture", weights={"rte": 3.0, "mnli": 1.0}).prompt
    array([[0.25, 0.75]])
    >>> compose_prompts(prompts, "attention", query=[1.0, 0.0], tau=0.5)
    Composition 'attention' of shape (1, 2): mnli 0.881, rte 0.119
    """
    check_choice(how, (*RULES, *FACTORS), "how")
    read = read_prompts(prompts)
    if how in FACTORS:
        return _scaled(read, how, (u, v) if how == "low_rank" else gate)
    asked = Asked(weights, query, keys, target, tau, beta_kl, pooling, role, top, origin, null_key)
    mixture = RULES[how](read, asked)
    mixed = mixture.mixed()
    outer = None
    if how == "representation":
        mixed, outer = _gated(mixed, asked, gate, shared)
    shape = read.values.shape[1:]
    if mixture.by_row:
        mixed = mixed.reshape(shape)
    else:
        mixed = mixed.reshape(*mixture.weights.shape[:1], *shape)
        if mixture.added is not None:
            mixed = mixed + mixture.added
        mixed = mixed[0] if mixture.is_single else mixed
    own = mixture.weights[:, read.places]
    return Composition(
        prompt=stored(mixed, read.dtype, how),
        weights=own[0] if mixture.is_single else own,
        sources=read.given,
        how=how,
        pooling=pooling if mixture.kind in ("query", "target") and keys is None else None,
        duplicates=read.duplicates,
        _mixture=mixture,
        _places=read.places,
        _outer=outer,
    )


def _scaled(read: Prompts, how: str, given: Any) -> Composition:
    """Return the only prompt times what the rule makes of its factors."""
    if len(read.names) != 1:
        raise ShapeError(f"how={how!r} changes one prompt, got {len(read.names)}")
    scaled = FACTORS[how](read.values[0], given)
    weights = np.ones((1, 1))
    return Composition(
        prompt=stored(scaled, read.dtype, how),
        weights=weights[0],
        sources=read.given,
        how=how,
        pooling=None,
        duplicates=(),
        _mixture=Mixture(scaled[None], weights),
        _places=[0],
    )


def _gated(mixed: Floats, asked: Asked, gate: Any, shared: Any) -> tuple[Floats, Floats]:
    """Return the fused representation, and what its slope is multiplied by on the way back."""
    if gate is None or shared is None:
        raise ShapeError("how='representation' needs gate [n_rows, 2] and shared [n_rows, width]")
    target = asked.needed("target", "representation", mixed.shape[1])
    if target.ndim == 2 and len(target) != len(mixed):
        raise ShapeError(f"target has shape {target.shape}, expected {mixed.shape[1:]}")
    sides = as_numbers(gate, "gate").astype(np.float64)
    common = as_numbers(shared, "shared").astype(np.float64)
    if sides.shape != (len(mixed), 2) or common.shape != mixed.shape:
        raise ShapeError(
            f"gate has shape {sides.shape} and shared {common.shape}, expected "
            f"({len(mixed)}, 2) and {mixed.shape}"
        )
    outer = sides[:, :1] * target
    return mixed * outer + sides[:, 1:] * common, outer
