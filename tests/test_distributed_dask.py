"""Dask here: the bits of one process; nothing is lost when workers or schedulers die."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from kinatlas.distributed import BlockFolder, similarity_blocks
from kinatlas.errors import FormatError, SchedulerError, WorkerError
from kinatlas.similarity import similarity_matrix
from strategies import gaussian_atlas, ragged_atlas

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(os.name == "nt", reason="signals differ"),
]

SLOW = {"kernel": "euclidean_average", "block_size": 4}


def cluster_of(n_workers: int = 2):
    return distributed.LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


@pytest.fixture(scope="module")
def client():
    with cluster_of() as cluster, distributed.Client(cluster) as found:
        yield found


def test_two_processes_give_the_bits_of_one_machine(client, tmp_path):
    atlas = ragged_atlas()
    options = {"kernel": "max_pairwise", "center": "positions", "direction": "symmetric"}
    found = similarity_blocks(atlas, folder=tmp_path, executor=client, block_size=1, **options)
    expected = similarity_matrix(atlas, **options)
    assert found.matrix().values.tobytes() == expected.values.tobytes()


def test_an_address_is_enough(client, tmp_path):
    atlas = gaussian_atlas(4)
    address = client.scheduler.address
    assert address.startswith("tcp://127.0.0.1:")
    found = similarity_blocks(atlas, folder=tmp_path, scheduler=address, kernel="flatten")
    assert (
        found.matrix().values.tobytes()
        == similarity_matrix(atlas, kernel="flatten").values.tobytes()
    )


def test_workers_of_another_release_are_named_before_any_work(client, tmp_path):
    def pretend(version: str) -> str:
        from kinatlas import _core

        true, _core.__version__ = _core.__version__, version
        return true

    worker = next(iter(client.nthreads()))
    true = client.run(pretend, "0.0.9", workers=[worker])[worker]
    try:
        with pytest.raises(WorkerError, match=r"tcp://127.* has 0\.0\.9"):
            similarity_blocks(gaussian_atlas(3), folder=tmp_path, executor=client, kernel="flatten")
    finally:
        client.run(pretend, true, workers=[worker])
    assert not (tmp_path / "manifest.json").exists()


def test_a_client_that_is_closed_before_or_within_a_run_is_named(client, tmp_path):
    atlas = gaussian_atlas(40, n_tokens=100, dim=64)
    other = distributed.Client(client.scheduler.address, set_as_default=False)

    def close() -> None:
        while not any(tmp_path.glob("blocks/*.json")):
            time.sleep(0.01)
        other.close()

    threading.Thread(target=close, daemon=True).start()
    with pytest.raises(WorkerError, match="resume=True"):
        similarity_blocks(atlas, folder=tmp_path, executor=other, kernel="flatten", block_size=1)
    with pytest.raises(SchedulerError, match="client is closed"):
        similarity_blocks(atlas, folder=tmp_path / "b", executor=other, kernel="flatten")


def test_a_scheduler_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("kinatlas.distributed.crew._PATIENCE", 1.0)
    with pytest.raises(SchedulerError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        similarity_blocks(
            gaussian_atlas(3), folder=tmp_path, scheduler="tcp://127.0.0.1:1", kernel="flatten"
        )


@pytest.mark.parametrize("address", ["", "nonsense", "nonsense://x", "http://127.0.0.1:8787", 5])
def test_what_is_no_address_is_refused_before_anybody_is_called(tmp_path, address):
    with pytest.raises(FormatError, match=f"scheduler={address!r} is no address"):
        similarity_blocks(gaussian_atlas(3), folder=tmp_path, scheduler=address, kernel="flatten")


def test_a_scheduler_without_workers_is_named(tmp_path):
    atlas = gaussian_atlas(3)
    with (
        cluster_of(0) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(SchedulerError, match="no worker"),
    ):
        similarity_blocks(atlas, folder=tmp_path, executor=client, kernel="flatten")


def _killer(folder: Path, client, counts: list[int], killed: list[int]) -> None:
    for count in counts:
        while len(list((folder / "blocks").glob("*.json"))) < count:
            time.sleep(0.01)
        found = client.run(os.getpid)
        victim = sorted(found.values())[len(killed) % len(found)]
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)


@pytest.mark.slow
def test_a_worker_killed_three_times_loses_nothing(tmp_path, caplog):
    atlas = gaussian_atlas(48, n_tokens=60, dim=256)
    with cluster_of() as cluster, distributed.Client(cluster) as client:
        killed: list[int] = []
        arguments = (tmp_path, client, [10, 50, 90], killed)
        watch = threading.Thread(target=_killer, args=arguments, daemon=True)
        watch.start()
        with caplog.at_level(logging.INFO, logger="kinatlas.distributed"):
            found = similarity_blocks(atlas, folder=tmp_path, executor=client, **SLOW)
        watch.join(30)
    assert len(killed) == 3
    expected = similarity_matrix(atlas, kernel="euclidean_average")
    assert found.matrix().values.tobytes() == expected.values.tobytes()
    written = [record.block for record in caplog.records if record.message == "block"]
    assert sorted(written) == sorted(block.name for block in found.plan), "each block just once"


@pytest.mark.slow
def test_a_new_scheduler_goes_on_where_the_last_one_died(tmp_path, caplog):
    atlas = gaussian_atlas(32, n_tokens=60, dim=256)
    cluster = cluster_of()
    client = distributed.Client(cluster)

    def end() -> None:
        while len(list((tmp_path / "blocks").glob("*.json"))) < 8:
            time.sleep(0.01)
        cluster.close()

    watch = threading.Thread(target=end, daemon=True)
    watch.start()
    with pytest.raises((WorkerError, SchedulerError), match="resume"):
        similarity_blocks(atlas, folder=tmp_path, executor=client, **SLOW)
    watch.join(60)
    client.close()
    n_kept = len(list((tmp_path / "blocks").glob("*.json")))
    assert 8 <= n_kept < 64
    with (
        cluster_of() as second,
        distributed.Client(second) as client,
        caplog.at_level(logging.INFO, logger="kinatlas.distributed"),
    ):
        caplog.clear()
        similarity_blocks(atlas, folder=tmp_path, executor=client, resume=True, **SLOW)
    written = [record for record in caplog.records if record.message == "block"]
    assert len(written) == 64 - n_kept
    expected = similarity_matrix(atlas, kernel="euclidean_average")
    assert BlockFolder.open(tmp_path).matrix().values.tobytes() == expected.values.tobytes()
