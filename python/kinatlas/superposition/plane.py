"""The plane that separates tasks best, judged on prompts it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._core import superposition_discriminant, superposition_placed
from kinatlas.errors import FormatError, ShapeError
from kinatlas.superposition.states import as_states, pure_states

__all__ = ["DiscriminantPlane", "discriminant_plane"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DiscriminantPlane:
    """Coordinates of held-out pure prompts and of mixtures; ``accuracy`` is on the held-out ones.

    Coordinates are [n_prompts, n_tasks - 1] in units of the shrunk within-task deviation. With more
    coordinates than prompts, training points separate whatever the states mean; only ``held_out``
    and ``accuracy`` (chance 1 / n_tasks) say something.
    """

    tasks: tuple[str, ...]
    centroids: Floats
    training: dict[str, Floats]
    held_out: dict[str, Floats]
    mixtures: dict[str, Floats]
    accuracy: float
    chance: float
    shrinkage: float


def discriminant_plane(
    pure: Mapping[str, Any],
    mixtures: Mapping[str, Any] | None = None,
    *,
    held_out: float = 0.5,
    rng: Any = 0,
    n_threads: int | None = None,
) -> DiscriminantPlane:
    """Return the shrinkage-LDA plane of the pure tasks, fitted on one part of their prompts.

    Mixtures are only projected. Ledoit-Wolf shrinkage of the pooled within-task covariance.

    Parameters
    ----------
    pure
        States of single-task prompts {task: [n_prompts, dim]}.
    mixtures
        States of mixtures {name: [n_prompts, dim]}.
    held_out
        Part of every task's prompts that is kept out of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> pure = {name: rng.normal(size=(40, 5)) + 4 * np.eye(5)[k] for k, name in enumerate("abc")}
    >>> plane = discriminant_plane(pure)
    >>> plane.accuracy > 0.9, plane.centroids.shape
    (True, (3, 2))
    """
    names, sets = pure_states(pure)
    if not 0.0 < held_out < 1.0:
        raise FormatError(f"held_out: got {held_out}, expected a part in (0, 1)")
    generator = np.random.default_rng(rng)
    fitted, kept = [], []
    for name, states in zip(names, sets, strict=True):
        order = generator.permutation(len(states))
        n_kept = max(1, round(held_out * len(states)))
        if len(states) - n_kept < 2:
            raise ShapeError(
                f"pure '{name}': {len(states)} prompts leave {len(states) - n_kept} to fit on, "
                "expected at least 2"
            )
        kept.append(states[order[:n_kept]])
        fitted.append(np.ascontiguousarray(states[order[n_kept:]]))
    shrinkage, centre, projection, centroids = superposition_discriminant(fitted, n_threads)
    parts = (centre.tolist(), projection.tolist(), centroids.tolist())
    n_axes = len(centroids) // len(names)

    def placed(states: Floats, name: str) -> tuple[Floats, npt.NDArray[np.int64]]:
        if states.shape[1] != len(centre):
            raise ShapeError(f"'{name}': width {states.shape[1]}, pure states have {len(centre)}")
        coordinates, nearest = superposition_placed(np.ascontiguousarray(states), parts)
        return coordinates.reshape(len(states), n_axes), nearest

    correct = [
        placed(states, name)[1] == task
        for task, (states, name) in enumerate(zip(kept, names, strict=True))
    ]
    return DiscriminantPlane(
        names,
        centroids.reshape(len(names), n_axes),
        {name: placed(states, name)[0] for name, states in zip(names, fitted, strict=True)},
        {name: placed(states, name)[0] for name, states in zip(names, kept, strict=True)},
        {
            name: placed(as_states(states, f"mixture '{name}'"), name)[0]
            for name, states in (mixtures or {}).items()
        },
        float(np.mean([hits.mean() for hits in correct])),
        1.0 / len(names),
        shrinkage,
    )
