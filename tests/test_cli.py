"""The command line: the same verbs as Python, tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kinatlas as ka

FIXTURES = Path(__file__).parent / "fixtures" / "adapters"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kinatlas", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin", "COLUMNS": "100", "PYTHONWARNINGS": "ignore"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    for name in ("mnli", "rte", "qqp", "cb"):
        np.save(prompts / f"{name}.npy", rng.normal(size=(6, 8)).astype(np.float32))
    return prompts


@pytest.fixture
def transfer(tmp_path: Path) -> Path:
    path = tmp_path / "transfer.csv"
    rng = np.random.default_rng(4)
    names = ("mnli", "rte", "qqp", "cb")
    rows = [f"{t},{s},{60 + 20 * rng.random():.2f}" for t in names for s in names if t != s]
    path.write_text("target,source,score\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_inspect_lists_every_file_with_its_reason() -> None:
    answer = run("inspect", FIXTURES, "--json")
    assert answer.returncode == 0, answer.stderr
    entries = json.loads(answer.stdout)
    assert set(entries["status"]) == {"read", "skipped"}
    for status, reason in zip(entries["status"], entries["reason"], strict=True):
        assert status == "read" or reason


def test_similarity_agrees_with_python_to_the_last_digit(folder: Path) -> None:
    answer = run("similarity", folder, "--kernel", "max_pairwise", "--json")
    assert answer.returncode == 0, answer.stderr
    expected = ka.similarity_matrix(ka.load_atlas(folder), kernel="max_pairwise")
    assert json.loads(answer.stdout)["values"] == expected.values.tolist()


def test_rank_gives_the_same_order_in_every_format(folder: Path) -> None:
    words = ("rank", folder, "--target", "rte", "--kernel", "feature_mean", "--center", "features")
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv").stdout)))
    names = [row["source"] for row in rows]
    assert sorted(names) == ["cb", "mnli", "qqp"]
    assert json.loads(run(*words, "--json").stdout)["source"] == names
    table = run(*words).stdout
    assert table.index(names[0]) < table.index(names[1]) < table.index(names[2])
    assert len(list(csv.DictReader(io.StringIO(run(*words, "--top", 2, "--csv").stdout)))) == 2


def test_evaluate_agrees_with_python_and_prints_chance(folder: Path, transfer: Path) -> None:
    words = ("evaluate", folder, transfer, "--kernel", "flatten", "--gain", "linear", "--k", 2)
    answer = json.loads(run(*words, "--json").stdout)
    matrix = ka.similarity_matrix(ka.load_atlas(folder), kernel="flatten")
    expected = ka.evaluate(matrix, ka.TransferTable.from_csv(transfer), gain="linear", k=2)
    assert answer["summary"]["ndcg"] == expected.summary()["ndcg"]
    assert "regret@2" in answer["summary"]
    assert "chance" in run(*words).stdout
    per_target = csv.DictReader(io.StringIO(run(*words, "--per-target", "--csv").stdout))
    assert [row["target"] for row in per_target] == list(expected.targets)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rank", "FOLDER", "--target", "rtee"], "did you mean 'rte'"),
        (["rank", "FOLDER", "--target", "rte", "--kernel", "max_pairwize"], "max_pairwise"),
        (["similarity", "FOLDER", "--center", "nowhere"], "expected none, features"),
        (["similarity", "FOLDER/absent"], "absent"),
        (["evaluate", "FOLDER", "FOLDER/absent.csv"], "absent.csv"),
    ],
)
def test_refusals_are_one_line_with_the_way_out_and_exit_code_one(
    folder: Path, words: list[str], message: str
) -> None:
    answer = run(*(word.replace("FOLDER", str(folder)) for word in words))
    assert answer.returncode == 1
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_wrong_usage_is_exit_code_two() -> None:
    assert run("rank").returncode == 2
    assert run("no-such-verb").returncode == 2


def test_low_rank_adapters_are_compared_by_their_own_kernel(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    rng = np.random.default_rng(5)
    for name in ("mnli", "rte"):
        (tmp_path / name).mkdir()
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "t"}
        (tmp_path / name / "adapter_config.json").write_text(json.dumps(config))
        key = "base_model.model.q_proj.lora_{}.weight"
        save_file(
            {key.format("A"): rng.normal(size=(2, 6)), key.format("B"): rng.normal(size=(5, 2))},
            tmp_path / name / "adapter_model.safetensors",
        )
    answer = run("similarity", tmp_path, "--kernel", "low_rank_cosine", "--json")
    assert answer.returncode == 0, answer.stderr
    values = np.array(json.loads(answer.stdout)["values"])
    np.testing.assert_allclose(np.diag(values), 1.0, rtol=1e-12)


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('no typer', name='typer')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import kinatlas.cli as c; c.main()"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "kinatlas[cli]" in answer.stderr


def test_names_with_brackets_are_names_and_not_markup(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    names = ("[/foo]", "[bold]b", "c")
    np.savez(tmp_path / "p.npz", **{name: rng.normal(size=(3, 4)) for name in names})
    table = run("similarity", tmp_path / "p.npz").stdout
    assert all(name in table for name in names)
    assert "[bold]b" in run("rank", tmp_path / "p.npz", "--target", "[/foo]").stdout


def test_two_formats_at_once_are_wrong_usage(folder: Path) -> None:
    assert run("similarity", folder, "--json", "--csv").returncode == 2
