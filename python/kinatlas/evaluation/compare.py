"""Which of several methods orders sources better, and whether that can be more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_n_threads, quoted
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.errors import DTypeError, FormatError, ShapeError, UnknownNameError
from kinatlas.evaluation.comparison import MethodComparison
from kinatlas.evaluation.contest import BASELINES, Contest, Method, entered, metric_of, size_matrix
from kinatlas.evaluation.transfer import TransferTable
from kinatlas.evaluation.verdicts import (
    Settings,
    average_ranks,
    check_unit,
    method_rows,
    pair_table,
    remarks_on,
    strata_of,
)
from kinatlas.similarity import SimilarityMatrix

__all__ = ["compare_methods"]

Interval = Literal["expanded", "percentile", "bca", "student", "skew"]
Unit = Literal["targets", "targets_then_seeds", "targets_and_seeds", "seeds"]
_INTERVALS = ("expanded", "percentile", "bca", "student", "skew")
_UNITS = ("targets", "targets_then_seeds", "targets_and_seeds", "seeds")


def compare_methods(
    methods: Mapping[str, Method],
    transfer: TransferTable,
    *,
    metric: str = "ndcg",
    gain: str = "exp2_percent",
    sizes: Mapping[str, float] | None = None,
    text_overlap: SimilarityMatrix | None = None,
    unit: Unit = "targets",
    strata: Mapping[str, str] | None = None,
    interval: Interval = "expanded",
    confidence: float = 0.95,
    correction: Literal["holm", "bh", "none"] = "holm",
    nan_policy: Literal["raise", "omit"] = "raise",
    n_replicates: int = 10_000,
    n_permutations: int = 1_999,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> MethodComparison:
    """Return how methods compare on measured transfer, beside chance, data size, text and oracle.

    Every method is evaluated on the same candidates (`evaluate`, seed by seed). Pairs get a
    paired bootstrap interval over targets, an exact sign-flip p-value over targets (drawn beyond
    20 targets), corrected for the number of pairs, and the chance that one is better on another
    target; a pair whose corrected p-value exceeds 1 - confidence reads "no difference shown".
    Each method is held against random orders by dealing its scores to the sources at random.

    Parameters
    ----------
    methods
        Name to matrix [n_targets, n_sources], or to a mapping of seed to matrix. All have the
        same names of targets and sources, and the same seeds.
    transfer
        Measured scores.
    metric
        One of those of `evaluate`: ``ndcg``, ``regret@k``, ``top@k``, ``average_rank``,
        ``spearman``, ``kendall``.
    gain
        What NDCG adds up.
    sizes
        Number of examples of every source, for the row ``data_size``.
    text_overlap
        A matrix of text similarity, for the row ``text_overlap``.
    unit
        What the bootstrap draws again: ``targets`` with their seeds, ``targets_then_seeds``
        (seeds within each target too), ``targets_and_seeds`` (one draw of seeds for all), or
        ``seeds`` (these targets are the ones that count).
    strata
        Group of every target; a draw replaces a target by one of its own group.
    interval
        ``expanded`` (percentiles, widened for few targets), ``percentile``, ``bca``, ``student``,
        or ``skew`` (Student's corrected for skewness: the one that covers for regret).
    confidence
        Level of intervals, tests and critical difference.
    correction
        ``holm`` (no false difference among all pairs), ``bh`` (share of false ones), ``none``.
    nan_policy
        For missing scores: ``raise``, or ``omit`` the candidate for all methods.
    n_replicates, n_permutations
        Bootstrap replicates, and random deals (and sign patterns beyond 20 targets).
    rng, n_threads
        Same ``rng``, same numbers, on any number of threads; it is 0 unless given.

    Raises
    ------
    ShapeError
        If there is no method, or methods differ in targets or sources.
    UnknownNameError
        If a name is not in the table, is reserved, or a word is no choice.
    FormatError
        If methods differ in seeds, a target has no stratum, all are alone in theirs, or a unit of
        seeds is asked of one seed.
    NonFiniteError
        If a score is missing and ``nan_policy`` is ``raise``.
    DTypeError
        If a method is no matrix.
    ValueError
        If ``confidence`` is not between 0 and 1, or there are fewer than 100 replicates.

    References
    ----------
    Sign flips: Fisher (1935). Corrections: Holm (1979); Benjamini and Hochberg (1995). Average
    ranks: Friedman (1937), Nemenyi (1963), Demšar (2006). Expanded percentiles: Hesterberg (2015).

    Examples
    --------
    >>> import kinatlas as ka
    >>> study = ka.datasets.load_minilm_prompts()
    >>> tasks = study.transfer.select(sources=study.transfer.targets)
    >>> methods = {
    ...     kernel: {seed: ka.similarity_matrix(study.atlases[seed], kernel=kernel)
    ...              for seed in study.atlases}
    ...     for kernel in ("feature_mean", "mean_pairwise")
    ... }
    >>> found = ka.compare_methods(methods, tasks, metric="spearman", n_replicates=1000)
    >>> found.rows["method"][-2:], found.scores["random"]
    (['random', 'oracle'], 0.0)
    >>> len(found.pairs.columns["verdict"])
    1
    """
    entries = _entries(methods, transfer, sizes, text_overlap)
    check_choice(gain, _core.gain_names(), "gain")
    check_choice(unit, _UNITS, "unit")
    check_choice(interval, _INTERVALS, "interval")
    check_choice(correction, ("holm", "bh", "none"), "correction")
    check_choice(nan_policy, ("raise", "omit"), "nan_policy")
    if gain == "clipped_gain" and transfer.baseline is None:
        raise FormatError("gain='clipped_gain' needs a table with scores without transfer")
    n_replicates = check_sampling(confidence, n_replicates, "n_replicates")[1]
    n_permutations = check_sampling(confidence, n_permutations, "n_permutations")[1]
    threads = check_n_threads(n_threads)
    contest = entered(entries, transfer, metric, gain, nan_policy)
    state = np.random.SeedSequence(seed_of(rng)).generate_state(3, np.uint64)
    settings = Settings(
        unit=unit,
        interval=interval,
        confidence=confidence,
        correction=correction,
        n_replicates=n_replicates,
        n_permutations=n_permutations,
        seeds=(int(state[0]), int(state[1]), int(state[2])),
        n_threads=threads,
        turn=1.0 if metric_of(metric, gain, transfer.units)[2] else -1.0,
    )
    return _judged(contest, entries, strata_of(strata, contest.targets), metric, settings)


def _judged(
    contest: Contest,
    entries: Mapping[str, Method],
    strata: npt.NDArray[np.int64],
    metric: str,
    settings: Settings,
) -> MethodComparison:
    kept = np.asarray(~np.isnan(contest.per_target[:, :, 0]).any(axis=0))
    if not kept.any():
        raise FormatError(f"no target defines {metric}; evaluate(...).undefined lists the reasons")
    cube = np.ascontiguousarray(contest.cube[kept])
    # Strata are renumbered, because a dropped target may have been the only one of its group.
    groups = np.unique(strata[kept], return_inverse=True)[1].astype(np.int64)
    check_unit(settings.unit, groups, contest.n_seeds)
    plan = (settings.unit, groups, settings.seeds[0])
    drawn = _core.resample_means(cube, plan, (0, settings.n_replicates), settings.n_threads)
    alone = [(column, -1) for column in range(cube.shape[1])]
    numbers = _core.mean_intervals(cube, drawn, alone, settings.interval, settings.confidence)
    values = np.ascontiguousarray(settings.turn * contest.per_target[:, kept, 0].T)
    ranks = average_ranks(contest.names, values, settings.confidence)
    return MethodComparison(
        metric=metric,
        is_higher_better=settings.turn > 0,
        rows=method_rows(contest, entries, numbers, ranks, settings),
        pairs=pair_table(contest.names, cube, drawn, values, settings),
        critical_difference=ranks,
        conventions={
            "metric": metric,
            "gain": contest.conventions[0],
            "units": contest.conventions[1],
            "unit": settings.unit,
            "interval": settings.interval,
            "confidence": settings.confidence,
            "correction": settings.correction,
            "n_targets": int(kept.sum()),
            "n_seeds": contest.n_seeds,
            "n_replicates": settings.n_replicates,
            "n_permutations": settings.n_permutations,
            "seeds": list(settings.seeds),
        },
        remarks=remarks_on(contest, kept, entries, metric, settings, groups),
    )


def _entries(
    methods: Mapping[str, Method],
    transfer: TransferTable,
    sizes: Mapping[str, float] | None,
    text_overlap: SimilarityMatrix | None,
) -> dict[str, Method]:
    if not isinstance(methods, Mapping):
        raise DTypeError(
            f"methods: got {type(methods).__name__}, expected a mapping of name to SimilarityMatrix"
        )
    if not isinstance(transfer, TransferTable):
        raise DTypeError(
            f"transfer: got {type(transfer).__name__}, expected a TransferTable; read one with "
            "TransferTable.from_csv"
        )
    if not methods:
        raise ShapeError("methods: got an empty mapping, expected at least one method")
    for name in methods:
        if not isinstance(name, str) or not name or name in BASELINES:
            raise UnknownNameError(
                f"methods: {name!r} cannot name a method; expected a non-empty text other than "
                f"{quoted(BASELINES)}, which name the rows every comparison has"
            )
    entries = dict(methods)
    if sizes is not None:
        entries["data_size"] = size_matrix(sizes, next(iter(methods.values())))
    if text_overlap is not None:
        entries["text_overlap"] = text_overlap
    return entries
