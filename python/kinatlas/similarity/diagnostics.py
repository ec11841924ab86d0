"""What a matrix of scores says about itself, and the warnings that follow from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import quoted
from kinatlas.errors import DegenerateRankingWarning
from kinatlas.similarity.options import Options
from kinatlas.tasks.mapping import let_go

__all__ = ["described", "screened", "warn_if_degenerate"]

# Beyond chance; the same bound by which center="auto" calls an initialisation shared.
_CAPTURED = 0.2
# Scores looked at before their pages are let go, where they are mapped from a file.
_BAND_BYTES = 64 << 20


def described(
    values: npt.NDArray[np.float64],
    targets: Sequence[str],
    sources: Sequence[str],
    options: Options,
    alignment: tuple[float | None, float | None, float | None, int] | None,
) -> dict[str, Any]:
    """Return the diagnostics of scores [n_targets, n_sources].

    ``saturation`` is one minus the mean over targets of the spread of their foreign scores
    (largest minus smallest, the task itself left out) over the width of the kernel's range: near
    1, all scores are nearly equal. Where raw tokens leave the range open, its width is twice the
    largest foreign score. ``constant_targets`` are the targets whose foreign scores are equal up
    to rounding.

    ``diagonal_fraction`` and ``median_diagonal_fraction`` are the part of the tokens, as
    compared, whose best partner stands at their own position (mean and median over pairs of
    sources); chance is one over the number of tokens. ``position_share`` is the part of the
    variance that belongs to positions rather than tasks. They are None where positions cannot be
    compared, and missing for kernels that positions do not touch.
    """
    columns = {name: column for column, name in enumerate(sources)}
    own = [columns.get(name) for name in targets]
    spreads = []
    height = max(1, _BAND_BYTES // (8 * len(sources)))
    for top in range(0, len(targets), height):
        band = values[top : top + height]
        spreads += _core.score_spreads(band, own[top : top + height])
        let_go(band)
    saturation, constant = _core.score_saturation(spreads, options.scale())
    found: dict[str, Any] = {
        "saturation": saturation,
        "constant_targets": [targets[row] for row in constant],
    }
    if alignment is not None:
        mean, median, share, n_pairs = alignment
        found |= {
            "diagonal_fraction": mean,
            "median_diagonal_fraction": median,
            "position_share": share,
            "n_diagonal_pairs": n_pairs,
        }
    return found


def screened(screen: tuple[bool, str, int, int] | None) -> dict[str, Any]:
    """Return how best partners were found in single precision, and what a screen did.

    A screen looks at ``n_token_pairs`` pairs of tokens, rounded to what ``simd`` multiplies fast;
    ``n_recomputed`` of them are multiplied in float32. Where it is ``certified``, all others are
    proven to lie below the best, and the scores are those of ``method="exact"``, bit for bit.
    """
    if screen is None:
        return {"method": "exact"}
    is_certified, simd, n_token_pairs, n_recomputed = screen
    record = {
        "certified": is_certified,
        "simd": simd,
        "n_token_pairs": n_token_pairs,
        "n_recomputed": n_recomputed,
        "recomputed_share": n_recomputed / n_token_pairs,
    }
    return {"method": "screened" if is_certified else "approximate", "screen": record}


def warn_if_degenerate(
    diagnostics: dict[str, Any], options: Options, n_tokens: int, *, stacklevel: int
) -> None:
    """Warn where a ranking by these scores means nothing, or mostly an initialisation."""
    name = options.info.name
    constant = diagnostics["constant_targets"]
    if constant:
        warnings.warn(
            f"{name} gives equal scores to all sources of {quoted(constant)}; their order means "
            "nothing",
            DegenerateRankingWarning,
            stacklevel=stacklevel + 1,
        )
    captured = diagnostics.get("median_diagonal_fraction")
    if options.center is not None or captured is None or n_tokens < 2:
        return
    chance = 1.0 / n_tokens
    if captured - chance >= _CAPTURED * (1.0 - chance):
        warnings.warn(
            f"the prompts seem to share an initialisation: in the median pair {captured:.1%} of "
            f"tokens find their best partner at their own position (chance {chance:.1%}), so "
            f"{name} may measure how far each prompt moved; try center='auto', or pass the "
            "initial prompt as center",
            DegenerateRankingWarning,
            stacklevel=stacklevel + 1,
        )
