"""The nearest sources of a target among very many: candidates by sketches, order by the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_n_threads, check_same_space
from kinatlas._frames import Tabular
from kinatlas.errors import ShapeError
from kinatlas.similarity.blocks import plan_blocks
from kinatlas.similarity.compute import tokens_of
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
        Exact scores computed, against ``n_pairs`` of an exhaustive search.
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
        Sources to return, and to score exactly, for each target.

    Raises
    ------
    ShapeError
        If neither or both of sketches and candidates are given, sketches are of other sources, or
        there are fewer than ``k`` candidates.
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
    """
    n_threads = check_n_threads(n_threads)
    sources, targets = tokens_of(sources, "sources"), tokens_of(targets, "targets")
    check_same_space(sources.space, targets.space, "sources", "targets")
    if (sketches is None) == (candidates is None):
        raise ShapeError("give either sketches of the sources or candidates, and not both")
    if sketches is not None and sketches.names != sources.names:
        raise ShapeError("the sketches are of other sources; make them with sketch_atlas(sources)")
    plan = plan_blocks(sources, targets, kernel=kernel, **options)
    wanted = set(targets.names)
    places = {name: place for place, name in enumerate(sources.names) if name in wanted}
    names, scores, n_scored = [], np.empty((len(targets), k)), 0
    proposals = _proposals(targets, sketches, candidates, n_candidates + 1, n_threads)
    for row, proposed in enumerate(proposals):
        own = places.get(targets.names[row], -1)
        chosen = np.unique(proposed[(proposed >= 0) & (proposed != own)])
        if len(chosen) < k:
            raise ShapeError(
                f"target {targets.names[row]!r}: {len(chosen)} candidates, expected at least k={k}"
            )
        # So few pairs cost less than waking other threads for them.
        exact = plan.compute_some(row, chosen, sources, targets, n_threads=n_threads or 1)
        # Stable over ascending places: equal scores keep the order of the atlas.
        best = np.argsort(-exact, kind="stable")[:k]
        names.append(tuple(sources.names[place] for place in chosen[best]))
        scores[row] = exact[best]
        n_scored += len(chosen)
    scores.flags.writeable = False
    total = len(targets) * len(sources)
    return Nearest(targets.names, tuple(names), scores, kernel, n_scored, total)


def _proposals(
    targets: Atlas,
    sketches: Sketches | None,
    candidates: Any,
    n_candidates: int,
    n_threads: int | None,
) -> Any:
    if sketches is None:
        given = np.asarray(candidates)
        if given.ndim != 2 or len(given) != len(targets) or given.dtype.kind not in "iu":
            raise ShapeError(
                f"candidates: got {given.dtype} {given.shape}, expected whole numbers "
                f"[n_targets={len(targets)}, n_candidates]"
            )
        yield from given.astype(np.int64)
        return
    asked = sketches.of(targets, n_threads=n_threads)
    kept = min(n_candidates, len(sketches))
    sides = [np.ascontiguousarray(side.values) for side in (asked, sketches)]
    yield from _core.largest_sketches(*sides, kept, n_threads).reshape(len(targets), kept)
