"""Every rule by which prompts are mixed, as weights over values and what happens around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_known, check_number, check_whole
from kinatlas.composition.labels import as_array
from kinatlas.composition.prompts import Floats, Prompts, as_numbers
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError

__all__ = ["RULES", "Asked", "Mixture"]

#: Temperature of MPT-Rec, for keys that are prompts of a backbone.
_RECOMMENDER_TAU = 150.0


@dataclass(frozen=True, eq=False)
class Asked:
    """What `compose_prompts` was given beside the prompts."""

    weights: Any = None
    query: Any = None
    keys: Mapping[str, Any] | None = None
    target: Any = None
    tau: float | None = None
    beta_kl: float = 0.0
    pooling: str = "max"
    role: str = "key_and_sum"
    top: int | None = None
    origin: Any = None
    null_key: Any = None

    def scores(self, prompts: Prompts, how: str, shape: tuple[int, ...]) -> Floats:
        """Return the given weights in the order of sorted names."""
        given = self.weights
        if given is None:
            raise ShapeError(f"how={how!r} needs weights, one for every source")
        if isinstance(given, Mapping):
            for name in given:
                check_known(name, prompts.names, "weights: source")
            for name in prompts.names:
                check_known(name, list(given), "weights: source")
            array = _stacked([given[name] for name in prompts.names])
        else:
            array = _doubles(given)
            if array.shape == shape:
                array = array[..., [prompts.given.index(name) for name in prompts.names]]
        if array.shape != shape:
            raise ShapeError(f"weights have shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise NonFiniteError("weights hold NaN or infinity, expected finite numbers")
        return array

    def needed(self, name: str, how: str, width: int | None = None) -> Floats:
        """Return an argument this rule cannot do without."""
        value = getattr(self, name)
        if value is None:
            raise ShapeError(f"how={how!r} needs {name}")
        array = as_numbers(value, name).astype(np.float64)
        if width is not None and array.shape[-1] != width:
            raise ShapeError(f"{name} has shape {array.shape}, expected width {width}")
        return array

    def sharpness(self, default: float) -> float:
        """Return 1 / (tau (1 + beta))."""
        wanted = "a number above 0, infinity included"
        tau = check_number(
            default if self.tau is None else self.tau, "tau", wanted, lambda tau: tau > 0
        )
        beta = check_number(
            self.beta_kl, "beta_kl", "a finite number of at least 0", lambda b: 0 <= b < np.inf
        )
        return 1.0 / (tau * (1.0 + beta))


def _doubles(values: Any) -> Floats:
    array = as_array(values, "weights")
    # None beside numbers makes objects, and is as unknown as NaN.
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"weights are {array.dtype}, expected numbers")
    return array.astype(np.float64)


def _stacked(columns: list[Any]) -> Floats:
    arrays = [_doubles(column) for column in columns]
    if len({array.shape for array in arrays}) != 1:
        raise ShapeError(f"weights have shapes {[array.shape for array in arrays]}, expected equal")
    return np.stack(arrays, -1)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Weights [n_rows, n_columns] over values, and what attention needs to be differentiated.

    ``added`` is put on top of the mixture; ``kind`` says what ``weights`` were made of.
    """

    values: Floats
    weights: Floats
    kind: str = "none"
    by_row: bool = False
    added: Floats | None = None
    queries: Floats | None = None
    keys: Floats = field(default_factory=lambda: np.empty((0, 0)))
    sharpness: float = 0.0
    is_single: bool = True
    total: float = 1.0
    kept: Floats | None = None

    @property
    def packed(self) -> tuple[Floats, int, int, bool]:
        """Values as Rust reads them."""
        rows, columns = self.weights.shape
        return np.ascontiguousarray(self.values).ravel(), columns, rows, self.by_row

    def mixed(self) -> Floats:
        """Return the mixture [n_rows, n]."""
        out = _core.mix_sources(self.packed, np.ascontiguousarray(self.weights).ravel())
        return out.reshape(len(self.weights), -1)


def _single(prompts: Prompts, asked: Asked) -> Mixture:
    scores = asked.scores(prompts, "single", (len(prompts.names),))
    best = scores == scores.max()
    return Mixture(prompts.values, (best / best.sum())[None])


def _mixture(prompts: Prompts, asked: Asked) -> Mixture:
    scores = asked.scores(prompts, "mixture", (len(prompts.names),))
    kept = np.ones_like(scores)
    if asked.top is not None:
        top = min(check_whole(asked.top, "top"), len(scores))
        # What equals the last one kept is kept too: no order of sources decides.
        kept = (scores >= np.sort(scores)[-top]).astype(np.float64)
        scores = scores * kept
    with np.errstate(over="ignore"):
        total = float(scores.sum())
    if not 0 < total < np.inf:
        raise ShapeError(
            f"weights add up to {total}, expected more than 0, and finite; drop sources that "
            "only hurt"
        )
    return Mixture(prompts.values, (scores / total)[None], "mixture", total=total, kept=kept)


def _fixed(prompts: Prompts, asked: Asked) -> Mixture:
    n = len(prompts.names)
    return Mixture(prompts.values, np.full((1, n), 1.0 / n))


def _arithmetic(prompts: Prompts, asked: Asked) -> Mixture:
    origin = asked.needed("origin", "arithmetic")
    if origin.shape != prompts.values.shape[1:]:
        raise ShapeError(f"origin has shape {origin.shape}, expected {prompts.values.shape[1:]}")
    factors = asked.scores(prompts, "arithmetic", (len(prompts.names),))
    return Mixture(prompts.values - origin, factors[None], kind="arithmetic", added=origin)


def _token(prompts: Prompts, asked: Asked) -> Mixture:
    if prompts.values.ndim != 3:
        raise ShapeError(
            "how='token' weighs the rows of prompts [n_tokens, dim], got prompts [dim]"
        )
    n_sources, n_tokens = prompts.values.shape[:2]
    scores = asked.scores(prompts, "token", (n_tokens, n_sources))
    found = _attended(prompts.values, scores, np.eye(n_sources), asked.sharpness(1.0), "token")
    return Mixture(**(vars(found) | {"by_row": True, "is_single": False}))


def _attention(prompts: Prompts, asked: Asked) -> Mixture:
    keys = _keys(prompts, asked)
    dim = keys.shape[1]
    query = asked.needed("query", "attention", dim)
    values, added = prompts.values, None
    if asked.target is not None:
        target = asked.needed("target", "attention")
        if target.shape != values.shape[1:]:
            raise ShapeError(f"target has shape {target.shape}, expected {values.shape[1:]}")
        check_choice(asked.role, ("key_and_sum", "key", "sum"), "role")
        if asked.role != "sum":
            extra = _pooled(target, prompts, asked)
            if extra.shape[1] != dim:
                raise ShapeError(
                    f"the key of target has width {extra.shape[1]}, keys have {dim}; give keys of "
                    "the width of the pooled prompts, or role='sum'"
                )
            values, keys = np.concatenate([values, target[None]]), np.concatenate([keys, extra])
        if asked.role != "key":
            added = target
    values, keys = _with_null(values, keys, asked)
    found = _attended(values, np.atleast_2d(query), keys, asked.sharpness(dim * np.e), "query")
    return Mixture(**(vars(found) | {"added": added, "is_single": query.ndim == 1}))


def _task(prompts: Prompts, asked: Asked) -> Mixture:
    keys = _keys(prompts, asked)
    target = asked.needed("target", "task")
    if target.shape != prompts.values.shape[1:] and target.shape != keys.shape[1:]:
        raise ShapeError(f"target has shape {target.shape}, expected {prompts.values.shape[1:]}")
    if target.shape != keys.shape[1:]:
        target = _pooled(target, prompts, asked)[0]
    if target.shape != keys.shape[1:]:
        raise ShapeError(f"the key of target has shape {target.shape}, keys {keys.shape[1:]}")
    values, keys = _with_null(prompts.values, keys, asked)
    return _attended(values, target[None], keys, asked.sharpness(_RECOMMENDER_TAU), "target")


def _representation(prompts: Prompts, asked: Asked) -> Mixture:
    if prompts.values.ndim != 3 or asked.keys is None:
        raise ShapeError(
            "how='representation' mixes representations [n_rows, width] and needs keys, the "
            "prompts of the sources {name: [width]}"
        )
    keys = _keys(prompts, asked)
    query = asked.needed("query", "representation", keys.shape[1])
    if query.shape[:-1] != prompts.values.shape[1:2]:
        raise ShapeError(f"query has shape {query.shape}, expected {prompts.values.shape[1:]}")
    values, keys = _with_null(prompts.values, keys, asked)
    found = _attended(values, query, keys, asked.sharpness(_RECOMMENDER_TAU), "query")
    return Mixture(**(vars(found) | {"by_row": True, "is_single": False}))


def _keys(prompts: Prompts, asked: Asked) -> Floats:
    check_choice(asked.pooling, ("max", "mean", "flat"), "pooling")
    if asked.keys is None:
        return prompts.pooled(asked.pooling)
    for name in asked.keys:
        check_known(name, prompts.names, "keys: source")
    rows = []
    for name in prompts.names:
        check_known(name, list(asked.keys), "keys: source")
        rows.append(as_numbers(asked.keys[name], f"key of {name!r}").astype(np.float64))
    if len({row.shape for row in rows}) != 1 or rows[0].ndim != 1:
        raise ShapeError(f"keys have shapes {[row.shape for row in rows]}, expected equal [dim]")
    return np.stack(rows)


def _pooled(target: Floats, prompts: Prompts, asked: Asked) -> Floats:
    """Return the key of a target prompt [1, dim]."""
    values = target[None]
    if target.ndim == 2 and asked.pooling == "flat":
        return values.reshape(1, -1)
    return Prompts((), values, (), prompts.dtype).pooled(asked.pooling)


def _with_null(values: Floats, keys: Floats, asked: Asked) -> tuple[Floats, Floats]:
    """Add a key that stands for nothing: what it attracts is taken from no source."""
    if asked.null_key is None:
        return values, keys
    key = asked.needed("null_key", "attention", keys.shape[1])
    if key.ndim != 1:
        raise ShapeError(f"null_key has shape {key.shape}, expected [{keys.shape[1]}]")
    return np.concatenate([values, np.zeros_like(values[:1])]), np.concatenate([keys, key[None]])


def _attended(
    values: Floats, queries: Floats, keys: Floats, sharpness: float, kind: str
) -> Mixture:
    keys = np.ascontiguousarray(keys)
    weights = _core.attention_weights(
        np.ascontiguousarray(queries).ravel(), keys.ravel(), keys.shape[1], sharpness
    )
    if not np.isfinite(weights).all():
        raise NonFiniteError(
            "the attention weights are not finite: queries times keys over tau are too large for "
            "double precision; scale them, or raise tau"
        )
    shaped = weights.reshape(len(queries), len(keys))
    return Mixture(values, shaped, kind, queries=queries, keys=keys, sharpness=sharpness)


#: Rules that weigh several prompts.
RULES = {
    "single": _single,
    "mixture": _mixture,
    "attention": _attention,
    "token": _token,
    "representation": _representation,
    "fixed": _fixed,
    "task": _task,
    "arithmetic": _arithmetic,
}
