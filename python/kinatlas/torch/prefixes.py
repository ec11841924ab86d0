"""Prompts and prefixes in front of a frozen transformer, and the states that come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kinatlas.errors import FormatError, SpaceError

__all__ = ["check_every_gradient", "frozen", "pooled_states", "start_of"]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Keep every weight as it is and nothing random inside, and put all back afterwards."""
    wanted = {id(value): value.requires_grad for value in model.parameters()}
    was_training = model.training
    try:
        model.eval()
        for value in model.parameters():
            value.requires_grad_(False)
        yield
    finally:
        model.train(was_training)
        for value in model.parameters():
            value.requires_grad_(wanted[id(value)])


def start_of(model: Any, learner: str, n_tokens: int, seed: int) -> Tensor:
    """Return where training starts: a prompt [n_tokens, d], or a prefix [L, 2, H, n_tokens, h].

    The same seed gives every box the same start, without which differences of trained vectors are
    mostly differences of their starts. A prefix is drawn as Xavier's uniform rule does for each
    layer's tensor, a prompt is copied from words drawn under the seed.
    """
    generator = torch.Generator().manual_seed(seed)
    if learner == "prompt":
        words = model.get_input_embeddings().weight.detach()
        chosen = torch.randint(len(words), (n_tokens,), generator=generator)
        start: Tensor = words[chosen.to(words.device)].float().cpu().clone()
        return start
    config = model.config
    is_pair = bool(getattr(config, "is_encoder_decoder", False))
    n_layers = getattr(config, "num_decoder_layers", None) if is_pair else None
    n_layers = n_layers or config.num_hidden_layers
    n_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = (
        getattr(config, "d_kv", None)
        or getattr(config, "head_dim", None)
        or config.hidden_size // config.num_attention_heads
    )
    shape = (n_layers, 2, n_heads, n_tokens, width)
    bound = (6 / ((n_heads + 2) * n_tokens * width)) ** 0.5
    prefix: Tensor = (2 * torch.rand(shape, generator=generator) - 1) * bound
    return prefix


def pooled_states(
    model: Any, batch: Mapping[str, Tensor], front: Tensor | None, learner: str
) -> Tensor:
    """Return mean last states [n_texts, d] of the texts' own positions behind ``front``.

    An encoder-decoder reads the text on both sides, the decoder shifted by one, as the paper's
    code does. Its prefix goes to the decoder's self-attention only: keys and values of
    cross-attention given from outside are recomputed from the text by transformers, so that they
    would be embedded without ever having been trained.
    """
    ids, mask = batch["input_ids"], batch["attention_mask"]
    given: dict[str, Any] = {"attention_mask": mask}
    is_pair = bool(getattr(model.config, "is_encoder_decoder", False))
    n_front = 0
    if front is not None and learner == "prompt":
        words = model.get_input_embeddings()(ids)
        n_front = len(front)
        given["inputs_embeds"] = torch.cat(
            [front.to(words.dtype).expand(len(ids), -1, -1), words], 1
        )
        given["attention_mask"] = _longer(mask, n_front)
    else:
        given["input_ids"] = ids
    if is_pair:
        first = torch.full_like(ids[:, :1], model.config.decoder_start_token_id or 0)
        given["decoder_input_ids"] = torch.cat([first, ids[:, :-1]], 1)
        given["decoder_attention_mask"] = mask
    if front is not None and learner == "prefix":
        given["past_key_values"] = _cache(front, len(ids), is_pair)
        name = "decoder_attention_mask" if is_pair else "attention_mask"
        given[name] = _longer(mask, front.shape[3])
    found = getattr(model(**given), "last_hidden_state", None)
    if found is None:
        raise FormatError(
            f"{type(model).__name__} gives no last_hidden_state; pass the model without its head, "
            "for example model.base_model or T5Model"
        )
    states = found if is_pair else found[:, n_front:]
    weights = mask.to(states.dtype)[..., None]
    pooled: Tensor = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
    return pooled.float()


def _longer(mask: Tensor, n_front: int) -> Tensor:
    ones = torch.ones(len(mask), n_front, dtype=mask.dtype, device=mask.device)
    return torch.cat([ones, mask], dim=1)


def _cache(front: Tensor, n_texts: int, is_pair: bool) -> Any:
    """The prefix as keys and values that every text finds already there."""
    from transformers import DynamicCache, EncoderDecoderCache

    cache = DynamicCache()
    for layer, (keys, values) in enumerate(front):
        cache.update(
            keys.expand(n_texts, *keys.shape), values.expand(n_texts, *values.shape), layer
        )
    return EncoderDecoderCache(cache, DynamicCache()) if is_pair else cache


def check_every_gradient(front: Tensor, loss: Tensor) -> None:
    """Raise SpaceError if a coordinate gets no gradient: it would stay noise of its start."""
    (found,) = torch.autograd.grad(loss, front)
    idle = int((found == 0).sum())
    if idle:
        raise SpaceError(
            f"{idle} of {found.numel()} coordinates of the prefix get no gradient from this model, "
            "so that they would embed nothing but their start; use learner='prompt'"
        )
