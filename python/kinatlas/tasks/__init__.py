"""The one currency: a ``Task`` is named tokens in a space, an ``Atlas`` is many of one space.

An atlas keeps one packed buffer plus offsets, so tasks of different lengths stand side by side
without padding. Low-rank updates keep their factors and have an atlas of their own. Everything
is immutable and pickles.
"""

from kinatlas.tasks.atlas import Atlas
from kinatlas.tasks.diagnosis import AtlasDiagnosis
from kinatlas.tasks.dominant import DominantCoordinates
from kinatlas.tasks.low_rank import LowRank
from kinatlas.tasks.low_rank_atlas import LowRankAtlas
from kinatlas.tasks.provenance import Provenance
from kinatlas.tasks.seeds import split_seeds
from kinatlas.tasks.task import Task
from kinatlas.tasks.whitening import Whitening

__all__ = [
    "Atlas",
    "AtlasDiagnosis",
    "DominantCoordinates",
    "LowRank",
    "LowRankAtlas",
    "Provenance",
    "Task",
    "Whitening",
    "split_seeds",
]
