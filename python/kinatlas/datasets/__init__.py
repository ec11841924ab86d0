"""Data to try things on: bundled studies, generated logs with known truth, public tables.

Nothing is downloaded. What is bundled are numbers with their provenance; Adult and MovieLens-100k
are read out of other packages where these are installed, never copied.
"""

from kinatlas.datasets.logs import multi_task_logs
from kinatlas.datasets.packages import load_adult, load_movielens
from kinatlas.datasets.studies import (
    BehaviorStudy,
    PromptStudy,
    load_behavior_study,
    load_minilm_prompts,
)
from kinatlas.datasets.table import MultiTaskTable, Truth

__all__ = [
    "BehaviorStudy",
    "MultiTaskTable",
    "PromptStudy",
    "Truth",
    "load_adult",
    "load_behavior_study",
    "load_minilm_prompts",
    "load_movielens",
    "multi_task_logs",
]
