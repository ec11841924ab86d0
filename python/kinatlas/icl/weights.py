"""Raw attention weights, and the literal forward pass of the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.errors import MixtureError, NonFiniteError, ShapeError
from kinatlas.icl._arrays import Floats, floats, frozen
from kinatlas.icl.optima import Optimum

__all__ = ["AttentionWeights", "attention_forward", "weights"]


@dataclass(frozen=True, eq=False, repr=False)
class AttentionWeights:
    """Query, key, value [dim + 1, dim + 1], prompts and heads [n_tasks, dim + 1].

    Examples
    --------
    >>> AttentionWeights(np.eye(3), np.eye(3), np.eye(3), np.zeros((2, 3)), np.ones((2, 3)))
    AttentionWeights: dim 2, 2 tasks
    """

    query: Floats
    key: Floats
    value: Floats
    prompts: Floats
    heads: Floats

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            shape = "[n_tasks, dim + 1]" if name in ("prompts", "heads") else "[dim + 1, dim + 1]"
            array = floats(getattr(self, name), name, 2, shape)
            _check_finite(array, name)
            object.__setattr__(self, name, frozen(array))
        width, n_tasks = len(self.query), len(self.heads)
        squares = {array.shape for array in (self.query, self.key, self.value)}
        rows = {self.prompts.shape, self.heads.shape}
        if squares != {(width, width)} or rows != {(n_tasks, width)} or width < 2:
            raise ShapeError(
                f"query, key, value have shapes {sorted(squares)}, prompts and heads "
                f"{sorted(rows)}; expected [dim + 1, dim + 1] and [n_tasks, dim + 1]"
            )

    @property
    def _arrays(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return self.query, self.key, self.value, self.prompts, self.heads

    def __repr__(self) -> str:
        return f"AttentionWeights: dim {len(self.query) - 1}, {len(self.heads)} tasks"


def weights(optimum: Optimum) -> AttentionWeights:
    """Return weights under which ``attention_forward`` is the predictor of ``optimum``.

    W_q W_k' = [[W, 0], [0, 0]], W_v h_k = (-c_k v_k, c_k), and a prompt whose value is one and
    whose key writes b_k. Where the optimum is not attained, the prompt comes as close as a
    least-norm one can; ``optimum.prompt_residuals`` says how close.

    Examples
    --------
    >>> from kinatlas.icl import Mixture, optimum
    >>> mixture = Mixture([1.0], [[1.0, 2.0]], [np.eye(2)])
    >>> weights(optimum(mixture, 3, "joint_prompt_head")).heads
    array([[-1., -2.,  1.]])
    """
    return AttentionWeights(*optimum._matrices, optimum.prompts, optimum.heads)


def attention_forward(
    weights: AttentionWeights,
    inputs: Any,
    labels: Any,
    queries: Any,
    tasks: Any,
    *,
    n_threads: int | None = None,
) -> Floats:
    """Return the layer's prediction for every sequence [n_sequences].

    f = (z W_q W_k' Z') M Z W_v h with z = [x', 0] and rows of Z: prompt, examples [x_i', y_i],
    query; the mask M hides the query from itself. No softmax and no scaling.

    Parameters
    ----------
    weights
        The layer.
    inputs, labels, queries
        [n_sequences, n_examples, dim], [n_sequences, n_examples], [n_sequences, dim].
    tasks
        Number of each sequence's task [n_sequences], choosing prompt and head.
    n_threads
        Threads; the same bits for any number.

    Raises
    ------
    ShapeError
        If sizes do not agree.
    NonFiniteError
        If a number is missing or infinite.
    MixtureError
        If a task number is unknown.

    Examples
    --------
    >>> layer = AttentionWeights(np.eye(2), np.eye(2), np.eye(2), [[0.0, 0.0]], [[0.0, 1.0]])
    >>> attention_forward(layer, [[[1.0], [2.0]]], [[3.0, 4.0]], [[1.0]], [0])
    array([11.])
    """
    inputs = floats(inputs, "inputs", 3, "[n_sequences, n_examples, dim]")
    labels = floats(labels, "labels", 2, "[n_sequences, n_examples]")
    queries = floats(queries, "queries", 2, "[n_sequences, dim]")
    for array, name in ((inputs, "inputs"), (labels, "labels"), (queries, "queries")):
        _check_finite(array, name)
    chosen = _task_numbers(tasks, len(weights.heads))
    dim, count = len(weights.query) - 1, len(chosen)
    wanted = ((count, labels.shape[1], dim), (count, labels.shape[1]), (count, dim))
    if (inputs.shape, labels.shape, queries.shape) != wanted:
        raise ShapeError(
            f"inputs {inputs.shape}, labels {labels.shape}, queries {queries.shape} do not fit "
            f"{count} sequences of a layer of dim {dim}, expected {wanted[0]}, {wanted[1]}, "
            f"{wanted[2]}"
        )
    return _core.icl_attention_forward(weights._arrays, inputs, labels, queries, chosen, n_threads)


def _check_finite(array: Floats, name: str) -> None:
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0].tolist()
        raise NonFiniteError(f"{name}{place} is {array[tuple(place)]}, expected a finite number")


def _task_numbers(tasks: Any, n_tasks: int) -> npt.NDArray[np.int64]:
    numbers = floats(tasks, "tasks", 1, "[n_sequences]")
    wrong = ~((numbers >= 0) & (numbers < n_tasks) & (numbers == np.floor(numbers)))
    if wrong.any():
        place = int(wrong.argmax())
        raise MixtureError(
            f"tasks[{place}] is {numbers[place]:g}, expected a whole number from 0 to {n_tasks - 1}"
        )
    return numbers.astype(np.int64)
