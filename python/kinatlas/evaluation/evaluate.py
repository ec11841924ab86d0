"""Predicted scores against measured transfer: one list of candidates per target and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas.errors import DTypeError, FormatError, ShapeError
from kinatlas.evaluation.lists import (
    by_each_seed,
    candidate_lists,
    measured_part,
    other_tasks,
    scored_cells,
)
from kinatlas.evaluation.result import Evaluation
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["Gain", "evaluate"]

Gain = Literal["exp2_percent", "exp2_fraction", "linear", "rank", "clipped_gain"]

_TIES = "exact expectation over orders of ties; correlations tie-corrected"
_SELF = "a task is never its own source"


def evaluate(
    matrix: SimilarityMatrix | Mapping[int, SimilarityMatrix] | Mapping[str, SimilarityMatrix],
    transfer: TransferTable,
    *,
    gain: Gain = "exp2_percent",
    k: int | Iterable[int] = (1, 3),
    seeds: Literal["each", "mean"] = "each",
    nan_policy: Literal["raise", "omit"] = "raise",
) -> Evaluation:
    """Return how well the order of a matrix agrees with measured transfer, beside chance.

    For every target its sources, itself excluded, are ordered by score and compared with the
    runs that were measured; runs that were not are left out of the candidates and counted.
    Metrics are exact expectations over random tie breaking (correlations: tie-corrected, 0 where
    all scores are equal); the chance level is the exact
    expectation of a random order; chance-corrected is (value - chance) / (best - chance).

    Parameters
    ----------
    matrix
        Scores [n_targets, n_sources], higher is closer. All its names must be in the table.
        A mapping of seed to matrix holds each seed's predictions against that seed's runs.
    transfer
        Measured scores; targets, sources and runs the matrix lacks are ignored and counted.
    gain
        What NDCG adds up: ``exp2_percent`` (2^percent - 1), ``exp2_fraction``, ``linear``,
        ``rank`` (2^(n - rank) - 1, free of the scale), or ``clipped_gain`` (max(0, score -
        baseline)).
    k
        Cut-offs of regret and top-k performance.
    seeds
        ``each`` evaluates every seed and averages the metrics inside each target; ``mean``
        averages the scores over seeds first.
    nan_policy
        For missing scores of the matrix: ``raise``, or ``omit`` those candidates and count them.

    Raises
    ------
    UnknownNameError
        If a source or target of the matrix is not in the table, or a word is no choice.
    FormatError
        If ``clipped_gain`` is asked of a table without baseline.
    NonFiniteError
        If the matrix misses a score and ``nan_policy`` is ``raise``.
    ShapeError
        If a cut-off is not a whole number of at least 1.

    References
    ----------
    NDCG: Järvelin and Kekäläinen (2002); with ties: McSherry and Najork (2008). Regret: Poth et
    al. (2021). Average rank of the best source: Vu et al. (2020). ``exp2_percent``: code of Lin
    et al. (2024); ``rank``: code of TaskWeb, Kim et al. (2023).

    Examples
    --------
    >>> matrix = SimilarityMatrix([[3.0, 2.0, 1.0]], ["rte"], ["a", "b", "c"], "flatten")
    >>> table = TransferTable.from_arrays(["rte"] * 3, ["a", "b", "c"], [60.0, 61.0, 62.0])
    >>> numbers = evaluate(matrix, table).summary()
    >>> round(numbers["ndcg"], 6), round(numbers["ndcg_chance"], 6)
    (0.739667, 0.862945)
    """
    _check_types(matrix, transfer)
    check_choice(gain, _core.gain_names(), "gain")
    check_choice(seeds, ("each", "mean"), "seeds")
    check_choice(nan_policy, ("raise", "omit"), "nan_policy")
    if gain == "clipped_gain" and transfer.baseline is None:
        raise FormatError(
            "gain='clipped_gain' needs scores without transfer, and the table has no baseline; "
            "load it with baseline='...'"
        )
    if isinstance(matrix, Mapping):
        by_seed = matrix
        matrix, transfer = by_each_seed(by_seed, transfer, seeds)
        values = np.stack([found.values for found in by_seed.values()], axis=2)
    else:
        values = matrix.values[:, :, np.newaxis]
    part = measured_part(matrix, transfer)
    scored = scored_cells(matrix, values, nan_policy)
    lists = candidate_lists(values, part, scored, seeds)
    conventions = (gain, transfer.units, _checked_k(k))
    metrics, reasons = _core.evaluate_lists(
        (lists.predicted, lists.measured), (lists.offsets, lists.baseline), conventions
    )
    numbers = _core.summarise_metrics(metrics, lists.targets, len(matrix.targets))
    runs = ~np.isnan(part.scores) & other_tasks(matrix)[:, :, np.newaxis]
    used = runs & scored
    ran = runs.any(axis=1, keepdims=True)
    return Evaluation(
        kernel=matrix.kernel,
        targets=matrix.targets,
        metrics=tuple(_core.metric_names(conventions)),
        numbers=numbers[1],
        target_numbers=numbers[0],
        n_defined=numbers[2],
        list_targets=lists.targets,
        list_seeds=tuple("mean" if seeds == "mean" else part.seeds[at] for at in lists.seeds),
        list_sizes=np.diff(lists.offsets),
        list_numbers=metrics,
        list_reasons=reasons,
        conventions={
            "gain": gain,
            "k": conventions[2],
            "units": transfer.units,
            "seeds": seeds,
            "ties": _TIES,
            "self": _SELF,
            "n_targets": len(matrix.targets),
            "n_sources": len(matrix.sources),
            "n_seeds": len(transfer.seeds),
            "n_runs_used": int(used.sum()),
            "n_runs_missing": int((scored & ~runs & ran).sum()),
            "n_seeds_missing": int((~ran).sum()),
            "n_runs_ignored": transfer.n_runs - int(used.sum()),
            "n_scores_missing": int((other_tasks(matrix)[:, :, np.newaxis] & ~scored).sum()),
        },
    )


def _check_types(matrix: object, transfer: object) -> None:
    if not isinstance(matrix, SimilarityMatrix | Mapping):
        raise DTypeError(
            f"matrix: got {type(matrix).__name__}, expected a SimilarityMatrix (from "
            "similarity_matrix), or a mapping of seed to SimilarityMatrix"
        )
    if not isinstance(transfer, TransferTable):
        raise DTypeError(
            f"transfer: got {type(transfer).__name__}, expected a TransferTable; read one with "
            "TransferTable.from_csv"
        )


def _checked_k(k: Any) -> list[int]:
    cuts = list(k) if isinstance(k, Iterable) and not isinstance(k, str) else [k]
    for cut in cuts:
        if isinstance(cut, bool) or not isinstance(cut, int | np.integer) or cut < 1:
            raise ShapeError(f"k is {k!r}, expected whole numbers of at least 1")
    if not cuts:
        raise ShapeError("k is empty, expected at least one cut-off")
    return sorted({int(cut) for cut in cuts})
