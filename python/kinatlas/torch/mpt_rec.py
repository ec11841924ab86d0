"""The multi-task model whose tasks have prompts, so that a new task needs nothing but its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kinatlas.errors import ShapeError
from kinatlas.torch.recommender import Backbone, Predictions
from kinatlas.torch.recommender_layers import EmbeddedFields, network, reverse_gradient, seeded

__all__ = ["MptRec"]


class MptRec(Backbone):
    """Shared and own experts, a prompt, a gate and a tower a task, and a critic of the shared part.

    With x the embedded input, F the shared and F_i the own experts, E_i the prompt of task i:
    own part F_i(x) * E_i, gate (w_own, w_shared) = softmax(x W_i), log-odds
    G_i(w_own F_i(x) * E_i + w_shared F(x)). The tower G_i also reads F(x) alone, and a linear
    critic behind a reversed gradient guesses from F(x) which task a row is easiest for.

    Parameters
    ----------
    fields
        Number of categories of every field.
    tasks
        Names of the tasks.
    n_dense
        Dense values a row.
    embedding
        Width of a category's embedding.
    expert, tower
        Widths of their layers; the last one of the experts is that of the prompts.
    dropout
        Chance to drop a value behind every layer of an expert, () for none.
    seed
        Of the initial weights.

    Raises
    ------
    ShapeError
        If there is no task, no input, no expert layer, or a dropout is missing.
    UnknownNameError
        If names are repeated or empty.
    ValueError
        If a size is no whole number of at least 1.

    References
    ----------
    Bai et al., Efficient Multi-task Prompt Tuning for Recommendation, arXiv 2408.17214.

    Examples
    --------
    >>> model = MptRec({"device": 2, "hour": 24}, ["click", "buy"], expert=(8, 4), tower=(4,))
    >>> codes = torch.tensor([[1, 23], [0, 7]])
    >>> model(codes).logits.shape, model.predict_proba(codes).shape
    (torch.Size([2, 2]), (2, 2))
    >>> model.features(codes)
    Features: 2 rows, dim 8, width 4, sources 'click', 'buy', basis '...'
    """

    def __init__(
        self,
        fields: Mapping[str, int],
        tasks: Sequence[str],
        *,
        n_dense: int = 0,
        embedding: int = 4,
        expert: Sequence[int] = (256, 128),
        tower: Sequence[int] = (64, 32),
        dropout: Sequence[float] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(fields, tasks, n_dense)
        if not expert or (dropout and len(dropout) != len(expert)):
            raise ShapeError(
                f"expert={tuple(expert)}, dropout={tuple(dropout)}: expected at least one layer "
                "and as many dropouts, or none"
            )
        n_tasks, width = len(self.tasks), expert[-1]
        with seeded(seed):
            self.inputs = EmbeddedFields(fields, n_dense, embedding)
            dim = self.inputs.dim
            self.shared = network(dim, expert, dropout)
            self.own = nn.ModuleList(network(dim, expert, dropout) for _ in self.tasks)
            self.prompts = nn.Embedding(n_tasks, width)
            self.gates = nn.Linear(dim, 2 * n_tasks, bias=False)
            self.towers = nn.ModuleList(network(width, tower, end="number") for _ in self.tasks)
            self.environments = nn.Linear(width, n_tasks)
            nn.init.xavier_uniform_(self.environments.weight)

    def forward(
        self, codes: Tensor, dense: Tensor | None = None, reversal: float = 1.0
    ) -> Predictions:
        """Return the log-odds of rows: ``codes`` [n_rows, n_fields], ``dense`` [n_rows, n_dense].

        Raises
        ------
        ShapeError, DTypeError, UnknownNameError, NonFiniteError
            If codes or dense values do not fit; see ``features``.
        """
        x = self.embed(codes, dense)
        shared, own = self.represent(x)
        gates = self.gates(x).view(len(x), -1, 2).softmax(dim=-1)
        prompted = own * self.prompts.weight
        fused = gates[..., :1] * prompted + gates[..., 1:] * shared.unsqueeze(1)
        logits = [tower(fused[:, at]) for at, tower in enumerate(self.towers)]
        alone = [tower(shared) for tower in self.towers]
        guesses = self.environments(reverse_gradient(shared, reversal))
        return Predictions(
            torch.cat(logits, dim=1), torch.cat(alone, dim=1), guesses.log_softmax(dim=-1)
        )

    def embed(self, codes: Tensor, dense: Tensor | None) -> Tensor:
        """Return the embedded rows [n_rows, dim]."""
        found: Tensor = self.inputs(codes, dense)
        return found

    def represent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return shared [n_rows, width] and own [n_rows, n_tasks, width], without prompts."""
        return self.shared(x), torch.stack([expert(x) for expert in self.own], dim=1)

    def keys(self) -> Tensor:
        """Return the prompts of the tasks [n_tasks, width].

        They live in this model's coordinates alone; that two of them are close says nothing about
        how related the tasks are.
        """
        found: Any = self.prompts.weight
        return torch.as_tensor(found)
