"""Whose labels the rows of a Fisher diagonal are taken at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from kinatlas._checks import check_known
from kinatlas.errors import ShapeError

__all__ = ["classes_of"]


def classes_of(
    batch: Mapping[str, Tensor],
    scores: Tensor,
    labels: str,
    convention: str,
    draws: tuple[int, int, int],
) -> Tensor:
    """Return the class of every row: gold, all classes, or drawn ones.

    Raises
    ------
    UnknownNameError, ShapeError, ValueError
        If gold labels are missing, not one whole number for each example, or no class.

    Examples
    --------
    >>> classes_of({}, torch.zeros(2, 3), "labels", "exact", (1, 0, 0))
    tensor([0, 1, 2, 0, 1, 2])
    """
    n_examples, n_classes = scores.shape
    if convention == "gold":
        check_known(labels, list(batch), "tensor of labels")
        return _checked(batch[labels], n_examples, n_classes, labels)
    if convention == "exact":
        return torch.arange(n_classes).repeat(n_examples)
    n_draws, seed, first = draws
    probabilities = scores.double().softmax(dim=1).cpu().numpy()
    drawn = [
        np.random.default_rng([seed, first + row]).choice(n_classes, size=n_draws, p=p / p.sum())
        for row, p in enumerate(probabilities)
    ]
    return torch.from_numpy(np.concatenate(drawn))


def _checked(gold: Tensor, n_examples: int, n_classes: int, name: str) -> Tensor:
    if gold.shape != (n_examples,) or gold.is_floating_point() or gold.is_complex():
        raise ShapeError(
            f"{name}: got {gold.dtype} of shape {tuple(gold.shape)}, expected whole numbers "
            f"[{n_examples}], one class per example"
        )
    found = gold.long()
    # -100 means 'ignored' to torch's cross entropy and would count as an example without gradient.
    if found.min() < 0 or found.max() >= n_classes:
        raise ValueError(
            f"{name}: classes run from {int(found.min())} to {int(found.max())}, the model has "
            f"{n_classes}; leave out examples without a label"
        )
    return found
