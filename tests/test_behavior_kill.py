"""kill -9 at any moment: what was answered stays answered, and nothing is paid for twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinatlas.behavior import (
    CallableBox,
    Ledger,
    ProbeBank,
    accounts,
    ask,
    embed_behavior,
    read_ledger,
    ridge_space,
)
from misbehaving import Desk, serving

pytest.importorskip("tenacity")

KILLS, PROBES = 20, 240
ASKING = """
import asyncio, json, sys, urllib.request
from kinatlas.behavior import CallableBox, Ledger, ask, builtin_bank
from kinatlas.behavior.keys import call_key

def post(text):
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    headers = {"Idempotency-Key": call_key() or ""}
    request = urllib.request.Request(sys.argv[1] + "/chat/completions", body, headers)
    with urllib.request.urlopen(request) as found:
        return json.load(found)["choices"][0]["message"]["content"]

async def answers(texts):
    return [await asyncio.to_thread(post, text) for text in texts]

box = CallableBox(answers, "parrot", output="label", labels=("yes", "no"), batch_size=1)
with Ledger(sys.argv[2]) as ledger:
    print("asking", flush=True)
    ask(box, builtin_bank().first(int(sys.argv[3])), ledger, concurrency=4)
"""


def content(path: Path) -> list[str]:
    with Ledger(path, create=False) as ledger:
        return [json.dumps([*record.key, record.status, record.value]) for record in
                ledger.records()]  # fmt: skip


def embedded(path: Path) -> list[bytes]:
    with Ledger(path, create=False) as ledger:
        found = read_ledger(ledger)
    ways = [embed_behavior(found), ridge_space(found, n_features=16).embed(found)]
    return [atlas[name].tokens.tobytes() for atlas in ways for name in atlas.names]


def start(address: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASKING, address, str(path), str(PROBES)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "asking\n"
    return process


@pytest.mark.slow
def test_twenty_kills_change_no_answer_and_no_bill(tmp_path: Path) -> None:
    generator = random.Random(0)
    desk, known = Desk(delay=0.02), 0
    with serving(desk) as address:
        whole = start(address, tmp_path / "whole.db")
        assert whole.wait(120) == 0
    assert max(desk.billed.values()) == 1
    # Slow enough that twenty short lives cannot finish the work, on any machine.
    desk = Desk(delay=0.05)
    with serving(desk) as address:
        path = tmp_path / "killed.db"
        for _ in range(KILLS):
            process = start(address, path)
            time.sleep(generator.uniform(0.0, 0.2))
            process.kill()
            process.communicate()
            with Ledger(path) as ledger:
                assert len(ledger) >= known, "an answer that was on disk is gone"
                known = len(ledger)
        assert 0 < known < PROBES, "the kills came too early or too late to mean anything"
        last = start(address, path)
        assert last.wait(120) == 0
        last.communicate()
    whole.communicate()
    assert content(path) == content(tmp_path / "whole.db")
    assert embedded(path) == embedded(tmp_path / "whole.db")
    assert len(content(path)) == PROBES
    # The endpoint bills an idempotency key once, and a call that was flying keeps its key.
    assert sum(desk.billed.values()) == PROBES
    with Ledger(path) as ledger:
        told = accounts(ledger)
    repeated = sum(desk.seen.values()) - PROBES
    # Only calls in flight at a kill were asked again: at most 4 a kill, and all are told.
    assert repeated <= told.anomalies.get("lost", 0) <= 4 * KILLS


def test_a_ledger_refuses_to_forget(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "answers.db"
    box = CallableBox(lambda texts: [1.0] * len(texts), "one", output="number")
    with Ledger(path) as ledger:
        ask(box, ProbeBank.from_texts(["a", "b"]), ledger)
    base = sqlite3.connect(path)
    for statement in ("DELETE FROM answers", "UPDATE answers SET value = '2'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            base.execute(statement)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        base.execute(
            "INSERT INTO answers SELECT 99, box, prompt, params, probe, replicate, status, "
            "value, mass, reason, model FROM answers LIMIT 1"
        )
    base.close()
