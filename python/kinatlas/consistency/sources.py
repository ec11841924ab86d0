"""A ranking of sources over all targets, made of replicates that merge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.consistency.cubes import Floats
from kinatlas.errors import FormatError

__all__ = ["SourceBootstrap", "summarised"]


@dataclass(frozen=True, eq=False, repr=False)
class SourceBootstrap(Tabular):
    """Sources by their mean over all targets, with what resampling says about it.

    Parameters
    ----------
    sources
        Names, sorted; every array is in this order.
    estimates
        Mean advantage, low and high [n_sources, 3].
    rank_intervals
        First and last place [n_sources, 2], from 0.
    places, beats
        Share of replicates with a place [n, n], and in which the row beats the column [n, n].
    replicates
        Means of every replicate [n_replicates, n_sources], in the order of their numbers.
    first, last
        Numbers of the replicates, ``last`` excluded.

    Examples
    --------
    >>> import kinatlas as ka
    >>> truth = ka.datasets.load_minilm_prompts().transfer
    >>> whole = ka.consistency.bootstrap_sources(truth, n_replicates=400)
    >>> parts = [ka.consistency.bootstrap_sources(truth, replicates=range(*ends))
    ...          for ends in ((200, 400), (0, 200))]
    >>> parts[0].merged(parts[1]).to_dict() == whole.to_dict()
    True
    """

    sources: tuple[str, ...]
    estimates: Floats
    rank_intervals: Floats
    places: Floats
    beats: Floats
    replicates: Floats
    first: int
    last: int
    conventions: Mapping[str, Any]
    _cube: Floats

    def p_beats(self, first: str, second: str) -> float:
        """Return the share of replicates in which ``first`` beats ``second``, ties half.

        Raises `UnknownNameError` for a name that is no source.

        Examples
        --------
        >>> import kinatlas as ka
        >>> truth = ka.datasets.load_minilm_prompts().transfer
        >>> found = ka.consistency.bootstrap_sources(truth, n_replicates=200)
        >>> found.p_beats("bbc", "ng4") + found.p_beats("ng4", "bbc")
        1.0
        """
        at, other = (check_known(name, self.sources, "source") for name in (first, second))
        return float(self.beats[at, other])

    def merged(self, *others: SourceBootstrap) -> SourceBootstrap:
        """Return all shards as one, given in any order, which changes no bit.

        Raises `FormatError` for shards of different data or settings, and for replicates that
        overlap or leave a gap between all of them.

        Examples
        --------
        >>> import kinatlas as ka
        >>> truth = ka.datasets.load_minilm_prompts().transfer
        >>> part = ka.consistency.bootstrap_sources(truth, n_replicates=200)
        >>> part.merged(part)
        Traceback (most recent call last):
        kinatlas.errors.FormatError: shards 0..200 and 0..200 do not follow each other; ...
        """
        for other in others:
            if self.conventions != other.conventions or not np.array_equal(
                self._cube, other._cube, equal_nan=True
            ):
                raise FormatError(
                    "shards were made of different data or settings; merge like shards"
                )
        shards = sorted((self, *others), key=lambda shard: shard.first)
        for low, high in pairwise(shards):
            if low.last != high.first:
                raise FormatError(
                    f"shards {low.first}..{low.last} and {high.first}..{high.last} do not follow "
                    "each other; merge all shards of a range at once, or neighbours"
                )
        drawn = np.vstack([shard.replicates for shard in shards])
        return summarised(replace(shards[0], replicates=drawn, last=shards[-1].last))

    def explain(self) -> str:
        """Return one plain sentence a source.

        Examples
        --------
        >>> import kinatlas as ka
        >>> truth = ka.datasets.load_minilm_prompts().transfer
        >>> ka.consistency.bootstrap_sources(truth, n_replicates=200).explain().count("place")
        15
        """
        columns = self._columns()
        return "\n".join(
            f"{name}: {value:+.3f} ({low:+.3f} to {high:+.3f}) against the mean source of a "
            f"target; place {first} to {last}, counting from 0; the best in {100 * top:.0f} % of "
            "the replicates."
            for name, value, low, high, first, last, top, _ in zip(*columns.values(), strict=True)
        )

    def _columns(self) -> dict[str, list[Any]]:
        order = sorted(
            range(len(self.sources)), key=lambda at: (-self.estimates[at, 0], self.sources[at])
        )
        k = self.conventions["k"]
        return {
            "source": [self.sources[at] for at in order],
            "value": self.estimates[order, 0].tolist(),
            "low": self.estimates[order, 1].tolist(),
            "high": self.estimates[order, 2].tolist(),
            "rank_low": self.rank_intervals[order, 0].astype(int).tolist(),
            "rank_high": self.rank_intervals[order, 1].astype(int).tolist(),
            "p_top_1": self.places[order, 0].tolist(),
            "p_top_k": self.places[order, :k].sum(axis=1).tolist(),
        }

    def _title(self) -> str:
        settings = self.conventions
        return (
            f"{len(self.sources)} sources over {settings['n_targets']} targets, "
            f"{len(self.replicates)} replicates of {settings['unit']}, {settings['normalise']}"
        )

    def __repr__(self) -> str:
        return f"{self._title()}\n{as_text(self._columns())}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self._title())


def summarised(found: SourceBootstrap) -> SourceBootstrap:
    """Return the numbers that a bootstrap's replicates come to."""
    settings = found.conventions
    alone = [(column, -1) for column in range(len(found.sources))]
    confidence = settings["confidence"]
    estimates = _core.mean_intervals(
        found._cube, found.replicates, alone, settings["interval"], confidence
    )
    places, beats, intervals, _ = _core.rank_shares(found.replicates, confidence)
    return replace(
        found,
        estimates=estimates,
        rank_intervals=np.array(intervals),
        places=places,
        beats=beats,
    )
