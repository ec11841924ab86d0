"""One table of rows with a label for every task: what multi-task recommenders learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from kinatlas._checks import check_known_all
from kinatlas._seeds import Rng, seed_of
from kinatlas.errors import ShapeError

__all__ = ["MultiTaskTable", "Truth"]


@dataclass(frozen=True)
class Truth:
    """What only a generator knows about its labels.

    Attributes
    ----------
    logits
        [n_rows, n_tasks] log-odds of every task, before noise and before the funnel: for a
        conversion, of the conversion in the entire space, clicked or not.
    probabilities
        [n_rows, n_tasks] chance of the label 1 as it is drawn, with noise and funnel.
    relatedness
        [n_tasks, n_tasks] correlation of the logits over all generated rows, exact.
    bayes_auc
        [n_tasks] AUC expected of the true probabilities; nothing can beat it but by luck.
    """

    logits: Any
    probabilities: Any
    relatedness: Any
    bayes_auc: Any

    def __repr__(self) -> str:
        n_rows, n_tasks = self.logits.shape
        return f"Truth: logits [{n_rows}, {n_tasks}], relatedness [{n_tasks}, {n_tasks}]"


@dataclass(frozen=True)
class MultiTaskTable:
    """Categorical codes, dense values and one 0/1 label a task, row by row.

    Attributes
    ----------
    codes
        [n_rows, n_fields] int64, category of every field, from 0.
    dense
        [n_rows, n_dense] float32.
    labels
        [n_rows, n_tasks] int8, 0 or 1.
    fields
        Number of categories of every field, in the order of the columns of ``codes``.
    tasks
        Names of the columns of ``labels``.
    origin
        Where the rows come from, in a sentence.
    truth
        What a generator knows; None for real data.

    Examples
    --------
    >>> table = MultiTaskTable(
    ...     np.array([[0], [1]]), np.zeros((2, 0), np.float32), np.array([[0], [1]], np.int8),
    ...     {"device": 2}, ("click",), "by hand"
    ... )
    >>> table
    MultiTaskTable: 2 rows, 1 field, 0 dense; click (50.0 %); by hand
    """

    codes: Any
    dense: Any
    labels: Any
    fields: Mapping[str, int]
    tasks: tuple[str, ...]
    origin: str
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        rates = ", ".join(
            f"{task} ({100 * rate:.1f} %)"
            for task, rate in zip(self.tasks, np.mean(self.labels, axis=0), strict=True)
        )
        n_fields = len(self.fields)
        return (
            f"MultiTaskTable: {len(self)} rows, {n_fields} field{'s' * (n_fields != 1)}, "
            f"{self.dense.shape[1]} dense; {rates}; {self.origin}"
        )

    def select(self, rows: Any = None, tasks: Sequence[str] | None = None) -> MultiTaskTable:
        """Return the table of some rows (numbers, a mask or a slice) and some tasks.

        Relatedness and Bayes AUC stay those of all generated rows.

        Raises
        ------
        UnknownNameError
            If a task is unknown.
        ShapeError
            If a row does not exist, or none is left.

        Examples
        --------
        >>> from kinatlas.datasets import multi_task_logs
        >>> logs = multi_task_logs({"click": {"taste": 1}, "like": {"taste": 1}}, 100, rng=0)
        >>> logs.select(range(10), ["like"]).labels.shape
        (10, 1)
        """
        every = np.arange(len(self))
        try:
            at = every[slice(None) if rows is None else rows]
        except IndexError as error:
            raise ShapeError(f"rows do not fit a table of {len(self)} rows: {error}") from None
        if at.ndim != 1 or len(at) == 0:
            raise ShapeError("rows leave no row, expected row numbers, a mask or a slice")
        columns = np.array(
            check_known_all(self.tasks if tasks is None else tasks, self.tasks, "task"), dtype=int
        )
        both = np.ix_(at, columns)
        truth = self.truth
        if truth is not None:
            truth = Truth(
                logits=truth.logits[both],
                probabilities=truth.probabilities[both],
                relatedness=truth.relatedness[np.ix_(columns, columns)],
                bayes_auc=truth.bayes_auc[columns],
            )
        return replace(
            self,
            codes=self.codes[at],
            dense=self.dense[at],
            labels=self.labels[both],
            tasks=tuple(self.tasks[column] for column in columns),
            truth=truth,
        )

    def split(self, *shares: float, rng: Rng = 0) -> tuple[MultiTaskTable, ...]:
        """Return disjoint tables of randomly drawn rows, one for each share.

        Raises
        ------
        ShapeError
            If a share is not positive, the shares exceed 1, or one gets no row.

        Examples
        --------
        >>> from kinatlas.datasets import multi_task_logs
        >>> logs = multi_task_logs({"click": {"taste": 1}}, 100, rng=0)
        >>> [len(part) for part in logs.split(0.6, 0.2, 0.2)]
        [60, 20, 20]
        """
        bounds = np.round(np.cumsum([0.0, *shares]) * len(self)).astype(int)
        if not shares or min(shares) <= 0 or bounds[-1] > len(self) or np.diff(bounds).min() < 1:
            raise ShapeError(
                f"shares {shares} of {len(self)} rows: expected positive shares of at most 1 in "
                "all, each of at least one row"
            )
        order = np.random.default_rng(seed_of(rng)).permutation(len(self))
        return tuple(self.select(order[first:last]) for first, last in pairwise(bounds))
