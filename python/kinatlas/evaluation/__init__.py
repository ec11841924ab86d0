"""Measured transfer, and how well a predicted order of sources agrees with it."""

from __future__ import annotations

from kinatlas.evaluation.evaluate import evaluate
from kinatlas.evaluation.result import Evaluation
from kinatlas.evaluation.taskweb import read_taskweb
from kinatlas.evaluation.transfer import TransferTable

__all__ = ["Evaluation", "TransferTable", "evaluate", "read_taskweb"]
