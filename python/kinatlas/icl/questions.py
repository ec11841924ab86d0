"""What do prompts buy, and when? Answers in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas.icl._arrays import count
from kinatlas.icl.mixture import Mixture
from kinatlas.icl.optima import SETTINGS, Setting, optimum

__all__ = ["PromptAdvice", "asymptotic_constant", "decoupling_index", "what_prompts_buy"]

# Two losses closer than this part are one number: sums of a few hundred float64 terms round at
# 1e-14, and anything a user could measure is far above it.
_SAME = 1e-12
# Searching for an equivalent context stops here; "more than a million examples" is an answer.
_LONGEST_CONTEXT = 1 << 20


def decoupling_index(mixture: Mixture, n_examples: int, setting: Setting | str) -> float:
    """Return how far a setting gets from plain training (0) to full decoupling (1).

    (L_plain - L_setting) / (L_plain - L_joint_prompt_head); heads with free scales can exceed 1.
    NaN where plain training is already decoupled, as with all means zero.

    Examples
    --------
    >>> import numpy as np
    >>> mixture = Mixture([0.3, 0.7], [[1.4] * 10, [-0.6] * 10], [np.eye(10), 2 * np.eye(10)])
    >>> round(decoupling_index(mixture, 10, "joint_prompt"), 4)
    0.4729
    """
    check_choice(setting, SETTINGS, "setting")
    plain = optimum(mixture, n_examples, "plain").loss_without_noise
    whole = plain - optimum(mixture, n_examples, "joint_prompt_head").loss_without_noise
    if whole <= _SAME * plain:
        return float("nan")
    return (plain - optimum(mixture, n_examples, setting).loss_without_noise) / whole


def asymptotic_constant(mixture: Mixture, setting: Setting | str) -> float:
    """Return the limit of n times the loss without noise, for long contexts.

    (d + 1) tr(Sx M) + d s2 for ``plain`` and for prompts alone, the same with Mc for heads: prompts
    matter at small n, heads at all n. Singular covariances are accounted for by their rank.

    Raises
    ------
    MixtureError
        If tasks differ in their input covariance: then the loss does not fall to the noise. For
        free head scales also if no task varies in every direction that is learnt: then the
        scales, and with them the limit, depend on the noise.

    Examples
    --------
    >>> import numpy as np
    >>> mixture = Mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> [asymptotic_constant(mixture, name) for name in ("joint_prompt", "joint_prompt_head")]
    [9.0, 6.0]
    """
    check_choice(setting, SETTINGS, "setting")
    return _core.icl_asymptotic_constant(mixture._arrays, setting)


@dataclass(frozen=True, eq=False)
class PromptAdvice:
    """What prompts and heads buy at one context length; ``str()`` says it in words.

    Examples
    --------
    >>> import numpy as np
    >>> mixture = Mixture([0.5, 0.5], [[2.0, 0.0], [-2.0, 0.0]], [np.eye(2), np.eye(2)])
    >>> what_prompts_buy(mixture, 4).plain_examples_like_joint_prompt
    10
    """

    n_examples: int
    #: Loss of every setting, noise included.
    losses: dict[str, float]
    #: Label noise, below which no loss can fall.
    noise: float
    #: Part of E[(x'beta)^2] that comes from the task means, which prompts can carry.
    mean_share: float
    #: Part of the way from plain to fully decoupled that joint prompts go; NaN without means.
    decoupling_index: float
    #: Examples plain training needs for the loss of joint prompts; None: more than a million.
    plain_examples_like_joint_prompt: int | None
    #: Examples joint prompts need for the loss of prompts with heads; None: more than a million.
    prompt_examples_like_head: int | None

    def saving(self, setting: str, over: str = "plain") -> float:
        """Return the part of the reducible loss of ``over`` that ``setting`` removes.

        Examples
        --------
        >>> mixture = Mixture([1.0], [[0.0]], [[[1.0]]])
        >>> what_prompts_buy(mixture, 4).saving("joint_prompt")
        0.0
        """
        for name, argument in ((setting, "setting"), (over, "over")):
            check_choice(name, SETTINGS, argument)
        reducible = self.losses[over] - self.noise
        removed = self.losses[over] - self.losses[setting]
        return removed / reducible if reducible > _SAME * self.losses[over] else 0.0

    def __str__(self) -> str:
        n = f"{self.n_examples} example{'' if self.n_examples == 1 else 's'}"
        if self.mean_share <= _SAME:
            return (
                f"With {n} in context, prompts buy nothing: next to what varies within tasks their "
                f"means are zero, and a prompt can only carry a mean."
            )
        lines = [
            f"Task means make {100 * self.mean_share:.0f} % of what there is to predict; a prompt "
            f"can carry them, examples must tell the rest.",
            f"With {n} in context, plain training reaches a loss of {self.losses['plain']:.4g}, of "
            f"which {self.noise:.4g} is noise.",
            self._line("Prompts added afterwards", "finetune_prompt"),
            self._line("Prompts trained with attention", "joint_prompt")
            + self._worth(self.plain_examples_like_joint_prompt, "plain training"),
            self._line("Prompts and heads", "joint_prompt_head")
            + self._worth(self.prompt_examples_like_head, "prompts without heads"),
        ]
        return "\n".join(lines)

    def _line(self, who: str, setting: str) -> str:
        saving = 100 * self.saving(setting)
        return f"{who} remove {saving:.1f} % of the reducible loss ({self.losses[setting]:.4g})."

    def _worth(self, n_examples: int | None, whom: str) -> str:
        needed = "more than a million" if n_examples is None else f"{n_examples}"
        return f" {whom.capitalize()} would need {needed} examples for that."


def what_prompts_buy(mixture: Mixture, n_examples: int) -> PromptAdvice:
    """Return what prompts and heads buy with ``n_examples`` in context.

    Raises
    ------
    MixtureError
        If ``n_examples`` is not a whole number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> mixture = Mixture([0.3, 0.7], [[1.4] * 10, [-0.6] * 10], [np.eye(10), 2 * np.eye(10)])
    >>> print(what_prompts_buy(mixture, 10))
    Task means make 33 % of what there is to predict; a prompt can carry them, ...
    With 10 examples in context, plain training reaches a loss of 12.03, of which 0 is noise.
    Prompts added afterwards remove 4.7 % of the reducible loss (11.46).
    Prompts trained with attention remove 12.3 % of the reducible loss (10.55). Plain ...
    Prompts and heads remove 26.0 % of the reducible loss (8.905). Prompts without heads ...
    """
    n_examples = count(n_examples, "n_examples")
    losses = {name: optimum(mixture, n_examples, name).loss for name in SETTINGS}
    within = mixture.weights @ (mixture.covariances * mixture.input_covariance).sum(axis=(1, 2))
    signal = mixture.signal
    return PromptAdvice(
        n_examples=n_examples,
        losses=losses,
        noise=mixture.noise,
        mean_share=1.0 - float(within) / signal if signal > 0 else 0.0,
        decoupling_index=decoupling_index(mixture, n_examples, "joint_prompt"),
        plain_examples_like_joint_prompt=_examples_for(
            mixture, "plain", losses["joint_prompt"], n_examples
        ),
        prompt_examples_like_head=_examples_for(
            mixture, "joint_prompt", losses["joint_prompt_head"], n_examples
        ),
    )


def _examples_for(mixture: Mixture, setting: str, loss: float, least: int) -> int | None:
    """Smallest context of at least ``least`` with at most ``loss``; losses fall with n."""

    def is_enough(n_examples: int) -> bool:
        return optimum(mixture, n_examples, setting).loss <= loss * (1 + _SAME)

    low, high = least - 1, max(least, 1)
    if is_enough(least):
        return least
    low = least
    while not is_enough(high):
        low, high = high, 2 * high
        if high > _LONGEST_CONTEXT:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
