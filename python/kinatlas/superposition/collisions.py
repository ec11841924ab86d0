"""Answers that cannot be told apart: equal ones, and one that begins another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import ShapeError

__all__ = ["answer_collisions"]


def answer_collisions(
    answers: Sequence[Sequence[Any]], *, terminator: Any = None
) -> npt.NDArray[np.bool_]:
    """Return which prompts have two answers that are equal or begin one another [n_prompts].

    Parameters
    ----------
    answers
        For every prompt the answer of every task: texts, or sequences of token ids. Lengths may
        differ.
    terminator
        What is scored after every answer, for example a newline (a text, or a sequence of ids).
        Without it P("12") contains the mass of "121", and the two collide.

    Raises
    ------
    ShapeError
        If prompts have different numbers of answers, or an answer is empty.

    Examples
    --------
    >>> answer_collisions([["12", "121"], ["12", "30"], ["7", "7"]])
    array([ True, False,  True])
    >>> answer_collisions([["12", "121"], ["7", "7"]], terminator="\\n")
    array([False,  True])
    """
    widths = {len(row) for row in answers}
    if len(widths) > 1 or (widths and min(widths) < 2):
        raise ShapeError(
            f"answers: prompts have {sorted(widths)} answers, expected one for each task and at "
            "least two tasks"
        )
    flags = [_collide(row, terminator, prompt) for prompt, row in enumerate(answers)]
    return np.array(flags, dtype=np.bool_)


def _collide(row: Sequence[Any], terminator: Any, prompt: int) -> bool:
    whole = []
    for place, answer in enumerate(row):
        if len(answer) == 0:
            raise ShapeError(f"prompt {prompt}: the answer of task {place} is empty")
        whole.append(_sequence(answer) + (() if terminator is None else _sequence(terminator)))
    # After sorting, a prefix stands directly before some sequence that begins with it.
    ordered = sorted(whole)
    pairs = pairwise(ordered)
    return any(second[: len(first)] == first for first, second in pairs)


def _sequence(answer: Any) -> tuple[Any, ...]:
    return tuple(answer) if isinstance(answer, str) else tuple(int(token) for token in answer)
