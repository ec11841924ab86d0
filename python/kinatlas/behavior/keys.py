"""The key of the call in progress, for endpoints that promise to bill a key only once."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["call_key", "keyed"]

_KEY: ContextVar[str | None] = ContextVar("kinatlas_call_key", default=None)


def call_key() -> str | None:
    """Return the key of the call in progress, the same whenever that call is repeated.

    Examples
    --------
    >>> call_key() is None
    True
    """
    return _KEY.get()


@contextmanager
def keyed(key: str) -> Iterator[None]:
    """Set the key for everything called inside.

    Examples
    --------
    >>> with keyed("abc"):
    ...     call_key()
    'abc'
    """
    token = _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(token)
