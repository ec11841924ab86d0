"""Rows to learn from, checked once at the door."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.torch.recommender import Recommender, tensor_of

__all__ = ["Rows", "read_rows"]


class Rows(NamedTuple):
    """Codes [n_rows, n_fields], dense values [n_rows, n_dense], labels [n_rows, n_tasks]."""

    codes: Tensor
    dense: Tensor
    labels: Tensor


def read_rows(model: Recommender, codes: Any, labels: Any, dense: Any, which: str) -> Rows:
    """Return rows that fit the model, each task with both labels.

    Raises
    ------
    ShapeError, DTypeError, UnknownNameError, NonFiniteError
        If they do not; the message begins with ``which``.

    Examples
    --------
    >>> from kinatlas.torch import MptRec
    >>> model = MptRec({"hour": 24}, ["click"], expert=(4,), tower=())
    >>> read_rows(model, [[1], [2]], [[0], [0]], None, "training")
    Traceback (most recent call last):
    kinatlas.errors.ShapeError: training: all 2 labels of task 'click' are 0; both are needed, ...
    """
    codes, labels = tensor_of(codes, f"{which}: codes"), tensor_of(labels, f"{which}: labels")
    if dense is None:
        dense = torch.zeros(len(codes), 0)
    dense = tensor_of(dense, f"{which}: dense")
    wanted = (len(codes), len(model.tasks))
    if len(codes) == 0 or labels.shape != wanted or len(dense) != len(codes):
        raise ShapeError(
            f"{which}: codes {tuple(codes.shape)}, labels {tuple(labels.shape)}, dense "
            f"{tuple(dense.shape)}; expected labels {wanted} for tasks "
            f"{', '.join(model.tasks)}, and as many dense rows, at least one"
        )
    if torch.isnan(labels).any():
        raise NonFiniteError(f"{which}: a label is NaN, expected 0 or 1")
    if ((labels != 0) & (labels != 1)).any():
        raise DTypeError(f"{which}: labels hold other values than 0 and 1")
    for task, column in zip(model.tasks, labels.T, strict=True):
        if (column == column[0]).all():
            raise ShapeError(
                f"{which}: all {len(codes)} labels of task {task!r} are {int(column[0])}; both "
                "are needed, so leave the task out or draw the rows by label"
            )
    for table in model.tables():
        # Looks at every category and every dense value before a step is made.
        table.check(codes, dense)
    return Rows(codes.long(), dense.float(), labels.float())
