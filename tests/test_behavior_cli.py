"""kinatlas probe: a study in a file, a ledger, a table out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("tenacity")

BOXES = """
import math
from kinatlas.behavior import CallableBox, negated

def answers(texts):
    return [[p, 1 - p] for p in (1 / (1 + math.exp(-(len(t) - 60) / 20)) for t in texts)]

length = CallableBox(answers, "length", labels=("long", "short"))
boxes = [length, negated(length)]
"""


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kinatlas", "probe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_run_resume_status_and_report_of_one_study(tmp_path: Path) -> None:
    (tmp_path / "own_boxes.py").write_text(BOXES)
    study, ledger = tmp_path / "study.json", tmp_path / "answers.db"
    study.write_text(json.dumps({
        "boxes": [{"kind": "python", "object": "own_boxes:boxes"}],
        "probes": {"bank": "builtin", "first": 64},
    }))  # fmt: skip
    planned = call("run", study, "--ledger", ledger, "--dry-run", "--json")
    assert json.loads(planned.stdout)["totals"]["calls"] == 128, planned.stderr
    part = json.loads(call("run", study, "--ledger", ledger, "--calls", 64, "--json").stdout)
    assert part["totals"]["calls"] == 64
    assert part["stopped_by"] == "calls"
    whole = json.loads(call("resume", study, "--ledger", ledger, "--json").stdout)
    assert (whole["totals"]["calls"], whole["boxes"]["ok"]) == (128, [64, 64])
    assert "length" in call("status", ledger).stdout
    told = json.loads(call("report", ledger, "--json").stdout)
    assert told["similarity"]["similarity"][0] == pytest.approx(-1.0, abs=1e-12)
    assert "Bias and sharpness" in call("report", ledger).stdout


def test_a_wrong_study_and_a_missing_ledger_are_one_line(tmp_path: Path) -> None:
    study = tmp_path / "study.json"
    study.write_text('{"boxes": [{"kind": "endpoint", "model": "m", "api_key": "sk-1"}]}')
    found = call("run", study, "--ledger", tmp_path / "a.db")
    assert found.returncode == 1
    assert "OPENAI_API_KEY" in found.stderr
    study.write_text("{")
    assert "not a study" in call("run", study, "--ledger", tmp_path / "a.db").stderr
    assert "no such ledger" in call("status", tmp_path / "none.db").stderr
    (tmp_path / "text.db").write_text("hello")
    assert "not a ledger" in call("status", tmp_path / "text.db").stderr


def test_a_report_compares_what_it_can_and_counts_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "odd_boxes.py").write_text(
        BOXES
        + """
def failing(texts):
    raise RuntimeError("no")

def halves(texts):
    return ["x", "y"] * (len(texts) // 2)

other = CallableBox(halves, "other", output="label", labels=("x", "y"))
boxes = [*boxes, other, CallableBox(failing, "failing", labels=("n", "p"))]
"""
    )
    study, ledger = tmp_path / "study.json", tmp_path / "answers.db"
    study.write_text(json.dumps({
        "boxes": [{"kind": "python", "object": "odd_boxes:boxes"}],
        "probes": {"bank": "builtin", "first": 64},
    }))  # fmt: skip
    call("run", study, "--ledger", ledger)
    told = call("report", ledger).stdout
    assert told.count("Similarity on 64 probes") == 2
    assert "attempts: exception" in told
    assert "box 'failing' gave no answer" in told
    assert "do not share one label set" in call("report", ledger, "--json").stderr
