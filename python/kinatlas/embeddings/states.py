"""In-context task vectors: hidden states of prompts, averaged, one layer chosen."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice, check_space
from kinatlas.embeddings.coordinates import real
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.tasks import Provenance, Task

__all__ = ["embed_states"]

_Floats = npt.NDArray[np.float64]


def embed_states(
    states: Any,
    *,
    name: str,
    space: str,
    layer: int | str = "all",
    scores: Any = None,
    zero_shot: Any = None,
) -> Task:
    """Return the task vector of prompts, from their hidden states [n_prompts, n_layers, dim].

    The mean over prompts that share the demonstrations' task and differ in (dummy) queries keeps
    what they share. Function vectors come the same way: collect the summed outputs of the chosen
    attention heads as one layer.

    Parameters
    ----------
    states
        [n_prompts, n_layers, dim] at the position that is to answer; more axes before them, such
        as dummy queries [n_prompts, n_queries, n_layers, dim], are averaged as well.
    space
        The model. The layer is appended: vectors of two layers never meet.
    layer
        ``"all"`` keeps one token per layer [n_layers, dim]; a number takes that layer [1, dim];
        ``"best"`` the layer with the highest mean of ``scores``.
    scores
        Held-out scores [n_layers] or [n_trials, n_layers], such as the accuracy after patching
        the vector in; of queries that the states were not averaged over. Of equal layers the
        first is taken.
    zero_shot
        States of the same prompts without demonstrations, same shape; subtracted prompt by
        prompt, so that what a query says by itself cancels.

    Raises
    ------
    ShapeError
        If states, scores and zero-shot states do not fit together, or are empty.
    NonFiniteError
        If a number is NaN or infinite.
    UnknownNameError, ValueError
        For an unknown word, a layer out of range, or scores missing or not wanted.

    References
    ----------
    Hendel et al. 2023 (task vectors, layer by held-out accuracy); Todd et al. 2024 (function
    vectors).

    Examples
    --------
    >>> states = np.array([[[1.0, 0.0], [2.0, 2.0]], [[3.0, 0.0], [4.0, 2.0]]])
    >>> embed_states(states, name="antonyms", space="gpt2").tokens
    array([[2., 0.],
           [3., 2.]])
    >>> task = embed_states(states, name="a", space="gpt2", layer="best", scores=[0.2, 0.9])
    >>> task.tokens, task.space
    (array([[3., 2.]]), 'gpt2|states(layer=1)')
    """
    found = _numbers(states, "states", 3)
    note: tuple[str, ...] = ()
    if zero_shot is not None:
        without = _numbers(zero_shot, "zero_shot", 3)
        if without.shape != found.shape:
            raise ShapeError(f"zero_shot has shape {without.shape}, states have {found.shape}")
        found, note = found - without, ("contrast=zero_shot",)
    layers = found.mean(axis=tuple(range(found.ndim - 2)))
    chosen, why = _layer(layer, scores, len(layers))
    tokens = layers if chosen is None else layers[[chosen]]
    contrast = ", contrast=zero_shot" if zero_shot is not None else ""
    where = f"layer={'all' if chosen is None else chosen}{contrast}"
    prompts = int(np.prod(found.shape[:-2]))
    origin = Provenance(
        base_model=space, method="STATES", notes=(f"n_prompts={prompts}", *why, *note)
    )
    return Task(name, tokens, space=f"{check_space(space)}|states({where})", provenance=origin)


def _layer(layer: int | str, scores: Any, n_layers: int) -> tuple[int | None, tuple[str, ...]]:
    if (scores is not None) != (layer == "best"):
        raise ValueError(f"layer={layer!r}: scores go with layer='best' and with nothing else")
    if isinstance(layer, str):
        if check_choice(layer, ("all", "best"), "layer") == "all":
            return None, ()
        values = _numbers(scores, "scores", 1)
        means = values.reshape(-1, values.shape[-1]).mean(axis=0)
        if len(means) != n_layers:
            raise ShapeError(f"scores are of {len(means)} layers, states of {n_layers}")
        best = int(means.argmax())
        return best, (f"held_out_score={means[best]:.6g}",)
    try:
        chosen = -1 if isinstance(layer, bool) else operator.index(layer)
    except TypeError:
        chosen = -1
    if not 0 <= chosen < n_layers:
        raise ValueError(f"layer={layer!r}: expected 0 to {n_layers - 1}, 'all' or 'best'")
    return chosen, ()


def _numbers(values: Any, label: str, least_axes: int) -> _Floats:
    try:
        wide: _Floats = np.asarray(real(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{label}: cannot be read as numbers: {error}") from None
    if wide.ndim < least_axes or wide.size == 0:
        raise ShapeError(
            f"{label} have shape {wide.shape}, expected at least {least_axes} axes, none empty"
        )
    if not np.isfinite(wide).all():
        place = tuple(int(at) for at in np.argwhere(~np.isfinite(wide))[0])
        raise NonFiniteError(f"{label}: the number at {place} is NaN or infinite")
    return wide
