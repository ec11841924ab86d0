"""Read and overwrite the hidden states of any causal language model, through forward hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch

from kinatlas.errors import FormatError, ShapeError

__all__ = ["extract_states", "find_blocks", "patched"]


def find_blocks(model: Any) -> Any:
    """Return the model's stack of layers: its longest ``ModuleList`` of equal modules.

    Raises `FormatError` if there is none; then pass ``blocks=`` yourself.

    Examples
    --------
    >>> import torch
    >>> layers = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))
    >>> len(find_blocks(torch.nn.ModuleDict({"layers": layers})))
    3
    """
    lists = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList) and len({type(block) for block in module}) == 1
    ]
    if not lists:
        raise FormatError(
            f"{type(model).__name__} has no ModuleList of equal layers; pass blocks= as a list of "
            "the modules whose outputs are the states"
        )
    return max(lists, key=len)


def extract_states(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    positions: Sequence[int] = (-1,),
    blocks: Any = None,
    batch_size: int = 16,
) -> Any:
    """Return states after every layer [n_prompts, n_layers, n_positions, dim] as float32.

    Parameters
    ----------
    model
        A causal language model; called with token ids [n, n_tokens].
    prompts
        Token ids of every prompt; lengths may differ, positions count from the end when negative.
    positions
        Tokens to read, the same for all prompts.
    blocks
        Layers; found by ``find_blocks`` if left out.

    Examples
    --------
    >>> import torch
    >>> layers = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])
    >>> class Model(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layers = layers
    ...     def forward(self, tokens):
    ...         states = tokens[..., None].float()
    ...         for layer in self.layers:
    ...             states = layer(states)
    ...         return states
    >>> extract_states(Model(), [[4, 5]])[0, :, 0, 0].tolist()
    [5.0, 5.0]
    """
    layers = find_blocks(model) if blocks is None else blocks
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    result: list[Any] = [None] * len(prompts)
    by_length: dict[int, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(place)
    for places in by_length.values():
        for start in range(0, len(places), batch_size):
            batch = places[start : start + batch_size]
            seen: list[Any] = []
            hooks = [layer.register_forward_hook(_reader(seen, positions)) for layer in layers]
            try:
                with torch.inference_mode():
                    model(torch.tensor([list(prompts[place]) for place in batch], device=device))
            finally:
                for hook in hooks:
                    hook.remove()
            states = torch.stack(seen, dim=1).float().cpu().numpy()
            for place, row in zip(batch, states, strict=True):
                result[place] = row
    return np.stack(result)


def _reader(seen: list[Any], positions: Sequence[int]) -> Any:
    def read(_module: Any, _inputs: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        seen.append(states[:, list(positions)])

    return read


@contextmanager
def patched(
    model: Any,
    layer: int,
    values: Any,
    *,
    positions: Sequence[int] = (-1,),
    mode: Literal["replace", "add"] = "replace",
    blocks: Any = None,
) -> Iterator[None]:
    """Within this context, states after a layer are overwritten or shifted at some positions.

    Parameters
    ----------
    layer
        Number of the layer whose output is changed, from 0.
    values
        [dim] for all prompts and positions, [n_positions, dim], or [n_prompts, n_positions, dim].
    mode
        ``replace`` overwrites (a task vector), ``add`` shifts (a contrast vector).

    Raises
    ------
    ShapeError
        If the layer does not exist or ``values`` has another width.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> model = torch.nn.Sequential(layer)
    >>> with patched(model, 0, [1.0, 2.0], blocks=[layer]):
    ...     model(torch.zeros(1, 3, 2))[0, -1].tolist()
    [1.0, 2.0]
    """
    layers = find_blocks(model) if blocks is None else blocks
    if not 0 <= layer < len(layers):
        raise ShapeError(f"patched: layer {layer}, expected 0 to {len(layers) - 1}")
    if mode not in ("replace", "add"):
        raise FormatError(f"mode='{mode}' is unknown; expected one of: replace, add")
    vector = torch.as_tensor(np.asarray(values, dtype=np.float32))

    def change(_module: Any, _inputs: Any, output: Any) -> Any:
        states = (output[0] if isinstance(output, tuple) else output).clone()
        where = list(positions)
        if vector.shape[-1] != states.shape[-1]:
            raise ShapeError(
                f"patched: values have width {vector.shape[-1]}, the states {states.shape[-1]}"
            )
        patch = vector.to(states.device, states.dtype)
        states[:, where] = patch + states[:, where] if mode == "add" else patch
        return (states, *output[1:]) if isinstance(output, tuple) else states

    hook = layers[layer].register_forward_hook(change)
    try:
        yield
    finally:
        hook.remove()
