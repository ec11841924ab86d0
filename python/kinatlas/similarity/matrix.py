"""Scores of every source for every target, with the names and settings they were made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas._arrow import column_of, text_column
from kinatlas._checks import check_choice, check_known, check_known_all, check_names
from kinatlas._frames import Tabular, as_html, as_text, require
from kinatlas.errors import FormatError, NonFiniteError, ShapeError
from kinatlas.tasks.mapping import is_mapped, let_go

__all__ = ["Layout", "SimilarityMatrix"]

# Scores looked at together, 8 MB.
_CHECKED = 1 << 20

Layout = Literal["wide", "long"]

# A terminal of 80 columns and 24 rows holds this many names and numbers.
_COLUMNS_SHOWN = 6
_ROWS_SHOWN = 16


@dataclass(frozen=True, eq=False, repr=False)
class SimilarityMatrix(Tabular):
    """Scores [n_targets, n_sources]: rows are targets, columns are sources, higher is closer.

    Parameters
    ----------
    values
        Scores [n_targets, n_sources], copied to read-only float64; those of
        ``np.load(path, mmap_mode="r")`` stay in their file. NaN means that the score is missing
        (a run that was never made); infinities are refused.
    targets, sources
        Names of the rows and of the columns, each without repetition.
    kernel
        Name of the measure; ``measured_score`` and ``measured_gain`` are measured transfer.
    options
        Settings the scores were computed with.
    diagnostics
        Numbers that tell whether the matrix can discriminate, or None.
    neutral
        Score at which transfer neither helps nor hurts, where one is known, else None.

    Raises
    ------
    ShapeError
        If ``values`` is not [n_targets, n_sources], or has no cell.
    UnknownNameError
        If a name is empty, not a text, or repeated.
    FormatError
        If the values are not numbers.
    NonFiniteError
        If a score or ``neutral`` is infinite.

    Examples
    --------
    >>> matrix = SimilarityMatrix(
    ...     values=[[1.0, 0.2], [0.3, 1.0]], targets=["rte", "mnli"], sources=["rte", "mnli"],
    ...     kernel="feature_mean",
    ... )
    >>> matrix
    SimilarityMatrix [2 targets, 2 sources], kernel 'feature_mean'
             rte    mnli
    rte   1.0000  0.2000
    mnli  0.3000  1.0000
    >>> matrix.select(targets=["rte"]).values
    array([[1. , 0.2]])
    """

    values: npt.NDArray[np.float64]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    kernel: str
    options: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] | None = None
    neutral: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", check_names(self.targets, "target"))
        object.__setattr__(self, "sources", check_names(self.sources, "source"))
        object.__setattr__(self, "values", self._checked_values())
        object.__setattr__(self, "options", dict(self.options))
        if self.diagnostics is not None:
            object.__setattr__(self, "diagnostics", dict(self.diagnostics))
        if self.neutral is not None:
            object.__setattr__(self, "neutral", float(self.neutral))
            if not np.isfinite(self.neutral):
                raise NonFiniteError(f"neutral: got {self.neutral}, expected a finite score")

    def _checked_values(self) -> npt.NDArray[np.float64]:
        given, is_lent = self.values, False
        if isinstance(given, np.ndarray) and given.dtype == np.float64:
            is_lent = given.flags.c_contiguous and is_mapped(given)
        try:
            values = np.asarray(given) if is_lent else np.array(given, np.float64, order="C")
        except (TypeError, ValueError) as error:
            raise FormatError(f"similarity values are not numbers: {error}") from None
        expected = (len(self.targets), len(self.sources))
        if values.shape != expected or values.size == 0:
            raise ShapeError(
                f"similarity values have shape {values.shape}, expected [n_targets, n_sources] = "
                f"{expected} with at least one target and one source"
            )
        # So many rows at a time that a mapped file stays out of memory.
        step = max(1, _CHECKED // values.shape[1])
        for start in range(0, len(values), step):
            scores = values[start : start + step]
            if np.isinf(scores).any():
                row, column = np.argwhere(np.isinf(scores))[0]
                raise NonFiniteError(
                    f"score of source '{self.sources[column]}' for target "
                    f"'{self.targets[start + row]}' is {scores[row, column]}, expected a finite "
                    "number, or NaN where it is missing"
                )
            let_go(scores)
        if is_lent:
            return values
        # Over bytes, because an array that owns its numbers can be made writeable again.
        frozen = np.frombuffer(values.tobytes(), dtype=np.float64)
        return frozen.reshape(expected)

    def __reduce__(self) -> tuple[Any, ...]:
        # NumPy forgets the read-only flag in a pickle; building anew restores it.
        fields = (self.values, self.targets, self.sources, self.kernel)
        return type(self), (*fields, self.options, self.diagnostics, self.neutral)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SimilarityMatrix):
            return NotImplemented
        return self._described() == other._described() and np.array_equal(
            self.values, other.values, equal_nan=True
        )

    __hash__ = None  # type: ignore[assignment]

    def _described(self) -> tuple[Any, ...]:
        names = (self.targets, self.sources, self.kernel)
        return (*names, self.options, self.diagnostics, self.neutral)

    def row(self, target: str) -> npt.NDArray[np.float64]:
        """Return the scores [n_sources] of all sources for one target.

        Raises `UnknownNameError`, with suggestions, for a target the matrix does not have.

        Examples
        --------
        >>> SimilarityMatrix([[0.5, 0.1]], ["rte"], ["mnli", "qqp"], "feature_mean").row("rte")
        array([0.5, 0.1])
        """
        row: npt.NDArray[np.float64] = self.values[check_known(target, self.targets, "target")]
        return row

    def select(
        self,
        *,
        targets: Iterable[str] | None = None,
        sources: Iterable[str] | None = None,
    ) -> SimilarityMatrix:
        """Return the matrix of some targets and sources, in the order asked for.

        Diagnostics describe the whole matrix and are left out of a part. Raises
        `UnknownNameError` for names the matrix does not have.

        Examples
        --------
        >>> matrix = SimilarityMatrix([[0.5, 0.1]], ["rte"], ["mnli", "qqp"], "feature_mean")
        >>> matrix.select(sources=["qqp"]).values
        array([[0.1]])
        """
        kept_targets = self.targets if targets is None else tuple(targets)
        kept_sources = self.sources if sources is None else tuple(sources)
        rows = check_known_all(kept_targets, self.targets, "target")
        columns = check_known_all(kept_sources, self.sources, "source")
        whole = (kept_targets, kept_sources) == (self.targets, self.sources)
        return SimilarityMatrix(
            values=self.values[np.ix_(rows, columns)],
            targets=kept_targets,
            sources=kept_sources,
            kernel=self.kernel,
            options=self.options,
            diagnostics=self.diagnostics if whole else None,
            neutral=self.neutral,
        )

    def _columns(self, layout: Layout = "long") -> dict[str, list[Any]]:
        if check_choice(layout, ("wide", "long"), "layout") == "long":
            return {
                "target": [name for name in self.targets for _ in self.sources],
                "source": list(self.sources) * len(self.targets),
                "score": self.values.ravel().tolist(),
            }
        if "target" in self.sources:
            raise FormatError(
                "a source is named 'target', so a wide table would have two columns of that "
                "name; use layout='long'"
            )
        columns: dict[str, list[Any]] = {"target": list(self.targets)}
        return columns | dict(zip(self.sources, self.values.T.tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return names, nested lists of scores, kernel and options, ready for JSON.

        Examples
        --------
        >>> SimilarityMatrix([[0.5]], ["rte"], ["mnli"], "feature_mean").to_dict()["values"]
        [[0.5]]
        """
        return {
            "kernel": self.kernel,
            "targets": list(self.targets),
            "sources": list(self.sources),
            "values": self.values.tolist(),
            "options": dict(self.options),
            "diagnostics": None if self.diagnostics is None else dict(self.diagnostics),
            "neutral": self.neutral,
        }

    def to_pandas(self, *, layout: Layout = "wide") -> Any:
        """Return a ``pandas.DataFrame``: wide with targets as index, or long with one row a cell.

        Examples
        --------
        >>> SimilarityMatrix([[0.5]], ["rte"], ["mnli"], "feature_mean").to_pandas()
                mnli
        target
        rte      0.5
        """
        pandas = require("pandas", "dataframe")
        if check_choice(layout, ("wide", "long"), "layout") == "wide":
            index = pandas.Index(self.targets, name="target")
            return pandas.DataFrame(self.values.copy(), index=index, columns=list(self.sources))
        return pandas.DataFrame(self._columns(layout))

    def to_polars(self, *, layout: Layout = "wide") -> Any:
        """Return a ``polars.DataFrame`` with a ``target`` column, wide or long.

        Examples
        --------
        >>> SimilarityMatrix([[0.5]], ["rte"], ["mnli"], "feature_mean").to_polars().columns
        ['target', 'mnli']
        """
        return require("polars", "dataframe").DataFrame(self._columns(layout))

    def to_arrow(self, *, layout: Layout = "wide") -> Any:
        """Return a ``pyarrow.Table`` with a ``target`` column, wide or long.

        Examples
        --------
        >>> SimilarityMatrix([[0.5]], ["rte"], ["mnli"], "feature_mean").to_arrow().column_names
        ['target', 'mnli']
        """
        return require("pyarrow", "dataframe").table(self._columns(layout))

    def _arrow_columns(self) -> dict[str, Any]:
        """The tidy table (target, source, score); scores are lent, not copied."""
        return {
            "target": text_column(self.targets, each=len(self.sources)),
            "source": text_column(self.sources, times=len(self.targets)),
            "score": column_of(self.values.reshape(-1)),
        }

    def __repr__(self) -> str:
        hidden = len(self.sources) - _COLUMNS_SHOWN
        more = f"\n... and {hidden} more sources" if hidden > 0 else ""
        return f"{self._title()}\n{as_text(self._shown_columns(), max_rows=_ROWS_SHOWN)}{more}"

    def _repr_html_(self) -> str:
        return as_html(self._shown_columns(), self._title(), max_rows=_ROWS_SHOWN)

    def _shown_columns(self) -> dict[str, list[Any]]:
        # The corner is empty because no source can have an empty name.
        columns: dict[str, list[Any]] = {"": list(self.targets)}
        scores = self.values.T[:_COLUMNS_SHOWN].tolist()
        return columns | dict(zip(self.sources[:_COLUMNS_SHOWN], scores, strict=True))

    def _title(self) -> str:
        sizes = f"[{len(self.targets)} targets, {len(self.sources)} sources]"
        return f"SimilarityMatrix {sizes}, kernel '{self.kernel}'"
