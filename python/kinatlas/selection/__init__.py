"""Which source to start from: the order of sources for one target."""

from __future__ import annotations

from kinatlas.selection.rank import rank_sources
from kinatlas.selection.ranking import NO_TRANSFER, RankedSource, Ranking
from kinatlas.selection.transferability import transferability_matrix

__all__ = ["NO_TRANSFER", "RankedSource", "Ranking", "rank_sources", "transferability_matrix"]
