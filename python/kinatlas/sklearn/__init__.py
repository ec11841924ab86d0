"""scikit-learn where things are 2-D: pooled embeddings, precomputed distances, scorers.

Imported on demand: ``from kinatlas.sklearn import TaskEmbedder`` (extra ``sklearn``).
"""

from __future__ import annotations

from kinatlas.sklearn.embedder import TaskEmbedder
from kinatlas.sklearn.metrics import ndcg_of_sources, regret_at_k
from kinatlas.sklearn.precomputed import precomputed_affinity, precomputed_distance

__all__ = [
    "TaskEmbedder",
    "ndcg_of_sources",
    "precomputed_affinity",
    "precomputed_distance",
    "regret_at_k",
]
