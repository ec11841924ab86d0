"""Everything a comparison can be asked for, checked once at the door."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice
from kinatlas.errors import NonFiniteError
from kinatlas.interop import as_stored, widened
from kinatlas.similarity.kernels import KernelInfo, kernel_info

__all__ = ["CENTERS", "DIRECTIONS", "Direction", "Options"]

Direction = Literal["source_to_target", "target_to_source", "symmetric"]

DIRECTIONS = ("source_to_target", "target_to_source", "symmetric")
CENTERS = ("features", "positions", "auto")
PRECISIONS = ("auto", "float32", "float64", "bf16")
METHODS = ("auto", "exact", "screened", "approximate")

_DEFAULT_K = 5
_MOST_K = 2**31 - 1
_DEFAULT_TEMPERATURE = 0.1


@dataclass(frozen=True)
class Options:
    """Checked options of one comparison; build it with ``Options.checked``.

    Examples
    --------
    >>> options = Options.checked("topk_mean", "symmetric", "tokens", None, k=3)
    >>> options.recorded()["k"]
    3
    """

    info: KernelInfo
    direction: str
    normalize: str | None
    center: str | npt.NDArray[np.float64] | None
    k: int
    temperature: float
    precision: str
    method: str

    @classmethod
    def checked(
        cls,
        kernel: str,
        direction: str,
        normalize: str | None,
        center: Any,
        k: int | None = None,
        temperature: float | None = None,
        precision: str = "auto",
        method: str = "auto",
    ) -> Options:
        """Return the options, or raise what is wrong with them.

        Raises
        ------
        UnknownNameError
            For an unknown kernel, direction, normalize, center, precision or method.
        ValueError
            For a parameter out of range, or one that the kernel does not have.

        Examples
        --------
        >>> Options.checked("flatten", "symmetric", "tokens", None, k=3)
        Traceback (most recent call last):
        ValueError: k=3: kernel 'flatten' has no parameter k; topk_mean has
        """
        info = kernel_info(kernel)
        check_choice(direction, DIRECTIONS, "direction")
        if normalize is not None:
            check_choice(normalize, ("tokens",), "normalize")
        check_choice(precision, PRECISIONS, "precision")
        check_choice(method, METHODS, "method")
        _refuse_foreign(info, {"k": k, "temperature": temperature})
        return cls(
            info,
            direction,
            normalize,
            _checked_center(center),
            _DEFAULT_K if k is None else _checked_k(k),
            _DEFAULT_TEMPERATURE if temperature is None else _checked_temperature(temperature),
            precision,
            method,
        )

    def core(self) -> tuple[str, str, str | None, int, float, str, str]:
        """Return the options as the Rust side takes them."""
        name, numbers = self.info.name, (self.k, self.temperature)
        return (name, self.direction, self.normalize, *numbers, self.precision, self.method)

    def recorded(self) -> dict[str, Any]:
        """Return what the result keeps: names, parameters of the kernel, the centre asked for."""
        given = not (self.center is None or isinstance(self.center, str))
        record = {
            "direction": self.direction,
            "normalize": self.normalize,
            "center": "given" if given else self.center,
        }
        return record | {name: getattr(self, name) for name in self.info.parameters}

    def scale(self) -> tuple[float, float] | None:
        """Return the range of scores, or None where raw tokens leave it open."""
        bounded = self.normalize == "tokens" or self.info.scale_free
        return self.info.range if bounded else None


def _checked_center(center: Any) -> str | npt.NDArray[np.float64] | None:
    if center is None:
        return None
    if isinstance(center, str):
        return check_choice(center, CENTERS, "center")
    stored, dtype = as_stored(center, "center")
    rows = widened(stored, dtype).astype(np.float64)
    if not np.isfinite(rows).all():
        raise NonFiniteError("center holds NaN or infinity, expected a finite initial prompt")
    return rows


def _refuse_foreign(info: KernelInfo, given: dict[str, float | None]) -> None:
    owners = {"k": "topk_mean", "temperature": "soft_max"}
    for name, value in given.items():
        if value is not None and name not in info.parameters:
            raise ValueError(
                f"{name}={value!r}: kernel '{info.name}' has no parameter {name}; "
                f"{owners[name]} has"
            )


def _checked_k(k: Any) -> int:
    try:
        number = operator.index(k)
    except TypeError:
        raise ValueError(f"k={k!r}: expected a whole number of at least 1") from None
    if isinstance(k, bool) or not 1 <= number <= _MOST_K:
        raise ValueError(f"k={k!r}: expected a whole number from 1 to {_MOST_K}")
    return number


def _checked_temperature(temperature: Any) -> float:
    try:
        number = float(temperature)
    except (TypeError, ValueError):
        raise ValueError(f"temperature={temperature!r}: expected a number above 0") from None
    if math.isnan(number) or number <= 0:
        raise ValueError(f"temperature={temperature!r}: expected a number above 0")
    return number
