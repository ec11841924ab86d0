"""What recommenders are made of: embedded fields, ReLU networks, a gradient that turns around."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kinatlas._checks import check_names, check_whole
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, UnknownNameError

__all__ = ["EmbeddedFields", "network", "reversal_at", "reverse_gradient", "seeded"]


class EmbeddedFields(nn.Module):
    """Rows [n_rows, dim] of dense values and the embeddings of every field, in this order.

    Examples
    --------
    >>> fields = EmbeddedFields({"device": 2, "hour": 24}, n_dense=1, embedding=4)
    >>> fields(torch.tensor([[1, 23]]), torch.zeros(1, 1)).shape
    torch.Size([1, 9])
    """

    offsets: Tensor
    sizes: Tensor

    def __init__(self, fields: Mapping[str, int], n_dense: int = 0, embedding: int = 4) -> None:
        super().__init__()
        self.names = check_names(fields, "field")
        sizes = [check_whole(fields[name], f"categories of field {name!r}") for name in fields]
        self.n_dense = check_whole(n_dense, "n_dense", 0)
        check_whole(embedding, "embedding")
        self.dim = self.n_dense + embedding * len(sizes)
        if self.dim == 0:
            raise ShapeError("there is no field and no dense value, expected at least one")
        # One table a field, all behind each other, so that a batch is gathered once.
        self.table = nn.Embedding(sum(sizes), embedding)
        starts = [sum(sizes[:at]) for at in range(len(sizes))]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.long), persistent=False)
        self.register_buffer("sizes", torch.tensor(sizes, dtype=torch.long), persistent=False)

    def rows_of(self, codes: Tensor) -> Tensor:
        """Return the rows of the table [n_rows, n_fields] that codes stand for.

        Raises
        ------
        ShapeError, DTypeError
            If the codes are no whole numbers [n_rows, n_fields].
        UnknownNameError
            If a category was never seen; the message names field and row.

        Examples
        --------
        >>> EmbeddedFields({"device": 2, "hour": 24}).rows_of(torch.tensor([[1, 23]])).tolist()
        [[1, 25]]
        """
        if codes.ndim != 2 or codes.shape[1] != len(self.names):
            raise ShapeError(
                f"codes have shape {tuple(codes.shape)}, expected [n_rows, {len(self.names)}]"
            )
        if codes.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
            raise DTypeError(f"codes are {codes.dtype}, expected whole numbers, one a category")
        codes = codes.long()
        unseen = (codes < 0) | (codes >= self.sizes)
        if unseen.any():
            row, field = unseen.nonzero()[0].tolist()
            raise UnknownNameError(
                f"field {self.names[field]!r}: category {int(codes[row, field])} in row {row} was "
                f"never seen, known are 0 to {int(self.sizes[field]) - 1}; keep a category for "
                "what is unknown when encoding"
            )
        rows: Tensor = codes + self.offsets
        return rows

    def check(self, codes: Tensor, dense: Tensor) -> None:
        """Refuse rows that do not fit, without embedding them.

        Raises
        ------
        ShapeError, DTypeError, UnknownNameError
            See ``rows_of``; or if the dense values are not [n_rows, n_dense].
        NonFiniteError
            If a dense value is NaN or infinite.

        Examples
        --------
        >>> fields = EmbeddedFields({"device": 2}, n_dense=1)
        >>> fields.check(torch.tensor([[1]]), torch.tensor([[float("nan")]]))
        Traceback (most recent call last):
        kinatlas.errors.NonFiniteError: dense holds nan in row 0, column 0; fill what is ...
        """
        self.rows_of(codes)
        if dense.shape != (len(codes), self.n_dense):
            raise ShapeError(
                f"dense has shape {tuple(dense.shape)}, expected {(len(codes), self.n_dense)}"
            )
        unknown = ~torch.isfinite(dense)
        if unknown.any():
            row, column = unknown.nonzero()[0].tolist()
            raise NonFiniteError(
                f"dense holds {float(dense[row, column])} in row {row}, column {column}; fill "
                "what is missing first"
            )

    def forward(self, codes: Tensor, dense: Tensor | None = None) -> Tensor:
        """Return the embedded rows [n_rows, dim]."""
        if dense is None:
            dense = torch.zeros(len(codes), 0, device=codes.device)
        self.check(codes, dense)
        found: Tensor = self.table(self.rows_of(codes)).flatten(1)
        return torch.cat([dense.to(found.dtype), found], dim=1)


def network(
    dim: int, widths: Sequence[int], dropout: Sequence[float] = (), *, end: str = "relu"
) -> nn.Sequential:
    """Return a ReLU network of these widths; ``end="number"`` adds one linear output.

    Examples
    --------
    >>> network(3, (4, 2), end="number")(torch.zeros(5, 3)).shape
    torch.Size([5, 1])
    """
    layers: list[Any] = []
    for at, width in enumerate(widths):
        layers += [nn.Linear(dim, check_whole(width, "width of a layer")), nn.ReLU()]
        layers += [nn.Dropout(dropout[at])] if dropout else []
        dim = width
    layers += [nn.Linear(dim, 1)] if end == "number" else []
    return nn.Sequential(*layers)


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        return -context.strength * gradients[0], None


def reverse_gradient(values: Tensor, strength: float) -> Tensor:
    """Return the values themselves; on the way back their gradient is multiplied by -strength.

    References
    ----------
    Ganin and Lempitsky 2015, Unsupervised domain adaptation by backpropagation.

    Examples
    --------
    >>> values = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(values, 0.5).sum().backward()
    >>> values.grad
    tensor([-0.5000, -0.5000])
    """
    found: Tensor = _Reversed.apply(values, strength)  # type: ignore[no-untyped-call]
    return found


def reversal_at(step: int, n_steps: int) -> float:
    """Return the strength of the reversal after a number of all steps: 2 / (1 + exp(-10 p)) - 1.

    Examples
    --------
    >>> [round(reversal_at(step, 10), 2) for step in (0, 1, 5, 10)]
    [0.0, 0.46, 0.99, 1.0]
    """
    return 2 / (1 + math.exp(-10 * step / n_steps)) - 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seed inside, and leave torch's own random numbers as they were.

    Examples
    --------
    >>> with seeded(0):
    ...     first = torch.rand(1)
    >>> with seeded(0):
    ...     print(bool(torch.rand(1) == first))
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(check_whole(seed, "seed", 0))
        yield
