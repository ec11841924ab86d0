"""The loop that keeps a crew busy: never more than it holds, nothing lost, no straggler awaited."""

from __future__ import annotations

import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.distributed.crew import Crew
from kinatlas.distributed.work import Job, compute
from kinatlas.errors import KinAtlasError, WorkerError
from kinatlas.similarity import Block

__all__ = ["Done", "run"]

log = logging.getLogger("kinatlas.distributed")

#: Called with each finished block, its scores and seconds.
Done = Callable[[Block, npt.NDArray[np.float64], float], None]

# A slot that finishes finds its next block waiting; more would only fill the workers' memory.
_AHEAD = 2
# A block that takes so many times the median is computed a second time once slots are idle.
_STRAGGLER = 4.0
_POLL = 1.0


class _Loop:
    def __init__(self, crew: Crew, job: Job, blocks: Iterable[Block], retries: int) -> None:
        self.crew, self.job, self.retries = crew, job, retries
        self.waiting = deque(blocks)
        self.running: dict[Future[Any], tuple[Block, float]] = {}
        self.failures: dict[Block, int] = {}
        self.finished: set[Block] = set()
        self.seconds: list[float] = []

    def submit(self, block: Block) -> None:
        try:
            future = self.crew.executor.submit(compute, self.job, block)
        except (TypeError, ValueError, KinAtlasError):
            raise
        except Exception as error:
            # Every executor has words of its own for having been shut down or cut off.
            raise WorkerError(_lost(block, error)) from error
        self.running[future] = (block, time.monotonic())

    def fill(self) -> None:
        while self.waiting and len(self.running) < _AHEAD * self.crew.n_slots:
            self.submit(self.waiting.popleft())
        if self.waiting or not self.seconds or len(self.running) >= self.crew.n_slots:
            return
        limit = time.monotonic() - _STRAGGLER * statistics.median(self.seconds) - _POLL
        copies = [block for block, _ in self.running.values()]
        for block, since in list(self.running.values()):
            if since < limit and copies.count(block) == 1:
                log.info("straggler", extra={"block": block.name})
                self.submit(block)

    def collect(self, done: Done) -> None:
        ready, _ = wait(self.running, timeout=_POLL, return_when=FIRST_COMPLETED)
        for future in ready:
            block, _ = self.running.pop(future)
            if block in self.finished:
                continue
            try:
                scores, seconds = future.result()
            except Exception as error:
                self.failed(block, error)
                continue
            self.finished.add(block)
            self.seconds.append(seconds)
            done(block, scores, seconds)

    def failed(self, block: Block, error: Exception) -> None:
        # What the data or the options are to blame for fails again, wherever it runs.
        if isinstance(error, KinAtlasError):
            raise error
        # Anything else is tried again: Dask's executor gives a ValueError of its own for a result
        # that is lost with its worker while it is fetched.
        self.failures[block] = self.failures.get(block, 0) + 1
        broken = isinstance(error, (BrokenExecutor, CancelledError))
        if broken or self.failures[block] > self.retries:
            if isinstance(error, (ValueError, TypeError)):
                raise error
            raise WorkerError(_lost(block, error)) from error
        log.warning("retry", extra={"block": block.name, "error": repr(error)})
        self.waiting.appendleft(block)


def run(crew: Crew, job: Job, blocks: Iterable[Block], retries: int, done: Done) -> None:
    """Compute all blocks, in any order; what is finished when something fails was handed over.

    Raises
    ------
    WorkerError
        If a block failed more than ``retries`` times on workers that died.
    """
    loop = _Loop(crew, job, blocks, retries)
    try:
        while loop.waiting or len(loop.running):
            loop.fill()
            loop.collect(done)
            if not loop.waiting and {block for block, _ in loop.running.values()} <= loop.finished:
                break
    finally:
        for future in loop.running:
            future.cancel()


def _lost(block: Block, error: BaseException) -> str:
    return (
        f"block {block.name} could not be computed: workers were lost ({type(error).__name__}: "
        f"{error}); finished blocks are kept, run again with resume=True"
    )
