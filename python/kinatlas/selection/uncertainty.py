"""How far the order of one target's sources can be trusted, given scores of several seeds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text

if TYPE_CHECKING:
    from kinatlas.selection.ranking import RankedSource

__all__ = ["RankUncertainty", "letters", "rank_uncertainty", "with_uncertainty"]

Floats = npt.NDArray[np.float64]

# Of a screen of 24 lines, title, header, what is hidden and two remarks take the others.
_ROWS_SHOWN = 19


@dataclass(frozen=True, eq=False, repr=False)
class RankUncertainty(Tabular):
    """What the seeds say about an order; ``ranking.uncertainty`` of a ranking over seeds.

    Candidates are in the order of the ranking. Chances are shares of ``n_draws`` draws of the
    true means under a normal model in which all sources share one seed variance.

    Parameters
    ----------
    candidates
        Names, best mean first.
    scores
        Mean over seeds [n].
    score_intervals, rank_intervals
        Low and high of the mean score and of the rank (from 0) [n, 2].
    places
        Chance of every place [n, n]; column 0 is the best place.
    beats
        Chance that the row is truly better than the column [n, n]; ties count half.
    groups
        Sources that cannot be told apart, as maximal sets; sets may overlap.
    k
        Cut-off of ``p_top_k``.
    confidence, unit, n_seeds, n_draws
        Level of every interval, the seeds that count as independent, how many, and how many draws.
    seed_deviation
        Standard error of a mean against the others.
    least_difference
        Means further apart than this are told apart (Tukey's range test).

    Examples
    --------
    >>> from kinatlas.selection import rank_sources
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> seeds = {seed: SimilarityMatrix([[0.2 + seed / 100, 0.9]], ["rte"], ["sst2", "mnli"], "k")
    ...          for seed in range(4)}
    >>> found = rank_sources(seeds, "rte").uncertainty
    >>> found.p_beats("mnli", "sst2") > 0.99, found.groups
    (True, (('mnli',), ('sst2',)))
    """

    candidates: tuple[str, ...]
    scores: Floats
    score_intervals: Floats
    rank_intervals: Floats
    places: Floats
    beats: Floats
    groups: tuple[tuple[str, ...], ...]
    k: int
    confidence: float
    unit: str
    n_seeds: int
    n_draws: int
    seed_deviation: float
    least_difference: float
    #: One plain sentence each; what was assumed, and how groups are made.
    remarks: tuple[str, ...] = field(default=())

    def p_beats(self, first: str, second: str) -> float:
        """Return the chance that ``first`` is truly better than ``second``.

        Raises `UnknownNameError` for a name that is no candidate.

        Examples
        --------
        >>> from kinatlas.selection import rank_sources
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> noise = {seed: SimilarityMatrix([[seed % 2, 0.5]], ["t"], ["a", "b"], "k")
        ...          for seed in range(5)}
        >>> 0.3 < rank_sources(noise, "t").uncertainty.p_beats("a", "b") < 0.5
        True
        """
        at, other = (check_known(name, self.candidates, "candidate") for name in (first, second))
        return float(self.beats[at, other])

    @property
    def p_top(self) -> Floats:
        """Chance of being the best [n]."""
        return np.asarray(self.places[:, 0])

    @property
    def p_top_k(self) -> Floats:
        """Chance of being among the best ``k`` [n]."""
        return np.asarray(self.places[:, : self.k].sum(axis=1))

    def explain(self) -> str:
        """Return one plain sentence for every number, a line each.

        Examples
        --------
        >>> from kinatlas.selection import rank_sources
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> seeds = {seed: SimilarityMatrix([[seed / 100, 0.9]], ["rte"], ["sst2", "mnli"], "k")
        ...          for seed in range(4)}
        >>> print(rank_sources(seeds, "rte").uncertainty.explain().splitlines()[0])
        mnli: mean score 0.9000 (95 % interval 0.9000 to 0.9000); true rank between 0 and 0, ...
        """
        percent = f"{100 * self.confidence:g} %"
        columns = self._columns()
        lines = []
        for row in zip(*columns.values(), strict=True):
            entry = dict(zip(columns, row, strict=True))
            lines.append(
                f"{entry['source']}: mean score {entry['score']:.4f} ({percent} interval "
                f"{entry['score_low']:.4f} to {entry['score_high']:.4f}); true rank between "
                f"{entry['rank_low']} and {entry['rank_high']}, counting from 0; the best with "
                f"probability {entry['p_top_1']:.2f}, among the best {self.k} with "
                f"{entry['p_top_k']:.2f}."
            )
        return "\n".join([*lines, *self.remarks])

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "source": list(self.candidates),
            "score": self.scores.tolist(),
            "score_low": self.score_intervals[:, 0].tolist(),
            "score_high": self.score_intervals[:, 1].tolist(),
            "rank_low": self.rank_intervals[:, 0].astype(int).tolist(),
            "rank_high": self.rank_intervals[:, 1].astype(int).tolist(),
            "p_top_1": self.p_top.tolist(),
            "p_top_k": self.p_top_k.tolist(),
            "group": letters(self.candidates, self.groups),
        }

    def _title(self) -> str:
        count = len(self.candidates)
        return f"Uncertainty of {count} candidates over {self.n_seeds} {self.unit}"

    def __repr__(self) -> str:
        table = as_text(self._columns(), max_rows=_ROWS_SHOWN)
        return "\n".join([self._title(), table, *self.remarks])

    def _repr_html_(self) -> str:
        return as_html(self._columns(), ". ".join([self._title(), *self.remarks]))


def rank_uncertainty(
    names: tuple[str, ...],
    values: Floats,
    *,
    anchor: tuple[str, float] | None,
    unit: str,
    k: int,
    confidence: float,
    n_draws: int,
    seed: int,
    n_threads: int | None,
) -> RankUncertainty:
    """Return the uncertainty of sources ``names`` with ``values`` [n_sources, n_first, n_second].

    ``anchor`` names a candidate whose score is known without seeds. Sources must come in an order
    of their own (sorted), so that the draws of each do not depend on the caller's.
    """
    errors = _core.seed_errors(np.ascontiguousarray(values), confidence)
    known = None
    if anchor is not None:
        known = (anchor[1], errors["level_variance"], errors["n_units"] - 1.0)
    drawn = _core.rank_draws(
        errors["means"],
        (errors["variance"], errors["freedom"]),
        known,
        (seed, 0, n_draws),
        n_threads,
    )
    places, beats, rank_intervals, _ = _core.rank_shares(drawn, confidence)
    means, score_intervals = errors["means"], np.array(errors["intervals"])
    if anchor is not None:
        names, means = (*names, anchor[0]), np.append(means, anchor[1])
        score_intervals = np.vstack([score_intervals, [anchor[1], anchor[1]]])
    order = sorted(range(len(names)), key=lambda at: (-means[at], names[at]))
    least = errors["least_difference"]
    sources = [(names[at], means[at]) for at in order if anchor is None or names[at] != anchor[0]]
    n_seeds = errors["n_units"]
    return RankUncertainty(
        candidates=tuple(names[at] for at in order),
        scores=means[order],
        score_intervals=score_intervals[order],
        rank_intervals=np.array(rank_intervals)[order],
        places=places[order],
        beats=beats[np.ix_(order, order)],
        groups=_groups(sources, least),
        k=k,
        confidence=confidence,
        unit=unit,
        n_seeds=n_seeds,
        n_draws=n_draws,
        seed_deviation=float(errors["variance"] ** 0.5),
        least_difference=least,
        remarks=(
            f"{n_seeds} {unit} behind every score; all sources share one seed variance",
            f"sources of one group are not told apart: their means differ by less than {least:.4g}"
            f" (Tukey's range test over all pairs, at most {100 * (1 - confidence):g} % chance of"
            " any false split)",
        ),
    )


def _groups(sources: list[tuple[str, float]], least: float) -> tuple[tuple[str, ...], ...]:
    """Return maximal runs of sources, best first, whose ends differ by no more than ``least``."""
    runs: list[tuple[int, int]] = []
    for start in range(len(sources)):
        end = start
        while end + 1 < len(sources) and sources[start][1] - sources[end + 1][1] <= least:
            end += 1
        if not runs or end > runs[-1][1]:
            runs.append((start, end))
    return tuple(tuple(name for name, _ in sources[start : end + 1]) for start, end in runs)


def letters(names: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> list[str]:
    """Return the groups of every name as letters, the best group ``a``; none is an empty text.

    Examples
    --------
    >>> letters(("x", "y", "z"), (("x", "y"), ("y", "z")))
    ['a', 'ab', 'b']
    """
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    labels = [
        alphabet[at % 26] + (str(at // 26) if at >= len(alphabet) else "")
        for at in range(len(groups))
    ]
    return [
        "".join(label for label, group in zip(labels, groups, strict=True) if name in group)
        for name in names
    ]


def with_uncertainty(entry: RankedSource, found: RankUncertainty | None) -> RankedSource:
    """Return a place of a ranking with what the seeds say about it."""
    if found is None:
        return entry
    at = found.candidates.index(entry.source)
    columns = found._columns()
    return replace(
        entry,
        **{name: columns[name][at] for name in columns if name not in ("source", "score")},
    )
