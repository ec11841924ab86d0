"""A store survives kills at any moment and writers that work at once."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

import kinatlas as ka

WORK = """
import sys
import numpy as np
import kinatlas as ka
store = ka.PromptStore(sys.argv[1])
print("ready", flush=True)
turn = int(sys.argv[2])
while True:
    turn += 1
    tensors = {"e": np.full(50_000, turn, np.float32)}
    name = store.add(tensors, task="ctr", basis_key="v1", metrics={"auc": 0.5}).id
    store.promote(name, "prod")
    if turn % 3 == 0:
        store.rollback("ctr", "prod")
"""


def started(path, turn: int) -> subprocess.Popen:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORK, str(path), str(turn)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_kill_at_any_moment_leaves_a_valid_store(tmp_path):
    waits = random.Random(0)
    n_moves = 0
    for attempt in range(12):
        worker = started(tmp_path, attempt * 1_000)
        time.sleep(waits.uniform(0.01, 0.3))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        store = ka.PromptStore(tmp_path, create=False)
        assert len(store.verify()) == 0
        moves = store.channels.moves()
        assert len(moves) >= n_moves
        n_moves = len(moves)
        if moves:
            found = store.load("ctr@prod", basis_key="v1")
            assert found.record.id == moves[-1].prompt
            assert len(set(found.tensors["e"])) == 1
    assert n_moves > 12


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_two_processes_at_once_make_one_chain_of_moves(tmp_path):
    workers = [started(tmp_path, turn) for turn in (0, 10_000)]
    time.sleep(1.0)
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    for worker in workers:
        worker.wait()
        worker.stdout.close()
    store = ka.PromptStore(tmp_path, create=False)
    moves = store.channels.moves()
    assert len(moves) > 4
    assert moves[0].previous == ""
    assert all(new.previous == old.prompt for old, new in pairwise(moves))
    assert len(store.verify()) == 0


def test_a_failure_at_any_step_of_a_write_leaves_what_was(tmp_path, monkeypatch):
    store = ka.PromptStore(tmp_path)
    old = store.add({"e": np.ones(3)}, task="ctr", basis_key="v1").id
    store.promote(old, "prod")

    def fails(*_words, **_options):
        raise OSError(errno.ENOSPC, "no space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(f"kinatlas.io.atomic.os.{step}", fails)
            with pytest.raises(OSError, match="no space left"):
                store.add({"e": np.zeros(3)}, task="ctr", basis_key="v1")
        assert [path.stem for path in (tmp_path / "prompts").iterdir()] == [old]
    assert store.record("ctr@prod").id == old
    new = store.add({"e": np.zeros(3)}, task="ctr", basis_key="v1").id

    def stopped(*_words):
        raise KeyboardInterrupt

    monkeypatch.setattr("kinatlas.io.prompts.store.Move.now", stopped)
    for act in (lambda: store.promote(new, "prod"), lambda: store.promote(new, "staging")):
        with pytest.raises(KeyboardInterrupt):
            act()
    monkeypatch.undo()
    assert store.record("ctr@prod").id == old
    store.promote(new, "prod")
    assert store.rollback("ctr", "prod").id == old
