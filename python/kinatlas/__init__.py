"""An atlas of kindred tasks: compare prompts and adapters, rank what to transfer from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinatlas import embeddings, errors, io, transferability
from kinatlas._core import __version__, num_threads, set_num_threads
from kinatlas.embeddings import (
    FisherAccumulator,
    embed_fisher,
    embed_states,
    embed_task_vector,
    embed_text,
)
from kinatlas.evaluation import (
    Evaluation,
    MethodComparison,
    TransferTable,
    compare_methods,
    evaluate,
)
from kinatlas.io import PromptStore, load_atlas, save_atlas
from kinatlas.report import Report
from kinatlas.selection import Ranking, rank_sources
from kinatlas.similarity import (
    SimilarityMatrix,
    fuse_matrices,
    kernel_names,
    module_similarity,
    similarity_matrix,
    task_vector_similarity,
    token_similarity,
)
from kinatlas.tasks import Atlas, LowRank, LowRankAtlas, Task, split_seeds

if TYPE_CHECKING:
    from kinatlas import (
        behavior,
        composition,
        consistency,
        datasets,
        distributed,
        icl,
        plotting,
        superposition,
    )
    from kinatlas.behavior import embed_behavior
    from kinatlas.composition import compose_prompts
else:
    _LAZY = (
        "behavior",
        "composition",
        "consistency",
        "datasets",
        "distributed",
        "icl",
        "plotting",
        "superposition",
    )

    def __getattr__(name: str) -> object:
        """Load a room that few scripts need when it is first asked for."""
        if name in _LAZY:
            from importlib import import_module

            return import_module(f"kinatlas.{name}")
        if name == "embed_behavior":
            from kinatlas.behavior import embed_behavior

            return embed_behavior
        if name == "compose_prompts":
            from kinatlas.composition import compose_prompts

            return compose_prompts
        raise AttributeError(f"module 'kinatlas' has no attribute {name!r}")


__all__ = [
    "Atlas",
    "Evaluation",
    "FisherAccumulator",
    "LowRank",
    "LowRankAtlas",
    "MethodComparison",
    "PromptStore",
    "Ranking",
    "Report",
    "SimilarityMatrix",
    "Task",
    "TransferTable",
    "__version__",
    "behavior",
    "compare_methods",
    "compose_prompts",
    "composition",
    "consistency",
    "datasets",
    "distributed",
    "embed_behavior",
    "embed_fisher",
    "embed_states",
    "embed_task_vector",
    "embed_text",
    "embeddings",
    "errors",
    "evaluate",
    "fuse_matrices",
    "icl",
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
    "split_seeds",
    "superposition",
    "task_vector_similarity",
    "token_similarity",
    "transferability",
]
