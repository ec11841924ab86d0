"""Threads, forks and interruptions: any number of workers, the same bits, no deadlock."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kinatlas as ka
from kinatlas import kernel_names, similarity_matrix
from kinatlas.similarity import kernel_info
from strategies import gaussian_atlas, ragged_atlas


@pytest.mark.parametrize("center", [None, "features", "positions", "auto"])
@pytest.mark.parametrize("kernel", kernel_names())
def test_any_number_of_threads_gives_the_same_bits(kernel, center):
    atlas = gaussian_atlas(7, n_tokens=11, dim=19)
    found = {
        similarity_matrix(atlas, kernel=kernel, center=center, n_threads=n).values.tobytes()
        for n in (1, 2, 8)
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    "kernel", [k for k in kernel_names() if not kernel_info(k).needs_equal_length]
)
def test_ragged_tasks_on_many_threads_give_the_same_bits(kernel):
    found = {
        similarity_matrix(ragged_atlas(), kernel=kernel, n_threads=n).values.tobytes()
        for n in (1, 3, 8)
    }
    assert len(found) == 1


def test_the_default_number_of_threads_can_be_set():
    before = ka.num_threads()
    try:
        ka.set_num_threads(3)
        assert ka.num_threads() == 3
        similarity_matrix(ragged_atlas(), kernel="max_pairwise")
    finally:
        ka.set_num_threads(None)
    assert ka.num_threads() == before


def test_many_python_threads_may_ask_at_once():
    atlas = ragged_atlas()
    expected = similarity_matrix(atlas, kernel="max_pairwise")
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: similarity_matrix(atlas, kernel="max_pairwise"), range(32))
        assert all(matrix == expected for matrix in found)


def _scores_in_child(queue) -> None:
    queue.put(similarity_matrix(ragged_atlas(), kernel="max_pairwise", n_threads=2).values)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_after_its_parent_has():
    expected = similarity_matrix(ragged_atlas(), kernel="max_pairwise", n_threads=2).values
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_scores_in_child, args=(queue,))
    child.start()
    child.join(60)
    assert child.exitcode == 0, "the child hangs: it waits for threads only its parent has"
    assert np.array_equal(queue.get(), expected)


LONG = """
import numpy as np, kinatlas as ka
rng = np.random.default_rng(0)
atlas = ka.Atlas.from_arrays({f"t{i}": rng.normal(size=(100, 256)) for i in range(400)})
print("ready", flush=True)
try:
    ka.similarity_matrix(atlas, kernel="euclidean_average", n_threads=1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_ctrl_c_stops_a_long_comparison():
    child = subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=60)
    assert output == "interrupted\n"
