"""The best a linear attention layer can do, setting by setting, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas.errors import MixtureError
from kinatlas.icl._arrays import Floats, count, frozen
from kinatlas.icl.mixture import Mixture, check_mixture

__all__ = ["SETTINGS", "Optimum", "Setting", "Solver", "optimum"]

Setting = Literal[
    "plain",
    "finetune_prompt",
    "joint_prompt",
    "joint_prompt_value_shift",
    "finetune_prompt_head",
    "joint_prompt_head",
    "joint_prompt_head_scaled",
]
Solver = Literal["auto", "compact", "kronecker"]

#: Every setting, from fully coupled to fully decoupled.
SETTINGS: tuple[str, ...] = tuple(_core.icl_settings())


@dataclass(frozen=True, eq=False, repr=False)
class Optimum:
    """The best predictor f_k(x) = x' [c_k W X'(y - X v_k) + b_k] of one setting, and its loss.

    Examples
    --------
    >>> import numpy as np
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> found = optimum(mixture, 4, "joint_prompt_head")
    >>> found
    Optimum of joint_prompt_head at n_examples=4: loss 0.857143 (28.6 % of the signal)
    >>> found.W.shape, found.biases.shape, found.prompts.shape
    ((2, 2), (2, 2), (2, 3))
    """

    mixture: Mixture
    n_examples: int
    setting: str
    #: Expected squared error on the noisy label of the query.
    loss: float
    #: The same less the label noise.
    loss_without_noise: float
    #: Loss of every task [n_tasks], noise included.
    task_losses: Floats
    #: Preconditioner W = query key' [dim, dim]; not symmetric in general.
    W: Floats
    #: Scale c of every head [n_tasks].
    scales: Floats
    #: Point v from which the gradient step starts [n_tasks, dim].
    shifts: Floats
    #: What each prompt adds to the task vector [n_tasks, dim].
    biases: Floats
    #: One prompt token per task [n_tasks, dim + 1]; zero where there are none.
    prompts: Floats
    #: One head per task [n_tasks, dim + 1].
    heads: Floats
    #: Part of its bias that a prompt cannot write [n_tasks].
    prompt_residuals: Floats
    #: False where the loss is only approached, by prompts that grow without bound.
    is_attained: bool
    #: Extreme singular values of the matrix that was solved, as a ratio.
    condition_number: float
    solver: str
    #: Linear systems solved; more than one where two groups of unknowns alternate.
    n_solves: int
    _matrices: tuple[Floats, Floats, Floats] = field(repr=False)

    def normalized_loss(self, by: Literal["signal", "label"] = "signal") -> float:
        """Return the loss over E[(x'beta)^2] ("signal", as the paper plots) or E[y^2] ("label").

        Raises
        ------
        UnknownNameError
            If ``by`` is neither.
        MixtureError
            If there is no signal to divide by.

        Examples
        --------
        >>> mixture = Mixture([1.0], [[0.0, 0.0]], [[[1.0, 0.0], [0.0, 1.0]]])
        >>> round(optimum(mixture, 10, "plain").normalized_loss(), 4)  # (d + 1) / (n + d + 1)
        0.2308
        """
        check_choice(by, ("signal", "label"), "by")
        power = self.mixture.signal + (self.mixture.noise if by == "label" else 0.0)
        if power == 0.0:
            raise MixtureError(
                f"by='{by}': the mixture has nothing to divide by, every label is 0 before noise"
            )
        return self.loss / power

    @property
    def _predictor(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.W, self.scales, self.shifts, self.biases

    def __repr__(self) -> str:
        signal = self.mixture.signal
        part = f" ({100 * self.loss / signal:.1f} % of the signal)" if signal > 0 else ""
        note = "" if self.is_attained else "; approached, not attained"
        return (
            f"Optimum of {self.setting} at n_examples={self.n_examples}: "
            f"loss {self.loss:.6g}{part}{note}"
        )


def optimum(
    mixture: Mixture, n_examples: int, setting: Setting | str, *, solver: Solver | str = "auto"
) -> Optimum:
    """Solve one setting exactly for contexts of ``n_examples``.

    Settings, from fully coupled to fully decoupled: ``plain`` (attention only),
    ``finetune_prompt`` (attention trained plainly and frozen, then prompts), ``joint_prompt``
    (both together, v = 0), ``joint_prompt_value_shift`` (with the one shift v that a shared value
    matrix can hold), ``finetune_prompt_head``, ``joint_prompt_head`` (v_k = mu_k: the prompt
    explains the mean exactly and W sees covariances only), ``joint_prompt_head_scaled`` (each
    head with its own scale).

    The ``compact`` solver needs inputs shared by all tasks; ``kronecker`` solves d^2 equations
    and always applies. With inputs per task the shift, and with free scales the scales, are found
    by exact alternation with extrapolation, which is monotone but could stop at a local optimum.

    Raises
    ------
    MixtureError
        If ``n_examples`` is not a whole number of at least 0, the solver does not apply, or an
        alternation does not settle.
    DTypeError
        If ``mixture`` is none.
    UnknownNameError
        If the setting or solver is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> mixture = Mixture([0.3, 0.7], [[1.4] * 10, [-0.6] * 10], [np.eye(10), 2 * np.eye(10)])
    >>> [round(optimum(mixture, 10, name).loss, 4) for name in ("plain", "joint_prompt_head")]
    [12.0288, 8.9048]
    """
    check_mixture(mixture)
    check_choice(setting, SETTINGS, "setting")
    found = _core.icl_optimum(mixture._arrays, count(n_examples, "n_examples"), setting, solver)
    names = ("scales", "shifts", "biases", "prompts", "heads", "prompt_residuals", "task_losses")
    return Optimum(
        mixture=mixture,
        n_examples=int(n_examples),
        setting=setting,
        loss=found["loss_without_noise"] + mixture.noise,
        loss_without_noise=found["loss_without_noise"],
        W=frozen(found["preconditioner"]),
        **{name: frozen(found[name]) for name in names},
        is_attained=found["is_attained"],
        condition_number=found["condition_number"],
        solver=found["solver"],
        n_solves=found["n_solves"],
        _matrices=(frozen(found["query"]), frozen(found["key"]), frozen(found["value"])),
    )
