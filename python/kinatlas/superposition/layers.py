"""Where a task vector works: patch it in layer by layer and compare with the bare query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._frames import as_text
from kinatlas.errors import NonFiniteError, ShapeError
from kinatlas.superposition.analysis import Estimate

__all__ = ["LayerChoice", "best_layer"]

Floats = npt.NDArray[np.float64]

# Two-sided 95 % of the normal law; halves of fewer than ten prompts are refused.
_NORMAL = 1.959963984540054
_SMALLEST = 20


@dataclass(frozen=True, repr=False)
class LayerChoice:
    """The best (layer, token set) of a sweep: chosen on half of the prompts, judged on the rest.

    ``gain`` is the held-out gain in answer probability over the bare query. ``is_effective`` is
    False when its interval reaches zero: such a vector does nothing, its geometry means nothing.
    """

    layer: int
    token_set: str
    gain: Estimate
    zero_shot: float
    patched: float
    #: Mean answer probability of every layer and token set [n_layers, n_sets], all prompts.
    sweep: Floats
    token_sets: tuple[str, ...]

    @property
    def is_effective(self) -> bool:
        """Whether the held-out gain is above zero beyond its interval."""
        return bool(self.gain.low > 0.0)

    def __repr__(self) -> str:
        columns: dict[str, list[Any]] = {"layer": list(range(len(self.sweep)))}
        for place, name in enumerate(self.token_sets):
            columns[name] = self.sweep[:, place].tolist()
        says = "" if self.is_effective else "; the patch does nothing, do not interpret the vector"
        return (
            f"LayerChoice: layer {self.layer}, tokens '{self.token_set}', gain {self.gain} over "
            f"{self.zero_shot:.3f}{says}\n{as_text(columns, max_rows=16)}"
        )


def best_layer(
    patched: Any,
    zero_shot: Any,
    *,
    token_sets: Sequence[str] = ("separator",),
    rng: Any = 0,
) -> LayerChoice:
    """Return where patching a task vector raises the answer's probability most, held out.

    Parameters
    ----------
    patched
        Answer probability of every prompt after patching [n_layers, n_sets, n_prompts], or
        [n_layers, n_prompts] for a single token set.
    zero_shot
        Answer probability of the same queries without patch [n_prompts].
    token_sets
        Names of the sets of tokens that were patched; the separator alone is often not where the
        task is.

    Raises
    ------
    ShapeError
        If shapes do not fit or there are fewer than 20 prompts.
    NonFiniteError
        If a probability is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> patched = np.full((3, 40), 0.3)
    >>> patched[1] = np.linspace(0.7, 0.9, 40)
    >>> found = best_layer(patched, np.full(40, 0.3))
    >>> found.layer, found.is_effective
    (1, True)
    """
    values = np.asarray(patched, dtype=np.float64)
    values = values[:, None, :] if values.ndim == 2 else values
    base = np.asarray(zero_shot, dtype=np.float64)
    names = tuple(token_sets)
    if values.ndim != 3 or values.shape[1:] != (len(names), len(base)) or len(base) < _SMALLEST:
        raise ShapeError(
            f"best_layer: patched {values.shape}, zero_shot {base.shape}, {len(names)} token sets; "
            f"expected [n_layers, n_sets, n_prompts], [n_prompts] and at least {_SMALLEST} prompts"
        )
    if not (np.isfinite(values).all() and np.isfinite(base).all()):
        raise NonFiniteError("best_layer: a probability is NaN or infinite")
    order = np.random.default_rng(rng).permutation(len(base))
    chosen_on, judged_on = order[: len(base) // 2], order[len(base) // 2 :]
    flat = int(values[:, :, chosen_on].mean(axis=2).argmax())
    layer, place = divmod(flat, len(names))
    gains = values[layer, place, judged_on] - base[judged_on]
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    mean = float(gains.mean())
    return LayerChoice(
        layer,
        names[place],
        Estimate(mean, float(mean - _NORMAL * error), float(mean + _NORMAL * error)),
        float(base[judged_on].mean()),
        float(values[layer, place, judged_on].mean()),
        values.mean(axis=2),
        names,
    )
