"""Whether to transfer at all: how often the top source helps, and when not to trust it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_number
from kinatlas.errors import ShapeError
from kinatlas.evaluation.abstained import Abstention
from kinatlas.evaluation.cells import Cells, paired_cells, tied_best
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.similarity import SimilarityMatrix

__all__ = ["evaluate_abstention"]


def evaluate_abstention(
    matrix: SimilarityMatrix,
    transfer: TransferTable,
    *,
    margin: float = 0.0,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Abstention:
    """Return how often each target's top source helps, and whether its score tells beforehand.

    A source helps if its gain, averaged over seeds, is above ``margin``. The probability that the
    top source of a target helps comes from a two-parameter logistic curve of the score, fitted to
    all cells of the *other* targets, so no target's outcome enters its own probability. Two
    parameters, because a table has few targets and an isotonic curve would follow their noise.
    Scores must mean the same for every target, as similarities do; transferability scores do not.

    Parameters
    ----------
    matrix
        Predicted scores [n_targets, n_sources], higher is closer.
    transfer
        Measured scores with a baseline.
    margin
        Gain, in the table's units, that counts as help.
    threshold
        Probability from which the answer is "transfer".
    confidence
        Coverage of the Wilson intervals of shares.

    Raises
    ------
    FormatError
        If the table has no baseline.
    ShapeError
        If fewer than two targets were measured.
    NonFiniteError
        If a measured cell has no score.
    ValueError
        If ``threshold`` or ``confidence`` is not within 0 and 1.

    References
    ----------
    Platt (1999) for the curve, Wilson (1927) for intervals, Geifman et al. (2019) for the area
    under risk and coverage.

    Examples
    --------
    >>> matrix = SimilarityMatrix([[0.9, 0.1], [0.8, 0.2], [0.3, 0.2]], ["a", "b", "c"],
    ...                           ["s", "t"], "flatten")
    >>> table = TransferTable.from_arrays(
    ...     list("aabbcc"), list("ststst"), [70.0, 58, 66, 59, 55, 52], baseline=[60.0] * 6)
    >>> evaluate_abstention(matrix, table).summary()["help_rate"]
    0.6666666666666666
    """
    for name, value in {"threshold": threshold, "confidence": confidence}.items():
        check_number(value, name, "a number between 0 and 1", lambda share: 0 < share < 1)
    check_number(margin, "margin", "a finite gain", lambda gain: abs(gain) < float("inf"))
    cells = paired_cells(matrix, transfer, "gain")
    rows = [row for row in range(len(cells.targets)) if cells.used[row].any()]
    if len(rows) < 2:
        raise ShapeError(
            f"{len(rows)} target was measured, expected at least two: the curve of one target is "
            "fitted on the others"
        )
    picks = [_pick(cells, row, rows, margin) for row in rows]
    curve = _core.fit_help(*_training(cells, rows, margin))
    return Abstention(
        kernel=matrix.kernel,
        targets=tuple(cells.targets[row] for row in rows),
        curve=(curve[0], curve[1]),
        settings={
            "margin": margin,
            "threshold": threshold,
            "confidence": confidence,
            "units": transfer.units,
            "n_cells": int(cells.used.sum()),
            "n_targets_without_run": len(cells.targets) - len(rows),
        },
        base_rates=_base_rates([pick["help_shares"] for pick in picks]),
        **{name: tuple(pick[name] for pick in picks) for name in picks[0]},
    )


def _base_rates(helps: list[float]) -> tuple[float, ...]:
    """Share of helping picks on the other targets, one success and one failure added."""
    n, count = len(helps), sum(helps)
    return tuple((count - own + 1) / (n + 1) for own in helps)


def _training(cells: Cells, rows: list[int], margin: float) -> tuple[Any, Any]:
    used = cells.used.copy()
    used[[row for row in range(len(used)) if row not in rows]] = False
    scores, helps = cells.scores[used], cells.measured[used] > margin
    # Sorted, so that the caller's order changes no bit of the curve.
    order = np.lexsort((helps, scores))
    return scores[order], helps[order]


def _pick(cells: Cells, row: int, rows: list[int], margin: float) -> dict[str, Any]:
    """Describe the top source of one target, probability from the other targets."""
    used = np.flatnonzero(cells.used[row])
    best = used[tied_best(cells.scores[row, used])]
    scores, helps = _training(cells, [other for other in rows if other != row], margin)
    top = float(cells.scores[row, best[0]])
    # Equals are picked by lot: gain, help and harm are expectations over it.
    gains = cells.measured[row, best]
    return {
        "picks": tuple(cells.sources[place] for place in best),
        "scores": top,
        "probabilities": _core.help_probability(*_core.fit_help(scores, helps), top),
        "gains": float(gains.mean()),
        "help_shares": float((gains > margin).mean()),
        "loss_shares": float((gains < 0).mean()),
        "best_gains": float(cells.measured[row, used].max()),
        "harm_shares": float((cells.measured[row, used] < 0).mean()),
    }
