"""Who computes: this process, any executor, or Dask; all behind ``submit`` and a slot count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kinatlas._frames import require
from kinatlas.distributed.work import release
from kinatlas.errors import DTypeError, FormatError, SchedulerError, WorkerError

__all__ = ["Crew", "recruited"]

# Long enough for a scheduler that is just starting, short enough for a mistyped address.
_PATIENCE = 15.0


class Crew:
    """An executor and how many blocks it computes at once."""

    def __init__(self, executor: Executor, n_slots: int, *, by_path: bool) -> None:
        self.executor = executor
        self.n_slots = n_slots
        #: Whether atlases go to workers as paths; threads of this process need none.
        self.by_path = by_path


@contextmanager
def recruited(executor: Any, scheduler: str | None, retries: int) -> Iterator[Crew | None]:
    """Give the crew for an executor, a Dask client or a scheduler's address; None for neither.

    Raises
    ------
    SchedulerError
        If the scheduler cannot be reached within 15 seconds, or has no worker, or the client is
        closed.
    WorkerError
        If workers run different releases.
    DTypeError, FormatError
        If ``executor`` is nothing of the kind, or ``scheduler`` is no address.
    MissingDependencyError
        If an address is given without Dask.
    """
    if executor is not None and scheduler is not None:
        raise ValueError("executor and scheduler are both given, expected one of them")
    if scheduler is not None:
        with _client(scheduler) as client:
            yield _dask(client, retries)
    elif executor is None:
        yield None
    elif isinstance(executor, Executor):
        n_slots = getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        yield Crew(executor, n_slots, by_path=not isinstance(executor, ThreadPoolExecutor))
    elif hasattr(executor, "get_executor") and hasattr(executor, "nthreads"):
        yield _dask(executor, retries)
    else:
        raise DTypeError(
            f"executor: got {type(executor).__name__}, expected a concurrent.futures.Executor or "
            "a dask.distributed.Client"
        )


@contextmanager
def _client(address: str) -> Iterator[Any]:
    distributed = require("distributed", "distributed")
    try:
        # A client of an address that is none waits for half a minute and leaves a trace behind.
        distributed.comm.get_address_host(address)
    except (ValueError, TypeError, AttributeError) as error:
        raise FormatError(
            f"scheduler={address!r} is no address ({error}), expected one like tcp://10.0.0.1:8786"
        ) from None
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SchedulerError(
            f"no scheduler answers at {address} within {_PATIENCE:g} s "
            f"({type(error).__name__}: {error}); check the address, or start one with "
            "'dask scheduler'"
        ) from None
    try:
        yield client
    finally:
        client.close()


def _dask(client: Any, retries: int) -> Crew:
    closed = SchedulerError("executor: the client is closed; connect a new one")
    if getattr(client, "scheduler", None) is None:
        raise closed
    try:
        slots = client.nthreads()
        found = client.run(release) if slots else {}
    except RuntimeError as error:
        # It is about to be: its connections went first.
        raise closed from error
    except OSError as error:
        raise SchedulerError(
            f"the scheduler was lost before any work ({type(error).__name__}: {error}); try again"
        ) from error
    if not slots:
        raise SchedulerError(
            f"{client.scheduler.address}: the scheduler has no worker; start some with "
            f"'dask worker {client.scheduler.address}'"
        )
    if set(found.values()) != {release()}:
        listed = ", ".join(f"{worker} has {version}" for worker, version in sorted(found.items()))
        raise WorkerError(
            f"workers run other releases of kinatlas than this one ({release()}): {listed}; "
            "install one release on all machines"
        )
    executor = client.get_executor(retries=retries, pure=False)
    return Crew(executor, sum(slots.values()), by_path=True)
