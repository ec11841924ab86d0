"""Similarities between tasks: one matrix of scores, rows are targets, columns are sources."""

from __future__ import annotations

from kinatlas.similarity.matrix import SimilarityMatrix

__all__ = ["SimilarityMatrix"]
