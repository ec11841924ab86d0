"""How far repeated measurements agree, and what that lets anyone claim about an order.

Everything here takes the seeds of a `TransferTable` (how consistent is the truth?) or a mapping of
seed to `SimilarityMatrix` (how consistent is the prediction?). A task is never its own source.
"""

from __future__ import annotations

from kinatlas.consistency.agreement import order_agreement, seed_consistency
from kinatlas.consistency.bootstrap import bootstrap_sources
from kinatlas.consistency.ceiling import noise_ceiling
from kinatlas.consistency.components import variance_components
from kinatlas.consistency.findings import Findings
from kinatlas.consistency.gains import TransferGains, transfer_gains
from kinatlas.consistency.planning import seeds_needed
from kinatlas.consistency.reliability import reliability
from kinatlas.consistency.sources import SourceBootstrap

__all__ = [
    "Findings",
    "SourceBootstrap",
    "TransferGains",
    "bootstrap_sources",
    "noise_ceiling",
    "order_agreement",
    "reliability",
    "seed_consistency",
    "seeds_needed",
    "transfer_gains",
    "variance_components",
]
