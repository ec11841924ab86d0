"""New tasks out of old ones: heads on frozen multi-task backbones, prompts made of prompts."""

from __future__ import annotations

from kinatlas.composition.compose import Composition, compose_prompts
from kinatlas.composition.explanation import Explanation, explain
from kinatlas.composition.features import Features
from kinatlas.composition.fitting import TrainingHistory
from kinatlas.composition.head import PromptHead
from kinatlas.composition.multitask import MultitaskPrompt
from kinatlas.composition.verdict import TransferVerdict, judge_transfer

__all__ = [
    "Composition",
    "Explanation",
    "Features",
    "MultitaskPrompt",
    "PromptHead",
    "TrainingHistory",
    "TransferVerdict",
    "compose_prompts",
    "explain",
    "judge_transfer",
]
