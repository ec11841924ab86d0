"""Hidden states of a model, pooled per prompt, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kinatlas._checks import check_choice, check_known
from kinatlas.errors import ShapeError

__all__ = ["collect_states"]

_POOLS = ("last", "mean", "first")


def collect_states(
    model: nn.Module,
    batches: Iterable[Mapping[str, Tensor]],
    *,
    modules: Sequence[str],
    pool: str = "last",
    call: Callable[[nn.Module, dict[str, Tensor]], Any] | None = None,
    mask: str = "attention_mask",
) -> npt.NDArray[np.float32]:
    """Return the outputs of modules, pooled over tokens: states [n_prompts, n_layers, dim].

    Parameters
    ----------
    batches
        Tensors by name, prompts along the first dimension.
    modules
        Names as in ``model.named_modules()``, one per layer; their output, or the first of
        several, is [n_prompts, n_tokens, dim], or [n_prompts, dim], which needs no pooling.
    pool
        ``"last"`` takes the last token that the mask keeps (padding may stand on either side),
        ``"first"`` the first, ``"mean"`` the mean of all it keeps.
    call
        How the model is run on a batch; the default is ``model(**batch)``.
    mask
        Name of the tensor [n_prompts, n_tokens] that tells tokens from padding; a batch without
        it is taken to have no padding.

    Raises
    ------
    UnknownNameError
        For an unknown module or pool.
    ShapeError
        If a module's output has another shape, or a prompt has no token.
    ValueError
        If there is no batch, or a module was not run.

    Examples
    --------
    >>> model = nn.Sequential(nn.Identity(), nn.ReLU())
    >>> batch = {"input": torch.tensor([[[1.0, -2.0], [3.0, -4.0]]])}
    >>> collect_states(model, [batch], modules=["0", "1"])
    array([[[ 3., -4.],
            [ 3.,  0.]]], dtype=float32)
    """
    check_choice(pool, _POOLS, "pool")
    known = dict(model.named_modules())
    layers = list(modules)
    for name in layers:
        check_known(name, [*known], "module")
    rows = []
    for batch in batches:
        with torch.no_grad(), _recording({name: known[name] for name in layers}) as outputs:
            model(**batch) if call is None else call(model, dict(batch))
        for name in layers:
            if name not in outputs:
                raise ValueError(f"module {name!r} was not run, so it has no output to collect")
        states = [_pooled(outputs[name], batch.get(mask), pool, name) for name in layers]
        rows.append(torch.stack(states, dim=1).float().cpu().numpy())
    if not rows:
        raise ValueError("batches: got none, so there are no states")
    found: npt.NDArray[np.float32] = np.concatenate(rows)
    return found


@contextmanager
def _recording(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs[name] = output[0] if isinstance(output, (tuple, list)) else output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _pooled(states: Tensor, mask: Tensor | None, pool: str, name: str) -> Tensor:
    if states.ndim == 2:
        return states
    if states.ndim != 3 or (mask is not None and mask.shape != states.shape[:2]):
        raise ShapeError(
            f"module {name!r}: its output has shape {tuple(states.shape)}, expected [n_prompts, "
            f"n_tokens, dim] beside a mask of {None if mask is None else tuple(mask.shape)}"
        )
    kept = torch.ones(states.shape[:2]) if mask is None else mask
    kept = kept.to(states.device).bool()
    if not kept.any(dim=1).all():
        raise ShapeError(f"module {name!r}: the mask keeps no token of some prompt")
    if pool == "mean":
        weights = kept.unsqueeze(-1).double()
        return (states.double() * weights).sum(dim=1) / weights.sum(dim=1)
    places = torch.arange(kept.shape[1], device=states.device)
    if pool == "last":
        at = torch.where(kept, places, -1).amax(dim=1)
    else:
        at = torch.where(kept, places, kept.shape[1]).amin(dim=1)
    return states[torch.arange(len(states), device=states.device), at]
