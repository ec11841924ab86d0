"""What a worker does: open the atlases by path, compute one block, send its numbers back."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.distributed.inputs import AtlasFile
from kinatlas.errors import WorkerError
from kinatlas.similarity.block_plan import AnyAtlas, Block, BlockPlan

__all__ = ["Job", "compute", "release"]


@dataclass(frozen=True)
class Job:
    """A comparison as it travels: small, because atlases travel as paths."""

    plan: BlockPlan
    sources: AtlasFile | AnyAtlas
    targets: AtlasFile | AnyAtlas | None
    release: str
    n_threads: int | None

    def open(self) -> tuple[AnyAtlas, AnyAtlas | None]:
        """Return both atlases on this machine."""
        targets = None if self.targets is None else _open(self.targets)
        return _open(self.sources), targets


def release() -> str:
    """Return the release that computes here; two may differ in the last bits of a score."""
    return _core.__version__


def compute(job: Job, block: Block) -> tuple[npt.NDArray[np.float64], float]:
    """Return the scores [n_rows, n_cols] of one block, and the seconds they took.

    Raises
    ------
    WorkerError
        If this process runs another release than the one that made the plan, or does not see
        the atlases.
    """
    if release() != job.release:
        raise WorkerError(
            f"worker on {socket.gethostname()} runs kinatlas {release()}, the plan was made by "
            f"{job.release}; install one release on all machines"
        )
    start = time.perf_counter()
    scores = job.plan.compute(block, *job.open(), n_threads=job.n_threads)
    return scores, time.perf_counter() - start


def _open(side: AtlasFile | AnyAtlas) -> AnyAtlas:
    return side.open() if isinstance(side, AtlasFile) else side
