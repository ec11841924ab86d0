"""Many low-rank updates of one base model."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kinatlas._checks import check_known, check_names, check_space
from kinatlas.errors import DTypeError, KinAtlasError, ShapeError
from kinatlas.tasks.low_rank import LowRank
from kinatlas.tasks.provenance import Provenance

__all__ = ["LowRankAtlas"]

_ROWS_SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class LowRankAtlas:
    """Named low-rank updates of one base model; build it with ``from_factors``.

    Tasks may adapt different modules and use different ranks. A module that a task does not
    adapt counts as a zero update.

    Examples
    --------
    >>> atlas = LowRankAtlas.from_factors({
    ...     "mnli": {"q_proj": LowRank([[1.0, 0.0]], [[2.0], [3.0]])},
    ...     "rte": {"q_proj": LowRank([[0.0, 1.0]], [[1.0], [1.0]])},
    ... })
    >>> atlas.names, atlas.modules
    (('mnli', 'rte'), ('q_proj',))
    >>> atlas["mnli"]["q_proj"].rank
    1
    """

    names: tuple[str, ...]
    modules: tuple[str, ...]
    space: str
    provenance: tuple[Provenance, ...]
    _updates: tuple[dict[str, LowRank], ...]
    #: What ``load_atlas`` read and skipped; None for atlases built in memory.
    report: Any = field(default=None)

    @classmethod
    def from_factors(
        cls,
        updates: Mapping[str, Mapping[str, Any]],
        *,
        space: str = "unspecified",
        provenance: Mapping[str, Provenance] | None = None,
    ) -> LowRankAtlas:
        """Build an atlas from ``{task: {module: LowRank}}``; a pair (A, B) means scale 1.

        Raises
        ------
        ShapeError
            If there is no task, a task adapts no module, or two tasks disagree on the size of a
            module.
        DTypeError, NonFiniteError
            If a factor is not floating point, or holds NaN or infinity.

        Examples
        --------
        >>> import numpy as np
        >>> a, b = np.ones((2, 5)), np.ones((3, 2))
        >>> LowRankAtlas.from_factors({"mnli": {"q_proj": (a, b)}})
        LowRankAtlas of 1 tasks in space 'unspecified': 1 modules, rank 2
          mnli  1 modules
        """
        if not isinstance(updates, Mapping):
            raise DTypeError(
                f"updates: got {type(updates).__name__}, expected a mapping of task to modules"
            )
        names = check_names(updates, "task")
        if not names:
            raise ShapeError("an atlas needs at least one task, got none")
        checked = tuple(_checked(name, updates[name]) for name in names)
        known = provenance or {}
        for name in known:
            check_known(name, names, "provenance of task")
        origins = tuple(known.get(name, Provenance()) for name in names)
        modules = _common_modules(names, checked)
        return cls(names, modules, check_space(space), origins, checked)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> dict[str, LowRank]:
        return dict(self._updates[check_known(name, self.names, "task")])

    def select(self, names: Iterable[str]) -> LowRankAtlas:
        """Return the named tasks, in the order asked for.

        Raises
        ------
        UnknownNameError
            If a name is not in the atlas or is asked for twice.

        Examples
        --------
        >>> pair = (LowRank([[1.0]], [[1.0]]),)
        >>> atlas = LowRankAtlas.from_factors({name: {"q": pair[0]} for name in ("a", "b", "c")})
        >>> atlas.select(["c", "a"]).names
        ('c', 'a')
        """
        wanted = [names] if isinstance(names, str) else list(names)
        order = {name: check_known(name, self.names, "task") for name in wanted}
        picked = LowRankAtlas.from_factors(
            {name: self._updates[order[name]] for name in check_names(wanted, "task")},
            space=self.space,
            provenance={name: self.provenance[index] for name, index in order.items()},
        )
        return replace(picked, report=self.report)

    def _aligned(self, modules: tuple[str, ...]) -> list[list[tuple[Any, Any, float] | None]]:
        """For every task, in the order of ``modules``, what the kernel needs or None."""
        return [
            [
                None if (found := update.get(module)) is None else (found.a, found.b, found.scale)
                for module in modules
            ]
            for update in self._updates
        ]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LowRankAtlas):
            return NotImplemented
        mine = (self.names, self.space, self.provenance, self._updates)
        return mine == (other.names, other.space, other.provenance, other._updates)

    def __hash__(self) -> int:
        return hash((self.names, self.modules, self.space))

    def _head(self) -> str:
        ranks = {update.rank for modules in self._updates for update in modules.values()}
        low, high = min(ranks), max(ranks)
        each = f"rank {low}" if low == high else f"ranks {low} to {high}"
        return (
            f"LowRankAtlas of {len(self)} tasks in space {self.space!r}: "
            f"{len(self.modules)} modules, {each}"
        )

    def _rows(self, limit: int) -> list[tuple[str, str, str]]:
        rows = zip(self.names, self._updates, self.provenance, strict=True)
        return [
            (name, f"{len(update)} modules", origin.describe()) for name, update, origin in rows
        ][:limit]

    def __repr__(self) -> str:
        rows = self._rows(_ROWS_SHOWN)
        width = max(len(name) for name, _, _ in rows)
        lines = [f"  {name:<{width}}  {size}  {origin}".rstrip() for name, size, origin in rows]
        hidden = len(self) - len(rows)
        return "\n".join([self._head(), *lines, *([f"  ... {hidden} more"] if hidden else [])])

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows(4 * _ROWS_SHOWN)
        )
        return (
            f"<p>{html.escape(self._head())}</p><table><thead><tr><th>task</th>"
            f"<th>modules</th><th>provenance</th></tr></thead><tbody>{rows}</tbody></table>"
        )


def _checked(task: str, modules: Mapping[str, Any]) -> dict[str, LowRank]:
    if not isinstance(modules, Mapping) or not modules:
        raise ShapeError(f"task {task!r}: expected a mapping of module to factors, at least one")
    checked = {}
    for module in check_names(modules, f"task {task!r}: module"):
        update = modules[module]
        try:
            checked[module] = update if isinstance(update, LowRank) else LowRank(*update)
        except KinAtlasError as error:
            raise type(error)(f"task {task!r}, module {module!r}: {error}") from None
    return checked


def _common_modules(
    names: tuple[str, ...], updates: tuple[dict[str, LowRank], ...]
) -> tuple[str, ...]:
    first: dict[str, tuple[str, tuple[int, int]]] = {}
    for name, update in zip(names, updates, strict=True):
        for module, factors in update.items():
            earlier, shape = first.setdefault(module, (name, factors.shape))
            if shape != factors.shape:
                raise ShapeError(
                    f"module {module!r}: its update is {shape} in task {earlier!r} and "
                    f"{factors.shape} in task {name!r}; updates of one base model have one size"
                )
    return tuple(sorted(first))
