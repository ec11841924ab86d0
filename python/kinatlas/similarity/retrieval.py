"""The nearest sources of a target: candidates by sketches or by a bound, order by the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_n_threads, check_same_dim, check_same_space, check_whole
from kinatlas._frames import Tabular
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.similarity.blocks import plan_blocks
from kinatlas.similarity.fit import tokens_of
from kinatlas.similarity.pruning import coarse_scores
from kinatlas.similarity.sketches import Sketches
from kinatlas.tasks import Atlas

__all__ = ["Nearest", "nearest_sources"]


@dataclass(frozen=True, eq=False)
class Nearest(Tabular):
    """The best sources of some targets, each scored exactly; made by `nearest_sources`.

    Attributes
    ----------
    targets
        Names of the targets.
    sources
        Names [n_targets][k], best first.
    scores
        Exact scores [n_targets, k] of the kernel.
    n_scored
        Exact scores computed; the others of ``n_pairs`` were skipped.
    """

    targets: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    scores: npt.NDArray[np.float64]
    kernel: str
    n_scored: int
    n_pairs: int

    def _columns(self) -> dict[str, list[Any]]:
        k = self.scores.shape[1]
        return {
            "target": [target for target in self.targets for _ in range(k)],
            "source": [source for row in self.sources for source in row],
            "score": self.scores.reshape(-1).tolist(),
            "rank": list(range(k)) * len(self.targets),
        }


def nearest_sources(
    targets: Atlas,
    sources: Atlas,
    *,
    kernel: str,
    sketches: Sketches | None = None,
    candidates: Any = None,
    k: int = 10,
    n_candidates: int = 500,
    n_threads: int | None = None,
    **options: Any,
) -> Nearest:
    """Return the ``k`` best sources of every target, scored exactly among the candidates.

    Without sketches and candidates the answer is that of ranking all sources, ties included, in the
    order of the atlas: sources that a coarse score with its bound rules out are not scored exactly.

    A sketch estimates one kernel, mean-type ones, but may propose candidates for any: whether the
    true best are among them is what recall measures, so measure it on some targets of yours.

    Parameters
    ----------
    targets, sources
        Atlases of one space. A source of the target's own name is left out.
    kernel
        The kernel that orders the candidates, with its ``options`` as in ``similarity_matrix``.
    sketches
        Sketches of the sources, by `sketch_atlas`.
    candidates
        Places of candidates among the sources [n_targets, n_candidates], from an index of your
        own (faiss, LanceDB), instead of sketches; -1 is no candidate.
    k, n_candidates
        Sources to return, and to score exactly, for each target; the second for sketches alone.

    Raises
    ------
    ShapeError
        If both sketches and candidates are given, sketches are of other sources,
        candidates are no places among the sources, or there are fewer than ``k`` of them.
    SpaceError, UnknownNameError, ValueError
        As ``similarity_matrix``.

    Examples
    --------
    >>> from kinatlas.similarity.sketches import sketch_atlas
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.8, 0.6]], "cb": [[0.0, 1.0]]})
    >>> sketches = sketch_atlas(atlas, kernel="mean_pairwise", n_features=64, rng=0)
    >>> found = nearest_sources(atlas, atlas, kernel="max_pairwise", sketches=sketches, k=1)
    >>> found.sources
    (('rte',), ('mnli',), ('rte',))
    >>> nearest_sources(atlas, atlas, kernel="max_pairwise", k=1).sources
    (('rte',), ('mnli',), ('rte',))
    """
    n_threads, k = check_n_threads(n_threads), check_whole(k, "k")
    n_candidates = check_whole(n_candidates, "n_candidates")
    sources, targets = tokens_of(sources, "sources"), tokens_of(targets, "targets")
    check_same_space(sources.space, targets.space, "sources", "targets")
    if not (sketches is None or candidates is None):
        raise ShapeError("give either sketches of the sources or candidates, and not both")
    _check_sketches(sketches, sources)
    plan = plan_blocks(sources, targets, kernel=kernel, **options)
    wanted = set(targets.names)
    places = {name: place for place, name in enumerate(sources.names) if name in wanted}
    names, scores, n_scored = [], np.empty((len(targets), k)), 0
    coarse = None
    if sketches is not None:
        # One more, because a target may be among the sources itself.
        proposals = _by_sketches(targets, sketches, n_candidates + 1, n_threads)
    elif candidates is not None:
        proposals, n_candidates = _given(candidates, len(targets), len(sources))
    else:
        coarse = coarse_scores(targets, sources, plan, n_threads)
        every = np.arange(len(sources))
        proposals, n_candidates = np.broadcast_to(every, (len(targets), len(every))), len(every)

    def score(row: int, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        # So few pairs cost less than waking other threads for them.
        return plan.compute_some(row, chosen, sources, targets, n_threads=n_threads or 1)

    for row, proposed in enumerate(proposals):
        own = places.get(targets.names[row], -1)
        if coarse is not None:
            chosen, exact = coarse.candidates(row, own, k, partial(score, row))
        else:
            others = proposed[(proposed >= 0) & (proposed != own)]
            chosen = np.unique(others[:n_candidates])
        if len(chosen) < k:
            raise ShapeError(
                f"target {targets.names[row]!r}: {len(chosen)} candidates, expected at least k={k}"
            )
        if coarse is None:
            exact = score(row, chosen)
        # Stable over ascending places: equal scores keep the order of the atlas.
        best = np.argsort(-exact, kind="stable")[:k]
        names.append(tuple(sources.names[place] for place in chosen[best]))
        scores[row] = exact[best]
        n_scored += len(chosen)
    scores.flags.writeable = False
    total = len(targets) * len(sources)
    return Nearest(targets.names, tuple(names), scores, kernel, n_scored, total)


def _check_sketches(sketches: Any, sources: Atlas) -> None:
    if sketches is None:
        return
    if not isinstance(sketches, Sketches):
        raise DTypeError(f"sketches: got {type(sketches).__name__}, expected sketch_atlas(sources)")
    if sketches.names != sources.names:
        raise ShapeError("the sketches are of other sources; make them with sketch_atlas(sources)")
    check_same_space(sources.space, sketches.space, "sources", "sketches")
    if sketches.dim is not None:
        check_same_dim(sources.dim, sketches.dim, "sources", "sketched tasks")


def _given(candidates: Any, n_targets: int, n_sources: int) -> tuple[npt.NDArray[np.int64], int]:
    """Places [n_targets, n_candidates] from elsewhere, and how many there are."""
    try:
        given = np.asarray(candidates)
    except ValueError:
        raise ShapeError("candidates: rows differ in length; fill them up with -1") from None
    if given.ndim != 2 or len(given) != n_targets or given.dtype.kind not in "iu":
        raise ShapeError(
            f"candidates: got {given.dtype} {given.shape}, expected whole numbers "
            f"[n_targets={n_targets}, n_candidates]"
        )
    if given.size and not (given.min() >= -1 and given.max() < n_sources):
        raise ShapeError(
            f"candidates: got places from {given.min()} to {given.max()}, expected places among "
            f"{n_sources} sources, or -1 for none"
        )
    return given.astype(np.int64), given.shape[1]


def _by_sketches(
    targets: Atlas, sketches: Sketches, n_candidates: int, n_threads: int | None
) -> npt.NDArray[np.int64]:
    """Places [n_targets, n_candidates], most promising first."""
    asked = np.ascontiguousarray(sketches.of(targets, n_threads=n_threads).values)
    rows, kept = np.ascontiguousarray(sketches.values), min(n_candidates, len(sketches))
    found = _core.largest_sketches(asked, rows, kept, n_threads)
    return found.reshape(len(targets), kept)
