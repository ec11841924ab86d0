"""Measured transfer, and how well a predicted order of sources agrees with it."""

from __future__ import annotations

from kinatlas.evaluation.compare import compare_methods
from kinatlas.evaluation.comparison import CriticalDifference, MethodComparison, MethodPairs
from kinatlas.evaluation.evaluate import evaluate
from kinatlas.evaluation.result import Evaluation
from kinatlas.evaluation.transfer import TransferTable

__all__ = [
    "CriticalDifference",
    "Evaluation",
    "MethodComparison",
    "MethodPairs",
    "TransferTable",
    "compare_methods",
    "evaluate",
]
