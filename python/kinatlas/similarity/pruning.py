"""The best sources of a target without scoring all of them exactly.

A coarse score of each source, with its bound, rules out those that cannot be among the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.similarity.block_plan import BlockPlan
from kinatlas.tasks import Atlas

__all__ = ["Coarse", "coarse_scores"]

Places: TypeAlias = npt.NDArray[np.int64]

# Kernels with a form for few digits; the others are cheap, or nothing bounds them.
_SEEKING = ("max_pairwise", "topk_mean", "soft_max")


@dataclass(frozen=True, eq=False)
class Coarse:
    """Scores [n_targets, n_sources] that are off by at most ``slack`` from those of the kernel."""

    values: npt.NDArray[np.float64]
    slack: float

    def candidates(
        self, row: int, own: int, k: int, score: Callable[[Places], npt.NDArray[np.float64]]
    ) -> tuple[Places, npt.NDArray[np.float64]]:
        """Return places, ascending, with their exact scores: the ``k`` best of a target among them.

        Its ``k`` leaders by coarse scores are scored first. Whoever could reach the last of them
        follows, ties included; ``own`` is left out, and fewer than ``k`` mean there are no more.
        """
        coarse = self.values[row].copy()
        if own >= 0:
            coarse[own] = -np.inf
        leaders = np.argsort(-coarse, kind="stable")[: min(k, np.isfinite(coarse).sum())]
        if len(leaders) < k:
            return leaders, np.empty(0)
        exact = score(leaders)
        could = self.values[row] + self.slack >= exact.min()
        could[leaders] = False
        if own >= 0:
            could[own] = False
        rivals = np.flatnonzero(could)
        if len(rivals):
            exact = np.concatenate([exact, score(rivals)])
        places = np.concatenate([leaders, rivals])
        order = np.argsort(places)
        return places[order], exact[order]


def coarse_scores(
    targets: Atlas, sources: Atlas, plan: BlockPlan, n_threads: int | None
) -> Coarse | None:
    """Return coarse scores of every pair, or None where they would not be faster than exact ones.

    Both scores are within the error bound of the coarse one from exact numbers, for it counts every
    rounding that the kernel makes and more: they differ by two bounds at most.
    """
    exact = plan.recorded.get("precision")
    # bfloat16 pays by AMX alone (docs/kernels.md); float32 products beside float64 ones always do.
    fast = "bf16" if _core._simd_paths()[1][0] == "amx" else "float32"
    if plan.options is None or plan.kernel not in _SEEKING or exact in ("bf16", fast):
        return None
    options = replace(plan.options, precision=fast)
    scores, _, _, single = _core.compare_tokens(
        sources._packed, targets._packed, options.core(), options.center, n_threads, None, False
    )
    bound = math.inf if single is None else single[0]
    return Coarse(scores.reshape(len(targets), len(sources)), 2.0 * bound)
