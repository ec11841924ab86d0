"""Similarities between tasks: one matrix of scores, rows are targets, columns are sources."""

from __future__ import annotations

from kinatlas.similarity.block_plan import Block, BlockPlan
from kinatlas.similarity.blocks import merge_blocks, plan_blocks, similarity_block
from kinatlas.similarity.compute import similarity_matrix, token_similarity
from kinatlas.similarity.kernels import KernelInfo, kernel_info, kernel_names
from kinatlas.similarity.low_rank import module_similarity
from kinatlas.similarity.matrix import SimilarityMatrix

__all__ = [
    "Block",
    "BlockPlan",
    "KernelInfo",
    "SimilarityMatrix",
    "kernel_info",
    "kernel_names",
    "merge_blocks",
    "module_similarity",
    "plan_blocks",
    "similarity_block",
    "similarity_matrix",
    "token_similarity",
]
