"""What a frozen backbone says about every row: all that a new task's head ever reads."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_known, check_known_all, check_names
from kinatlas.composition.labels import as_array
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, SpaceError

__all__ = ["Features"]

Floats = npt.NDArray[np.float32]

# Rows looked at together when searching for NaN: a few megabytes of flags.
_ROWS_AT_ONCE = 16384


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """Cached representations of a frozen backbone, row by row, with the prompts of its tasks.

    Parameters
    ----------
    x
        Embedded input [n, dim] that gates and the query network read.
    shared
        Shared representation [n, width].
    own
        Representation by each source task's own expert [n, n_sources, width].
    sources
        Names of the source tasks, in the order of ``own`` and ``keys``.
    keys
        Prompts of the source tasks [n_sources, width].
    basis_key
        Hash of the frozen backbone and its feature schema; features of different backbones never
        meet.

    Raises
    ------
    ShapeError
        If the sizes do not fit together, there is no row, or there is no source.
    DTypeError
        If an array is not float32 or float16.
    NonFiniteError
        If an array holds NaN or infinity.
    SpaceError
        If ``basis_key`` is empty.
    UnknownNameError
        If source names are empty or repeated.

    References
    ----------
    Bai et al., Efficient Multi-task Prompt Tuning for Recommendation, arXiv 2408.17214.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = Features(
    ...     x=rng.normal(size=(5, 3)).astype("f"),
    ...     shared=rng.normal(size=(5, 4)).astype("f"),
    ...     own=rng.normal(size=(5, 2, 4)).astype("f"),
    ...     sources=("click", "buy"),
    ...     keys=rng.normal(size=(2, 4)).astype("f"),
    ...     basis_key="example",
    ... )
    >>> features
    Features: 5 rows, dim 3, width 4, sources 'click', 'buy', basis 'example'
    >>> len(features.take([0, 2])), features.without("click").sources
    (2, ('buy',))
    """

    x: Floats
    shared: Floats
    own: Floats
    sources: tuple[str, ...]
    keys: Floats
    basis_key: str

    def __post_init__(self) -> None:
        self._set("sources", check_names(self.sources, "source"))
        if not isinstance(self.basis_key, str) or not self.basis_key:
            raise SpaceError(
                f"basis_key={self.basis_key!r}: expected a non-empty string, the hash of the "
                "frozen backbone and its feature schema"
            )
        for name, n_dimensions in (("x", 2), ("shared", 2), ("own", 3), ("keys", 2)):
            self._set(name, _single(getattr(self, name), name, n_dimensions))
        self._check_sizes()
        for name in ("x", "shared", "own", "keys"):
            _check_finite(getattr(self, name), name, self.sources)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_sizes(self) -> None:
        n, width, n_sources = len(self.x), self.shared.shape[1], len(self.sources)
        if n_sources == 0:
            raise ShapeError("features hold no source task, expected at least one")
        if n == 0 or self.x.shape[1] == 0:
            raise ShapeError(f"x has shape {self.x.shape}, expected at least one row and column")
        if width < 2:
            raise ShapeError(f"shared has width {width}, expected at least 2")
        wanted = {
            "shared": (n, width),
            "own": (n, n_sources, width),
            "keys": (n_sources, width),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ShapeError(
                    f"{name} has shape {found}, expected {shape} for x {self.x.shape}, shared "
                    f"[.., {width}] and {n_sources} sources"
                )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def dim(self) -> int:
        """Width of the embedded input."""
        return int(self.x.shape[1])

    @property
    def width(self) -> int:
        """Width of every representation."""
        return int(self.shared.shape[1])

    @property
    def n_sources(self) -> int:
        """Number of source tasks."""
        return len(self.sources)

    def take(self, rows: Any) -> Features:
        """Return the features of some rows: numbers, a mask or a slice.

        Raises
        ------
        ShapeError
            If a row does not exist or none is left.
        """
        if isinstance(rows, tuple):
            raise ShapeError(
                f"rows are {rows!r}, expected a list of row numbers, a mask or a slice"
            )
        try:
            parts = [array[rows] for array in (self.x, self.shared, self.own)]
        except IndexError as error:
            raise ShapeError(f"rows do not fit features of {len(self)} rows: {error}") from None
        if parts[0].ndim != 2 or len(parts[0]) == 0:
            raise ShapeError("rows leave no row, expected a list of row numbers, a mask or a slice")
        return self._wrap(parts[0], parts[1], parts[2], self.sources, self.keys, self.basis_key)

    def select(self, sources: Sequence[str]) -> Features:
        """Return the features with these sources only, in this order.

        Raises
        ------
        UnknownNameError
            If a source is unknown or named twice.
        ShapeError
            If no source is named.
        """
        wanted = check_names(sources, "source")
        if not wanted:
            raise ShapeError("no source is left, expected at least one")
        at = check_known_all(wanted, self.sources, "source")
        own, keys = self.own[:, at], self.keys[at]
        return self._wrap(self.x, self.shared, own, wanted, keys, self.basis_key)

    def without(self, source: str) -> Features:
        """Return the features without one source.

        Raises
        ------
        UnknownNameError
            If the source is unknown.
        ShapeError
            If it is the only one.
        """
        check_known(source, self.sources, "source")
        return self.select([name for name in self.sources if name != source])

    @classmethod
    def _wrap(
        cls,
        x: Floats,
        shared: Floats,
        own: Floats,
        sources: tuple[str, ...],
        keys: Floats,
        basis_key: str,
    ) -> Features:
        """Take arrays that come from checked features, or out of a pickle of them."""
        features = cls.__new__(cls)
        arrays = {"x": x, "shared": shared, "own": own, "keys": keys}
        for name, array in arrays.items():
            features._set(name, _read_only(array))
        features._set("sources", sources)
        features._set("basis_key", basis_key)
        return features

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.x, self.shared, self.own, self.sources, self.keys, self.basis_key)
        return Features._wrap, fields

    def __repr__(self) -> str:
        shown = ", ".join(f"'{name}'" for name in self.sources)
        return (
            f"Features: {len(self)} rows, dim {self.dim}, width {self.width}, sources {shown}, "
            f"basis {self.basis_key[:12]!r}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"


def _read_only(array: npt.NDArray[Any]) -> Floats:
    shown: Floats = np.ascontiguousarray(array, dtype=np.float32).view()
    shown.flags.writeable = False
    return shown


def _single(values: Any, name: str, n_dimensions: int) -> Floats:
    array = as_array(values, name)
    if array.dtype not in (np.float32, np.float16):
        raise DTypeError(
            f"{name}: numbers are {array.dtype}, expected float32 or float16; convert explicitly "
            "with .astype('float32')"
        )
    if array.ndim != n_dimensions:
        raise ShapeError(f"{name} has shape {array.shape}, expected {n_dimensions} dimensions")
    return _read_only(array)


def _check_finite(array: Floats, name: str, sources: tuple[str, ...]) -> None:
    for start in range(0, len(array), _ROWS_AT_ONCE):
        bad = ~np.isfinite(array[start : start + _ROWS_AT_ONCE])
        if bad.any():
            place = [int(index) for index in np.argwhere(bad)[0]]
            place[0] += start
            source = {"own": 1, "keys": 0}.get(name)
            of = "" if source is None else f" of source {sources[place[source]]!r}"
            value = array[tuple(place)]
            raise NonFiniteError(f"{name}{of} holds {value} at {place}, expected finite numbers")
