"""Black boxes compared by what they answer."""

from __future__ import annotations

from kinatlas.behavior.accounts import Accounts, accounts, dry_run
from kinatlas.behavior.asking import ask
from kinatlas.behavior.boxes import (
    Answer,
    BlackBox,
    CallableBox,
    EstimatorBox,
    Price,
    fingerprint,
    negated,
)
from kinatlas.behavior.budget import Budget
from kinatlas.behavior.endpoint import Endpoint
from kinatlas.behavior.ledger import Ledger
from kinatlas.behavior.probes import ProbeBank, builtin_bank
from kinatlas.behavior.prompted import PromptedModel

__all__ = [
    "Accounts",
    "Answer",
    "BlackBox",
    "Budget",
    "CallableBox",
    "Endpoint",
    "EstimatorBox",
    "Ledger",
    "Price",
    "ProbeBank",
    "PromptedModel",
    "accounts",
    "ask",
    "builtin_bank",
    "dry_run",
    "fingerprint",
    "negated",
]
