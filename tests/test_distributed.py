"""Executors: threads, processes however they start, and what happens when one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.distributed import inputs, similarity_blocks
from kinatlas.distributed.crew import Crew
from kinatlas.distributed.loop import run
from kinatlas.distributed.work import Job, compute, release
from kinatlas.errors import DTypeError, KinAtlasError, SchedulerError, ShapeError, WorkerError
from kinatlas.similarity import plan_blocks, similarity_matrix
from strategies import gaussian_atlas, ragged_atlas
from test_blocks import low_rank_atlas

OPTIONS = {"kernel": "max_pairwise", "center": "positions", "block_size": 2}
STARTS = [
    way for way in ("fork", "forkserver", "spawn") if way in multiprocessing.get_all_start_methods()
]


def whole(atlas: ka.Atlas) -> bytes:
    return similarity_matrix(atlas, kernel="max_pairwise", center="positions").values.tobytes()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("way", STARTS)
def test_processes_give_the_bits_of_one_machine_however_they_start(tmp_path, way):
    atlas = ragged_atlas()
    expected = whole(atlas)  # the parent's own threads run first
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(way)) as pool:
        found = similarity_blocks(atlas, folder=tmp_path, executor=pool, **OPTIONS)
    assert found.matrix().values.tobytes() == expected


def test_threads_give_the_bits_of_one_machine_and_need_no_file(tmp_path):
    atlas = ragged_atlas()
    with ThreadPoolExecutor(4) as pool:
        found = similarity_blocks(atlas, folder=tmp_path, executor=pool, **OPTIONS)
    assert found.matrix().values.tobytes() == whole(atlas)
    assert not (tmp_path / "inputs").exists()


def test_low_rank_updates_travel_as_the_path_of_their_folder(tmp_path):
    atlas = low_rank_atlas(5)
    with ThreadPoolExecutor(2) as pool:
        found = similarity_blocks(
            atlas, folder=tmp_path / "a", executor=pool, kernel="low_rank_cosine", block_size=2
        )
    expected = similarity_matrix(atlas, kernel="low_rank_cosine")
    assert found.matrix().values.tobytes() == expected.values.tobytes()
    with ProcessPoolExecutor(1) as pool, pytest.raises(DTypeError, match="pass the path"):
        similarity_blocks(
            atlas, folder=tmp_path / "b", executor=pool, kernel="low_rank_cosine", block_size=2
        )


class Recording(Executor):
    """Runs what it is given when somebody waits, and remembers how much was waiting at most."""

    def __init__(self, n_slots: int, failures: dict[int, Exception] | None = None) -> None:
        self._max_workers = n_slots
        self.pool = ThreadPoolExecutor(n_slots)
        self.failures = failures or {}
        self.n_submitted = 0
        self.running: set[Future] = set()
        self.most = 0

    def submit(self, function, /, *words):
        number = self.n_submitted
        self.n_submitted += 1
        self.running = {future for future in self.running if not future.done()}
        error = self.failures.get(number)
        future = self.pool.submit(_raise, error) if error else self.pool.submit(function, *words)
        self.running.add(future)
        self.most = max(self.most, len(self.running))
        return future


def _raise(error: Exception) -> None:
    raise error


def job_of(atlas: ka.Atlas, **options) -> tuple[Job, list]:
    plan = plan_blocks(atlas, **options)
    return Job(plan, atlas, None, release(), 1), list(plan)


def test_no_more_blocks_are_in_flight_than_twice_the_slots():
    job, blocks = job_of(gaussian_atlas(12, 3, 4), kernel="flatten", block_size=1)
    executor, seen = Recording(3), []
    run(Crew(executor, 3, by_path=False), job, blocks, 0, lambda block, *_: seen.append(block))
    assert sorted(seen) == sorted(blocks)
    assert executor.most <= 6
    assert executor.n_submitted == len(blocks) == 144


def test_a_block_is_given_out_again_when_its_worker_dies():
    job, blocks = job_of(gaussian_atlas(4, 3, 4), kernel="flatten", block_size=2)
    fetching = ValueError("not enough values to unpack (expected 3, got 2)")
    died = {0: OSError("gone"), 1: EOFError("gone"), 4: OSError("gone"), 6: fetching}
    executor, seen = Recording(1, died), []
    run(Crew(executor, 1, by_path=False), job, blocks, 3, lambda block, *_: seen.append(block))
    assert sorted(seen) == blocks
    assert executor.n_submitted == len(blocks) + 4
    executor = Recording(1, {number: OSError("gone") for number in range(9)})
    with pytest.raises(WorkerError, match=r"OSError: gone.*resume=True"):
        run(Crew(executor, 1, by_path=False), job, blocks, 3, lambda *_: None)
    assert executor.n_submitted <= 2 + 4 * 2


class Refusing(Executor):
    """Takes no work, in the words of its own."""

    def submit(self, function, /, *words):
        raise ConnectionResetError("the client is closed")


def test_an_executor_that_takes_no_work_says_how_to_go_on(tmp_path):
    with pytest.raises(WorkerError, match=r"client is closed.*resume=True"):
        similarity_blocks(gaussian_atlas(3), folder=tmp_path, executor=Refusing(), kernel="flatten")


class Lost:
    """A client whose scheduler dies while it is asked for its workers."""

    scheduler = "tcp://127.0.0.1:1"
    get_executor = None

    def nthreads(self):
        raise ConnectionResetError("stream is closed")


def test_a_scheduler_that_dies_before_any_work_is_named(tmp_path):
    with pytest.raises(SchedulerError, match="stream is closed"):
        similarity_blocks(gaussian_atlas(3), folder=tmp_path, executor=Lost(), kernel="flatten")


def test_a_folder_without_a_name_is_not_the_current_one():
    with pytest.raises(ValueError, match="folder is empty"):
        similarity_blocks(gaussian_atlas(3), folder="", kernel="flatten")


def test_what_the_data_are_to_blame_for_is_not_tried_again():
    job, blocks = job_of(gaussian_atlas(4, 3, 4), kernel="flatten", block_size=2)
    executor = Recording(1, {0: ShapeError("bad")})
    with pytest.raises(ShapeError, match="bad"):
        run(Crew(executor, 1, by_path=False), job, blocks, 3, lambda *_: None)
    assert executor.n_submitted <= 2
    executor = Recording(1, {number: TypeError("odd") for number in range(9)})
    with pytest.raises(TypeError, match="odd"):
        run(Crew(executor, 1, by_path=False), job, blocks, 1, lambda *_: None)


class Stalling(Recording):
    """The first block hangs until it is released; its copy does not."""

    def submit(self, function, /, *words):
        if self.n_submitted == 0:
            self.n_submitted += 1
            return self.pool.submit(time.sleep, 8)
        return super().submit(function, *words)


def test_a_straggler_is_computed_a_second_time_by_an_idle_slot():
    job, blocks = job_of(gaussian_atlas(6, 3, 4), kernel="flatten", block_size=3)
    executor, seen = Stalling(2), []
    start = time.monotonic()
    run(Crew(executor, 2, by_path=False), job, blocks, 0, lambda block, *_: seen.append(block))
    assert time.monotonic() - start < 7, "the loop waited for the straggler"
    assert sorted(seen) == sorted(blocks)
    assert executor.n_submitted == len(blocks) + 1


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_killed_process_pool_keeps_what_it_finished(tmp_path):
    atlas = gaussian_atlas(24, n_tokens=40, dim=128)
    options = {"kernel": "euclidean_average", "block_size": 2}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        pool.submit(os.getpid).result()
        with ThreadPoolExecutor(1) as watch:
            watch.submit(_kill_after, tmp_path / "blocks", list(pool._processes))
            with pytest.raises(WorkerError, match="finished blocks are kept"):
                similarity_blocks(atlas, folder=tmp_path, executor=pool, **options)
    n_kept = len(list((tmp_path / "blocks").glob("*.json")))
    assert 3 <= n_kept < 144
    found = similarity_blocks(atlas, folder=tmp_path, resume=True, **options)
    expected = similarity_matrix(atlas, kernel="euclidean_average")
    assert found.matrix().values.tobytes() == expected.values.tobytes()


def _kill_after(folder, processes) -> None:
    while len(list(folder.glob("*.json"))) < 3:
        time.sleep(0.005)
    os.kill(processes[0], signal.SIGKILL)


def test_a_worker_of_another_release_says_so():
    job, blocks = job_of(gaussian_atlas(2), kernel="flatten")
    with pytest.raises(WorkerError, match=rf"runs kinatlas {release()}, .*made by 9\.9"):
        compute(replace(job, release="9.9"), blocks[0])


def test_a_worker_that_does_not_see_the_atlas_says_where_to_put_it(tmp_path):
    path = ka.save_atlas(gaussian_atlas(2), tmp_path / "atlas.safetensors")
    handle = inputs.AtlasFile.of(path)
    assert handle.open() == ka.load_atlas(path)
    with pytest.raises(WorkerError, match="modified at"):
        replace(handle, modified=0).open()
    path.unlink()
    with pytest.raises(WorkerError, match="where all machines see it"):
        handle.open()


def test_what_is_no_executor_and_no_atlas_is_refused(tmp_path):
    atlas = gaussian_atlas(2)
    with pytest.raises(DTypeError, match="executor: got int"):
        similarity_blocks(atlas, folder=tmp_path, executor=3, kernel="flatten")
    with pytest.raises(DTypeError, match="sources: got list"):
        similarity_blocks([1.0], folder=tmp_path, kernel="flatten")
    with pytest.raises(ValueError, match="both given"):
        similarity_blocks(atlas, folder=tmp_path, executor=1, scheduler="a", kernel="flatten")
    assert issubclass(SchedulerError, KinAtlasError)


def test_fingerprints_see_every_bit_and_nothing_else():
    atlas = gaussian_atlas(3)
    changed = np.array(atlas._buffer)
    changed[4, 5] = np.nextafter(changed[4, 5], 9)
    marks = {
        inputs.fingerprint(atlas),
        inputs.fingerprint(replace(atlas, _buffer=changed)),
        inputs.fingerprint(atlas.rename(str.upper)),
        inputs.fingerprint(replace(atlas, space="other")),
        inputs.fingerprint(low_rank_atlas(3)),
        inputs.fingerprint(low_rank_atlas(3, seed=1)),
    }
    assert len(marks) == 6
    assert inputs.fingerprint(gaussian_atlas(3)) == inputs.fingerprint(atlas)
