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
