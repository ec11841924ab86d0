"""The order of a matrix's sources for one target, by explicit rules for ties and self."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from warnings import warn

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_known, check_n_threads, quoted
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.errors import (
    DegenerateRankingWarning,
    DTypeError,
    FormatError,
    NonFiniteError,
    ShapeError,
)
from kinatlas.selection.ranking import NO_TRANSFER, Effect, RankedSource, Ranking
from kinatlas.selection.seeds import SeedCube, stack_seeds
from kinatlas.selection.uncertainty import rank_uncertainty, with_uncertainty
from kinatlas.similarity import SimilarityMatrix

__all__ = ["NanPolicy", "NoTransfer", "SeedUnit", "rank_sources"]

NanPolicy = Literal["raise", "omit"]
NoTransfer = Literal["auto", "include", "exclude"]
SeedUnit = Literal["auto", "seeds", "source_seeds", "target_seeds", "both_seeds"]


_ROUNDING = 1e-12


def rank_sources(
    matrix: SimilarityMatrix | Mapping[Any, SimilarityMatrix],
    target: str,
    *,
    k: int | None = None,
    no_transfer: NoTransfer = "auto",
    nan_policy: NanPolicy = "raise",
    unit: SeedUnit = "auto",
    confidence: float = 0.95,
    n_draws: int = 10_000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Ranking:
    """Return the sources of a matrix for one target, best first.

    The target itself is never its own source. Equal scores share their mean rank (fractional
    ranking) and are listed alphabetically. A single candidate gets rank 0.

    Given the matrices of two seeds or more, sources are ordered by their mean, and every entry
    carries a score interval, a rank interval, the chance to be the best and among the best k, and
    a group of sources that it cannot be told apart from; ``ranking.uncertainty`` has the rest.
    The model behind the chances: normal seed noise of one variance for all sources of the target
    around true means that are normal too. docs/consistency.md says how it was chosen and when it
    fails.

    Parameters
    ----------
    matrix
        Scores [n_targets, n_sources], higher is closer; or a mapping of seed to matrix, the seed
        being a number, a text, or a pair (source seed, target seed).
    target
        A row of the matrix.
    k
        How many candidates to return; None returns all.
    no_transfer
        Whether training without transfer is a candidate, scored at ``matrix.neutral``: ``auto``
        where that is known (measured gains), ``include`` always, ``exclude`` never.
    nan_policy
        For missing scores: ``raise`` refuses them, ``omit`` leaves those sources out and lists
        them in ``ranking.omitted``. A source must have its score from every seed.
    unit
        Which seeds are independent repetitions: ``seeds`` (every matrix), or of pairs
        ``source_seeds``, ``target_seeds``, or ``both_seeds`` (crossed). ``auto`` takes
        ``both_seeds`` for a full grid of pairs, else ``seeds``.
    confidence
        Level of every interval, and of the groups.
    n_draws
        Draws of the true means behind the chances.
    rng
        Same ``rng``, same numbers, on any number of threads; it is 0 unless given.
    n_threads
        Threads of the draws.

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
        like the candidate, or matrices of seeds differ in kernel.
    ValueError
        If ``confidence`` is not between 0 and 1, or ``n_draws`` below 100.

    Warns
    -----
    DegenerateRankingWarning
        If all sources have the same score.

    References
    ----------
    Ties: Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33. Chances:
    Lindley and Smith (1972), JRSS B 34. Groups: Tukey (1949), Biometrics 5.

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
    one set of scores, no seeds: nothing is known about how far to trust this order

    >>> import kinatlas as ka
    >>> prompts = ka.datasets.load_minilm_prompts().atlases
    >>> seeds = {seed: ka.similarity_matrix(prompts[seed], kernel="feature_mean")
    ...          for seed in prompts}
    >>> ranking = ka.rank_sources(seeds, "sent_movie", k=3)
    >>> ranking[0].rank_low, ranking.uncertainty.n_seeds
    (0, 3)
    """
    cube, values = _by_seed(matrix, unit)
    matrix = cube.template
    row = values[check_known(target, matrix.targets, "target")]
    others = [at for at, name in enumerate(matrix.sources) if name != target]
    kept, omitted = _with_score(matrix, target, row, others, nan_policy)
    if not kept:
        raise ShapeError(
            f"target '{target}' has no source to rank besides itself and those without a score; "
            "give the matrix other sources"
        )
    candidate = None
    if _has_no_transfer(matrix, no_transfer) and matrix.neutral is not None:
        candidate = (NO_TRANSFER, matrix.neutral)
    cut = _checked_k(k, len(kept) + (candidate is not None), target)
    sampling = check_sampling(confidence, n_draws)
    # Sorted, so that what a source is dealt by chance does not depend on the caller's order.
    kept = sorted(kept, key=lambda at: matrix.sources[at])
    names = tuple(matrix.sources[at] for at in kept)
    uncertainty = None
    scores = row[kept].mean(axis=(1, 2)) if cube.n_seeds > 1 else row[kept, 0, 0]
    if cube.n_seeds > 1 and (len(kept) > 1 or candidate is not None):
        uncertainty = rank_uncertainty(
            names,
            row[kept],
            anchor=candidate,
            unit=cube.unit,
            k=cut if k is not None else min(3, cut),
            confidence=sampling[0],
            n_draws=sampling[1],
            seed=seed_of(rng),
            n_threads=check_n_threads(n_threads),
        )
        by_name = dict(zip(uncertainty.candidates, uncertainty.scores.tolist(), strict=True))
        scores = np.array([by_name[name] for name in names])
    if len(kept) > 1 and (scores == scores[0]).all():
        warn(
            f"all {len(kept)} sources of target '{target}' have the same score {scores[0]:g}: "
            f"'{matrix.kernel}' cannot tell them apart",
            DegenerateRankingWarning,
            stacklevel=2,
        )
    if candidate is not None:
        names, scores = (*names, candidate[0]), np.append(scores, candidate[1])
    entries = _ordered(names, scores, matrix.neutral, float(np.abs(row[kept]).max()))
    return Ranking(
        target=target,
        entries=tuple(with_uncertainty(entry, uncertainty) for entry in entries[:cut]),
        kernel=matrix.kernel,
        n_candidates=len(entries),
        omitted=omitted,
        uncertainty=uncertainty,
        n_seeds=cube.n_seeds,
    )


def _by_seed(
    matrix: SimilarityMatrix | Mapping[Any, SimilarityMatrix], unit: str
) -> tuple[SeedCube, npt.NDArray[np.float64]]:
    if isinstance(matrix, SimilarityMatrix):
        matrix = {0: matrix}
    if not isinstance(matrix, Mapping):
        raise DTypeError(
            f"matrix: got {type(matrix).__name__}, expected a SimilarityMatrix (make one with "
            "similarity_matrix, or with TransferTable.to_matrix), or a mapping of seed to one"
        )
    cube = stack_seeds(matrix, unit)
    return cube, cube.values


def _with_score(
    matrix: SimilarityMatrix,
    target: str,
    row: npt.NDArray[np.float64],
    others: list[int],
    nan_policy: str,
) -> tuple[list[int], tuple[str, ...]]:
    check_choice(nan_policy, ("raise", "omit"), "nan_policy")
    missing = tuple(matrix.sources[at] for at in others if np.isnan(row[at]).any())
    if missing and nan_policy == "raise":
        raise NonFiniteError(
            f"target '{target}' has no score for {len(missing)} of {len(others)} sources "
            f"({quoted(missing)}); nan_policy='omit' ranks the others and lists these"
        )
    return [at for at in others if not np.isnan(row[at]).any()], missing


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
    names: Sequence[str], scores: npt.NDArray[np.float64], neutral: float | None, largest: float
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
            effect=_effect(float(scores[at]), neutral, largest),
        )
        for at in order
    )


def _effect(score: float, neutral: float | None, largest: float) -> Effect:
    if neutral is None:
        return "unknown"
    # A mean over seeds that misses the neutral score by rounding alone is at it.
    if abs(score - neutral) <= _ROUNDING * largest:
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
