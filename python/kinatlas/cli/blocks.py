"""``kinatlas similarity --blocks``: a comparison on disk, here or on a cluster, and its log."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinatlas.distributed import BlockFolder, similarity_blocks

__all__ = ["BlockOptions", "compare_in_blocks"]

# What every log record has anyway; the rest are the fields that were logged with it.
_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@dataclass(frozen=True)
class BlockOptions:
    """The options of a comparison on disk, as the command line gives them."""

    folder: Path | None
    scheduler: str | None
    resume: bool
    block_size: int | None
    max_memory: float
    out: Path | None
    log_json: bool


def compare_in_blocks(
    atlas: Any, options: BlockOptions, settings: dict[str, Any], *, progress: bool | None
) -> BlockFolder:
    """Fill the folder, write the one file that was asked for, and return the folder.

    Raises
    ------
    FormatError
        If ``out`` ends neither in ``.npy`` nor in ``.parquet``, or lies in no folder.
    MissingDependencyError
        If ``out`` ends in ``.parquet`` and pyarrow is not installed.
    """
    with _logged(options.log_json):
        return similarity_blocks(
            atlas,
            folder=options.folder,
            out=options.out,
            scheduler=options.scheduler,
            resume=options.resume,
            block_size=options.block_size,
            max_memory=options.max_memory * 2**30,
            progress=progress,
            **settings,
        )


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event and whatever was logged with it.

    Examples
    --------
    >>> record = logging.makeLogRecord({"msg": "block", "levelname": "INFO", "seconds": 0.5})
    >>> sorted(json.loads(_JsonLines().format(record)))
    ['event', 'level', 'seconds', 'time']
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        return json.dumps(fields, ensure_ascii=False, default=str)


@contextmanager
def _logged(is_asked: bool) -> Iterator[None]:
    if not is_asked:
        yield
        return
    log, handler = logging.getLogger("kinatlas"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
