"""Modules and collectors that live in a user's own PyTorch loop; nothing else imports this room."""

from kinatlas.torch.adapters import atlas_from_peft
from kinatlas.torch.behavior import CausalBox, PipelineBox
from kinatlas.torch.environments import assign_environments
from kinatlas.torch.freezing import FreezeProof, freeze
from kinatlas.torch.gradients import accumulate_fisher, per_example_gradients
from kinatlas.torch.linear_attention import LinearAttention
from kinatlas.torch.loading import AtlasDataset, initial_prompt, ragged_batch
from kinatlas.torch.mpt_rec import MptRec
from kinatlas.torch.recommender_baselines import recommender_baseline
from kinatlas.torch.recommender_training import TrainingRecord, fit_recommender
from kinatlas.torch.soft_prompt import fit_soft_prompt
from kinatlas.torch.states import collect_states
from kinatlas.torch.surrogate import TrainedSpace

__all__ = [
    "AtlasDataset",
    "CausalBox",
    "FreezeProof",
    "LinearAttention",
    "MptRec",
    "PipelineBox",
    "TrainedSpace",
    "TrainingRecord",
    "accumulate_fisher",
    "assign_environments",
    "atlas_from_peft",
    "collect_states",
    "fit_recommender",
    "fit_soft_prompt",
    "freeze",
    "initial_prompt",
    "per_example_gradients",
    "ragged_batch",
    "recommender_baseline",
]
