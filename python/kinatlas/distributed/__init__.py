"""When one machine, one night or one memory is not enough: a comparison as a folder of blocks.

The scheduler is the caller's: any ``concurrent.futures.Executor``, or Dask. Finished blocks are
files that survive whatever happens to the job.
"""

from __future__ import annotations

from kinatlas.distributed.folder import BlockFolder
from kinatlas.distributed.inputs import fingerprint
from kinatlas.distributed.run import similarity_blocks

__all__ = ["BlockFolder", "fingerprint", "similarity_blocks"]
