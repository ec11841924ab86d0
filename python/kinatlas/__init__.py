"""An atlas of kindred tasks: compare prompts and adapters, rank what to transfer from."""

from __future__ import annotations

from kinatlas import errors
from kinatlas._core import __version__, num_threads, set_num_threads
from kinatlas.tasks import Atlas, Task

__all__ = ["Atlas", "Task", "__version__", "errors", "num_threads", "set_num_threads"]
