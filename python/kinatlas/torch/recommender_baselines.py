"""The peers every multi-task model has to be measured against, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kinatlas._checks import check_choice, check_whole
from kinatlas.torch.recommender import Backbone, Predictions, Recommender
from kinatlas.torch.recommender_layers import EmbeddedFields, network, seeded

__all__ = ["recommender_baseline"]


def recommender_baseline(
    kind: str,
    fields: Mapping[str, int],
    tasks: Sequence[str],
    *,
    n_dense: int = 0,
    embedding: int = 4,
    expert: Sequence[int] = (256, 128),
    tower: Sequence[int] = (64, 32),
    n_shared: int = 1,
    n_levels: int = 1,
    seed: int = 0,
) -> Recommender:
    """Return an untrained peer of `MptRec`; it is trained and asked in the same way.

    Parameters
    ----------
    kind
        ``single_task``: a model of its own for every task, tables included. ``shared_bottom``:
        one expert, a tower a task; its ``features`` are what a frozen shared bottom offers a new
        task. ``mmoe``: as many experts as tasks and ``n_shared`` more, mixed by a gate a task.
        ``ple``: one own expert a task and ``n_shared`` shared ones on each of ``n_levels``.
    fields, tasks, n_dense, embedding, expert, tower, seed
        As for `MptRec`.

    Raises
    ------
    UnknownNameError
        If the kind is unknown.
    ShapeError, ValueError
        If sizes make no sense.

    References
    ----------
    Caruana 1997, Multitask learning; Ma et al. 2018, Multi-gate mixture-of-experts; Tang et al.
    2020, Progressive layered extraction.

    Examples
    --------
    >>> model = recommender_baseline("mmoe", {"hour": 24}, ["click", "buy"], expert=(8,), tower=())
    >>> model(torch.tensor([[23]])).logits.shape
    torch.Size([1, 2])
    """
    kinds = {"single_task": _Single, "shared_bottom": _SharedBottom, "mmoe": _Mmoe, "ple": _Ple}
    check_choice(kind, tuple(kinds), "kind")
    sizes: dict[str, Any] = {"n_dense": n_dense, "embedding": embedding}
    sizes |= {"expert": tuple(expert), "tower": tuple(tower)}
    if kind in ("mmoe", "ple"):
        sizes["n_shared"] = check_whole(n_shared, "n_shared")
    if kind == "ple":
        sizes["n_levels"] = check_whole(n_levels, "n_levels")
    with seeded(seed):
        model: Recommender = kinds[kind](fields, tasks, **sizes)
    return model


def _towers(tasks: Sequence[str], width: int, tower: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(network(width, tower, end="number") for _ in tasks)


class _SharedBottom(Backbone):
    def __init__(
        self, fields: Any, tasks: Any, *, n_dense: int, embedding: int, expert: Any, tower: Any
    ) -> None:
        super().__init__(fields, tasks, n_dense)
        self.inputs = EmbeddedFields(fields, n_dense, embedding)
        self._width = expert[-1]
        self.shared = network(self.inputs.dim, expert)
        self.towers = _towers(self.tasks, expert[-1], tower)

    def forward(self, codes: Tensor, dense: Tensor | None = None, _: float = 1.0) -> Predictions:
        bottom = self.shared(self.inputs(codes, dense))
        return Predictions(torch.cat([tower(bottom) for tower in self.towers], dim=1))

    def embed(self, codes: Tensor, dense: Tensor | None) -> Tensor:
        found: Tensor = self.inputs(codes, dense)
        return found

    def represent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.shared(x)
        return shared, shared.unsqueeze(1).expand(-1, len(self.tasks), -1)

    def keys(self) -> Tensor:
        # No prompts: every task's own part is the shared one.
        return torch.ones(len(self.tasks), self._width)


class _Single(Recommender):
    def __init__(self, fields: Any, tasks: Any, *, n_dense: int, **sizes: Any) -> None:
        super().__init__(fields, tasks, n_dense)
        self.models = nn.ModuleList(
            _SharedBottom(fields, [task], n_dense=n_dense, **sizes) for task in self.tasks
        )

    def forward(self, codes: Tensor, dense: Tensor | None = None, _: float = 1.0) -> Predictions:
        return Predictions(torch.cat([model(codes, dense).logits for model in self.models], dim=1))


class _Mmoe(Recommender):
    def __init__(
        self,
        fields: Any,
        tasks: Any,
        *,
        n_dense: int,
        embedding: int,
        expert: Any,
        tower: Any,
        n_shared: int,
    ) -> None:
        super().__init__(fields, tasks, n_dense)
        self.inputs = EmbeddedFields(fields, n_dense, embedding)
        dim, n_experts = self.inputs.dim, len(self.tasks) + n_shared
        self.experts = nn.ModuleList(network(dim, expert) for _ in range(n_experts))
        self.gates = nn.Linear(dim, n_experts * len(self.tasks), bias=False)
        self.towers = _towers(self.tasks, expert[-1], tower)

    def forward(self, codes: Tensor, dense: Tensor | None = None, _: float = 1.0) -> Predictions:
        x = self.inputs(codes, dense)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
        gates = self.gates(x).view(len(x), len(self.tasks), -1).softmax(dim=-1)
        mixed = gates @ outputs
        logits = [tower(mixed[:, at]) for at, tower in enumerate(self.towers)]
        return Predictions(torch.cat(logits, dim=1))


class _Level(nn.Module):
    """One level: every task mixes its own expert with the shared ones; the shared mixes all."""

    def __init__(self, dim: int, expert: Any, n_tasks: int, n_shared: int, is_last: bool) -> None:
        super().__init__()
        self.own = nn.ModuleList(network(dim, expert) for _ in range(n_tasks))
        self.shared = nn.ModuleList(network(dim, expert) for _ in range(n_shared))
        sizes = [1 + n_shared] * n_tasks + ([] if is_last else [n_tasks + n_shared])
        self.gates = nn.ModuleList(nn.Linear(dim, size, bias=False) for size in sizes)

    def forward(self, parts: list[Tensor]) -> list[Tensor]:
        common = [expert(parts[-1]) for expert in self.shared]
        own = [expert(part) for expert, part in zip(self.own, parts[:-1], strict=True)]
        pools = [[mine, *common] for mine in own] + [[*own, *common]]
        mixed = []
        # The last level has no gate for the shared part: nothing reads it.
        for gate, part, pool in zip(self.gates, parts, pools, strict=False):
            weights = gate(part).softmax(dim=-1)
            mixed.append((weights.unsqueeze(-1) * torch.stack(pool, dim=1)).sum(dim=1))
        return mixed


class _Ple(Recommender):
    def __init__(
        self,
        fields: Any,
        tasks: Any,
        *,
        n_dense: int,
        embedding: int,
        expert: Any,
        tower: Any,
        n_shared: int,
        n_levels: int,
    ) -> None:
        super().__init__(fields, tasks, n_dense)
        self.inputs = EmbeddedFields(fields, n_dense, embedding)
        dims = [self.inputs.dim] + [expert[-1]] * (n_levels - 1)
        self.levels = nn.ModuleList(
            _Level(dim, expert, len(self.tasks), n_shared, at == n_levels - 1)
            for at, dim in enumerate(dims)
        )
        self.towers = _towers(self.tasks, expert[-1], tower)

    def undecayed(self) -> tuple[str, ...]:
        return tuple(f"levels.{at}.gates" for at in range(len(self.levels)))

    def forward(self, codes: Tensor, dense: Tensor | None = None, _: float = 1.0) -> Predictions:
        x = self.inputs(codes, dense)
        parts = [x] * (len(self.tasks) + 1)
        for level in self.levels:
            parts = level(parts)
        logits = [tower(part) for tower, part in zip(self.towers, parts, strict=True)]
        return Predictions(torch.cat(logits, dim=1))
