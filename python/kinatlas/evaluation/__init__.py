"""Measured transfer, and how well a predicted order of sources agrees with it."""

from __future__ import annotations

from kinatlas.evaluation.abstained import Abstention
from kinatlas.evaluation.abstention import evaluate_abstention
from kinatlas.evaluation.budget import BudgetPlan, plan_budget
from kinatlas.evaluation.budgeted import BudgetCurve, evaluate_budget
from kinatlas.evaluation.cascade import Cascade, Stage, evaluate_cascade
from kinatlas.evaluation.compare import compare_methods
from kinatlas.evaluation.comparison import CriticalDifference, MethodComparison, MethodPairs
from kinatlas.evaluation.evaluate import evaluate
from kinatlas.evaluation.result import Evaluation
from kinatlas.evaluation.subsets import (
    SourceSubset,
    SubsetEvaluation,
    evaluate_subsets,
    select_subset,
)
from kinatlas.evaluation.taskweb import read_taskweb
from kinatlas.evaluation.transfer import TransferTable

__all__ = [
    "Abstention",
    "BudgetCurve",
    "BudgetPlan",
    "Cascade",
    "CriticalDifference",
    "Evaluation",
    "MethodComparison",
    "MethodPairs",
    "SourceSubset",
    "Stage",
    "SubsetEvaluation",
    "TransferTable",
    "compare_methods",
    "evaluate",
    "evaluate_abstention",
    "evaluate_budget",
    "evaluate_cascade",
    "evaluate_subsets",
    "plan_budget",
    "read_taskweb",
    "select_subset",
]
