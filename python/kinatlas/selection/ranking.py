"""An order of sources for one target: entries with ranks, ties and predicted effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

from kinatlas._checks import quoted
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.selection.uncertainty import RankUncertainty

__all__ = ["NO_TRANSFER", "Effect", "RankedSource", "Ranking"]

#: Name of the candidate that stands for training without any transfer.
NO_TRANSFER = "no transfer"

Effect = Literal["help", "none", "harm", "unknown"]

#: Without seeds nobody can say more.
NO_SEEDS = "one set of scores, no seeds: nothing is known about how far to trust this order"

#: With one source and no other candidate there is nothing to order, however many seeds there are.
ONE_SOURCE = (
    "one source with {} seeds: there is no order of sources to trust or doubt, and whether it "
    "helps at all is not judged here (see consistency.transfer_gains)"
)

_OVER_SEEDS = ("score_low", "score_high", "rank_low", "rank_high", "p_top_1", "p_top_k", "group")

# Of a screen of 24 lines, title, header and remarks take the others.
_ROWS_SHOWN = 17


@dataclass(frozen=True)
class RankedSource:
    """One place of a ranking.

    ``rank`` counts from 0; the ``n_tied`` candidates of one score share the mean of their ranks.
    ``effect`` is what transfer is predicted to do, where the matrix knows its neutral score:
    ``help`` above it, ``none`` at it, ``harm`` below it; else ``unknown``. The other fields are
    known where seeds were given, see `RankUncertainty`: then ``score`` is the mean over seeds.

    Examples
    --------
    >>> RankedSource("mnli", score=0.8, rank=0.5, n_tied=2).is_tied
    True
    """

    source: str
    score: float
    rank: float
    n_tied: int = 1
    effect: Effect = "unknown"
    score_low: float | None = None
    score_high: float | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    p_top_1: float | None = None
    p_top_k: float | None = None
    group: str = ""

    @property
    def is_tied(self) -> bool:
        """Whether another candidate has the same score."""
        return self.n_tied > 1


@dataclass(frozen=True, repr=False)
class Ranking(Tabular, Sequence[RankedSource]):
    """Sources for one target, best first; made by `rank_sources`.

    Iteration and ``ranking[0]`` give a `RankedSource`, slices give a `Ranking`. Candidates with
    equal scores stand in alphabetical order, which is no preference: they share their rank.

    Parameters
    ----------
    target
        The task to transfer to.
    entries
        Places, best first.
    kernel
        What scored the sources.
    n_candidates
        Candidates that were ordered, shown or not.
    omitted
        Sources without a score, left out under ``nan_policy="omit"``.
    uncertainty
        What several seeds say about the order, or None where there were none, or one source only.
    n_seeds
        Seeds behind every score.

    Examples
    --------
    >>> from kinatlas.selection import rank_sources
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> matrix = SimilarityMatrix([[0.2, 0.9, 0.9]], ["rte"], ["sst2", "qqp", "mnli"], "flatten")
    >>> ranking = rank_sources(matrix, "rte")
    >>> ranking
    Ranking for target 'rte' by 'flatten', 3 of 3 candidates
    source   score    rank  n_tied
    mnli    0.9000  0.5000       2
    qqp     0.9000  0.5000       2
    sst2    0.2000  2.0000       1
    one set of scores, no seeds: nothing is known about how far to trust this order
    >>> ranking[0].source, ranking[2:].sources
    ('mnli', ('sst2',))
    """

    target: str
    entries: tuple[RankedSource, ...]
    kernel: str
    n_candidates: int
    omitted: tuple[str, ...] = ()
    uncertainty: RankUncertainty | None = field(default=None, compare=False)
    n_seeds: int = 1

    @property
    def sources(self) -> tuple[str, ...]:
        """Names in order, best first; `NO_TRANSFER` is among them where it is a candidate."""
        return tuple(entry.source for entry in self.entries)

    @property
    def cuts_a_tie(self) -> bool:
        """Whether a candidate that is not shown has the same score as one that is."""
        shown = [entry.rank for entry in self.entries]
        return any(entry.n_tied > shown.count(entry.rank) for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[RankedSource]:
        return iter(self.entries)

    @overload
    def __getitem__(self, index: int) -> RankedSource: ...
    @overload
    def __getitem__(self, index: slice) -> Ranking: ...
    def __getitem__(self, index: int | slice) -> RankedSource | Ranking:
        if isinstance(index, slice):
            return replace(self, entries=self.entries[index])
        return self.entries[index]

    def explain(self) -> str:
        """Return what the order can be trusted for, a plain sentence a line.

        Examples
        --------
        >>> Ranking("rte", (RankedSource("mnli", 0.8, 0.0),), "flatten", 1).explain()
        'one set of scores, no seeds: nothing is known about how far to trust this order'
        """
        return self._unknown() if self.uncertainty is None else self.uncertainty.explain()

    def _unknown(self) -> str:
        return NO_SEEDS if self.n_seeds < 2 else ONE_SOURCE.format(self.n_seeds)

    def _columns(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {
            name: [getattr(entry, name) for entry in self.entries]
            for name in ("source", "score", "rank", "n_tied")
        }
        if self.uncertainty is not None:
            for name in _OVER_SEEDS:
                columns[name] = [getattr(entry, name) for entry in self.entries]
        if any(entry.effect != "unknown" for entry in self.entries):
            columns["effect"] = [entry.effect for entry in self.entries]
        return columns

    def _title(self) -> str:
        counts = f"{len(self)} of {self.n_candidates} candidates"
        return f"Ranking for target '{self.target}' by '{self.kernel}', {counts}"

    def _remarks(self) -> list[str]:
        uncertainty = self.uncertainty
        remarks = [self._unknown()] if uncertainty is None else list(uncertainty.remarks)
        if self.cuts_a_tie:
            remarks.append("the cut goes through a tie: candidates not shown score the same")
        if self.omitted:
            remarks.append(f"without a score, left out: {quoted(self.omitted)}")
        return remarks

    def __repr__(self) -> str:
        table = as_text(self._columns(), max_rows=_ROWS_SHOWN)
        return "\n".join([self._title(), table, *self._remarks()])

    def _repr_html_(self) -> str:
        return as_html(self._columns(), ". ".join([self._title(), *self._remarks()]))
