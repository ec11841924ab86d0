"""The one currency: a ``Task`` is named tokens in a space, an ``Atlas`` is many of one space.

An atlas keeps one packed buffer plus offsets, so tasks of different lengths stand side by side
without padding. Both are immutable and pickle.
"""

from kinatlas.tasks.atlas import Atlas
from kinatlas.tasks.provenance import Provenance
from kinatlas.tasks.task import Task

__all__ = ["Atlas", "Provenance", "Task"]
