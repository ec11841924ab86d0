"""Multitask prompt tuning: one shared prompt, and a low-rank factor for every task."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_known, check_names
from kinatlas.composition.labels import as_array
from kinatlas.composition.prompts import Floats, as_numbers, stored
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.interop import widened

__all__ = ["MultitaskPrompt"]

# Tensor names of PEFT's file.
_SHARED, _COLUMNS, _ROWS = "prompt_embeddings", "prefix_task_cols", "prefix_task_rows"
# Where the header keeps names.
_NAMES = "kinatlas.tasks"
_STARTS = ("average", "exact", "shared", "ones")


@dataclass(frozen=True, eq=False, repr=False)
class MultitaskPrompt:
    """A shared prompt [n_tokens, dim] and factors of every task; P_t = shared o (columns_t rows_t).

    Parameters
    ----------
    shared
        [n_tokens, dim].
    columns, rows
        [n_tasks, n_tokens, n_ranks] and [n_tasks, n_ranks, dim].
    tasks
        Names; ``task0``, ``task1`` and so on where none are given, as files hold none.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        If sizes do not fit, or numbers are not floating point or not finite.

    References
    ----------
    Wang et al., Multitask Prompt Tuning Enables Parameter-Efficient Transfer Learning, ICLR 2023,
    equation 2.

    Examples
    --------
    >>> ones = np.ones((2, 3, 1))
    >>> prompt = MultitaskPrompt(np.ones((3, 4)), ones, 2 * np.ones((2, 1, 4)), ["mnli", "rte"])
    >>> prompt
    MultitaskPrompt: 2 tasks, 3 tokens of dim 4, rank 1
    >>> prompt.prompt("rte")[0]
    array([2., 2., 2., 2.])
    >>> round(prompt.cosine("mnli", "rte"), 6)
    1.0
    """

    shared: npt.NDArray[Any]
    columns: npt.NDArray[Any]
    rows: npt.NDArray[Any]
    tasks: tuple[str, ...]

    def __init__(
        self, shared: Any, columns: Any, rows: Any, tasks: Sequence[str] | None = None
    ) -> None:
        parts = {"shared": as_numbers(shared, "shared")}
        parts["shared"] = np.atleast_2d(parts["shared"])
        for name, values in (("columns", columns), ("rows", rows)):
            parts[name] = _cube(values, name)
        (n_tokens, dim), n_tasks = parts["shared"].shape, len(parts["columns"])
        n_ranks = parts["columns"].shape[2]
        wanted = ((n_tasks, n_tokens, n_ranks), (n_tasks, n_ranks, dim))
        if (parts["columns"].shape, parts["rows"].shape) != wanted:
            raise ShapeError(
                f"columns have shape {parts['columns'].shape} and rows {parts['rows'].shape}, "
                f"expected [n_tasks, {n_tokens}, n_ranks] and [n_tasks, n_ranks, {dim}]"
            )
        names = [f"task{number}" for number in range(n_tasks)] if tasks is None else tasks
        checked = check_names(names, "task")
        if len(checked) != n_tasks:
            raise ShapeError(f"{len(checked)} names for {n_tasks} tasks")
        for name, values in parts.items():
            own = np.array(values, order="C")
            own.flags.writeable = False
            object.__setattr__(self, name, own)
        object.__setattr__(self, "tasks", checked)

    @property
    def n_ranks(self) -> int:
        """Rank of a task's factor."""
        return int(self.rows.shape[1])

    def factors(self, task: str) -> tuple[Floats, Floats]:
        """Return the canonical factors of a task, columns [n_tokens, n_ranks], rows [n_ranks, dim].

        Each column has length sqrt(n_tokens) and its first number that is not zero is positive, so
        that for rank one equal prompts have equal factors.
        """
        columns, rows = self._raw(task)
        shapes = self.columns.shape[1:], self.rows.shape[1:]
        found = _core.hadamard_canonical(columns, rows, self.n_ranks)
        return found[0].reshape(shapes[0]), found[1].reshape(shapes[1])

    def prompt(self, task: str) -> npt.NDArray[Any]:
        """Return the effective prompt of a task [n_tokens, dim].

        Raises
        ------
        UnknownNameError
            If the task is unknown.
        """
        columns, rows = self._raw(task)
        shared = self.shared.astype(np.float64).ravel()
        found = _core.hadamard_prompt(shared, columns, rows, self.n_ranks)
        return stored(found.reshape(self.shared.shape), self.shared.dtype, f"task {task!r}")

    def cosine(self, first: str, second: str, *, of: str = "factors") -> float:
        """Return the cosine of two tasks' factors, or of their prompts, without forming them.

        A task whose prompt is zero has cosine 0 with every task.
        """
        check_choice(of, ("factors", "prompts"), "of")
        shared = self.shared.astype(np.float64).ravel() if of == "prompts" else None
        one, two = self._raw(first), self._raw(second)

        def inner(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
            return _core.hadamard_inner(a, b, self.n_ranks, shared)

        norm = np.sqrt(inner(one, one)) * np.sqrt(inner(two, two))
        if not np.isfinite(norm):
            raise NonFiniteError(f"factors of {first!r} or {second!r} are too large for a cosine")
        return float(np.clip(inner(one, two) / norm, -1.0, 1.0)) if norm > 0 else 0.0

    def start(self, task: str, how: str, *, source: str | None = None) -> MultitaskPrompt:
        """Return where a new task starts: its own factors beside the shared prompt.

        ``how`` is ``"average"`` (mean of columns and mean of rows, which is not the mean of
        prompts), ``"exact"`` (those of ``source``), ``"shared"`` or ``"ones"`` (factors of one:
        the shared prompt itself).

        Raises
        ------
        UnknownNameError
            If ``how`` or the source is unknown.
        """
        check_choice(how, _STARTS, "how")
        columns = self.columns.mean(axis=0, keepdims=True, dtype=np.float64)
        rows = self.rows.mean(axis=0, keepdims=True, dtype=np.float64)
        if how == "exact":
            if source is None:
                raise UnknownNameError("how='exact' needs source, the task to start from")
            at = check_known(source, self.tasks, "task")
            columns, rows = self.columns[at : at + 1], self.rows[at : at + 1]
        elif how != "average":
            # One rank of ones: with more of them the product would be n_ranks.
            columns, rows = np.zeros_like(columns), np.zeros_like(rows)
            columns[:, :, 0], rows[:, 0] = 1.0, 1.0
        kinds = self.columns.dtype, self.rows.dtype
        return MultitaskPrompt(self.shared, columns.astype(kinds[0]), rows.astype(kinds[1]), [task])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file that PEFT calls ``adapter_model.safetensors``, whole or not at all.

        Names of tasks are kept in the header; PEFT, which knows numbers only, ignores them.

        Examples
        --------
        >>> import tempfile
        >>> prompt = MultitaskPrompt(np.ones((1, 2)), np.ones((1, 1, 1)), np.ones((1, 1, 2)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     prompt.save(f"{folder}/adapter_model.safetensors")
        ...     MultitaskPrompt.load(f"{folder}/adapter_model.safetensors").shared
        array([[1., 1.]])
        """
        arrays = {_SHARED: self.shared, _COLUMNS: self.columns, _ROWS: self.rows}
        tensors = [
            (name, array.dtype.name, array.shape, np.frombuffer(array.tobytes(), np.uint8))
            for name, array in arrays.items()
        ]
        path = Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                texts = {"format": "pt", _NAMES: json.dumps(self.tasks)}
                file.write(_core.serialize_tensors(tensors, texts))
                # The new name must not be on disk before the bytes are.
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], tasks: Sequence[str] | None = None
    ) -> MultitaskPrompt:
        """Read the tensors of a multitask prompt, as PEFT or `save` wrote them.

        Raises
        ------
        FormatError
            If the file is damaged or holds other tensors.
        OSError
            If it cannot be read.
        """
        texts, outline = _core.outline_tensors(str(path))
        held = {name for name, _, _ in outline}
        missing = [name for name in (_SHARED, _COLUMNS, _ROWS) if name not in held]
        if missing:
            raise FormatError(
                f"{path}: holds {sorted(held)}, expected {missing} too; is this a multitask prompt?"
            )
        stored = _core.read_tensors(str(path), [_SHARED, _COLUMNS, _ROWS])
        shared, columns, rows = (widened(array, dtype) for array, dtype in stored)
        if tasks is None and _NAMES in texts:
            try:
                tasks = json.loads(texts[_NAMES])
            except ValueError as error:
                raise FormatError(f"{path}: the names of tasks are damaged: {error}") from None
            if not isinstance(tasks, list):
                raise FormatError(f"{path}: the names of tasks are no list: {tasks!r}")
        return cls(shared, columns, rows, tasks)

    def _raw(self, task: str) -> tuple[Floats, Floats]:
        at = check_known(task, self.tasks, "task")
        columns, rows = self.columns[at], self.rows[at]
        return columns.astype(np.float64).ravel(), rows.astype(np.float64).ravel()

    def __reduce__(self) -> tuple[Any, ...]:
        return MultitaskPrompt, (self.shared, self.columns, self.rows, self.tasks)

    def __repr__(self) -> str:
        (n_tokens, dim), ranks = self.shared.shape, f"rank {self.n_ranks}"
        return f"MultitaskPrompt: {len(self.tasks)} tasks, {n_tokens} tokens of dim {dim}, {ranks}"


def _cube(values: Any, name: str) -> npt.NDArray[Any]:
    array = as_array(values, name)
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise DTypeError(f"{name}: numbers are {array.dtype}, expected float16, float32 or float64")
    if array.ndim != 3 or array.size == 0:
        raise ShapeError(f"{name} has shape {array.shape}, expected three dimensions, none empty")
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{name} holds NaN or infinity, expected finite numbers")
    return array
