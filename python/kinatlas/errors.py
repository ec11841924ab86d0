"""Every error and warning kinatlas raises, in one place.

Each error also inherits the built-in class that callers would guess, so ``except ValueError``
keeps working. A message says what was given, where, what was wanted, and the way out.
"""

from __future__ import annotations

__all__ = [
    "CollapsedEnvironmentsWarning",
    "DTypeError",
    "DegenerateRankingWarning",
    "EndpointError",
    "FormatError",
    "GateError",
    "KinAtlasError",
    "KinAtlasWarning",
    "LedgerError",
    "LockedError",
    "MissingDependencyError",
    "MixtureError",
    "NonFiniteError",
    "SchedulerError",
    "ShapeError",
    "SkippedAdapterWarning",
    "SpaceError",
    "UnknownNameError",
    "WorkerError",
]


class KinAtlasError(Exception):
    """Base of every error kinatlas raises on purpose."""


class ShapeError(KinAtlasError, ValueError):
    """Sizes that do not fit: an empty task, a wrong number of dimensions, a different width."""


class DTypeError(KinAtlasError, TypeError):
    """A number type that is not accepted, such as integers or complex numbers."""


class NonFiniteError(KinAtlasError, ValueError):
    """NaN or infinity where only finite numbers make sense."""


class SpaceError(KinAtlasError, ValueError):
    """Two spaces that must not meet: their coordinates do not mean the same thing."""


class FormatError(KinAtlasError, ValueError):
    """A file or table that is not what its format promises."""


class UnknownNameError(KinAtlasError, KeyError):
    """A task, kernel or option nobody knows."""

    def __str__(self) -> str:
        """Return the message itself; ``KeyError`` would show it quoted."""
        return str(self.args[0]) if self.args else ""


class MixtureError(KinAtlasError, ValueError):
    """A mixture of tasks, or a question about one, that makes no sense."""


class MissingDependencyError(KinAtlasError, ImportError):
    """An optional package that this call needs is not installed."""


class EndpointError(KinAtlasError, ConnectionError):
    """An endpoint that gave no answer: ``kind`` names why, ``retry_after`` says when to come back.

    ``is_final`` marks what no repetition can mend, such as a wrong key.
    """

    def __init__(
        self,
        message: str,
        kind: str = "error",
        retry_after: float | None = None,
        is_final: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.is_final = is_final

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle with every field."""
        return type(self), (str(self), self.kind, self.retry_after, self.is_final)


class LedgerError(KinAtlasError, OSError):
    """A ledger that cannot be written, for example on a full disk; what it holds is kept."""


class LockedError(KinAtlasError, OSError):
    """Another job works on the same folder or file; wait for it, or choose another."""


class GateError(KinAtlasError, ValueError):
    """A prompt that does not show what a channel asks of it; the message names every reason."""


class SchedulerError(KinAtlasError, ConnectionError):
    """A scheduler that cannot be reached, or has no worker."""


class WorkerError(KinAtlasError, RuntimeError):
    """A worker that died too often, or runs another release; finished blocks are kept."""


class KinAtlasWarning(UserWarning):
    """Base of every warning kinatlas gives."""


class CollapsedEnvironmentsWarning(KinAtlasWarning):
    """A critic whose classes are so uneven that it only learns to spot the rare one."""


class DegenerateRankingWarning(KinAtlasWarning):
    """A similarity matrix that cannot tell its sources apart."""


class SkippedAdapterWarning(KinAtlasWarning):
    """A folder held adapters that were not read; the load report says which and why."""
