from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__version__: str
is_debug_build: bool

# The packed buffer [n_total_tokens, dim] (uint16 holds bfloat16 bits) and offsets [n_tasks + 1].
PackedTokens: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
Progress: TypeAlias = Callable[[int], object]

def set_num_threads(n_threads: int | None = None) -> None: ...
def num_threads() -> int: ...
def first_nonfinite(tokens: PackedTokens) -> tuple[int, int, int] | None: ...
def average_ranks(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...

# Gain, units and cut-offs, by name.
_Conventions: TypeAlias = tuple[str, str, list[int]]
_Floats: TypeAlias = npt.NDArray[np.float64]
_Whole: TypeAlias = npt.NDArray[np.int64]

def gain_names() -> list[str]: ...
def undefined_reasons() -> list[str]: ...
def metric_names(conventions: _Conventions) -> list[str]: ...

# candidates: predicted and measured scores [n]; lists: offsets [n_lists + 1], baseline [n_lists];
# returns value, chance, best [n_lists, n_metrics, 3] and codes of reasons [n_lists, n_metrics].
def evaluate_lists(
    candidates: tuple[_Floats, _Floats], lists: tuple[_Whole, _Floats], conventions: _Conventions
) -> tuple[_Floats, npt.NDArray[np.uint8]]: ...

# returns [n_targets, n_metrics, 4] and [n_metrics, 4] (value, chance, best, corrected), [n_metrics].
def summarise_metrics(
    metrics: _Floats, targets: _Whole, n_targets: int
) -> tuple[_Floats, _Floats, _Whole]: ...
def seed_means(scores: _Floats, baseline: _Floats | None = None) -> _Floats: ...

# kernel, direction, normalize, k, temperature.
_KernelOptions: TypeAlias = tuple[str, str, str | None, int, float]
# mean and median diagonal fraction, position share, number of pairs looked at.
_Alignment: TypeAlias = tuple[float | None, float | None, float | None, int]

# returns scores [n_targets * n_sources], (centred, reason, alignment) of center="auto", alignment.
def compare_tokens(
    sources: PackedTokens,
    targets: PackedTokens | None,
    options: _KernelOptions,
    center: str | _Floats | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[_Floats, tuple[bool, str, _Alignment] | None, _Alignment | None]: ...

# returns the saturation and the numbers of constant rows.
def score_saturation(
    scores: _Floats, own: list[int | None], range: tuple[float, float] | None = None
) -> tuple[float | None, list[int]]: ...
def kernels() -> list[dict[str, Any]]: ...
