"""Modules that live in a user's own PyTorch loop. Nothing else in kinatlas imports this room."""

from kinatlas.torch.behavior import CausalBox, PipelineBox
from kinatlas.torch.linear_attention import LinearAttention

__all__ = ["CausalBox", "LinearAttention", "PipelineBox"]
