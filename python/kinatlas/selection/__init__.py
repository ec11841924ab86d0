"""Which source to start from: the order of sources for one target."""

from __future__ import annotations

from kinatlas.selection.behavior import behavior_matrix
from kinatlas.selection.evidence import SourceEvidence, explain_sources, hide_shared
from kinatlas.selection.rank import rank_sources
from kinatlas.selection.ranking import NO_TRANSFER, RankedSource, Ranking
from kinatlas.selection.transfer_verdict import TransferVerdict, judge_transfer
from kinatlas.selection.transferability import transferability_matrix
from kinatlas.selection.uncertainty import RankUncertainty

__all__ = [
    "NO_TRANSFER",
    "RankUncertainty",
    "RankedSource",
    "Ranking",
    "SourceEvidence",
    "TransferVerdict",
    "behavior_matrix",
    "explain_sources",
    "hide_shared",
    "judge_transfer",
    "rank_sources",
    "transferability_matrix",
]
