"""Several tasks at once, measured without fooling oneself.

A mean curve that follows the mixture is no evidence of superposition: in it, prompts that each
answer one task look the same as prompts that answer all. Everything here starts from the single
prompt.
"""

from __future__ import annotations

from kinatlas.superposition.analysis import Analysis, Estimate, analyse_superposition
from kinatlas.superposition.beam import completed_tasks
from kinatlas.superposition.collisions import answer_collisions
from kinatlas.superposition.decomposition import (
    Coordinates,
    Decomposition,
    PermutationTest,
    decompose_mixture,
    permutation_test,
    prompt_coordinates,
)
from kinatlas.superposition.layers import LayerChoice, best_layer
from kinatlas.superposition.metrics import PromptMetrics, prompt_metrics
from kinatlas.superposition.order import PositionWeights, VoteModel, fit_votes, position_weights
from kinatlas.superposition.plane import DiscriminantPlane, discriminant_plane
from kinatlas.superposition.prompts import (
    Family,
    PromptSet,
    allocate_examples,
    build_prompts,
    family,
    family_names,
)
from kinatlas.superposition.reading import (
    answer_log_probability,
    record_from_logits,
    record_from_table,
)
from kinatlas.superposition.record import SuperpositionRecord
from kinatlas.superposition.studies import (
    load_study,
    load_study_states,
    load_study_table,
    study_names,
)
from kinatlas.superposition.verdict import ConditionVerdict, Verdict, judge

__all__ = [
    "Analysis",
    "ConditionVerdict",
    "Coordinates",
    "Decomposition",
    "DiscriminantPlane",
    "Estimate",
    "Family",
    "LayerChoice",
    "PermutationTest",
    "PositionWeights",
    "PromptMetrics",
    "PromptSet",
    "SuperpositionRecord",
    "Verdict",
    "VoteModel",
    "allocate_examples",
    "analyse_superposition",
    "answer_collisions",
    "answer_log_probability",
    "best_layer",
    "build_prompts",
    "completed_tasks",
    "decompose_mixture",
    "discriminant_plane",
    "family",
    "family_names",
    "fit_votes",
    "judge",
    "load_study",
    "load_study_states",
    "load_study_table",
    "permutation_test",
    "position_weights",
    "prompt_coordinates",
    "prompt_metrics",
    "record_from_logits",
    "record_from_table",
    "study_names",
]
