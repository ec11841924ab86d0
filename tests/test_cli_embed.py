"""The verb embed: checkpoints and texts on disk become an atlas that the other verbs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import kinatlas as ka
from test_cli import run

pytest.importorskip("typer")


def test_checkpoints_become_an_atlas_that_rank_reads(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    base = generator.standard_normal((30, 4)).astype(np.float32)
    moves = {"rte": 1.0, "cb": 0.9, "sst2": -1.0}
    save_file({"w": base}, tmp_path / "base.safetensors")
    for name, move in moves.items():
        noise = 0.1 * generator.standard_normal(base.shape).astype(np.float32)
        save_file({"w": (base + move + noise).astype(np.float32)}, tmp_path / f"{name}.safetensors")
    pairs = [f"{name}={tmp_path / name}.safetensors" for name in moves]
    out = tmp_path / "vectors.safetensors"
    done = run("embed", "weights", tmp_path / "base.safetensors", *pairs, "--out", out, "--dim", 64)
    assert done.returncode == 0, done.stderr
    assert "3 tasks, dim 64" in done.stdout
    expected = ka.embed_task_vector(
        tmp_path / "base.safetensors", tmp_path / "rte.safetensors", name="rte", dim=64
    )
    assert np.array_equal(ka.load_atlas(out)["rte"].tokens, expected.tokens)
    ranked = run("rank", out, "--target", "rte", "--kernel", "flatten", "--csv")
    assert ranked.returncode == 0, ranked.stderr
    assert "cb" in ranked.stdout.splitlines()[1]


def test_texts_become_an_atlas(tmp_path: Path) -> None:
    for name, text in (("a", "cat dog\ncat\n"), ("b", "dog bird\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    pairs = [f"{name}={tmp_path / name}.txt" for name in "ab"]
    for method in ("words", "vocabulary"):
        out = tmp_path / f"{method}.safetensors"
        done = run("embed", "texts", *pairs, "--out", out, "--method", method)
        assert done.returncode == 0, done.stderr
        assert ka.load_atlas(out).names == ("a", "b")


@pytest.mark.parametrize("pair", ["rte", "=x", "rte=", "a=x"])
def test_a_pair_that_is_none_is_refused(tmp_path: Path, pair: str) -> None:
    done = run("embed", "texts", "a=x", pair, "--out", tmp_path / "x.safetensors")
    assert done.returncode == 1
    assert "NAME=PATH" in done.stderr


def test_embed_names_the_file_it_cannot_read_or_write(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    save_file({"w": np.ones((2, 2), np.float32)}, tmp_path / "base.safetensors")
    done = run("embed", "texts", f"a={tmp_path}/latin.txt", "--out", tmp_path / "o.safetensors")
    assert done.returncode == 1
    assert "latin.txt: the file is not UTF-8" in done.stderr
    done = run(
        "embed",
        "weights",
        tmp_path / "base.safetensors",
        f"a={tmp_path}/nowhere.safetensors",
        "--out",
        tmp_path / "no" / "o.safetensors",
    )
    assert done.returncode == 1
    assert "make it first" in done.stderr
