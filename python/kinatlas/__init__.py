"""An atlas of kindred tasks: compare prompts and adapters, rank what to transfer from."""

from __future__ import annotations

from kinatlas import errors, io
from kinatlas._core import __version__, num_threads, set_num_threads
from kinatlas.io import load_atlas, save_atlas
from kinatlas.tasks import Atlas, LowRank, LowRankAtlas, Task

__all__ = [
    "Atlas",
    "LowRank",
    "LowRankAtlas",
    "Task",
    "__version__",
    "errors",
    "io",
    "load_atlas",
    "num_threads",
    "save_atlas",
    "set_num_threads",
]
