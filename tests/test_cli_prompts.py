"""``kinatlas prompts``: the store from a shell."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kinatlas as ka
from test_cli import run


@pytest.fixture
def store(tmp_path):
    store = ka.PromptStore(tmp_path / "store")
    for value, auc in ((1.0, 0.71), (2.0, 0.74)):
        store.add({"e": np.full(3, value)}, task="ctr", basis_key="v1", metrics={"auc": auc})
    return store


def test_promote_show_diff_and_roll_back(store):
    first, second = store.prompts().to_dict()["prompt"]
    where = str(store.path)
    assert "ctr@prod serves" in run("prompts", "promote", where, first, "--channel", "prod").stdout
    run("prompts", "promote", where, second, "--channel", "prod", "--reason", "fresh data")
    listed = json.loads(run("prompts", "list", where, "--json").stdout)
    assert listed["served as"][listed["prompt"].index(second)] == "ctr@prod"
    shown = json.loads(run("prompts", "show", where, "ctr@prod", "--json").stdout)
    assert shown["moves"][-1]["reason"] == "fresh data"
    assert "auc" in run("prompts", "show", where, second).stdout
    changes = json.loads(run("prompts", "diff", where, first, second, "--json").stdout)
    assert "tensor e: cosine" in changes["what"]
    run("prompts", "rollback", where, "ctr", "--channel", "prod")
    assert store.record("ctr@prod").id.startswith(first)
    assert "all prompts are what they were" in run("prompts", "verify", where).stdout


def test_gates_and_problems_give_exit_code_1_and_one_line(store, tmp_path):
    first, second = store.prompts().to_dict()["prompt"]
    where = str(store.path)
    promote = ("prompts", "promote", where, first, "--channel", "prod", "--at-least")
    missed = run(*promote, "auc=0.9")
    assert missed.returncode == 1
    assert "auc is" in missed.stderr
    assert missed.stderr.count("\n") == 1
    wrong = run(*promote, "auc")
    assert wrong.returncode == 2
    assert "METRIC=NUMBER" in wrong.stderr
    path = next((store.path / "prompts").glob(f"{second}*"))
    path.write_bytes(b"")
    for words, said in [(("verify", where), "damaged"), (("list", tmp_path), "no prompt store")]:
        answer = run("prompts", *words)
        assert answer.returncode == 1
        assert said in answer.stdout + answer.stderr
