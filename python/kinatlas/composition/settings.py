"""What a head is asked to be, checked before it sees data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kinatlas._checks import check_choice, check_n_threads, check_number, check_whole
from kinatlas.errors import DTypeError, ShapeError, UnknownNameError

__all__ = ["MODES", "HeadSettings"]

#: How a head uses the source tasks.
MODES = ("prompt", "fixed", "task", "share")

_PLAIN_STARTS = ("random", "mean", "race")
# Keeps the spread of the weights that 150 gives at width 64, whatever the width.
_TAU_PER_WIDTH = 2.34


@dataclass(frozen=True)
class HeadSettings:
    """Options of a head; `PromptHead` lists them.

    Examples
    --------
    >>> HeadSettings(tau="auto").temperature(64)
    149.76
    """

    mode: str = "prompt"
    tau: float | str = 150.0
    beta_kl: float = 0.0
    init: str = "random"
    warm: Mapping[str, Mapping[str, Any]] | None = None
    tower: Sequence[int] = (64, 32)
    learning_rate: float = 1e-3
    batch_size: int = 256
    epochs: int = 30
    patience: int = 5
    race_epochs: int = 3
    reg_dnn: float = 3e-5
    seed: int = 0
    n_threads: int | None = None

    def __post_init__(self) -> None:
        check_choice(self.mode, MODES, "mode")
        if self.tau != "auto":
            wanted = "a number above 0, infinity included, or 'auto'"
            self._set("tau", check_number(self.tau, "tau", wanted, lambda tau: tau > 0))
        for name, least_is_fine in (("beta_kl", True), ("reg_dnn", True), ("learning_rate", False)):
            self._set(name, _rate(getattr(self, name), name, least_is_fine))
        for name in ("batch_size", "epochs", "patience", "race_epochs"):
            self._set(name, check_whole(getattr(self, name), name))
        self._set("seed", check_whole(self.seed, "seed", 0))
        self._set("n_threads", check_n_threads(self.n_threads))
        self._set("tower", _tower(self.tower))
        self._set("warm", _warm(self.warm))
        self._check_init()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_init(self) -> None:
        init = self.init
        kind, _, name = init.partition(":") if isinstance(init, str) else ("", "", "")
        if init in _PLAIN_STARTS or (kind == "source" and name):
            pass
        elif kind == "warm" and name:
            if name not in (self.warm or {}):
                raise UnknownNameError(
                    f"init={init!r}, but warm holds {sorted(self.warm or {})}; give "
                    f"warm={{{name!r}: {{'prompt.E': ..., 'gate.weight': ...}}}}"
                )
        else:
            raise UnknownNameError(
                f"init={init!r} is unknown, expected random, mean, race, source:<name> or "
                "warm:<name>"
            )
        if self.mode == "share" and (init == "mean" or kind == "source"):
            raise UnknownNameError(
                f"init={init!r} starts from a prompt, which mode 'share' does not have; use "
                "random, warm:<name> or race"
            )

    def temperature(self, width: int) -> float:
        """Return the temperature for representations of that width."""
        return _TAU_PER_WIDTH * width if isinstance(self.tau, str) else float(self.tau)


def _rate(value: object, name: str, least_is_fine: bool) -> float:
    wanted = "a finite number of at least 0" if least_is_fine else "a finite number above 0"

    def is_fine(number: float) -> bool:
        return math.isfinite(number) and (number > 0 or (least_is_fine and number == 0))

    return check_number(value, name, wanted, is_fine)


def _tower(tower: object) -> tuple[int, ...]:
    if isinstance(tower, (str, bytes)) or not isinstance(tower, Sequence):
        raise ShapeError(f"tower={tower!r}: expected the widths of its hidden layers, (64, 32)")
    return tuple(check_whole(width, "tower") for width in tower)


def _warm(warm: object) -> dict[str, dict[str, Any]]:
    if warm is None:
        return {}
    if not isinstance(warm, Mapping) or not all(isinstance(one, Mapping) for one in warm.values()):
        raise DTypeError("warm: expected {name: {tensor name: array}}, the tensors to start from")
    return {str(name): dict(tensors) for name, tensors in warm.items()}
