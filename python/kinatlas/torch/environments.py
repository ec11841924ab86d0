"""Which task a row is easiest for: the labels that the critic of the shared part must guess."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kinatlas._checks import check_choice
from kinatlas.errors import ShapeError

__all__ = ["Environments", "assign_environments"]

Environments = Literal["rank", "raw", "strat"]


def assign_environments(losses: Tensor, labels: Tensor, how: Environments = "rank") -> Tensor:
    """Return for every row the task with the smallest loss [n_rows], as whole numbers.

    Parameters
    ----------
    losses
        Log-loss of every row and task [n_rows, n_tasks].
    labels
        0/1 labels [n_rows, n_tasks].
    how
        ``raw`` compares the losses as they are: with rare positives nearly every row goes to the
        rarest task, and the critic only learns to spot its positives. ``rank`` (the default)
        compares ranks of the rows within a task, which balances the tasks. ``strat`` ranks within
        each label of a task, so that rare positives are spread as well.

    Raises
    ------
    ShapeError
        If there is no row, or losses and labels differ in shape.
    UnknownNameError
        If ``how`` is unknown.

    Examples
    --------
    >>> losses = torch.tensor([[0.1, 0.01], [0.3, 0.02], [0.2, 0.03]])
    >>> labels = torch.zeros(3, 2)
    >>> assign_environments(losses, labels, "raw").tolist()
    [1, 1, 1]
    >>> assign_environments(losses, labels, "rank").tolist()
    [0, 1, 0]
    """
    check_choice(how, ("rank", "raw", "strat"), "environments")
    if losses.ndim != 2 or losses.shape != labels.shape or losses.numel() == 0:
        raise ShapeError(
            f"losses {tuple(losses.shape)} and labels {tuple(labels.shape)}, expected both "
            "[n_rows, n_tasks], at least one row"
        )
    scores = losses.detach().double().cpu().numpy().copy()
    wanted = labels.detach().cpu().numpy() == 1
    if how != "raw":
        for column in range(scores.shape[1]):
            own = scores[:, column]
            parts = [wanted[:, column], ~wanted[:, column]] if how == "strat" else [slice(None)]
            for part in parts:
                own[part] = _ranks(own[part])
    return torch.from_numpy(scores.argmin(axis=1))


def _ranks(values: Any) -> Any:
    """Average ranks scaled to (0, 1)."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts - 1) / 2
    return (middles[at] - 0.5) / max(1, len(values))
