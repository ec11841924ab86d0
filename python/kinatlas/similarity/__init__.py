"""Similarities between tasks: one matrix of scores, rows are targets, columns are sources."""

from __future__ import annotations

from kinatlas.similarity.baselines import data_size_similarity
from kinatlas.similarity.block_plan import Block, BlockPlan
from kinatlas.similarity.blocks import merge_blocks, plan_blocks, similarity_block
from kinatlas.similarity.compute import similarity_matrix, token_similarity
from kinatlas.similarity.fusion import fuse_matrices
from kinatlas.similarity.kernels import KernelInfo, kernel_info, kernel_names
from kinatlas.similarity.low_rank import module_similarity
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.similarity.retrieval import Nearest, nearest_sources
from kinatlas.similarity.sketches import Sketches, sketch_atlas
from kinatlas.similarity.task_vectors import task_vector_similarity

__all__ = [
    "Block",
    "BlockPlan",
    "KernelInfo",
    "Nearest",
    "SimilarityMatrix",
    "Sketches",
    "data_size_similarity",
    "fuse_matrices",
    "kernel_info",
    "kernel_names",
    "merge_blocks",
    "module_similarity",
    "nearest_sources",
    "plan_blocks",
    "similarity_block",
    "similarity_matrix",
    "sketch_atlas",
    "task_vector_similarity",
    "token_similarity",
]
