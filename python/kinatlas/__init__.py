"""An atlas of kindred tasks: compare prompts and adapters, rank what to transfer from."""

from __future__ import annotations

from kinatlas import datasets, errors, io, plotting
from kinatlas._core import __version__, num_threads, set_num_threads
from kinatlas.evaluation import Evaluation, TransferTable, evaluate
from kinatlas.io import load_atlas, save_atlas
from kinatlas.report import Report
from kinatlas.selection import Ranking, rank_sources
from kinatlas.similarity import (
    SimilarityMatrix,
    kernel_names,
    module_similarity,
    similarity_matrix,
    token_similarity,
)
from kinatlas.tasks import Atlas, LowRank, LowRankAtlas, Task

__all__ = [
    "Atlas",
    "Evaluation",
    "LowRank",
    "LowRankAtlas",
    "Ranking",
    "Report",
    "SimilarityMatrix",
    "Task",
    "TransferTable",
    "__version__",
    "datasets",
    "errors",
    "evaluate",
    "io",
    "kernel_names",
    "load_atlas",
    "module_similarity",
    "num_threads",
    "plotting",
    "rank_sources",
    "save_atlas",
    "set_num_threads",
    "similarity_matrix",
    "token_similarity",
]
