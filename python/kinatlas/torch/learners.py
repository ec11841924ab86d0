"""One training run of a surrogate: a prefix, a prompt, or a whole copy for its Fisher diagonal."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kinatlas.embeddings import FisherAccumulator
from kinatlas.errors import NonFiniteError
from kinatlas.torch.gradients import per_example_gradients
from kinatlas.torch.prefixes import check_every_gradient, frozen, pooled_states, start_of

__all__ = ["Settings", "fisher_diagonal", "trained_delta"]

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Settings:
    """All numbers of a training run; the space is named by them."""

    learner: str
    n_tokens: int
    n_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warm_up: float
    largest_norm: float
    dropout: float
    parameters: tuple[str, ...] = ()
    dim: int | None = None


class _Head(nn.Module):
    """What turns states into answers while training, and is thrown away afterwards."""

    def __init__(self, width: int, n_outputs: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed + 1)
        self.dense, self.out = nn.Linear(width, width), nn.Linear(width, n_outputs)
        for layer in (self.dense, self.out):
            bound = (6 / sum(layer.weight.shape)) ** 0.5
            drawn = torch.rand(layer.weight.shape, generator=generator)
            layer.weight.data.copy_((2 * drawn - 1) * bound)
            layer.bias.data.zero_()

    def forward(self, states: Tensor) -> Tensor:
        found: Tensor = self.out(torch.tanh(self.dense(states)))
        return found


class _Tuned(nn.Module):
    """A model with its head, whose every weight may move."""

    def __init__(self, model: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.head(pooled_states(self.model, batch, None, "fisher"))
        return found


def trained_delta(model: Any, data: Batch, settings: Settings, is_share: bool, seed: int) -> Tensor:
    """Return how far training moves the prompt or prefix from its start, in the start's shape.

    ``data`` holds ``input_ids`` and ``attention_mask`` [n_texts, n_positions] and ``targets``
    [n_texts, n_outputs].
    """
    start = start_of(model, settings.learner, settings.n_tokens, seed).to(data["input_ids"].device)
    front = nn.Parameter(start.clone())
    head = _Head(_width(model), data["targets"].shape[1], seed).to(start.device)

    def loss(batch: Batch, moved: Tensor) -> Tensor:
        return _loss(head(pooled_states(model, batch, moved, settings.learner)), batch, is_share)

    with frozen(model):
        first = next(iter(_batches(data, settings.batch_size, seed, 0)))
        check_every_gradient(front, loss(first, front))
        generator = torch.Generator().manual_seed(seed + 2)

        def dropped(batch: Batch) -> Tensor:
            if settings.dropout == 0:
                return loss(batch, front)
            kept = torch.rand(front.shape, generator=generator) >= settings.dropout
            return loss(batch, front * kept.to(front.device) / (1 - settings.dropout))

        _descend([front, *head.parameters()], data, settings, seed, dropped)
    return front.detach() - start


def fisher_diagonal(
    model: nn.Module, data: Batch, settings: Settings, is_share: bool, seed: int
) -> npt.NDArray[np.float64]:
    """Return the mean squared gradient of a fine-tuned copy at the box's own answers [n]."""
    body = copy.deepcopy(model).eval()
    tuned = _Tuned(body, _Head(_width(model), data["targets"].shape[1], seed))
    tuned.to(data["input_ids"].device).requires_grad_(True)

    def loss(batch: Batch) -> Tensor:
        return _loss(tuned(batch), batch, is_share)

    _descend(list(tuned.parameters()), data, settings, seed, loss)
    names = [f"model.{name}" for name in settings.parameters]
    sums = FisherAccumulator(convention="gold")
    for batch in _batches(data, settings.batch_size, seed, 0):
        gradients = per_example_gradients(
            tuned, batch, lambda net, one: _loss(net(one), one, is_share), parameters=names,
            method="loop",
        )  # fmt: skip
        sums.partial_fit({name: value.cpu() for name, value in gradients.items()})
    return np.asarray(sums.task("box", space="own", dim=settings.dim).tokens[0])


def _descend(moving: list[Tensor], data: Batch, settings: Settings, seed: int, loss: Any) -> None:
    """Take AdamW over the data, its rate rising for a moment and then falling to 0."""
    rate, decay = settings.learning_rate, settings.weight_decay
    optimiser = torch.optim.AdamW(moving, lr=rate, weight_decay=decay)
    n_texts = len(data["input_ids"])
    n_steps = settings.n_epochs * math.ceil(n_texts / settings.batch_size)
    rising, step = max(1, round(settings.warm_up * n_steps)), 0
    for epoch in range(settings.n_epochs):
        for batch in _batches(data, settings.batch_size, seed, epoch):
            share = min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising))
            optimiser.param_groups[0]["lr"] = settings.learning_rate * min(share, 1.0)
            found = loss(batch)
            if not torch.isfinite(found):
                raise NonFiniteError(
                    f"step {step}: the loss is {float(found.detach())}; use a smaller learning_rate"
                )
            optimiser.zero_grad()
            found.backward()
            nn.utils.clip_grad_norm_(moving, settings.largest_norm)
            optimiser.step()
            step += 1


def _batches(data: Batch, size: int, seed: int, epoch: int) -> Iterable[dict[str, Tensor]]:
    """All texts in an order drawn for the pass, cut to the positions that a batch uses."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(data["input_ids"]), generator=generator)
    for rows in torch.split(order, size):
        batch = {name: tensor[rows] for name, tensor in data.items()}
        used = batch["attention_mask"].bool().any(dim=0)
        for name in ("input_ids", "attention_mask"):
            batch[name] = batch[name][:, used]
        yield batch


def _loss(logits: Tensor, batch: Batch, is_share: bool) -> Tensor:
    # Shares of labels get one yes-no question a label, as the paper's code does for soft labels;
    # gold labels of a data set get the same, so that models and data sets are fitted alike.
    if is_share:
        return nn.functional.binary_cross_entropy_with_logits(logits, batch["targets"])
    return nn.functional.mse_loss(logits, batch["targets"])


def _width(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[1])
