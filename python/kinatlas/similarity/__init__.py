"""Similarities between tasks: one matrix of scores, rows are targets, columns are sources."""

from __future__ import annotations

from kinatlas.similarity.baselines import data_size_similarity
from kinatlas.similarity.compute import similarity_matrix, token_similarity
from kinatlas.similarity.fusion import fuse_matrices
from kinatlas.similarity.kernels import KernelInfo, kernel_info, kernel_names
from kinatlas.similarity.low_rank import module_similarity
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.similarity.task_vectors import task_vector_similarity

__all__ = [
    "KernelInfo",
    "SimilarityMatrix",
    "data_size_similarity",
    "fuse_matrices",
    "kernel_info",
    "kernel_names",
    "module_similarity",
    "similarity_matrix",
    "task_vector_similarity",
    "token_similarity",
]
