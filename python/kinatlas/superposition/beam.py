"""Completed tasks: answers that are among the most probable completions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.errors import NonFiniteError, ShapeError

__all__ = ["beam_array", "completed_tasks"]

Floats = npt.NDArray[np.float64]

# The authors' slack for probabilities summed in another order.
_SLACK = 1e-5


def beam_array(beam: Any, n_prompts: int, n_tasks: int) -> Floats | None:
    """Return beam log-probabilities [n_prompts, n_beam], best first, or None.

    Raises `ShapeError` if there are fewer completions than tasks, `NonFiniteError` for NaN.

    Examples
    --------
    >>> beam_array([[-2.0, -1.0, -3.0]], 1, 2)
    array([[-1., -2., -3.]])
    """
    if beam is None:
        return None
    array = np.array(beam, dtype=np.float64)
    if array.ndim != 2 or len(array) != n_prompts or array.shape[1] < n_tasks:
        raise ShapeError(
            f"beam: shape {array.shape}, expected [n_prompts, n_beam] with {n_prompts} prompts and "
            f"at least {n_tasks} completions, one for each task; search a wider beam"
        )
    if np.isnan(array).any():
        prompt = int(np.argwhere(np.isnan(array))[0][0])
        raise NonFiniteError(f"beam of prompt {prompt}: a log-probability is NaN")
    ordered: Floats = -np.sort(-array, axis=1)
    return ordered


def completed_tasks(log_probabilities: Any, beam: Any) -> npt.NDArray[np.bool_]:
    """Return which tasks' answers are among the K most probable completions [n_prompts, n_tasks].

    A task is completed iff P_k >= P_(K) - 1e-5, P_(K) the K-th largest probability of the beam
    (arXiv 2410.05603). With the wrong task always in the beam, chance is K / n_beam and above.

    Examples
    --------
    >>> import numpy as np
    >>> completed_tasks(np.log([[0.6, 0.1]]), np.log([[0.6, 0.3, 0.1]]))
    array([[ True, False]])
    """
    logs = np.asarray(log_probabilities, dtype=np.float64)
    ordered = beam_array(beam, len(logs), logs.shape[1])
    if ordered is None:
        raise ShapeError("beam: got None, expected log-probabilities [n_prompts, n_beam]")
    bar = np.exp(ordered[:, logs.shape[1] - 1]) - _SLACK
    found: npt.NDArray[np.bool_] = np.exp(logs) >= bar[:, None]
    return found
