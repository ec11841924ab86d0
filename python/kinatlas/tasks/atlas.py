"""Many tasks of one space in one packed buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import (
    check_known,
    check_names,
    check_same_space,
    check_space,
)
from kinatlas._frames import as_html
from kinatlas.errors import DTypeError
from kinatlas.interop import as_stored
from kinatlas.tasks.arrow import ArrowTable
from kinatlas.tasks.normalising import Normalising
from kinatlas.tasks.packing import pack
from kinatlas.tasks.provenance import Provenance
from kinatlas.tasks.task import Task

__all__ = ["Atlas"]

_ROWS_SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class Atlas(Normalising, ArrowTable):
    """Named tasks of one space in one packed buffer; build it with ``from_arrays``.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0], [0.0, 1.0]], "rte": [[1.0, 1.0]]})
    >>> atlas.names, atlas.n_tokens, atlas.dim
    (('mnli', 'rte'), (2, 1), 2)
    >>> atlas["rte"].tokens
    array([[1., 1.]])
    >>> len(atlas.select(["rte"]))
    1
    """

    names: tuple[str, ...]
    space: str
    dtype: str
    provenance: tuple[Provenance, ...]
    _buffer: npt.NDArray[Any]
    _offsets: npt.NDArray[np.int64]
    #: What ``load_atlas`` read and skipped; None for atlases built in memory.
    report: Any = field(default=None)

    def __post_init__(self) -> None:
        for array in (self._buffer, self._offsets):
            array.flags.writeable = False

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Any],
        *,
        space: str = "unspecified",
        provenance: Mapping[str, Provenance] | None = None,
    ) -> Atlas:
        """Build an atlas from ``{name: tokens}``, tokens [n_tokens, dim] or [dim].

        Accepts NumPy arrays of any strides, torch tensors (bfloat16, gradients attached),
        anything with ``__dlpack__`` or ``__array__``, and nested lists. Values are copied. Tasks
        of different number types are stored in the narrowest type that holds all of them exactly.

        Raises
        ------
        ShapeError
            If there is no task, a task is empty, or widths differ.
        DTypeError
            If numbers are not float16, bfloat16, float32 or float64, or not in main memory.
        NonFiniteError
            If a token holds NaN or infinity; the message names task, row and column.

        Examples
        --------
        >>> import numpy as np
        >>> tokens = np.ones((3, 4), dtype=np.float32)
        >>> Atlas.from_arrays({"mnli": tokens}, space="t5-base").dtype
        'float32'
        """
        if not isinstance(arrays, Mapping):
            raise DTypeError(
                f"arrays: got {type(arrays).__name__}, expected a mapping of name to tokens"
            )
        names = check_names(arrays, "task")
        stored = [as_stored(arrays[name], f"task {name!r}") for name in names]
        known = provenance or {}
        for name in known:
            check_known(name, names, "provenance of task")
        origins = tuple(known.get(name, Provenance()) for name in names)
        packed, dtype = pack(names, stored)
        return cls(names, check_space(space), dtype, origins, *packed)

    @classmethod
    def from_tasks(cls, tasks: Iterable[Task]) -> Atlas:
        """Build an atlas from tasks of one space.

        Examples
        --------
        >>> Atlas.from_tasks([Task("mnli", [1.0, 2.0]), Task("rte", [3.0, 4.0])]).names
        ('mnli', 'rte')
        """
        tasks = list(tasks)
        for task in tasks[1:]:
            check_same_space(
                tasks[0].space, task.space, f"tokens of {tasks[0].name!r}", f"of {task.name!r}"
            )
        names = check_names((task.name for task in tasks), "task")
        stored = [(task._stored, task.dtype) for task in tasks]
        space = tasks[0].space if tasks else "unspecified"
        packed, dtype = pack(names, stored)
        return cls(names, space, dtype, tuple(task.provenance for task in tasks), *packed)

    @classmethod
    def stack(cls, atlases: Sequence[Atlas]) -> Atlas:
        """Put the tasks of several atlases of one space behind each other.

        Examples
        --------
        >>> first = Atlas.from_arrays({"mnli": [1.0, 2.0]})
        >>> Atlas.stack([first, Atlas.from_arrays({"rte": [3.0, 4.0]})]).names
        ('mnli', 'rte')
        """
        return cls.from_tasks(task for atlas in atlases for task in atlas)

    @property
    def dim(self) -> int:
        """Width of every token."""
        return int(self._buffer.shape[1])

    @property
    def n_tokens(self) -> tuple[int, ...]:
        """Number of tokens of each task, in the order of ``names``."""
        return tuple(np.diff(self._offsets).tolist())

    @property
    def _packed(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        return self._buffer, self._offsets

    def _task(self, index: int) -> Task:
        rows = slice(int(self._offsets[index]), int(self._offsets[index + 1]))
        origin = self.provenance[index]
        return Task._wrap(self.names[index], self.space, self.dtype, origin, self._buffer[rows])

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Task]:
        return (self._task(index) for index in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, key: str | int) -> Task:
        if isinstance(key, (int, np.integer)):
            return self._task(range(len(self))[key])
        return self._task(check_known(key, self.names, "task"))

    def select(self, names: Iterable[str]) -> Atlas:
        """Return the named tasks, in the order asked for.

        Raises
        ------
        UnknownNameError
            If a name is not in the atlas or is asked for twice.

        Examples
        --------
        >>> atlas = Atlas.from_arrays({"mnli": [1.0], "rte": [2.0], "cb": [3.0]})
        >>> atlas.select(["cb", "mnli"]).names
        ('cb', 'mnli')
        """
        if isinstance(names, str):
            names = [names]
        return replace(Atlas.from_tasks(self[name] for name in names), report=self.report)

    def rename(self, names: Mapping[str, str] | Callable[[str], str]) -> Atlas:
        """Return the same tasks under new names, given as ``{old: new}`` or a function.

        Examples
        --------
        >>> Atlas.from_arrays({"SST-2": [1.0]}).rename(str.lower).names
        ('sst-2',)
        """
        if isinstance(names, Mapping):
            for old in names:
                check_known(old, self.names, "task")
            renamed = [names.get(name, name) for name in self.names]
        else:
            renamed = [names(name) for name in self.names]
        return replace(self, names=check_names(renamed, "task"))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Atlas):
            return NotImplemented
        return (
            (self.names, self.space, self.dtype, self.provenance)
            == (other.names, other.space, other.dtype, other.provenance)
            and np.array_equal(self._offsets, other._offsets)
            and self._buffer.tobytes() == other._buffer.tobytes()
        )

    def __hash__(self) -> int:
        return hash((self.names, self.space, self.dtype, self._buffer.shape))

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.names, self.space, self.dtype, self.provenance)
        return Atlas, (*fields, self._buffer, self._offsets, self.report)

    def _head(self) -> str:
        counts = self.n_tokens
        low, high = min(counts), max(counts)
        each = f"{low}" if low == high else f"{low} to {high}"
        return (
            f"Atlas of {len(self)} tasks in space {self.space!r}: {each} tokens each, "
            f"dim {self.dim}, {self.dtype}"
        )

    def __repr__(self) -> str:
        width = max(len(name) for name in self.names[:_ROWS_SHOWN])
        lines = [
            f"  {name:<{width}}  {count:>6} tokens  {origin.describe()}".rstrip()
            for name, count, origin in list(
                zip(self.names, self.n_tokens, self.provenance, strict=True)
            )[:_ROWS_SHOWN]
        ]
        hidden = len(self) - len(lines)
        return "\n".join([self._head(), *lines, *([f"  ... {hidden} more"] if hidden else [])])

    def _repr_html_(self) -> str:
        columns = {
            "task": self.names,
            "tokens": self.n_tokens,
            "provenance": [origin.describe() for origin in self.provenance],
        }
        return as_html(columns, self._head(), max_rows=4 * _ROWS_SHOWN)
