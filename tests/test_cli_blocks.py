"""The command line over blocks: the same numbers, a log for machines, exit codes to act on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.distributed.lock import locked
from strategies import gaussian_atlas
from test_cli import run


@pytest.fixture
def atlas_file(tmp_path: Path) -> Path:
    return ka.save_atlas(gaussian_atlas(5, dtype="float32"), tmp_path / "atlas.safetensors")


def expected(path: Path) -> np.ndarray:
    return ka.similarity_matrix(ka.load_atlas(path), kernel="max_pairwise").values


def test_blocks_print_the_matrix_and_write_one_file(atlas_file: Path, tmp_path: Path) -> None:
    words = ("similarity", atlas_file, "--blocks", tmp_path / "blocks", "--block-size", 2)
    answer = run(*words, "--out", tmp_path / "scores.npy", "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["values"] == expected(atlas_file).tolist()
    assert np.load(tmp_path / "scores.npy").tobytes() == expected(atlas_file).tobytes()
    answer = run(*words)
    assert (answer.returncode, "resume=True" in answer.stderr) == (1, True)
    answer = run(*words, "--resume", "--out", tmp_path / "scores.parquet")
    assert answer.returncode == 0, answer.stderr
    assert "9 of 9 blocks of 5 targets x 5 sources" in answer.stdout


def test_the_log_is_one_json_object_a_line(atlas_file: Path, tmp_path: Path) -> None:
    words = ("similarity", atlas_file, "--blocks", tmp_path / "blocks", "--block-size", 3)
    answer = run(*words, "--log-json")
    events = [json.loads(line) for line in answer.stderr.splitlines()]
    assert [event["event"] for event in events] == ["planned", *["block"] * 4, "finished"]
    assert events[0]["n_missing"] == 4
    assert all({"time", "level", "block", "seconds"} <= set(event) for event in events[1:5])


def test_a_folder_in_use_and_a_silent_scheduler_mean_try_again(
    atlas_file: Path, tmp_path: Path
) -> None:
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    with locked(blocks):
        answer = run("similarity", atlas_file, "--blocks", blocks)
    assert answer.returncode == 75
    assert "works on this folder" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_tasks_may_be_chosen_and_options_without_blocks_are_wrong_usage(
    atlas_file: Path, tmp_path: Path
) -> None:
    blocks = tmp_path / "blocks"
    words = ("similarity", atlas_file, "--tasks", "task001,task003")
    answer = run(*words, "--blocks", blocks, "--json")
    assert json.loads(answer.stdout)["targets"] == ["task001", "task003"]
    assert run(*words, "--resume").returncode == 2
    answer = run(*words, "--blocks", tmp_path / "b", "--out", tmp_path / "x.txt")
    assert (answer.returncode, "expected a name ending in" in answer.stderr) == (1, True)


def test_a_full_disk_has_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from kinatlas import cli
    from kinatlas.cli import app

    def full() -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(app, "app", full)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 74


def answered(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    from kinatlas import cli

    monkeypatch.setattr("sys.argv", ["kinatlas", "similarity", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_an_output_that_cannot_be_written_is_refused_before_the_night(
    atlas_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = tmp_path / "blocks"
    (tmp_path / "folder.npy").mkdir()
    for out in ("none/scores.npy", "folder.npy"):
        words = (atlas_file, "--blocks", blocks, "--out", tmp_path / out)
        assert answered(monkeypatch, *words) == 1
        assert "expected a file in a folder that exists" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    words = (atlas_file, "--blocks", blocks, "--out", tmp_path / "scores.parquet")
    assert answered(monkeypatch, *words) == 1
    assert "pip install" in capsys.readouterr().err
    assert not blocks.exists()


def test_numbers_and_addresses_that_are_none_are_for_a_person_to_read(
    atlas_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (atlas_file, "--blocks", tmp_path / "blocks")
    for number in ("nan", "inf", "-1"):
        assert answered(monkeypatch, *words, "--max-memory", number) == 1
        assert "max_memory" in capsys.readouterr().err
    assert answered(monkeypatch, *words, "--scheduler", "nonsense") == 1
    assert "no address" in capsys.readouterr().err
    assert answered(monkeypatch, *words, "--json", "--csv") == 2


def test_a_matrix_that_fits_in_no_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from kinatlas import cli
    from kinatlas.cli import app

    def large() -> None:
        raise MemoryError("Unable to allocate 7.28 TiB")

    monkeypatch.setattr(app, "app", large)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
