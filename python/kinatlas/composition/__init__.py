"""New tasks out of old ones: heads on frozen multi-task backbones, prompts made of prompts."""

from __future__ import annotations

from kinatlas.composition.compose import Composition, compose_prompts
from kinatlas.composition.contributions import source_contributions
from kinatlas.composition.features import Features
from kinatlas.composition.fitting import TrainingHistory
from kinatlas.composition.head import PromptHead
from kinatlas.composition.multitask import MultitaskPrompt

__all__ = [
    "Composition",
    "Features",
    "MultitaskPrompt",
    "PromptHead",
    "TrainingHistory",
    "compose_prompts",
    "source_contributions",
]
