"""A bar for long jobs, shown only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from kinatlas.errors import DTypeError, MissingDependencyError

__all__ = ["bar"]


def bar(
    progress: bool | None, total: int | None, unit: str = "pair"
) -> AbstractContextManager[Callable[[int], object] | None]:
    """Return a context whose value takes the number of finished units, or None without a bar.

    Without a total the bar only counts.

    Raises
    ------
    DTypeError
        If ``progress`` is neither None nor a bool.
    MissingDependencyError
        If a bar is asked for without tqdm.

    Examples
    --------
    >>> with bar(None, 10) as report:
    ...     print(report)
    None
    """
    if progress is not None and not isinstance(progress, bool):
        raise DTypeError(
            f"progress: got {type(progress).__name__}, expected None, True (a bar) or False"
        )
    if not progress:
        return nullcontext()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise MissingDependencyError(
            "progress=True needs tqdm; install it, or leave progress out"
        ) from None
    return _Reporting(tqdm(total=total, unit=unit, unit_scale=unit == "number"))


class _Reporting(AbstractContextManager[Callable[[int], object] | None]):
    """A bar that is told how many units are done, and closed whatever happens."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def __enter__(self) -> Callable[[int], object]:
        return self._report

    def _report(self, done: int) -> None:
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
