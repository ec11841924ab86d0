"""Modules and collectors that live in a user's own PyTorch loop; nothing else imports this room."""

from kinatlas.torch.adapters import atlas_from_peft
from kinatlas.torch.behavior import CausalBox, PipelineBox
from kinatlas.torch.gradients import accumulate_fisher, per_example_gradients
from kinatlas.torch.linear_attention import LinearAttention
from kinatlas.torch.loading import AtlasDataset, initial_prompt, ragged_batch
from kinatlas.torch.soft_prompt import fit_soft_prompt
from kinatlas.torch.states import collect_states
from kinatlas.torch.surrogate import TrainedSpace

__all__ = [
    "AtlasDataset",
    "CausalBox",
    "LinearAttention",
    "PipelineBox",
    "TrainedSpace",
    "accumulate_fisher",
    "atlas_from_peft",
    "collect_states",
    "fit_soft_prompt",
    "initial_prompt",
    "per_example_gradients",
    "ragged_batch",
]
