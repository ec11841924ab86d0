"""The Fisher diagonal of any model, from a stream of per-example gradients."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, check_whole
from kinatlas.embeddings import state
from kinatlas.embeddings.coordinates import finite, projected, reduced, space_of
from kinatlas.embeddings.gradients import as_rows, as_weights
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.tasks import Provenance, Task

__all__ = ["CONVENTIONS", "FisherAccumulator"]

CONVENTIONS = ("gold", "monte_carlo", "exact")
_SQUARES = ("each_example", "batch_mean")
_REDUCTIONS = ("filter", "layer")


class FisherAccumulator:
    """Sums squared per-example gradients batch by batch; memory does not grow with examples.

    How a stream is cut into batches changes no bit of the result. Examples are added up in shards
    of ``shard_size``, and whole shards are folded in order, so that shards computed elsewhere and
    merged in order give the same bits as one pass.

    Parameters
    ----------
    convention
        Whose labels the gradients are taken at, recorded in the space: ``"gold"`` (the data's,
        "empirical Fisher"), ``"monte_carlo"`` (drawn from the model), ``"exact"`` (every class,
        weighted by its probability).
    rows_per_example
        Consecutive rows of a batch that belong to one example: label draws, or classes.
    square
        ``"each_example"`` squares every gradient. ``"batch_mean"`` squares the mean gradient of
        each batch and counts the batch as one example, as the code of Task2Vec does; it depends
        on the batch size and exists for parity only.
    shard_size
        Examples of one shard.
    checkpoint
        A ``.safetensors`` path; the sums are saved there whenever a shard is whole. Its folder
        must exist, so that a long run does not fail at its first shard.

    Raises
    ------
    UnknownNameError
        For an unknown convention or square.
    ValueError
        For sizes below 1, or several rows per example under ``"gold"``.

    References
    ----------
    Achille et al. 2019, Task2Vec, equation 1; Vu et al. 2020 for the batch-wise variant.

    Examples
    --------
    >>> fisher = FisherAccumulator()
    >>> fisher.partial_fit({"weight": [[1.0, 2.0], [3.0, 0.0]]}).n_examples
    2
    >>> fisher.diagonal()["weight"]
    array([5., 2.])
    >>> fisher.task("rte", space="my-model").space
    'my-model|fisher(convention=gold)|78ce6226'
    """

    def __init__(
        self,
        *,
        convention: str = "gold",
        rows_per_example: int = 1,
        square: str = "each_example",
        shard_size: int = 1024,
        checkpoint: str | os.PathLike[str] | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.convention = check_choice(convention, CONVENTIONS, "convention")
        self.square = check_choice(square, _SQUARES, "square")
        self.rows_per_example = check_whole(rows_per_example, "rows_per_example", 1)
        self.shard_size = check_whole(shard_size, "shard_size", 1)
        if self.convention == "gold" and self.rows_per_example > 1:
            raise ValueError(
                f"rows_per_example={rows_per_example!r}: an example has one gold label; use "
                "convention='monte_carlo' or 'exact' for several rows"
            )
        self._checkpoint = None if checkpoint is None else state.writable_path(checkpoint)
        self._n_threads = check_n_threads(n_threads)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._sums: _core.FisherSums | None = None

    @property
    def n_examples(self) -> int:
        """Examples added so far (batches, for ``square="batch_mean"``)."""
        return 0 if self._sums is None else sum(self._sums.counts())

    def partial_fit(
        self, gradients: Mapping[str, Any], *, weights: Any = None
    ) -> FisherAccumulator:
        """Add a batch of gradients ``{parameter: [n_rows, *shape]}``; all of it or nothing.

        Parameters
        ----------
        gradients
            One gradient per row, for every parameter; float16, bfloat16, float32 or float64.
        weights
            One weight per row [n_rows]: the class probabilities of ``convention="exact"``.

        Raises
        ------
        NonFiniteError
            If a gradient is NaN or infinite; the message names parameter and example.
        ShapeError
            If parameters or shapes differ from the first batch's, or rows from parameter to
            parameter, or there is no row.
        ValueError
            If weights are missing, not wanted, or negative.

        Examples
        --------
        >>> fisher = FisherAccumulator(convention="exact", rows_per_example=2)
        >>> fisher.partial_fit({"w": [[1.0], [3.0]]}, weights=[0.75, 0.25]).diagonal()["w"]
        array([3.])
        """
        shapes, rows = as_rows(gradients, self._shapes)
        n_rows = len(next(iter(rows))[0])
        checked = as_weights(weights, n_rows, self.convention)
        sums = self._sums or self._new(shapes)
        before = sums.counts()[0]
        offsets = np.array([0, n_rows], dtype=np.int64)
        sums.add([(row, offsets) for row, _ in rows], checked, self._n_threads)
        # A first batch that is refused must not fix the parameters.
        self._sums, self._shapes = sums, shapes
        if self._checkpoint is not None and sums.counts()[0] > before:
            self.save(self._checkpoint)
        return self

    def _new(self, shapes: dict[str, tuple[int, ...]]) -> _core.FisherSums:
        sizes = [(name, math.prod(shape)) for name, shape in shapes.items()]
        return _core.FisherSums(sizes, self.shard_size, self.rows_per_example, self.square)

    def merge(self, later: FisherAccumulator) -> FisherAccumulator:
        """Append the next shard, computed elsewhere; shards come one by one and in order.

        Raises
        ------
        ShapeError
            If the two accumulators differ in settings or parameters.
        ValueError
            If this one ends inside a shard, or ``later`` holds more than one shard or is this one.

        Examples
        --------
        >>> first, second = (FisherAccumulator(shard_size=1) for _ in range(2))
        >>> second = second.partial_fit({"w": [[3.0]]})
        >>> first.partial_fit({"w": [[1.0]]}).merge(second).diagonal()["w"]
        array([5.])
        """
        if not isinstance(later, FisherAccumulator):
            raise DTypeError(f"merge: got {type(later).__name__}, expected a FisherAccumulator")
        if later is self:
            raise ValueError("merge: an accumulator cannot be appended to itself")
        if later._sums is None:
            return self
        if self.convention != later.convention or (self._sums and self._shapes != later._shapes):
            raise ShapeError(
                f"merge: {self.convention} gradients of {list(self._shapes.items())[:3]} cannot "
                f"take {later.convention} gradients of {list(later._shapes.items())[:3]}"
            )
        sums = self._sums or self._new(later._shapes)
        sums.merge(later._sums)
        self._sums, self._shapes = sums, dict(later._shapes)
        return self

    def diagonal(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the Fisher diagonal, one array of the parameter's shape for each parameter.

        Raises `ValueError` without examples, `NonFiniteError` if a sum left the range of float64.

        Examples
        --------
        >>> FisherAccumulator().partial_fit({"w": [[[2.0, 0.0]]]}).diagonal()["w"]
        array([[4., 0.]])
        """
        if self._sums is None:
            raise ValueError(
                "no example was accumulated, so there is no Fisher diagonal; call partial_fit first"
            )
        draws = self.rows_per_example if self.convention == "monte_carlo" else 1
        pairs = zip(self._shapes.items(), self._sums.mean(), strict=True)
        return {name: finite(mean / draws, name).reshape(shape) for (name, shape), mean in pairs}

    def task(
        self,
        name: str,
        *,
        space: str,
        reduce: str | None = None,
        dim: int | None = None,
        seed: int = 0,
    ) -> Task:
        """Return the diagonal as a task of one token.

        Parameters
        ----------
        space
            The model whose parameters these are; convention, reduction and a hash of names and
            shapes are appended, so that different diagonals never meet.
        reduce
            None keeps every coordinate; ``"filter"`` takes the mean over all axes but the first
            (one number per output channel, as Task2Vec); ``"layer"`` one mean per parameter.
        dim, seed
            Random projection to ``dim`` coordinates: inner products are unbiased with variance at
            most 2 |x|^2 |x'|^2 / dim. Projected numbers may be negative, which the kernels of
            Task2Vec refuse.

        Raises
        ------
        UnknownNameError
            For an unknown reduction.
        ValueError
            Without examples, or for a ``dim`` or ``seed`` out of range.

        Examples
        --------
        >>> fisher = FisherAccumulator().partial_fit({"conv": [[[1.0, 1.0], [2.0, 0.0]]]})
        >>> fisher.task("rte", space="net", reduce="filter").tokens
        array([[1., 2.]])
        """
        if reduce is not None:
            check_choice(reduce, _REDUCTIONS, "reduce")
        parts = [reduced(values, reduce) for values in self.diagonal().values()]
        values = projected(np.concatenate(parts), dim, seed)
        settings = {
            "convention": self.convention,
            "square": None if self.square == "each_example" else self.square,
            "reduce": reduce,
            "dim": dim,
            "seed": None if dim is None else seed,
        }
        notes = (f"n_examples={self.n_examples}", f"rows_per_example={self.rows_per_example}")
        return Task(
            name,
            values[np.newaxis, :],
            space=space_of(space, "fisher", settings, list(self._shapes.items())),
            provenance=Provenance(base_model=space, method="FISHER", notes=notes),
        )

    def __getstate__(self) -> dict[str, Any]:
        sums = None if self._sums is None else (self._sums.sums(), self._sums.counts())
        return self.__dict__ | {"_sums": sums}

    def __setstate__(self, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)
        if fields["_sums"] is not None:
            layout = (self.shard_size, self.rows_per_example, self.square)
            sums, counts = fields["_sums"]
            self._sums = _core.FisherSums.restored(sums, counts, layout)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all sums to a ``.safetensors`` file, whole or not at all, and return its path.

        Examples
        --------
        >>> import tempfile
        >>> fisher = FisherAccumulator().partial_fit({"w": [[2.0]]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     FisherAccumulator.load(fisher.save(f"{folder}/w.safetensors")).n_examples
        1
        """
        settings = {key: getattr(self, key) for key in state.SETTINGS}
        return state.write(state.checked_path(path), settings, self._shapes, self._sums)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, checkpoint: str | os.PathLike[str] | None = None
    ) -> FisherAccumulator:
        """Return an accumulator as it was saved; feed it the examples from ``n_examples`` on.

        Raises `FormatError` for a file that holds no sums.

        Examples
        --------
        >>> FisherAccumulator.load("nowhere.safetensors")
        Traceback (most recent call last):
        OSError: cannot read nowhere.safetensors: ...
        """
        settings, shapes, sums = state.read(state.checked_path(path))
        found = cls(**settings, checkpoint=checkpoint)
        found._shapes, found._sums = shapes, sums
        return found
