"""Blocks on disk: what is there is true, what is not is computed again, nothing is half written."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

import kinatlas as ka
from kinatlas.distributed import BlockFolder, similarity_blocks
from kinatlas.distributed.lock import locked
from kinatlas.errors import FormatError, LockedError
from kinatlas.io.atomic import replaced, write_whole
from kinatlas.similarity import similarity_matrix
from strategies import gaussian_atlas, ragged_atlas

OPTIONS = {"kernel": "max_pairwise", "center": "features", "block_size": 2}


@pytest.fixture
def atlas() -> ka.Atlas:
    return gaussian_atlas(5, n_tokens=4, dim=6)


def whole(atlas: ka.Atlas) -> bytes:
    return similarity_matrix(atlas, kernel="max_pairwise", center="features").values.tobytes()


def recomputed(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.block for record in caplog.records if record.message == "block"]


def test_a_folder_gives_the_matrix_of_one_machine(atlas, tmp_path):
    found = similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    assert found.matrix().values.tobytes() == whole(atlas)
    again = BlockFolder.open(tmp_path)
    assert again.matrix() == found.matrix()
    assert repr(again).startswith("BlockFolder: 9 of 9 blocks of 5 targets x 5 sources")


def test_exports_hold_every_score_under_its_names(tmp_path):
    sources, targets = ragged_atlas(), ragged_atlas(3, (4, 2, 9))
    folder = tmp_path / "blocks"
    found = similarity_blocks(sources, targets, folder=folder, kernel="chamfer", block_size=2)
    expected = similarity_matrix(sources, targets, kernel="chamfer")
    mapped = np.load(found.to_npy(tmp_path / "scores.npy"), mmap_mode="r")
    assert mapped.tobytes() == expected.values.tobytes()
    path = found.to_parquet(tmp_path / "scores.parquet")
    assert parquet.ParquetFile(path).num_row_groups == 2
    table = parquet.read_table(path).to_pydict()
    rows = zip(table["target"], table["source"], table["score"], strict=True)
    for target, source, score in rows:
        assert score == expected.row(target)[expected.sources.index(source)]
    assert len(table["score"]) == expected.values.size


def test_resume_computes_only_what_is_missing_damaged_or_foreign(atlas, tmp_path, caplog):
    found = similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    files = sorted((tmp_path / "blocks").glob("*.npy"))
    names = [file.name.removesuffix(".npy") for file in files]
    files[0].unlink()
    contents = bytearray(files[1].read_bytes())
    contents[-1] ^= 1
    files[1].write_bytes(contents)
    files[2].write_bytes(files[2].read_bytes()[:-8])
    files[3].with_suffix(".json").unlink()
    files[4].with_suffix(".json").write_text("{", encoding="utf-8")
    # A block of another comparison, whole and with a mark that fits its own bytes.
    other = similarity_blocks(
        gaussian_atlas(5, n_tokens=4, dim=6, seed=9), folder=tmp_path / "other", **OPTIONS
    )
    for suffix in ("npy", "json"):
        shutil.copy(other.path / "blocks" / f"{names[5]}.{suffix}", tmp_path / "blocks")
    with pytest.raises(FormatError):
        found.matrix()
    with caplog.at_level(logging.INFO, logger="kinatlas.distributed"):
        caplog.clear()
        similarity_blocks(atlas, folder=tmp_path, resume=True, **OPTIONS)
    assert recomputed(caplog) == names[:6]
    reasons = [record.reason for record in caplog.records if record.message == "recompute"]
    assert sum("damaged" in reason for reason in reasons) == 3
    assert sum("another comparison" in reason for reason in reasons) == 1
    assert found.matrix().values.tobytes() == whole(atlas)
    assert similarity_blocks(atlas, folder=tmp_path, resume=True, **OPTIONS).matrix()


def test_a_folder_is_not_resumed_for_another_comparison(atlas, tmp_path):
    similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    with pytest.raises(FormatError, match="resume=True"):
        similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    for changed, words in (
        ({"kernel": "chamfer"}, r"plan\.kernel is 'max_pairwise' there, 'chamfer' here"),
        ({"direction": "symmetric"}, r"plan\.options\.direction"),
        ({"center": None}, r"plan\.options\.center"),
        ({"block_size": 3}, r"plan.block_shape is \[2, 2\] there, \[3, 3\] here"),
    ):
        with pytest.raises(FormatError, match=words):
            similarity_blocks(atlas, folder=tmp_path, resume=True, **{**OPTIONS, **changed})
    names = atlas.rename(str.upper)
    with pytest.raises(FormatError, match=r"inputs\.sources"):
        similarity_blocks(names, folder=tmp_path, resume=True, **OPTIONS)


def test_blocks_of_another_release_are_not_mixed_in(atlas, tmp_path):
    similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    path = tmp_path / "manifest.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["identity"]["kinatlas"] = "0.0.1"
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(FormatError, match=r"kinatlas is '0\.0\.1' there"):
        similarity_blocks(atlas, folder=tmp_path, resume=True, **OPTIONS)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": {"format": "x"}}'])
def test_a_damaged_manifest_is_named(atlas, tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"manifest\.json is damaged"):
        similarity_blocks(atlas, folder=tmp_path, resume=True, **OPTIONS)
    with pytest.raises(FormatError, match=r"manifest\.json"):
        BlockFolder.open(tmp_path)


def test_a_folder_without_a_manifest_is_no_folder_of_blocks(tmp_path):
    with pytest.raises(FormatError, match=r"no manifest\.json"):
        BlockFolder.open(tmp_path)


def _hold(path: str, ready, release) -> None:
    with locked(Path(path)):
        ready.set()
        release.wait(60)


def test_two_jobs_do_not_work_on_one_folder(atlas, tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), ready, release))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(LockedError, match=f"process {other.pid} on"):
            similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    finally:
        release.set()
        other.join(60)
    assert similarity_blocks(atlas, folder=tmp_path, **OPTIONS).matrix()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_the_lock_of_a_killed_job_holds_nobody_up(atlas, tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), ready, release))
    other.start()
    assert ready.wait(60)
    os.kill(other.pid, signal.SIGKILL)
    other.join(60)
    assert similarity_blocks(atlas, folder=tmp_path, **OPTIONS).matrix()


def test_too_small_a_disk_is_refused_before_any_work(atlas, tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(10**6, 10**6 - 100, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="the disk has 100 free"):
        similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    assert not list((tmp_path / "blocks").iterdir())


def test_a_disk_that_fills_up_leaves_whole_blocks_and_a_way_on(atlas, tmp_path, monkeypatch):
    written = []

    def fills_up(handle: int) -> None:
        written.append(handle)
        if len(written) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fills_up)
    with pytest.raises(OSError, match=r"no space left for .*half written") as caught:
        similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    assert caught.value.errno == errno.ENOSPC
    assert not [path for path in tmp_path.rglob(".r*")], "a temporary file was left behind"
    monkeypatch.undo()
    found = similarity_blocks(atlas, folder=tmp_path, resume=True, **OPTIONS)
    assert found.matrix().values.tobytes() == whole(atlas)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte, where mounting is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_file_system_holds_nothing_half_written(small_disk):
    write_whole(small_disk / "ballast", b"0" * 900_000)
    with pytest.raises(OSError, match="no space left for scores"):
        write_whole(small_disk / "scores.npy", b"1" * 900_000)
    assert sorted(path.name for path in small_disk.iterdir()) == ["ballast"]
    atlas = gaussian_atlas(200, n_tokens=1, dim=4)
    with pytest.raises(OSError, match="free"):
        similarity_blocks(atlas, folder=small_disk / "blocks", kernel="flatten")


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "scores.bin", b"old")

    def half() -> None:
        with replaced(tmp_path / "scores.bin") as file:
            file.write(b"new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


LONG = """
import sys
import numpy as np, kinatlas as ka
rng = np.random.default_rng(0)
atlas = ka.Atlas.from_arrays({f"t{i}": rng.normal(size=(60, 256)) for i in range(240)})
try:
    ka.distributed.similarity_blocks(
        atlas, folder=sys.argv[1], kernel="euclidean_average", block_size=8, n_threads=1,
        resume=len(sys.argv) > 2,
    )
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_job_keeps_its_blocks(tmp_path, how):
    child = subprocess.Popen(
        [sys.executable, "-c", LONG, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    marks = tmp_path / "blocks"
    deadline = time.monotonic() + 60
    while len(list(marks.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    asked = time.monotonic()
    child.send_signal(how)
    output, _ = child.communicate(timeout=60)
    if how == signal.SIGINT:
        assert output == "interrupted\n"
        assert time.monotonic() - asked < 2, "Ctrl-C waits for more than one poll and an exit"
    folder = BlockFolder.open(tmp_path)
    n_missing = sum(1 for _ in folder.missing())
    assert 0 < n_missing <= len(folder.plan) - 3


def test_an_opened_atlas_gives_the_same_blocks_without_being_read_whole(atlas, tmp_path):
    path = ka.save_atlas(atlas, tmp_path / "atlas.safetensors")
    found = similarity_blocks(path, folder=tmp_path / "blocks", **OPTIONS)
    assert found.matrix().values.tobytes() == whole(atlas)
    # The hash is of the contents, so the same atlas in memory goes on with the same folder.
    assert similarity_blocks(atlas, folder=tmp_path / "blocks", resume=True, **OPTIONS)
