"""New tasks out of old ones: heads on frozen multi-task backbones, prompts made of prompts."""

from __future__ import annotations

from kinatlas.composition.features import Features
from kinatlas.composition.fitting import TrainingHistory
from kinatlas.composition.head import PromptHead

__all__ = ["Features", "PromptHead", "TrainingHistory"]
