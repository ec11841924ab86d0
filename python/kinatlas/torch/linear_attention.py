"""One layer of linear attention with task-specific prompts and heads, for training."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from kinatlas._checks import check_choice
from kinatlas.errors import ShapeError
from kinatlas.icl import AttentionWeights

__all__ = ["LinearAttention"]

Start = Literal["random", "gradient_step"]


class LinearAttention(nn.Module):
    """The layer f = (z W_q W_k' Z') M Z W_v h_k of ``kinatlas.icl``, as a module that trains.

    Rows of Z are the task's prompt, the examples [x_i', y_i] and the query z = [x', 0]; M hides
    the query from itself. No softmax, no scaling, no bias.

    Parameters
    ----------
    dim
        Width of an input.
    n_tasks
        Tasks, each with its own prompt and head.
    prompts, heads
        Whether they are trained. Prompts that are not stay zero, heads that are not read the
        label coordinate.
    start
        "random", or "gradient_step": query and key equal and value near the identity, which
        avoids the saddles at which most random starts stay (docs/icl.md).
    scale
        Standard deviation of the random part of the start.
    dtype
        Number type of the weights; torch's default if None.

    Raises
    ------
    UnknownNameError
        If ``start`` is unknown.
    ShapeError
        If ``dim`` or ``n_tasks`` is not a whole number of at least 1.

    Examples
    --------
    >>> layer = LinearAttention(dim=3, n_tasks=2, prompts=True)
    >>> inputs, labels = torch.zeros(5, 7, 3), torch.zeros(5, 7)
    >>> layer(inputs, labels, torch.zeros(5, 3), torch.tensor([0, 1, 0, 1, 0])).shape
    torch.Size([5])
    """

    def __init__(
        self,
        dim: int,
        n_tasks: int = 1,
        *,
        prompts: bool = False,
        heads: bool = False,
        start: Start = "gradient_step",
        scale: float = 0.2,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_choice(start, ("random", "gradient_step"), "start")
        for name, size in (("dim", dim), ("n_tasks", n_tasks)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ShapeError(f"{name} is {size!r}, expected a whole number of at least 1")
        width = dim + 1
        query = scale * torch.randn(width, width, dtype=dtype)
        if start == "gradient_step":
            key, base = query.clone(), torch.eye(width, dtype=dtype)
        else:
            key, base = scale * torch.randn_like(query), torch.zeros_like(query)
        self.query = nn.Parameter(query)
        self.key = nn.Parameter(key)
        self.value = nn.Parameter(base + scale * torch.randn_like(query))
        first = torch.zeros(n_tasks, width, dtype=dtype)
        if prompts:
            first = scale * torch.randn_like(first)
        self.prompts = nn.Parameter(first, requires_grad=prompts)
        label = torch.zeros(n_tasks, width, dtype=dtype)
        label[:, -1] = 1.0
        self.heads = nn.Parameter(label, requires_grad=heads)

    @classmethod
    def from_weights(cls, weights: AttentionWeights) -> LinearAttention:
        """Return a layer with given weights, prompts and heads trainable.

        Examples
        --------
        >>> from kinatlas.icl import Mixture, optimum, weights
        >>> mixture = Mixture([1.0], [[1.0, 2.0]], [np.eye(2)])
        >>> LinearAttention.from_weights(weights(optimum(mixture, 3, "joint_prompt_head"))).heads
        Parameter containing:
        tensor([[-1., -2.,  1.]], dtype=torch.float64, requires_grad=True)
        """
        dim, n_tasks = len(weights.query) - 1, len(weights.heads)
        layer = cls(dim, n_tasks, prompts=True, heads=True, dtype=torch.float64)
        with torch.no_grad():
            for name in ("query", "key", "value", "prompts", "heads"):
                getattr(layer, name).copy_(torch.from_numpy(getattr(weights, name).copy()))
        return layer

    def to_weights(self) -> AttentionWeights:
        """Return the present weights as NumPy arrays, for the closed forms and the Rust half.

        Examples
        --------
        >>> LinearAttention(dim=3, n_tasks=2).to_weights()
        AttentionWeights: dim 3, 2 tasks
        """
        names = ("query", "key", "value", "prompts", "heads")
        parts = (getattr(self, name).detach().cpu().double().numpy() for name in names)
        return AttentionWeights(*(np.array(part) for part in parts))

    def forward(self, inputs: Tensor, labels: Tensor, queries: Tensor, tasks: Tensor) -> Tensor:
        """Return one prediction per sequence [n_sequences].

        ``inputs`` [n_sequences, n_examples, dim], ``labels`` [n_sequences, n_examples],
        ``queries`` [n_sequences, dim], ``tasks`` [n_sequences] (whole numbers).

        Raises
        ------
        ShapeError
            If sizes do not agree or a task number is unknown.

        Examples
        --------
        >>> layer = LinearAttention(dim=1)
        >>> layer(torch.ones(1, 2, 1), torch.zeros(1, 2), torch.ones(1, 1), torch.tensor([0])).shape
        torch.Size([1])
        """
        count, n_examples = labels.shape
        dim = self.query.shape[0] - 1
        wanted = ((count, n_examples, dim), (count, dim), (count,))
        if (tuple(inputs.shape), tuple(queries.shape), tuple(tasks.shape)) != wanted:
            raise ShapeError(
                f"inputs {tuple(inputs.shape)}, queries {tuple(queries.shape)}, tasks "
                f"{tuple(tasks.shape)} do not fit labels {(count, n_examples)} and dim {dim}"
            )
        n_tasks = len(self.heads)
        if count and not 0 <= int(tasks.min()) <= int(tasks.max()) < n_tasks:
            raise ShapeError(
                f"tasks run from {int(tasks.min())} to {int(tasks.max())}, expected 0 to "
                f"{n_tasks - 1}"
            )
        examples = torch.cat([inputs, labels.unsqueeze(-1)], dim=-1)
        # The mask leaves prompt and examples; the query's own row never enters.
        tokens = torch.cat([self.prompts[tasks].unsqueeze(1), examples], dim=1)
        asked = torch.nn.functional.pad(queries, (0, 1)) @ self.query @ self.key.T
        scores = torch.einsum("sw,stw->st", asked, tokens)
        attended = torch.einsum("st,stw->sw", scores, tokens)
        return (attended @ self.value * self.heads[tasks]).sum(dim=-1)
