"""Measured transfer: what each source brought each target, run by run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_known_all, check_names
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.errors import FormatError
from kinatlas.evaluation.arrays import is_same, read_only
from kinatlas.evaluation.reading import gather_table, read_csv, read_frame
from kinatlas.evaluation.runs import Gathered, Seed, gather, seed_label
from kinatlas.evaluation.units import resolve_units
from kinatlas.similarity import SimilarityMatrix

__all__ = ["TransferTable"]

_ROWS_SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class TransferTable(Tabular):
    """Scores of runs that started from a source and were measured on a target.

    Higher is better. A run that was never made is missing (NaN), never zero. Use `from_csv`,
    `from_wide`, `from_frame` or `from_arrays`; the fields are the whole table.

    Parameters
    ----------
    scores
        Measured scores [n_targets, n_sources, n_seeds], NaN where missing.
    targets, sources, seeds
        Names of the axes; a seed is a whole number or a text.
    baseline
        Scores without transfer [n_targets, n_seeds], or None.
    units
        ``fraction`` (1 is everything) or ``percent``; ``auto`` decides over the whole table.

    Raises
    ------
    ShapeError
        If an array does not fit its names.
    FormatError
        If units are mixed or no score was measured.
    NonFiniteError
        If a score is infinite.

    Examples
    --------
    >>> table = TransferTable.from_arrays(
    ...     targets=["rte", "rte", "mnli"], sources=["mnli", "qqp", "qqp"],
    ...     scores=[71.0, 64.5, 80.1],
    ... )
    >>> table
    TransferTable [2 targets, 2 sources, 1 seed] in percent, 3 runs, 0 missing, no baseline
    target  source  seed    score
    rte     mnli       0  71.0000
    rte     qqp        0  64.5000
    mnli    qqp        0  80.1000
    """

    scores: npt.NDArray[np.float64]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[Seed, ...] = (0,)
    baseline: npt.NDArray[np.float64] | None = None
    units: str = "auto"

    def __post_init__(self) -> None:
        targets = check_names(self.targets, "target")
        sources = check_names(self.sources, "source")
        seeds = tuple(seed_label(seed) for seed in self.seeds)
        check_names([str(seed) for seed in seeds], "seed")
        shape = (len(targets), len(sources), len(seeds))
        scores = read_only(self.scores, shape, "scores [n_targets, n_sources, n_seeds]")
        baseline = self.baseline
        if baseline is not None:
            label = "baseline [n_targets, n_seeds]"
            baseline = read_only(baseline, (shape[0], shape[2]), label)
        units = resolve_units(self.units, scores, baseline, targets)
        fields = {"scores": scores, "targets": targets, "sources": sources, "seeds": seeds}
        for name, value in (fields | {"baseline": baseline, "units": units}).items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # NumPy forgets the read-only flag in a pickle; building anew restores it.
        names = (self.targets, self.sources, self.seeds)
        return type(self), (self.scores, *names, self.baseline, self.units)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TransferTable):
            return NotImplemented
        names = ("targets", "sources", "seeds", "units")
        return (
            all(getattr(self, name) == getattr(other, name) for name in names)
            and is_same(self.scores, other.scores)
            and is_same(self.baseline, other.baseline)
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def from_arrays(
        cls,
        targets: Sequence[str],
        sources: Sequence[str],
        scores: Sequence[float] | npt.NDArray[Any],
        seeds: Sequence[Seed] | npt.NDArray[Any] | None = None,
        baseline: Sequence[float] | npt.NDArray[Any] | None = None,
        *,
        units: str = "auto",
    ) -> TransferTable:
        """Return a table from columns of equal length, one entry a run; raises as `from_csv`.

        Examples
        --------
        >>> TransferTable.from_arrays(["rte"], ["mnli"], [0.71], seeds=[42]).seeds
        (42,)
        """
        return cls._of(gather(targets, sources, scores, seeds, baseline), units)

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        baseline: str | None = None,
        units: str = "auto",
        delimiter: str = ",",
    ) -> TransferTable:
        """Return a table from a CSV file, long or wide by its header.

        Long files have columns ``target``, ``source``, ``score`` and optionally ``seed``; other
        columns are not read. In wide files every other column is a source. ``baseline`` names
        the column of scores without transfer (default: a column called ``baseline``, if any).

        Raises `FormatError` for what is no such table, a run listed twice, or two baselines of
        one target and seed; `UnknownNameError` for an absent baseline column; `OSError`.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "transfer.csv"
        >>> _ = path.write_text("task,mnli,qqp\\nrte,71.0,\\n", encoding="utf-8")
        >>> TransferTable.from_csv(path).n_missing
        1
        """
        return cls._of(gather_table(read_csv(path, delimiter), "auto", baseline), units)

    @classmethod
    def from_wide(
        cls, frame_or_path: Any, *, baseline: str | None = None, units: str = "auto"
    ) -> TransferTable:
        """Return a table from a wide CSV file or data frame: rows are targets, columns sources.

        Target names are the column ``target``, else a pandas index of names, else the first
        column. Raises as `from_csv` and `from_frame`.

        Examples
        --------
        >>> frame = {"target": ["rte"], "mnli": [0.71], "random": [0.52]}
        >>> TransferTable.from_wide(frame, baseline="random").baseline
        array([[0.52]])
        """
        is_path = isinstance(frame_or_path, str | os.PathLike)
        table = read_csv(frame_or_path) if is_path else read_frame(frame_or_path)
        return cls._of(gather_table(table, "wide", baseline), units)

    @classmethod
    def from_frame(
        cls, frame: Any, *, baseline: str | None = None, units: str = "auto"
    ) -> TransferTable:
        """Return a table from a pandas, polars or Arrow table or a mapping, long or wide.

        Raises `MissingDependencyError` without narwhals (extra ``dataframe``; mappings do
        without), otherwise as `from_csv`.

        Examples
        --------
        >>> TransferTable.from_frame({"target": ["rte"], "source": ["mnli"], "score": [71.0]}).units
        'percent'
        """
        return cls._of(gather_table(read_frame(frame), "auto", baseline), units)

    @classmethod
    def _of(cls, runs: Gathered, units: str) -> TransferTable:
        return cls(runs.scores, runs.targets, runs.sources, runs.seeds, runs.baseline, units)

    @property
    def n_runs(self) -> int:
        """Runs that were measured."""
        return int((~np.isnan(self.scores)).sum())

    @property
    def n_missing(self) -> int:
        """Combinations of a target, another task as source, and a seed that were not measured."""
        others = np.not_equal.outer(np.array(self.targets), np.array(self.sources))
        return int(np.isnan(self.scores[others]).sum())

    def select(
        self,
        *,
        targets: Iterable[str] | None = None,
        sources: Iterable[str] | None = None,
        seeds: Iterable[Seed] | None = None,
    ) -> TransferTable:
        """Return the table of some targets, sources and seeds, in the order asked for.

        Units stay as they are. Raises `UnknownNameError` for names the table does not have.

        Examples
        --------
        >>> table = TransferTable.from_arrays(["rte", "rte"], ["mnli", "qqp"], [71.0, 64.5])
        >>> table.select(sources=["qqp"]).sources
        ('qqp',)
        """
        kept_targets = self.targets if targets is None else tuple(targets)
        kept_sources = self.sources if sources is None else tuple(sources)
        kept_seeds = self.seeds if seeds is None else tuple(seeds)
        rows = check_known_all(kept_targets, self.targets, "target")
        columns = check_known_all(kept_sources, self.sources, "source")
        labels = [str(seed) for seed in self.seeds]
        layers = check_known_all([str(seed) for seed in kept_seeds], labels, "seed")
        return TransferTable(
            self.scores[np.ix_(rows, columns, layers)],
            kept_targets,
            kept_sources,
            tuple(self.seeds[at] for at in layers),
            None if self.baseline is None else self.baseline[np.ix_(rows, layers)],
            self.units,
        )

    def to_matrix(self, value: Literal["score", "gain"] = "score") -> SimilarityMatrix:
        """Return measured transfer [n_targets, n_sources] as a matrix, averaged over seeds.

        ``gain`` is the score less the baseline of the same target and seed, so 0 is neutral.
        Cells are in the table's units, NaN where no run was measured. Raises `FormatError` if
        gains are asked of a table without baseline.

        Examples
        --------
        >>> table = TransferTable.from_arrays(["rte"], ["mnli"], [71.0], baseline=[68.5])
        >>> table.to_matrix("gain").values
        array([[2.5]])
        """
        if check_choice(value, ("score", "gain"), "value") == "gain" and self.baseline is None:
            raise FormatError(
                "transfer table has no baseline, so gains are unknown; load it with the column "
                "of scores without transfer, baseline='...'"
            )
        baseline = self.baseline if value == "gain" else None
        return SimilarityMatrix(
            values=_core.seed_means(self.scores, baseline),
            targets=self.targets,
            sources=self.sources,
            kernel=f"measured_{value}",
            options={"units": self.units, "seeds": list(self.seeds), "n_missing": self.n_missing},
            neutral=0.0 if value == "gain" else None,
        )

    def _columns(self) -> dict[str, list[Any]]:
        """Lay out the measured runs; missing ones are left out."""
        places = np.argwhere(~np.isnan(self.scores)).tolist()
        columns: dict[str, list[Any]] = {
            "target": [self.targets[target] for target, _, _ in places],
            "source": [self.sources[source] for _, source, _ in places],
            "seed": [self.seeds[seed] for _, _, seed in places],
            "score": [float(self.scores[target, source, seed]) for target, source, seed in places],
        }
        if self.baseline is not None:
            columns["baseline"] = [float(self.baseline[target, seed]) for target, _, seed in places]
        return columns

    def __repr__(self) -> str:
        return f"{self._title()}\n{as_text(self._columns(), max_rows=_ROWS_SHOWN)}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self._title(), max_rows=_ROWS_SHOWN)

    def _title(self) -> str:
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) != 1)}"
        sizes = f"[{len(self.targets)} targets, {len(self.sources)} sources, {seeds}]"
        known = "no baseline" if self.baseline is None else "with baseline"
        counts = f"{self.n_runs} runs, {self.n_missing} missing, {known}"
        return f"TransferTable {sizes} in {self.units}, {counts}"
