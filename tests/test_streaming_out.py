"""One file for all scores, written block by block, finished after whatever interrupted it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

import kinatlas as ka
from kinatlas.distributed import BlockFolder, run, similarity_blocks
from kinatlas.errors import FormatError, NonFiniteError, ShapeError
from kinatlas.similarity import SimilarityMatrix, similarity_matrix
from strategies import gaussian_atlas

OPTIONS = {"kernel": "max_pairwise", "center": "features", "block_size": 2}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    atlas = gaussian_atlas(5, n_tokens=4, dim=6, dtype="float32")
    return ka.save_atlas(atlas, tmp_path / "atlas.safetensors")


def whole(file: Path, **options) -> SimilarityMatrix:
    options = {"kernel": "max_pairwise", "center": "features"} | options
    return similarity_matrix(ka.load_atlas(file), **options)


def test_a_npy_is_mapped_and_holds_the_bits_of_the_matrix(file, tmp_path):
    out = tmp_path / "scores.npy"
    found = similarity_blocks(file, out=out, **OPTIONS)
    assert found.path == tmp_path / "scores.npy.blocks"
    mapped = np.load(out, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert mapped.tobytes() == whole(file).values.tobytes()


def test_a_matrix_over_a_mapped_file_copies_nothing_and_cannot_be_written(file, tmp_path):
    out = tmp_path / "scores.npy"
    found = similarity_blocks(file, out=out, **OPTIONS)
    mapped = np.load(out, mmap_mode="r")
    matrix = SimilarityMatrix(mapped, found.targets, found.sources, found.plan.kernel)
    assert np.shares_memory(matrix.values, mapped)
    assert type(matrix.values) is np.ndarray
    with pytest.raises(ValueError, match="WRITEABLE"):
        matrix.values.flags.writeable = True
    again = pickle.loads(pickle.dumps(matrix))
    assert again == matrix
    assert not again.values.flags.writeable
    assert ka.rank_sources(matrix, "task001").target == "task001"
    with pytest.raises(ShapeError):
        SimilarityMatrix(mapped, found.targets[1:], found.sources, "max_pairwise")
    with out.open("r+b") as opened:
        opened.seek(-8, os.SEEK_END)
        opened.write(np.float64(np.inf).tobytes())
    with pytest.raises(NonFiniteError, match="'task004' for target 'task004' is inf"):
        SimilarityMatrix(mapped, found.targets, found.sources, "max_pairwise")


def test_parquet_reads_back_equal_under_its_names(file, tmp_path):
    out = tmp_path / "scores.parquet"
    similarity_blocks(file, out=out, **OPTIONS)
    table, expected = parquet.read_table(out), whole(file)
    assert table["score"].to_numpy().tobytes() == expected.values.tobytes()
    assert table["target"].to_pylist() == [name for name in expected.targets for _ in range(5)]
    assert table["source"].to_pylist() == list(expected.sources) * 5


@pytest.mark.parametrize("kernel", ["max_pairwise", "chamfer"])
@pytest.mark.parametrize("stop", range(1, 7))
def test_an_interrupt_after_any_block_is_finished_by_resume(
    kernel, stop, file, tmp_path, monkeypatch
):
    """The bar raises as Ctrl-C would; blocks before it are kept, none is computed twice."""
    out, options = tmp_path / "scores.npy", OPTIONS | {"kernel": kernel}
    calls = []

    def report(done: int) -> None:
        calls.append(done)
        if len(calls) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "bar", lambda *_: nullcontext(report))
    with pytest.raises(KeyboardInterrupt):
        similarity_blocks(file, out=out, **options)
    assert not out.exists()
    n_kept = len(list((tmp_path / "scores.npy.blocks" / "blocks").glob("*.json")))
    assert n_kept >= stop
    computed: list[int] = []
    monkeypatch.setattr(run, "bar", lambda *_: nullcontext(computed.append))
    found = similarity_blocks(file, out=out, resume=True, **options)
    assert (computed or [0])[-1] == sum(block.n_pairs for block in found.plan) - calls[-1]
    assert np.load(out).tobytes() == whole(file, kernel=kernel).values.tobytes()


def test_kernels_without_a_direction_compute_each_pair_of_blocks_once(file, tmp_path, monkeypatch):
    computed = []
    compute = run.compute

    def counted(job, block):
        computed.append(block.name)
        return compute(job, block)

    monkeypatch.setattr(run, "compute", counted)
    for kernel, options in (
        ("chamfer", {}),
        ("max_pairwise", {"direction": "symmetric"}),
        ("max_pairwise", {}),
    ):
        computed.clear()
        asked = {"kernel": kernel, "center": "features", "block_size": 2} | options
        found = similarity_blocks(file, folder=tmp_path / f"{kernel}{len(options)}", **asked)
        is_even = kernel == "chamfer" or bool(options)
        assert len(computed) == (6 if is_even else 9)
        expected = whole(file, kernel=kernel, **options)
        assert found.matrix().values.tobytes() == expected.values.tobytes()


def test_outputs_that_cannot_be_written_are_refused_before_the_work(file, tmp_path):
    (tmp_path / "folder.npy").mkdir()
    for name, words in (
        ("none/scores.npy", "folder that exists"),
        ("folder.npy", "folder that exists"),
        ("scores.txt", r"\.npy or \.parquet"),
    ):
        with pytest.raises(FormatError, match=words):
            similarity_blocks(file, out=tmp_path / name, **OPTIONS)
    with pytest.raises(ValueError, match="folder is missing"):
        similarity_blocks(file, **OPTIONS)
    (tmp_path / "old.npy").write_bytes(b"old")
    with pytest.raises(FormatError, match="is there already; pass resume=True"):
        similarity_blocks(file, out=tmp_path / "old.npy", **OPTIONS)
    assert (tmp_path / "old.npy").read_bytes() == b"old"
    assert not list(tmp_path.glob("*.blocks"))


@pytest.mark.skipif(
    os.name == "nt" or getattr(os, "geteuid", lambda: 1)() == 0, reason="root writes anywhere"
)
def test_a_folder_that_may_not_be_written_says_so(file, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="closed"):
        similarity_blocks(file, out=closed / "scores.npy", **OPTIONS)


def test_another_comparison_is_refused_by_name(file, tmp_path):
    out = tmp_path / "scores.npy"
    similarity_blocks(file, out=out, **OPTIONS)
    for changed, words in (
        ({"kernel": "chamfer"}, r"plan\.kernel is 'max_pairwise' there, 'chamfer' here"),
        ({"precision": "float64"}, r"plan\.options\.(is_fused|precision)"),
        ({"center": None}, r"plan\.options\.center"),
    ):
        with pytest.raises(FormatError, match=words):
            similarity_blocks(file, out=out, resume=True, **{**OPTIONS, **changed})
    with file.open("r+b") as opened:
        opened.seek(-4, os.SEEK_END)
        opened.write(np.float32(0.5).tobytes())
    with pytest.raises(FormatError, match=r"inputs\.sources is '[0-9a-f]{64}' there"):
        similarity_blocks(file, out=out, resume=True, **{**OPTIONS, "center": None})


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_journal_that_was_cut_off_is_named(file, tmp_path, cut):
    out = tmp_path / "scores.npy"
    found = similarity_blocks(file, out=out, **OPTIONS)
    manifest = found.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:cut])
    with pytest.raises(FormatError, match=r"manifest\.json is damaged"):
        similarity_blocks(file, out=out, resume=True, **OPTIONS)


def test_a_damaged_output_is_written_again_from_its_blocks(file, tmp_path):
    out = tmp_path / "scores.npy"
    similarity_blocks(file, out=out, **OPTIONS)
    out.write_bytes(out.read_bytes()[:-5])
    similarity_blocks(file, out=out, resume=True, **OPTIONS)
    assert np.load(out).tobytes() == whole(file).values.tobytes()


def test_the_disk_must_hold_the_output_as_well(file, tmp_path, monkeypatch):
    import shutil

    n_blocks = 9 * 3 * 4096 + 8 * 25
    usage = shutil._ntuple_diskusage(10**6, 0, n_blocks)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    similarity_blocks(file, folder=tmp_path / "fits", **OPTIONS)
    with pytest.raises(OSError, match="need"):
        similarity_blocks(file, out=tmp_path / "scores.npy", **OPTIONS)


LONG = """
import sys
import numpy as np, kinatlas as ka
ka.distributed.similarity_blocks(
    sys.argv[1], out=sys.argv[2], kernel="euclidean_average", block_size=8, n_threads=1,
    center="positions", resume=len(sys.argv) > 3,
)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_process_loses_no_more_than_the_block_in_flight(tmp_path):
    rng = np.random.default_rng(0)
    tokens = {f"t{i}": rng.normal(size=(40, 256)) for i in range(96)}
    file = ka.save_atlas(ka.Atlas.from_arrays(tokens), tmp_path / "atlas.safetensors")
    out = tmp_path / "scores.npy"
    words = [sys.executable, "-c", LONG, str(file), str(out)]
    marks = tmp_path / "scores.npy.blocks" / "blocks"
    seen = 0
    for attempt in range(3):
        child = subprocess.Popen(words + ["resume"] * (attempt > 0))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if len(list(marks.glob("*.json"))) > seen + 2:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        assert len(list(marks.glob("*.json"))) >= seen
        seen = len(list(marks.glob("*.json")))
    done = {path.name: path.stat().st_mtime_ns for path in marks.glob("*.json")}
    subprocess.run([*words, "resume"], check=True, timeout=120)
    for name, written in done.items():
        assert (marks / name).stat().st_mtime_ns == written, "a finished block was computed again"
    expected = whole(file, kernel="euclidean_average", center="positions")
    assert np.load(out, mmap_mode="r").tobytes() == expected.values.tobytes()


def test_the_command_line_writes_one_file_and_resumes(file, tmp_path):
    out = tmp_path / "scores.npy"
    words = [sys.executable, "-m", "kinatlas", "similarity", str(file), "--out", str(out)]
    words += ["--center", "features", "--max-memory", "0.01"]
    subprocess.run(words, check=True, capture_output=True)
    assert np.load(out).tobytes() == whole(file).values.tobytes()
    assert subprocess.run(words, capture_output=True).returncode == 1
    subprocess.run([*words, "--resume"], check=True, capture_output=True)
    folder = BlockFolder.open(f"{out}.blocks")
    assert folder.sources == ka.load_atlas(file).names
    stored = json.loads((folder.path / "manifest.json").read_text(encoding="utf-8"))
    assert set(stored["identity"]["inputs"]) == {"sources", "targets"}
