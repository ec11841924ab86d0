"""The order of a matrix's sources for one target, by explicit rules for ties and self."""

from __future__ import annotations

from typing import Literal
from warnings import warn

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, quoted
from kinatlas.errors import (
    DegenerateRankingWarning,
    DTypeError,
    FormatError,
    NonFiniteError,
    ShapeError,
)
from kinatlas.selection.ranking import NO_TRANSFER, Effect, RankedSource, Ranking
from kinatlas.similarity import SimilarityMatrix

__all__ = ["NanPolicy", "NoTransfer", "rank_sources"]

NanPolicy = Literal["raise", "omit"]
NoTransfer = Literal["auto", "include", "exclude"]


def rank_sources(
    matrix: SimilarityMatrix,
    target: str,
    *,
    k: int | None = None,
    no_transfer: NoTransfer = "auto",
    nan_policy: NanPolicy = "raise",
) -> Ranking:
    """Return the sources of a matrix for one target, best first.

    The target itself is never its own source. Equal scores share their mean rank (fractional
    ranking) and are listed alphabetically. A single candidate gets rank 0.

    Parameters
    ----------
    matrix
        Scores [n_targets, n_sources], higher is closer.
    target
        A row of the matrix.
    k
        How many candidates to return; None returns all.
    no_transfer
        Whether training without transfer is a candidate, scored at ``matrix.neutral``: ``auto``
        where that is known (measured gains), ``include`` always, ``exclude`` never.
    nan_policy
        For missing scores: ``raise`` refuses them, ``omit`` leaves those sources out and lists
        them in ``ranking.omitted``.

    Raises
    ------
    UnknownNameError
        If the matrix has no such target, or a word is not among the choices.
    NonFiniteError
        If a score is missing and ``nan_policy`` is ``raise``.
    ShapeError
        If no source is left, or ``k`` is not between 1 and the number of candidates.
    FormatError
        If ``no_transfer="include"`` and the matrix has no neutral score, or a source is called
        like the candidate.

    Warns
    -----
    DegenerateRankingWarning
        If all sources have the same score.

    References
    ----------
    Ties: Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33.

    Examples
    --------
    >>> from kinatlas.similarity import SimilarityMatrix
    >>> gains = SimilarityMatrix([[2.5, -1.0]], ["rte"], ["mnli", "sst2"], "measured_gain",
    ...                          neutral=0.0)
    >>> rank_sources(gains, "rte")
    Ranking for target 'rte' by 'measured_gain', 3 of 3 candidates
    source         score    rank  n_tied  effect
    mnli          2.5000  0.0000       1  help
    no transfer   0.0000  1.0000       1  none
    sst2         -1.0000  2.0000       1  harm
    """
    if not isinstance(matrix, SimilarityMatrix):
        raise DTypeError(
            f"matrix: got {type(matrix).__name__}, expected a SimilarityMatrix; make one with "
            "similarity_matrix, or with TransferTable.to_matrix"
        )
    row = matrix.row(target)
    others = [at for at, name in enumerate(matrix.sources) if name != target]
    kept, omitted = _with_score(matrix, target, row, others, nan_policy)
    if not kept:
        raise ShapeError(
            f"target '{target}' has no source to rank besides itself and those without a score; "
            "give the matrix other sources"
        )
    names = [matrix.sources[at] for at in kept]
    scores = row[kept]
    if len(kept) > 1 and (scores == scores[0]).all():
        warn(
            f"all {len(kept)} sources of target '{target}' have the same score {scores[0]:g}: "
            f"'{matrix.kernel}' cannot tell them apart",
            DegenerateRankingWarning,
            stacklevel=2,
        )
    if _has_no_transfer(matrix, no_transfer) and matrix.neutral is not None:
        names = [*names, NO_TRANSFER]
        scores = np.append(scores, matrix.neutral)
    entries = _ordered(names, scores, matrix.neutral)
    return Ranking(
        target=target,
        entries=entries[: _checked_k(k, len(entries), target)],
        kernel=matrix.kernel,
        n_candidates=len(entries),
        omitted=omitted,
    )


def _with_score(
    matrix: SimilarityMatrix,
    target: str,
    row: npt.NDArray[np.float64],
    others: list[int],
    nan_policy: str,
) -> tuple[list[int], tuple[str, ...]]:
    check_choice(nan_policy, ("raise", "omit"), "nan_policy")
    missing = tuple(matrix.sources[at] for at in others if np.isnan(row[at]))
    if missing and nan_policy == "raise":
        raise NonFiniteError(
            f"target '{target}' has no score for {len(missing)} of {len(others)} sources "
            f"({quoted(missing)}); nan_policy='omit' ranks the others and lists these"
        )
    return [at for at in others if not np.isnan(row[at])], missing


def _has_no_transfer(matrix: SimilarityMatrix, no_transfer: str) -> bool:
    check_choice(no_transfer, ("auto", "include", "exclude"), "no_transfer")
    if no_transfer == "include" and matrix.neutral is None:
        raise FormatError(
            f"matrix '{matrix.kernel}' has no neutral score to place 'no transfer' at; measured "
            "gains have one: transfer.to_matrix(value='gain')"
        )
    wanted = no_transfer != "exclude" and matrix.neutral is not None
    if wanted and NO_TRANSFER in matrix.sources:
        raise FormatError(
            f"a source is called '{NO_TRANSFER}', which names the candidate without transfer; "
            "rename it, or leave the candidate out with no_transfer='exclude'"
        )
    return wanted


def _ordered(
    names: list[str], scores: npt.NDArray[np.float64], neutral: float | None
) -> tuple[RankedSource, ...]:
    ranks = _core.average_ranks(scores)
    _, group, sizes = np.unique(ranks, return_inverse=True, return_counts=True)
    order = sorted(range(len(names)), key=lambda at: (ranks[at], names[at]))
    return tuple(
        RankedSource(
            source=names[at],
            score=float(scores[at]),
            rank=float(ranks[at]),
            n_tied=int(sizes[group[at]]),
            effect=_effect(float(scores[at]), neutral),
        )
        for at in order
    )


def _effect(score: float, neutral: float | None) -> Effect:
    if neutral is None:
        return "unknown"
    if score == neutral:
        return "none"
    return "help" if score > neutral else "harm"


def _checked_k(k: int | None, n_candidates: int, target: str) -> int:
    if k is None:
        return n_candidates
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise ShapeError(f"k is {k!r}, expected a whole number or None for all candidates")
    if not 1 <= k <= n_candidates:
        raise ShapeError(
            f"k is {k}, but target '{target}' has {n_candidates} candidates; "
            f"expected 1 to {n_candidates}, or None for all"
        )
    return int(k)
