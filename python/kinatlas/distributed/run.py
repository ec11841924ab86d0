"""A comparison of any size: planned, computed in blocks, each on disk before the next."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_n_threads, check_whole
from kinatlas._progress import bar
from kinatlas.distributed.crew import Crew, recruited
from kinatlas.distributed.export import check_out
from kinatlas.distributed.folder import BlockFolder
from kinatlas.distributed.inputs import fingerprint, opened
from kinatlas.distributed.lock import locked
from kinatlas.distributed.loop import Done, run
from kinatlas.distributed.work import Job, compute, release
from kinatlas.similarity import Block, plan_blocks
from kinatlas.similarity.blocks import DEFAULT_MEMORY

__all__ = ["similarity_blocks"]

log = logging.getLogger("kinatlas.distributed")

# The .npy header and the mark of a block, each on blocks of 4096 bytes.
_BLOCK_OVERHEAD = 3 * 4096


def similarity_blocks(
    sources: Any,
    targets: Any = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    executor: Any = None,
    scheduler: str | None = None,
    resume: bool = False,
    retries: int = 3,
    block_size: int | tuple[int, int] | None = None,
    max_memory: float = DEFAULT_MEMORY,
    n_threads: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> BlockFolder:
    """Compare atlases of any size into a folder of blocks, here or on workers, and return it.

    The scores are those of ``similarity_matrix(sources, targets, **options)`` to the last bit,
    whoever computes them. A job that is interrupted, killed or out of disk keeps its finished
    blocks; with ``resume`` it verifies them and computes the others.

    Parameters
    ----------
    sources, targets
        Atlases, or paths: of a file by ``save_atlas``, which is opened in place and never read
        whole, or of anything ``load_atlas`` reads. Workers open paths, so they must see them.
    folder
        Where blocks are kept; an atlas that has no file is written there for the workers. None
        takes ``out`` with ``.blocks`` behind it.
    out
        One file for all scores besides, some targets at a time: ``.npy`` [n_targets, n_sources],
        for ``np.load(out, mmap_mode="r")``, or ``.parquet``, tidy (target, source, score).
    executor
        Any ``concurrent.futures.Executor``, or a ``dask.distributed.Client``; None computes here.
    scheduler
        Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, instead of an executor.
    resume
        Whether to go on where an earlier job stopped. Every block found is checked by its hash;
        damaged and foreign ones are computed again.
    retries
        How often a block is given to another worker when one dies under it.
    block_size, max_memory
        As in ``similarity.plan_blocks``.
    n_threads
        Threads of a block; None takes all here, and one a slot on workers.
    progress
        True shows a bar with rate and time left (needs tqdm).
    options
        As in ``similarity_matrix``: kernel, direction, normalize, center, k, temperature.

    Raises
    ------
    FormatError
        If the folder holds a comparison and ``resume`` is False, or another comparison; if
        ``out`` is there already and ``resume`` is False, or cannot be written.
    LockedError
        If another job works on the folder.
    SchedulerError, WorkerError
        If the scheduler cannot be reached, workers run another release, or died too often.
    OSError
        If the disk is full; nothing is half written, and finished blocks are kept.
    SpaceError, ShapeError, NonFiniteError, UnknownNameError, ValueError
        As ``similarity_matrix``.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 0.0], [0.0, 1.0]], "rte": [[1.0, 0.0]]})
    >>> with tempfile.TemporaryDirectory() as path, ThreadPoolExecutor(2) as pool:
    ...     found = similarity_blocks(
    ...         atlas, folder=path, executor=pool, kernel="max_pairwise", block_size=1
    ...     )
    ...     found.matrix().values == ka.similarity_matrix(atlas, kernel="max_pairwise").values
    array([[ True,  True],
           [ True,  True]])
    """
    n_threads, retries = check_n_threads(n_threads), check_whole(retries, "retries", 0)
    file = None if out is None else Path(out)
    if file is not None:
        check_out(file, resume=resume)
    path = _place(folder, file)
    path.mkdir(parents=True, exist_ok=True)
    with locked(path), recruited(executor, scheduler, retries) as crew:
        by_path = crew is not None and crew.by_path
        columns, sent = opened(sources, path, by_path=by_path, label="sources")
        rows, sent_rows = (
            (None, None)
            if targets is None
            else opened(targets, path, by_path=by_path, label="targets")
        )
        plan = plan_blocks(columns, rows, block_size=block_size, max_memory=max_memory, **options)
        names = (columns.names, columns.names if rows is None else rows.names)
        inputs = {"sources": fingerprint(columns)}
        inputs["targets"] = inputs["sources"] if rows is None else fingerprint(rows)
        found = BlockFolder.create(path, plan, names, inputs, resume=resume)
        n_workers_threads = n_threads or (None if crew is None else 1)
        job = Job(plan, sent, sent_rows, release(), n_workers_threads)
        n_bytes = 0 if file is None else 8 * len(names[0]) * len(names[1])
        _fill(found, job, (crew, retries), n_bytes, progress)
        if file is not None:
            found.to_npy(file) if file.suffix == ".npy" else found.to_parquet(file)
    return found


def _place(folder: str | os.PathLike[str] | None, out: Path | None) -> Path:
    if folder is None and out is not None:
        return out.with_name(f"{out.name}.blocks")
    if folder is None or not os.fspath(folder):
        what = "missing" if folder is None else "empty"
        raise ValueError(
            f"folder is {what}, expected a path ('.' is the current folder), or out= for one file"
        )
    return Path(folder)


def _fill(
    found: BlockFolder,
    job: Job,
    crew: tuple[Crew | None, int],
    n_bytes_out: int,
    progress: bool | None,
) -> None:
    missing = _missing(found)
    _check_space(found, missing, n_bytes_out)
    twins = dict(found.plan.without_mirrors(missing))
    log.info("planned", extra={"n_blocks": len(found.plan), "n_missing": len(missing)})
    with bar(progress, sum(block.n_pairs for block in missing)) as report:
        n_done = 0

        def done(block: Block, scores: npt.NDArray[np.float64], seconds: float) -> None:
            nonlocal n_done
            log.info("block", extra={"block": block.name, "seconds": round(seconds, 4)})
            for each, part in ((block, scores), (twins[block], scores.T)):
                if each is not None:
                    found.write(each, part)
                    n_done += each.n_pairs
            if report is not None:
                report(n_done)

        _compute(job, list(twins), *crew, done)
    log.info("finished", extra={"n_blocks": len(missing)})


def _missing(found: BlockFolder) -> list[Block]:
    missing = []
    for block, reason in found.missing():
        missing.append(block)
        if not reason.endswith("is missing"):
            log.warning("recompute", extra={"block": block.name, "reason": reason})
    return missing


def _compute(job: Job, missing: list[Block], crew: Crew | None, retries: int, done: Done) -> None:
    if crew is not None:
        run(crew, job, missing, retries, done)
        return
    for block in missing:
        done(block, *compute(job, block))


def _check_space(found: BlockFolder, missing: list[Block], n_bytes_out: int) -> None:
    needed = n_bytes_out + sum(8 * block.n_pairs + _BLOCK_OVERHEAD for block in missing)
    free = shutil.disk_usage(found.path).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"{found.path}: {len(missing)} blocks{' and the output' if n_bytes_out else ''} need "
            f"{needed:,} bytes, the disk has {free:,} "
            "free. Free space, or choose another folder; finished blocks are kept",
        )
