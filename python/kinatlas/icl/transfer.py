"""Transfer between tasks in closed form, and the learnt objects as tasks of an atlas."""

from __future__ import annotations

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas.icl._arrays import Floats, count
from kinatlas.icl.mixture import Mixture
from kinatlas.icl.optima import Optimum, Setting, optimum
from kinatlas.tasks import Atlas
from kinatlas.tasks.provenance import Provenance

__all__ = ["preconditioner_atlas", "prompt_atlas", "transfer_losses"]


def transfer_losses(optimum: Optimum) -> Floats:
    """Return the exact loss [n_targets, n_sources] on task i with the prompt and head of task j.

    With prompts alone the excess over the diagonal is (b_i - b_j)' Sx_i (b_i - b_j): the squared
    distance of what the two prompts write, in the units of the labels.

    Examples
    --------
    >>> from kinatlas.icl import optimum
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> transfer_losses(optimum(mixture, 4, "joint_prompt")).round(3)
    array([[1.056, 2.29 ],
           [2.29 , 1.056]])
    """
    return _core.icl_transfer_losses(
        optimum.mixture._arrays, optimum.n_examples, optimum._predictor
    )


def prompt_atlas(optimum: Optimum, part: str = "prompts") -> Atlas:
    """Return the learnt prompts as an atlas of one-token tasks.

    Parameters
    ----------
    optimum
        A setting with prompts.
    part
        "prompts" [n_tasks, dim + 1], "biases" [n_tasks, dim] (what the prompts write) or "heads"
        [n_tasks, dim + 1].

    Raises
    ------
    UnknownNameError
        If ``part`` is none of these.

    Examples
    --------
    >>> from kinatlas.icl import optimum
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> prompt_atlas(optimum(mixture, 4, "joint_prompt"))["task 0"]
    Task 'task 0': 1 tokens of dim 3, float64, space 'linear attention prompts, dim 2, n 4'
    """
    check_choice(part, ("prompts", "biases", "heads"), "part")
    mixture = optimum.mixture
    rows = getattr(optimum, part)
    space = f"linear attention {part}, dim {mixture.dim}, n {optimum.n_examples}"
    origin = Provenance(base_model="linear attention", method=optimum.setting)
    return Atlas.from_arrays(
        dict(zip(mixture.names, rows, strict=True)),
        space=space,
        provenance=dict.fromkeys(mixture.names, origin),
    )


def preconditioner_atlas(
    mixture: Mixture, n_examples: int, setting: Setting | str = "joint_prompt_head"
) -> Atlas:
    """Return every task's own W, learnt from that task alone, as tasks of dim tokens.

    Examples
    --------
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> preconditioner_atlas(mixture, 4).n_tokens
    (2, 2)
    """
    n_examples = count(n_examples, "n_examples")
    noise = np.broadcast_to(mixture.noise_variance, mixture.weights.shape)
    inputs = np.broadcast_to(mixture.input_covariance, mixture.covariances.shape)
    learnt = {}
    for task, name in enumerate(mixture.names):
        alone = Mixture(
            [1.0],
            mixture.means[task : task + 1],
            mixture.covariances[task : task + 1],
            input_covariance=inputs[task],
            noise_variance=noise[task],
            names=[name],
        )
        learnt[name] = optimum(alone, n_examples, setting).W
    origin = Provenance(base_model="linear attention", method=str(setting))
    return Atlas.from_arrays(
        learnt,
        space=f"linear attention W, dim {mixture.dim}, n {n_examples}",
        provenance=dict.fromkeys(mixture.names, origin),
    )
