"""A notebook whose kernel is restarted in the middle of a comparison goes on where it stopped."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import kinatlas as ka

jupyter = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

CELL = """
import numpy as np
import kinatlas as ka

generator = np.random.default_rng(0)
tokens = {{f"task{{at}}": generator.normal(size=(40, 64)) for at in range(24)}}
atlas = ka.Atlas.from_arrays(tokens)
found = ka.distributed.similarity_blocks(
    atlas, folder={folder!r}, kernel="euclidean_average", block_size=1, resume={resume}
)
whole = ka.similarity_matrix(atlas, kernel="euclidean_average")
print("same", found.matrix().values.tobytes() == whole.values.tobytes())
"""


def finished(folder: Path) -> int:
    return len(list((folder / "blocks").glob("*.json")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_restarted_kernel_resumes_and_gives_the_same_bits(tmp_path):
    manager, client = jupyter.manager.start_new_kernel(kernel_name="python3", startup_timeout=120)
    try:
        client.execute(CELL.format(folder=str(tmp_path), resume=False))
        limit = time.monotonic() + 120
        while finished(tmp_path) < 20 and time.monotonic() < limit:
            time.sleep(0.01)
        manager.restart_kernel(now=True)
        kept = finished(tmp_path)
        assert 20 <= kept < 24 * 24
        client.wait_for_ready(timeout=120)
        printed = []
        reply = client.execute_interactive(
            CELL.format(folder=str(tmp_path), resume=True),
            timeout=300,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        assert "same True" in "".join(printed)
        assert finished(tmp_path) == len(ka.distributed.BlockFolder.open(tmp_path).plan)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
