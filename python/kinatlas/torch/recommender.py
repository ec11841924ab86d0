"""What every recommender of several tasks can do: predict in blocks, show features, be hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from kinatlas._checks import check_names
from kinatlas.composition import Features
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.torch.recommender_layers import EmbeddedFields

__all__ = ["Backbone", "Predictions", "Recommender", "hash_tensors", "tensor_of"]

# Every row goes through the network in a block of this many, filled up with row 0 of the block:
# products of one shape give a row the same bits whatever rows come with it.
BLOCK = 256


class Predictions(NamedTuple):
    """Log-odds of every task; where the model has them, those of the shared part and its critic.

    ``logits`` and ``shared_logits`` are [n_rows, n_tasks], ``environments`` log-probabilities of
    that shape.
    """

    logits: Tensor
    shared_logits: Tensor | None = None
    environments: Tensor | None = None


class Recommender(nn.Module):
    """One 0/1 label a task from categorical codes and dense values."""

    def __init__(self, fields: Mapping[str, int], tasks: Sequence[str], n_dense: int) -> None:
        super().__init__()
        self.fields = dict(fields)
        self.tasks = check_names(tasks, "task")
        self.n_dense = n_dense
        if not self.tasks:
            raise ShapeError("there is no task, expected at least one")

    def undecayed(self) -> tuple[str, ...]:
        """Return the beginnings of the names of linear layers that weight decay leaves alone."""
        return ("gates", "environments")

    def tables(self) -> list[EmbeddedFields]:
        """Return the embedded fields of the model."""
        return [part for part in self.modules() if isinstance(part, EmbeddedFields)]

    def predict_proba(self, codes: Any, dense: Any = None) -> Any:
        """Return the chance of label 1 [n_rows, n_tasks] as a float32 array, in eval mode.

        A row gets the same bits whatever rows it is given with.

        Raises
        ------
        ShapeError, DTypeError, UnknownNameError, NonFiniteError
            If codes or dense values do not fit; see ``features``.
        """
        return self.in_blocks(lambda *rows: (torch.sigmoid(self(*rows).logits),), codes, dense)[0]

    @property
    def digest(self) -> str:
        """Hash of every parameter and buffer, the schema of the fields and the tasks."""
        return hash_tensors(self._held(), self._schema())

    def _held(self) -> dict[str, Tensor]:
        # state_dict() leaves out the buffers that say which row of the table a code stands for.
        return dict(self.named_buffers()) | dict(self.state_dict())

    def _schema(self) -> str:
        kind = type(self).__name__
        return json.dumps([kind, self.fields, self.n_dense, self.tasks])

    def in_blocks(
        self, compute: Callable[..., tuple[Tensor, ...]], codes: Any, dense: Any
    ) -> list[Any]:
        """Return arrays of what a function of rows gives, in eval mode, block by block."""
        first = next(self.parameters())
        codes = tensor_of(codes, "codes")
        dense = torch.zeros(len(codes), 0) if dense is None else tensor_of(dense, "dense")
        if len(codes) == 0 or len(dense) != len(codes):
            raise ShapeError(
                f"{len(codes)} rows of codes and {len(dense)} of dense values, expected as many "
                "of both, at least one"
            )
        was_training = [(part, part.training) for part in self.modules()]
        self.eval()
        parts: list[tuple[Any, ...]] = []
        try:
            with torch.no_grad():
                for start in range(0, len(codes), BLOCK):
                    n_rows = min(BLOCK, len(codes) - start)
                    places = torch.arange(BLOCK) + start
                    places[n_rows:] = start
                    found = compute(codes[places].to(first.device), dense[places].to(first))
                    parts.append(tuple(values[:n_rows].cpu().numpy() for values in found))
        finally:
            # Not train(): parts that were put in eval mode on their own stay there.
            for part, mode in was_training:
                part.training = mode
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


class Backbone(Recommender):
    """A recommender whose representations others can be built on, once it is frozen."""

    def embed(self, codes: Tensor, dense: Tensor | None) -> Tensor:
        """Return the embedded rows [n_rows, dim]."""
        raise NotImplementedError

    def represent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return shared [n_rows, width] and own [n_rows, n_tasks, width] representations."""
        raise NotImplementedError

    def keys(self) -> Tensor:
        """Return what tells the tasks' own representations apart [n_tasks, width]."""
        raise NotImplementedError

    def unused(self) -> tuple[str, ...]:
        """Return the beginnings of the names of parameters that the features do not depend on."""
        return ("gates", "environments", "towers")

    @property
    def basis_key(self) -> str:
        """Hash of all that the features depend on: tables, experts, prompts, schema."""
        kept = {
            name: value
            for name, value in self._held().items()
            if not name.startswith(self.unused())
        }
        return hash_tensors(kept, self._schema())

    def features(self, codes: Any, dense: Any = None) -> Features:
        """Return what a new task's head reads, computed once in eval mode without gradients.

        A row gets the same bits whatever rows it is given with, so that cached features equal
        those computed anew.

        Parameters
        ----------
        codes
            [n_rows, n_fields] whole numbers.
        dense
            [n_rows, n_dense] or None.

        Raises
        ------
        ShapeError, DTypeError
            If the arrays do not fit the fields.
        UnknownNameError
            If a category was never seen.
        NonFiniteError
            If a dense value is NaN or infinite.
        """

        def compute(codes: Tensor, dense: Tensor) -> tuple[Tensor, ...]:
            x = self.embed(codes, dense)
            return (x, *self.represent(x))

        x, shared, own = self.in_blocks(compute, codes, dense)
        keys = self.keys().detach().cpu().numpy()
        return Features(
            x=x, shared=shared, own=own, sources=self.tasks, keys=keys, basis_key=self.basis_key
        )


def hash_tensors(tensors: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]], about: str) -> str:
    """Return the SHA-256 of named tensors, their types and shapes, and a text about them.

    Examples
    --------
    >>> hash_tensors({"a": torch.zeros(2)}, "x") == hash_tensors({"b": torch.zeros(2)}, "x")
    False
    """
    digest = hashlib.sha256(about.encode())
    for name, tensor in sorted(dict(tensors).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def tensor_of(values: Any, label: str = "values") -> Tensor:
    """Return a tensor of whatever is array-like; read-only arrays are copied.

    Raises
    ------
    DTypeError, ShapeError
        If it holds no numbers, or is not rectangular.

    Examples
    --------
    >>> tensor_of([[1, 2]]).shape
    torch.Size([1, 2])
    """
    if torch.is_tensor(values):
        found: Tensor = values
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ShapeError(f"rows of {label} have different lengths: {error}") from None
        if array.dtype.kind not in "biufc":
            raise DTypeError(
                f"{label}: are {array.dtype}, expected numbers; encode what is text, and fill what "
                "is missing, first"
            )
        if array.ndim == 0:
            raise ShapeError(f"{label}: got one number, expected rows")
        # Torch reads neither backward strides nor bytes in foreign order.
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        found = torch.from_numpy(array if array.flags.writeable else array.copy())
    return found
