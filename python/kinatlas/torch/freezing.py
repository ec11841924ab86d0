"""Proof that a recommender has not moved: a hash of all it holds, and answers on a canary batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinatlas.errors import SpaceError
from kinatlas.torch.recommender import Backbone, tensor_of

__all__ = ["FreezeProof", "freeze"]


@dataclass(frozen=True)
class FreezeProof:
    """What a frozen recommender was: compare it at any later time.

    Attributes
    ----------
    digest
        SHA-256 of every parameter and buffer and the schema.
    basis_key
        SHA-256 of what features depend on; heads and prompts are bound to it.
    codes, dense
        The canary batch [n_rows, n_fields], [n_rows, n_dense] or None.
    predictions
        Chances of label 1 on it [n_rows, n_tasks].
    """

    digest: str
    basis_key: str
    codes: Any
    dense: Any
    predictions: Any

    def verify(self, model: Backbone) -> None:
        """Refuse a model whose parameters or canary predictions differ in a single bit.

        Raises
        ------
        SpaceError
            If they do; the message says which.

        Examples
        --------
        >>> import torch
        >>> from kinatlas.torch import MptRec
        >>> model = MptRec({"hour": 24}, ["click"], expert=(4,), tower=())
        >>> proof = freeze(model, torch.tensor([[7], [23]]))
        >>> proof.verify(model)
        >>> with torch.no_grad():
        ...     _ = model.prompts.weight.add_(1)
        >>> proof.verify(model)
        Traceback (most recent call last):
        kinatlas.errors.SpaceError: the recommender is not the one that was frozen: its parameters
        hash to ..., not ...
        """
        found = model.digest
        if found != self.digest:
            raise SpaceError(
                "the recommender is not the one that was frozen: its parameters hash to "
                f"{found[:12]}, not {self.digest[:12]}"
            )
        now = model.predict_proba(self.codes, self.dense)
        if now.tobytes() != self.predictions.tobytes():
            moved = float(np.abs(now - self.predictions).max())
            raise SpaceError(
                "the frozen recommender answers differently on its canary batch, by up to "
                f"{moved:.2g}, though its parameters are the same: another device, number of "
                "threads or release of torch computes it; freeze it anew there"
            )


def freeze(model: Backbone, codes: Any, dense: Any = None) -> FreezeProof:
    """Stop a recommender from learning, and return the proof of what it is.

    Parameters
    ----------
    model
        Is put in eval mode, its parameters take no gradients any more.
    codes, dense
        A canary batch, some rows as the model gets them.

    Raises
    ------
    ShapeError, DTypeError, UnknownNameError, NonFiniteError
        If the rows do not fit; see ``MptRec.features``.

    Examples
    --------
    >>> import torch
    >>> from kinatlas.torch import MptRec
    >>> proof = freeze(MptRec({"hour": 24}, ["click"], expert=(4,), tower=()), [[7], [23]])
    >>> proof.predictions.shape, len(proof.basis_key)
    ((2, 1), 64)
    """
    # The proof holds rows of its own: whoever gave them may write into theirs.
    codes = tensor_of(codes, "codes").clone()
    dense = None if dense is None else tensor_of(dense, "dense").clone()
    model.eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = None
    predictions = model.predict_proba(codes, dense)
    predictions.flags.writeable = False
    return FreezeProof(model.digest, model.basis_key, codes, dense, predictions)
