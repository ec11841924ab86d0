"""Retrieval-of-position prompts: `abc>b` lines, where a hidden task says which letter to copy.

Three distinct letters out of twelve, twelve examples and a query, 76 tokens. Task h copies
the letter at place h. Everything is integer tokens, so a prompt is an array and nothing is parsed.
"""

from __future__ import annotations

import numpy as np

N_LETTERS = 12
N_PLACES = 3
N_EXAMPLES = 12
ARROW, NEWLINE = N_LETTERS, N_LETTERS + 1
VOCABULARY = N_LETTERS + 2
LINE = N_PLACES + 3  # letters, arrow, answer, newline
PROMPT = N_EXAMPLES * LINE + N_PLACES + 1
#: Where the model is asked for an answer: the arrow of every line, the query's last.
ASKED = np.arange(N_EXAMPLES + 1) * LINE + N_PLACES


def lines(rng, tasks):
    """Return letters [n, 13, 3] and answers [n, 13] for the task of every line [n, 13]."""
    letters = rng.random((*tasks.shape, N_LETTERS)).argsort(axis=-1)[..., :N_PLACES]
    return letters, np.take_along_axis(letters, tasks[..., None], axis=-1)[..., 0]


def tokens(letters, answers):
    """Return prompts [n, 76]: every line with its answer, the query without."""
    n_prompts = len(letters)
    text = np.empty((n_prompts, N_EXAMPLES + 1, LINE), dtype=np.int64)
    text[..., :N_PLACES] = letters
    text[..., N_PLACES] = ARROW
    text[..., N_PLACES + 1] = answers
    text[..., N_PLACES + 2] = NEWLINE
    return text.reshape(n_prompts, -1)[:, :PROMPT]


def pure_tasks(rng, n_prompts):
    """Return the task of every line [n, 13], one task a prompt."""
    return np.repeat(rng.integers(N_PLACES, size=(n_prompts, 1)), N_EXAMPLES + 1, axis=1)


def mixed_tasks(rng, n_prompts):
    """Return the task of every line [n, 13]: a random pair at a share drawn from U(0, 1)."""
    pair = rng.random((n_prompts, N_PLACES)).argsort(axis=1)[:, :2]
    share = rng.random((n_prompts, 1))
    second = (rng.random((n_prompts, N_EXAMPLES + 1)) >= share).astype(np.int64)
    return np.take_along_axis(pair, second, axis=1)


def exact_tasks(rng, n_prompts, n_first, first=0, second=2):
    """Return the task of every line [n, 13] with exactly ``n_first`` examples of the first task."""
    order = np.where(np.arange(N_EXAMPLES) < n_first, first, second)
    order = rng.permuted(np.tile(order, (n_prompts, 1)), axis=1)
    return np.concatenate([order, np.full((n_prompts, 1), first)], axis=1)


def independent_tasks(rng, n_prompts, share, first=0, second=2):
    """Return the task of every line [n, 13], each example drawn on its own."""
    order = np.where(rng.random((n_prompts, N_EXAMPLES)) < share, first, second)
    return np.concatenate([order, np.full((n_prompts, 1), first)], axis=1)
