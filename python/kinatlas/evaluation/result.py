"""The numbers of an evaluation: over targets, per target and per run, beside their chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.evaluation.explain import sentence
from kinatlas.evaluation.runs import Seed

__all__ = ["Evaluation"]

_NO_RUN = "no run was measured"


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Tabular):
    """How well one matrix orders sources; made by `evaluate`.

    A metric is averaged over the seeds of each target, then over targets. Where it is undefined
    (equal gains, one candidate, a best score of zero) it is NaN with a reason, left out of the
    mean and counted, never 0. The chance-corrected mean is made of the means beside it.

    Parameters
    ----------
    kernel, targets, metrics
        What was evaluated, on which targets, by which metrics.
    numbers
        Over targets [n_metrics, 4]: value, chance, best, chance-corrected.
    target_numbers
        The same per target [n_targets, n_metrics, 4].
    n_defined
        Targets that define each metric [n_metrics].
    list_targets, list_seeds, list_sizes
        Target number, seed and number of candidates of each evaluated list [n_lists].
    list_numbers
        Value, chance and best of each list [n_lists, n_metrics, 3].
    list_reasons
        0, or the code of why a list leaves a metric undefined [n_lists, n_metrics].
    conventions
        Gain, units, ties, seeds, self-exclusion, and counts of what was used and missing.

    Examples
    --------
    >>> from kinatlas.evaluation import TransferTable, evaluate
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> matrix = SimilarityMatrix([[3.0, 2.0, 1.0]], ["rte"], ["a", "b", "c"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 3, ["a", "b", "c"], [60.0, 61.0, 62.0])
    >>> evaluate(matrix, table, k=1)
    Evaluation of 'flatten': 1 target, gain exp2_percent, 3 runs used, 0 missing
    metric          value   chance     best  corrected  n_targets
    ndcg           0.7397   0.8629   1.0000    -0.8995          1
    regret@1       3.2258   1.6129   0.0000    -1.0000          1
    top@1         60.0000  61.0000  62.0000    -1.0000          1
    average_rank   3.0000   2.0000   1.0000    -1.0000          1
    spearman      -1.0000   0.0000   1.0000    -1.0000          1
    kendall       -1.0000   0.0000   1.0000    -1.0000          1
    """

    kernel: str
    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    numbers: npt.NDArray[np.float64]
    target_numbers: npt.NDArray[np.float64]
    n_defined: npt.NDArray[np.int64]
    list_targets: npt.NDArray[np.int64]
    list_seeds: tuple[Seed, ...]
    list_sizes: npt.NDArray[np.int64]
    list_numbers: npt.NDArray[np.float64]
    list_reasons: npt.NDArray[np.uint8]
    conventions: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                frozen = value.copy()
                frozen.flags.writeable = False
                object.__setattr__(self, name, frozen)

    def __reduce__(self) -> tuple[Any, ...]:
        # NumPy forgets the read-only flag in a pickle; building anew restores it.
        return type(self), tuple(vars(self).values())

    def summary(self) -> dict[str, float]:
        """Return means over targets: ``ndcg``, ``ndcg_chance``, ``ndcg_best``, and so on.

        NDCG is within 0 and 1 (signed gains may be lower), regret and top-k performance are in
        percent, ranks count from 1. ``_corrected`` is (value - chance) / (best - chance).

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> numbers = evaluate(matrix, table).summary()
        >>> numbers["regret@1"], numbers["regret@1_chance"]
        (0.0, 25.0)
        """
        parts = ("", "_chance", "_best", "_corrected")
        return {
            f"{metric}{part}": float(number)
            for metric, row in zip(self.metrics, self.numbers, strict=True)
            for part, number in zip(parts, row, strict=True)
        }

    def summary_table(self) -> dict[str, list[Any]]:
        """Return the summary as columns, one row a metric.

        ``n_targets`` counts the targets that define the metric.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> evaluate(matrix, table).summary_table()["n_targets"][0]
        1
        """
        columns: dict[str, list[Any]] = {"metric": list(self.metrics)}
        parts = ("value", "chance", "best", "corrected")
        columns |= dict(zip(parts, self.numbers.T.tolist(), strict=True))
        return columns | {"n_targets": self.n_defined.tolist()}

    def per_target(self) -> list[dict[str, Any]]:
        """Return one row a target: counts, every metric with chance, best and corrected.

        ``undefined`` says in words which metrics have no value, and why.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> evaluate(matrix, table).per_target()[0]["top@1"]
        62.0
        """
        columns = self._columns()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def per_run(self) -> list[dict[str, Any]]:
        """Return one row a target and seed: number of candidates, every metric, its chance.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> [row["n_candidates"] for row in evaluate(matrix, table).per_run()]
        [2]
        """
        lists = zip(self.list_targets, self.list_seeds, self.list_sizes, strict=True)
        rows = []
        for (target, seed, size), numbers in zip(lists, self.list_numbers, strict=True):
            row: dict[str, Any] = {"target": self.targets[target], "seed": seed}
            row["n_candidates"] = int(size)
            for metric, (value, chance, best) in zip(self.metrics, numbers, strict=True):
                row |= {metric: float(value), f"{metric}_chance": float(chance)}
                row[f"{metric}_best"] = float(best)
            rows.append(row)
        return rows

    @property
    def undefined(self) -> dict[str, dict[str, int]]:
        """For each metric without a value somewhere: how many lists lack it, by reason.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> evaluate(matrix, table, k=3).undefined["regret@3"]
        {'fewer candidates than k': 1}
        """
        words = _core.undefined_reasons()
        counted = {
            metric: Counter(words[code - 1] for code in codes if code)
            for metric, codes in zip(self.metrics, self.list_reasons.T.tolist(), strict=True)
        }
        return {metric: dict(reasons) for metric, reasons in counted.items() if reasons}

    def explain(self, metric: str | None = None) -> str:
        """Return one sentence on a metric, or on every one of them, a line each.

        Raises `UnknownNameError` for a metric that was not computed.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> print(evaluate(matrix, table).explain("regret@1")[:55])
        regret@1 is 0.00: the best of the first 1 stays 0.00 %
        """
        wanted = self.metrics if metric is None else (metric,)
        places = [check_known(name, self.metrics, "metric") for name in wanted]
        gain = self.conventions["gain"]
        return "\n".join(
            sentence(self.metrics[at], self.numbers[at].tolist(), gain) for at in places
        )

    def to_dict(self) -> dict[str, Any]:
        """Return kernel, conventions, summary, rows per target and reasons, ready for JSON.

        Examples
        --------
        >>> from kinatlas.evaluation import TransferTable, evaluate
        >>> from kinatlas.similarity import SimilarityMatrix
        >>> matrix = SimilarityMatrix([[2.0, 1.0]], ["rte"], ["a", "b"], "flatten")
        >>> table = TransferTable.from_arrays(["rte"] * 2, ["a", "b"], [62.0, 31.0])
        >>> sorted(evaluate(matrix, table).to_dict())
        ['conventions', 'kernel', 'per_target', 'summary', 'undefined']
        """
        return {
            "kernel": self.kernel,
            "conventions": dict(self.conventions),
            "summary": self.summary(),
            "per_target": self.per_target(),
            "undefined": self.undefined,
        }

    def _columns(self) -> dict[str, list[Any]]:
        owns = [self.list_targets == at for at in range(len(self.targets))]
        columns: dict[str, list[Any]] = {
            "target": list(self.targets),
            "n_lists": [int(own.sum()) for own in owns],
            "n_candidates": [int(self.list_sizes[own].max(initial=0)) for own in owns],
        }
        parts = ("", "_chance", "_best", "_corrected")
        for place, metric in enumerate(self.metrics):
            for part, numbers in zip(parts, self.target_numbers[:, place].T, strict=True):
                columns[f"{metric}{part}"] = numbers.tolist()
        return columns | {"undefined": [self._reasons(own) for own in owns]}

    def _reasons(self, own: npt.NDArray[np.bool_]) -> str:
        if not own.any():
            return _NO_RUN
        words = _core.undefined_reasons()
        found = [
            f"{metric}: {words[code - 1]}"
            for metric, codes in zip(self.metrics, self.list_reasons[own].T, strict=True)
            for code in sorted(set(codes.tolist()) - {0})
        ]
        return "; ".join(found)

    def _title(self) -> str:
        counts = self.conventions
        n_targets = f"{len(self.targets)} target{'s' * (len(self.targets) != 1)}"
        runs = f"{counts['n_runs_used']} runs used, {counts['n_runs_missing']} missing"
        return f"Evaluation of '{self.kernel}': {n_targets}, gain {counts['gain']}, {runs}"

    def _remarks(self) -> list[str]:
        return [
            f"{metric} undefined {count} times: {reason}"
            for metric, reasons in self.undefined.items()
            for reason, count in reasons.items()
        ]

    def __repr__(self) -> str:
        remarks = self._remarks()
        shown = [*remarks[:4], f"... and {len(remarks) - 4} more"] if len(remarks) > 4 else remarks
        return "\n".join([self._title(), as_text(self.summary_table()), *shown])

    def _repr_html_(self) -> str:
        return as_html(self.summary_table(), ". ".join([self._title(), *self._remarks()]))
