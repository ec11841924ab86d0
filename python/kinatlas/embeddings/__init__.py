"""Constructions of task embeddings; the space of a ``Task`` says what its numbers are.

Arrays come in; the exception are checkpoints too large for memory and saved sums of a long run,
which are named by path.
"""

from __future__ import annotations

from kinatlas.embeddings.accumulator import FisherAccumulator
from kinatlas.embeddings.fisher import embed_fisher
from kinatlas.embeddings.states import embed_states
from kinatlas.embeddings.task_vectors import embed_task_vector
from kinatlas.embeddings.text import embed_text, pool_tokens
from kinatlas.embeddings.words import embed_vocabulary, embed_words

__all__ = [
    "FisherAccumulator",
    "embed_fisher",
    "embed_states",
    "embed_task_vector",
    "embed_text",
    "embed_vocabulary",
    "embed_words",
    "pool_tokens",
]
