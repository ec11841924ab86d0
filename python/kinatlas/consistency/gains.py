"""Which single transfers are shown to help or to harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas._seeds import check_sampling
from kinatlas.errors import DTypeError, FormatError
from kinatlas.evaluation import TransferTable

__all__ = ["TransferGains", "transfer_gains"]

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class TransferGains(Tabular):
    """Mean gain of every source for every target with its interval; made by `transfer_gains`.

    Parameters
    ----------
    targets, sources
        Names of the axes.
    gains, low, high
        Mean gain over seeds and its interval [n_targets, n_sources]; NaN where not measured.
    is_shown
        Cells [n_targets, n_sources] whose gain is told apart from zero, all cells at once.
    n_shown
        Helping and harming cells among them.
    deviation, freedom
        Standard deviation of one run's gain, and its degrees of freedom.
    confidence, units
        Level of the intervals, and what gains are measured in.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    gains: Floats
    low: Floats
    high: Floats
    is_shown: npt.NDArray[np.bool_]
    n_shown: tuple[int, int]
    deviation: float
    freedom: float
    confidence: float
    units: str

    def explain(self) -> str:
        """Return what the cells say together, a plain sentence a line.

        Examples
        --------
        >>> table = TransferTable.from_arrays(
        ...     ["t"] * 4, ["a", "a", "b", "b"], [60.0, 61, 50, 51], seeds=[0, 1, 0, 1],
        ...     baseline=[50.0, 51] * 2)
        >>> print(transfer_gains(table).explain())
        1 of 2 measured transfers is shown to help, 0 to harm, 1 cannot be told from no transfer.
        One run's gain has a standard deviation of 0 percent over seeds (1 degrees of freedom).
        """
        measured = int((~np.isnan(self.gains)).sum())
        helping, harming = self.n_shown
        verb = "is" if helping == 1 else "are"
        unclear = measured - helping - harming
        return (
            f"{helping} of {measured} measured transfers {verb} shown to help, {harming} to harm, "
            f"{unclear} cannot be told from no transfer.\n"
            f"One run's gain has a standard deviation of {self.deviation:.3g} {self.units} over "
            f"seeds ({self.freedom:g} degrees of freedom)."
        )

    def _columns(self) -> dict[str, list[Any]]:
        places = [tuple(place) for place in np.argwhere(~np.isnan(self.gains)).tolist()]
        return {
            "target": [self.targets[row] for row, _ in places],
            "source": [self.sources[column] for _, column in places],
            "gain": [float(self.gains[place]) for place in places],
            "low": [float(self.low[place]) for place in places],
            "high": [float(self.high[place]) for place in places],
            "verdict": [self._verdict(place) for place in places],
        }

    def _verdict(self, place: tuple[int, ...]) -> str:
        if not self.is_shown[place]:
            return "not told from zero"
        return "helps" if self.gains[place] > 0 else "harms"

    def __repr__(self) -> str:
        return f"{self.explain()}\n{as_text(self._columns(), max_rows=16)}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self.explain(), max_rows=40)


def transfer_gains(transfer: TransferTable, *, confidence: float = 0.95) -> TransferGains:
    """Return every measured gain with an interval, and which gains are more than seed noise.

    A gain is the score less the baseline of the same target and seed. All cells share one seed
    variance, and since the runs of one target and seed share a baseline, it counts with
    (seeds - 1) degrees of freedom a target, not a cell. ``low`` and ``high`` are for each cell
    alone; a cell is *shown* when its interval leaves zero out at the level that holds for all
    cells at once (Bonferroni). A task as its own source is left out.

    Parameters
    ----------
    transfer
        A table with a baseline and at least two seeds.
    confidence
        Level of the intervals.

    Raises
    ------
    DTypeError
        For anything but a table.
    FormatError
        If there is no baseline, or no cell was measured with two seeds.

    References
    ----------
    Pooled t intervals: Searle, Casella and McCulloch (1992), chapter 3; Dunn (1961) for all cells
    at once.

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = transfer_gains(ka.datasets.load_minilm_prompts().transfer)
    >>> found.gains.shape, found.freedom
    ((12, 15), 24.0)
    """
    if not isinstance(transfer, TransferTable):
        raise DTypeError(f"transfer: got {type(transfer).__name__}, expected a TransferTable")
    check_sampling(confidence, 100)  # nothing is drawn
    if transfer.baseline is None:
        raise FormatError(
            "transfer: the table has no baseline, so gains are unknown; load it with the scores "
            "without transfer, baseline='...'"
        )
    gains = transfer.scores - transfer.baseline[:, np.newaxis, :]
    # A score that equals its baseline but for rounding gains nothing.
    gains[np.abs(gains) <= _ROUNDING * np.abs(transfer.scores)] = 0.0
    gains[np.equal.outer(np.array(transfer.targets), np.array(transfer.sources))] = np.nan
    counts = (~np.isnan(gains)).sum(axis=2)
    repeated = counts > 1
    if not repeated.any():
        raise FormatError(
            "transfer: no pair was measured with two seeds, so nothing is known about noise; "
            "measure again with another seed"
        )
    sums = np.nansum(gains, axis=2)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    squares = np.nansum((gains - means[:, :, np.newaxis]) ** 2, axis=2)
    deviation = float(np.sqrt(squares[repeated].sum() / (counts[repeated] - 1).sum()))
    freedom = float(np.where(repeated, counts - 1, 0).max(axis=1).sum())
    errors = np.divide(
        deviation, np.sqrt(counts), out=np.full(sums.shape, np.nan), where=counts > 0
    )
    alone, together = (
        _core.student_quantile(1 - (1 - confidence) / (2 * n_cells), freedom)
        for n_cells in (1, int((counts > 0).sum()))
    )
    with np.errstate(invalid="ignore"):
        is_shown = np.abs(means) > together * errors
        n_shown = (int((is_shown & (means > 0)).sum()), int((is_shown & (means < 0)).sum()))
    return TransferGains(
        targets=transfer.targets,
        sources=transfer.sources,
        gains=means,
        low=means - alone * errors,
        high=means + alone * errors,
        is_shown=is_shown,
        n_shown=n_shown,
        deviation=deviation,
        freedom=freedom,
        confidence=confidence,
        units=transfer.units,
    )
