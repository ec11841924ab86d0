"""Records from what people have: logits of a model, a table, Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._frames import require
from kinatlas.errors import FormatError, NonFiniteError, ShapeError
from kinatlas.superposition.record import SuperpositionRecord

__all__ = ["answer_log_probability", "record_from_logits", "record_from_table"]

Floats = npt.NDArray[np.float64]

_WANTED = ("prompt", "task", "log_probability", "share")


def answer_log_probability(logits: Any, tokens: Any, *, label: str = "answer") -> float:
    """Return ln P of a whole answer: the sum over its tokens, never divided by their number.

    Parameters
    ----------
    logits
        Scores before softmax at the place of every answer token [n_tokens, n_vocabulary]; -inf
        masks a token, NaN and +inf are refused.
    tokens
        Token ids of the answer [n_tokens].

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.log([[0.5, 0.5], [0.2, 0.8]])
    >>> round(float(np.exp(answer_log_probability(logits, [0, 1]))), 12)
    0.4
    """
    scores, ids = np.asarray(_plain(logits), dtype=np.float64), np.asarray(tokens)
    if scores.ndim != 2 or ids.shape != scores.shape[:1] or ids.dtype.kind not in "iu":
        raise ShapeError(
            f"{label}: logits {scores.shape} and tokens {ids.shape} of {ids.dtype}, expected "
            "[n_tokens, n_vocabulary] and one whole number a token"
        )
    if ids.size == 0 or ids.min() < 0 or ids.max() >= scores.shape[1]:
        raise ShapeError(f"{label}: token ids {ids.tolist()} for a vocabulary of {scores.shape[1]}")
    return float(_log_softmax(scores, label)[np.arange(len(ids)), ids].sum())


def record_from_logits(
    logits: Any,
    answers: Any,
    mixture: Any,
    tasks: Sequence[str] = (),
    **fields: Any,
) -> SuperpositionRecord:
    """Return a record from next-token logits and one answer token for every task.

    Answers of several tokens need their own forward passes: sum them with
    ``answer_log_probability`` or let ``kinatlas.torch`` do it.

    Parameters
    ----------
    logits
        Scores before softmax after the prompt [n_prompts, n_vocabulary]: NumPy or torch on CPU.
    answers
        Token id of every task's answer [n_prompts, n_tasks]. Equal ids are flagged as collisions.
    mixture, tasks, fields
        As for `SuperpositionRecord`.

    Raises
    ------
    NonFiniteError
        If a logit is NaN or +inf, or a whole row is -inf; the message names the prompt.

    Examples
    --------
    >>> import numpy as np
    >>> record = record_from_logits(np.log([[0.6, 0.3, 0.1]]), [[0, 1]], [1, 1])
    >>> np.exp(record.log_probabilities).round(12)
    array([[0.6, 0.3]])
    """
    scores, ids = np.asarray(_plain(logits), dtype=np.float64), np.asarray(_plain(answers))
    if scores.ndim != 2 or ids.ndim != 2 or len(ids) != len(scores) or ids.dtype.kind not in "iu":
        raise ShapeError(
            f"logits {scores.shape} and answers {ids.shape} of {ids.dtype}, expected "
            "[n_prompts, n_vocabulary] and token ids [n_prompts, n_tasks]"
        )
    if ids.min() < 0 or ids.max() >= scores.shape[1]:
        raise ShapeError(f"answers: ids {ids.min()}..{ids.max()}, vocabulary {scores.shape[1]}")
    found = np.take_along_axis(_log_softmax(scores, "logits"), ids, axis=1)
    ordered = np.sort(ids, axis=1)
    equal = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    fields["collisions"] = equal | np.asarray(fields.get("collisions", False))
    return SuperpositionRecord(found, mixture, tuple(tasks), **fields)


def record_from_table(table: Any, *, tasks: Sequence[str] | None = None) -> SuperpositionRecord:
    """Return a record from a long table with one row for every prompt and task.

    Columns ``prompt``, ``task``, ``log_probability`` and ``share`` are required; ``condition`` and
    ``query`` are read if there. A missing row means that the answer was not returned (-inf).

    Parameters
    ----------
    table
        A mapping of columns, or anything that speaks Arrow (pandas, polars, pyarrow, duckdb).
    tasks
        Order of the tasks; by first appearance if left out.

    Raises
    ------
    FormatError
        If a column is missing, or a prompt names a task twice or an unknown one.

    Examples
    --------
    >>> record = record_from_table({
    ...     "prompt": [0, 0, 1], "task": ["copy", "add", "copy"],
    ...     "log_probability": [-0.5, -1.2, -0.1], "share": [0.5, 0.5, 1.0],
    ... })
    >>> record.log_probabilities
    array([[-0.5, -1.2],
           [-0.1, -inf]])
    """
    columns = _columns(table)
    missing = [name for name in _WANTED if name not in columns]
    if missing:
        raise FormatError(
            f"table: no column {missing}, expected {list(_WANTED)}; found {list(columns)}"
        )
    named = [str(name) for name in columns["task"]]
    names = list(dict.fromkeys(named)) if tasks is None else list(tasks)
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise FormatError(f"table: tasks {unknown} are not among {names}")
    prompts = list(dict.fromkeys(columns["prompt"]))
    row_of = {prompt: row for row, prompt in enumerate(prompts)}
    rows = np.array([row_of[prompt] for prompt in columns["prompt"]])
    places = np.array([names.index(name) for name in named])
    if len(np.unique(rows * len(names) + places)) != len(rows):
        raise FormatError("table: a prompt names one task twice; every answer needs one row")
    logs = np.full((len(prompts), len(names)), -np.inf)
    shares = np.zeros_like(logs)
    logs[rows, places] = columns["log_probability"]
    shares[rows, places] = columns["share"]
    fields: dict[str, Any] = {}
    first = np.unique(rows, return_index=True)[1]
    for name in ("condition", "query"):
        if name in columns:
            fields[name] = np.asarray(columns[name])[first]
    return SuperpositionRecord(logs, shares, tuple(names), **fields)


def _columns(table: Any) -> dict[str, list[Any]]:
    if isinstance(table, Mapping):
        return {str(name): list(values) for name, values in table.items()}
    if hasattr(table, "__arrow_c_stream__"):
        columns: dict[str, list[Any]] = require("pyarrow", "dataframe").table(table).to_pydict()
        return columns
    raise FormatError(
        f"table: got {type(table).__name__}, expected a mapping of columns or an object with "
        "__arrow_c_stream__"
    )


def _plain(values: Any) -> Any:
    # bfloat16 and gradients stop NumPy; both are torch matters that its own methods settle.
    if hasattr(values, "detach"):
        values = values.detach()
        return values.double().numpy() if values.is_floating_point() else values.numpy()
    return values


def _log_softmax(scores: Floats, label: str) -> Floats:
    bad = np.isnan(scores) | (scores == np.inf)
    if bad.any():
        row, token = np.argwhere(bad)[0]
        raise NonFiniteError(
            f"{label}: row {row}, token {token} is {scores[row, token]}, expected a finite score, "
            "or -inf for a masked token"
        )
    top = scores.max(axis=1, keepdims=True)
    if (top == -np.inf).any():
        row = int(np.argmax(top == -np.inf))
        raise NonFiniteError(f"{label}: every token of row {row} is masked, so no softmax exists")
    shifted = scores - top
    logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
