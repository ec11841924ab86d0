"""Scores of token sets: one pair, or every source against every target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kinatlas import _core
from kinatlas._checks import check_n_threads, check_same_space
from kinatlas._progress import bar
from kinatlas.similarity.diagnostics import described, screened, warn_if_degenerate
from kinatlas.similarity.fit import (
    check_fit,
    refuse_task2vec_options,
    refuse_token_options,
    tokens_of,
    updates_of,
)
from kinatlas.similarity.frames import explained
from kinatlas.similarity.low_rank import compare_updates
from kinatlas.similarity.matrix import SimilarityMatrix
from kinatlas.similarity.options import Direction, Options
from kinatlas.similarity.parts import refuse_nonfinite
from kinatlas.similarity.task2vec import compare_diagonals, is_task2vec
from kinatlas.tasks import Atlas, LowRankAtlas, Task
from kinatlas.tasks.mapping import is_mapped

__all__ = ["similarity_matrix", "token_similarity"]


def token_similarity(
    source: Any,
    target: Any,
    *,
    kernel: str,
    direction: Direction = "source_to_target",
    normalize: str | None = "tokens",
    center: Any = None,
    k: int | None = None,
    temperature: float | None = None,
    trivial: Any = None,
    alpha: float | None = None,
    precision: str = "auto",
    method: str = "auto",
) -> float:
    """Return how close two tasks are, by one kernel; higher is closer.

    Parameters
    ----------
    source, target
        Tasks, or tokens [n_tokens, dim] of anything array-like; or two low-rank updates, as
        ``{module: LowRank}``.
    kernel
        One of ``kernel_names()``; ``kernel_info(name)`` tells its formula and promises.
    direction
        Which side looks for partners: ``source_to_target`` (every source token finds its best
        target token), ``target_to_source``, or ``symmetric`` (the mean of both). Recorded but
        without effect for symmetric kernels.
    normalize
        ``"tokens"`` divides every token by its Euclidean norm, zero tokens stay zero; None leaves
        raw tokens.
    center
        What is subtracted from both sides before tokens are normalised: None, an initial prompt
        [n_tokens, dim], one token [dim], or ``"features"``, the mean token of the source.
    k, temperature
        Parameters of ``topk_mean`` (default 5) and ``soft_max`` (default 0.1).
    trivial, alpha
        Parameters of ``task2vec_asymmetric``: the Fisher diagonal of a trivial task, and what its
        distance counts (default 0.15). The Task2Vec kernels want ``normalize=None``.
    precision
        ``"float64"``; ``"float32"`` for ``max_pairwise``, ``topk_mean`` and ``soft_max``, which
        multiplies tokens in float32 and averages in float64, at a known error; ``"bf16"`` for
        the same kernels, which rounds tokens to bfloat16 first: faster where the processor
        multiplies bfloat16, and off by some 1e-4, at most 8e-3, for unit tokens; or ``"auto"``,
        float32 for these kernels where no token is stored as float64. Low-rank updates know
        ``"float32"`` and ``"float64"``, which is their ``"auto"``.
    method
        How ``max_pairwise`` finds best partners in float32: ``"exact"`` makes all products;
        ``"screened"`` those that a certified bound by rounded tokens cannot rule out, with the same
        scores, bit for bit; ``"auto"`` screens where that is faster; ``"approximate"`` makes only
        the one that leads among rounded tokens, and ``error_bound`` says what that may cost.

    Raises
    ------
    SpaceError, ShapeError, DTypeError, NonFiniteError
        If the two sides do not fit together or hold what cannot be compared.
    UnknownNameError
        For an unknown kernel, direction, normalize, center, precision or method.
    ValueError
        For a parameter out of range, one the kernel does not have, or a centre that needs an
        atlas.

    Examples
    --------
    >>> source, target = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]
    >>> token_similarity(source, target, kernel="max_pairwise")
    0.5
    >>> token_similarity(source, target, kernel="max_pairwise", direction="target_to_source")
    1.0
    """
    if isinstance(source, Mapping) and isinstance(target, Mapping):
        refuse_token_options(center, k, temperature)
        ours, theirs = (
            LowRankAtlas.from_factors({role: update})
            for role, update in (("source", source), ("target", target))
        )
        return float(compare_updates(ours, theirs, kernel, 1, None, precision).values[0, 0])
    left, right = (
        Atlas.from_tasks([task if isinstance(task, Task) else Task(role, task)])
        for role, task in (("source", source), ("target", target))
    )
    # Bare arrays carry no space of their own and take that of the other side.
    if isinstance(source, Task) and isinstance(target, Task):
        check_same_space(source.space, target.space, "source", "target")
    right = replace(right, space=left.space)
    if is_task2vec(kernel):
        asked = _asked(direction, normalize, center, k, temperature, trivial, alpha)
        return float(compare_diagonals(left, right, kernel, asked, 1).values[0, 0])
    refuse_task2vec_options(kernel, trivial, alpha)
    if isinstance(center, str) and center in ("positions", "auto"):
        raise ValueError(
            f"center={center!r} needs an atlas to take a mean of; give the initial prompt itself, "
            "or compare a whole atlas with similarity_matrix"
        )
    options = Options.checked(
        kernel, direction, normalize, center, k, temperature, precision, method
    )
    check_fit(left, right, options)
    scores, _, _, _ = _core.compare_tokens(
        left._packed, right._packed, options.core(), options.center, 1, None, False
    )
    return float(scores[0])


def similarity_matrix(
    sources: Atlas | LowRankAtlas,
    targets: Atlas | LowRankAtlas | None = None,
    *,
    kernel: str,
    direction: Direction = "source_to_target",
    normalize: str | None = "tokens",
    center: Any = None,
    k: int | None = None,
    temperature: float | None = None,
    trivial: Any = None,
    alpha: float | None = None,
    precision: str = "auto",
    method: str = "auto",
    diagnostics: bool = True,
    max_memory: float | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> SimilarityMatrix:
    """Return the scores [n_targets, n_sources] of every source for every target.

    Parameters
    ----------
    sources, targets
        Atlases of one space; without targets the sources are compared among themselves. Low-rank
        atlases take the kernels ``low_rank_cosine`` and ``low_rank_inner``, over all modules.
    kernel, direction, normalize, k, temperature, trivial, alpha, precision, method
        As in `token_similarity`; the precision used is recorded, and a method that changes scores.
    center
        What is subtracted from both sides before tokens are normalised: None; ``"features"``, the
        mean token of the sources; ``"positions"``, the sources' mean at each token position, a
        stand-in for a shared initialisation; an initial prompt [n_tokens, dim] or one token
        [dim]; or ``"auto"``, which chooses between None and ``"positions"`` by looking at the
        sources alone and explains itself under ``options["center_reason"]``. The origin never
        depends on the targets.
    diagnostics
        False skips the look at the prompts, which may take longer than a few scores.
    max_memory
        Bytes to use beyond the scores, for an atlas opened in place by ``io.open_atlas``, larger
        than memory or not; the same bits, and diagnostics of the scores alone. None is faster.
    n_threads
        Threads for this call; None takes `num_threads`. Any number gives the same bits.
    progress
        True shows a bar with rate and time left (needs tqdm).

    Returns
    -------
    SimilarityMatrix
        With the options used and diagnostics: ``saturation``, ``diagonal_fraction`` and others;
        ``error_bound`` of every score and the instructions used, ``simd``, for float32 and bf16;
        the ``method``, and ``screen`` with the ``recomputed_share`` of token pairs.

    Raises
    ------
    SpaceError, ShapeError, NonFiniteError, UnknownNameError, ValueError
        As in `token_similarity`.
    MissingDependencyError
        If a bar is asked for without tqdm.

    Warns
    -----
    DegenerateRankingWarning
        If scores are equal up to rounding, or the prompts share an initialisation and ``center``
        is None.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0], [0.0, 1.0]], "rte": [[1.0, 0.0]]})
    >>> matrix = similarity_matrix(atlas, kernel="max_pairwise")
    >>> matrix
    SimilarityMatrix [2 targets, 2 sources], kernel 'max_pairwise'
            mnli     rte
    mnli  1.0000  1.0000
    rte   0.5000  1.0000
    """
    n_threads = check_n_threads(n_threads)
    if max_memory is not None:
        # Blocks are compared by this module's rules, so it is loaded before them.
        from kinatlas.similarity.streaming import compare_in_blocks

        if not is_task2vec(kernel):
            refuse_task2vec_options(kernel, trivial, alpha)
        return compare_in_blocks(
            sources, targets, n_threads, progress, method,
            kernel=kernel, direction=direction, normalize=normalize, center=center, k=k,
            temperature=temperature, precision=precision, max_memory=max_memory,
        )  # fmt: skip
    if isinstance(sources, LowRankAtlas):
        refuse_token_options(center, k, temperature)
        both = sources, updates_of(targets)
        return compare_updates(*both, kernel, n_threads, progress, precision)
    if is_task2vec(kernel):
        asked = _asked(direction, normalize, center, k, temperature, trivial, alpha)
        atlases = sources, None if targets is None else tokens_of(targets, "targets")
        return compare_diagonals(*atlases, kernel, asked, n_threads, progress)
    refuse_task2vec_options(kernel, trivial, alpha)
    options = Options.checked(
        kernel, direction, normalize, center, k, temperature, precision, method
    )
    sources = tokens_of(sources, "sources")
    targets = None if targets is None else tokens_of(targets, "targets")
    rows = sources if targets is None else targets
    if targets is not None:
        check_same_space(sources.space, targets.space, "sources", "targets")
    check_fit(sources, rows, options)
    for atlas in (sources,) if targets is None else (sources, targets):
        if is_mapped(atlas._buffer):
            refuse_nonfinite(atlas)
    with bar(progress, len(rows) * len(sources)) as report:
        scores, decision, alignment, single = _core.compare_tokens(
            sources._packed,
            None if targets is None else targets._packed,
            options.core(),
            options.center,
            n_threads,
            report,
            diagnostics,
        )
    values = scores.reshape(len(rows), len(sources))
    found = described(values, rows.names, sources.names, options, alignment)
    warn_if_degenerate(found, options, min(sources.n_tokens), stacklevel=2)
    used = {"precision": "float64"}
    if single is not None:
        used = {"precision": "bf16" if precision == "bf16" else "float32"}
        found["error_bound"], found["simd"], screen = single
        found |= screened(screen)
        if found["method"] == "approximate":
            used["method"] = "approximate"
    return SimilarityMatrix(
        values,
        rows.names,
        sources.names,
        kernel,
        options.recorded() | explained(decision) | {"dtype": sources.dtype} | used,
        found,
    )


def _asked(
    direction: str,
    normalize: str | None,
    center: Any,
    k: int | None,
    temperature: float | None,
    trivial: Any,
    alpha: float | None,
) -> dict[str, Any]:
    return dict(locals())
