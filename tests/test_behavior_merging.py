"""Ledgers of several machines in one: nothing lost, nothing twice, in any order."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from kinatlas.behavior import (
    CallableBox,
    Ledger,
    accounts,
    ask,
    builtin_bank,
    merge_ledgers,
    read_ledger,
)
from kinatlas.errors import FormatError

pytest.importorskip("tenacity")


def box(shift: int, name: str = "length") -> CallableBox:
    return CallableBox(lambda texts: [len(text) + shift for text in texts], name, output="number")


def written(path: Path, boxes: list[CallableBox], n_probes: int) -> Path:
    with Ledger(path) as ledger:
        ask(boxes, builtin_bank().first(n_probes), ledger)
    return path


def content(ledger: Ledger) -> list[tuple]:
    return [(*record.key, record.status, record.value) for record in ledger.records()]


def merged(path: Path, *others: Path) -> list[tuple]:
    with Ledger(path) as ledger:
        merge_ledgers(ledger, *others)
        return content(ledger)


def test_parts_asked_on_several_machines_are_the_whole(tmp_path):
    parts = [
        written(tmp_path / "a.db", [box(0), box(1, "longer")], 8),
        written(tmp_path / "b.db", [box(2, "other")], 8),
    ]
    whole = written(tmp_path / "whole.db", [box(0), box(1, "longer"), box(2, "other")], 8)
    with Ledger(whole, create=False) as ledger:
        expected = content(ledger)
    assert merged(tmp_path / "all.db", *parts) == expected
    with Ledger(tmp_path / "all.db", create=False) as ledger, Ledger(whole, create=False) as other:
        assert accounts(ledger)["calls"] == accounts(other)["calls"] == 24
        answers = [read_ledger(book) for book in (ledger, other)]
        assert answers[0].answers.tobytes() == answers[1].answers.tobytes()
        # Nothing is left to ask.
        again = ask([box(0), box(1, "longer")], builtin_bank().first(8), ledger)
        assert len(ledger) == 24, again


def test_the_first_answer_counts_whatever_the_order_of_the_files(tmp_path):
    first = written(tmp_path / "first.db", [box(0)], 8)
    second = written(tmp_path / "second.db", [box(100)], 16)
    third = written(tmp_path / "third.db", [box(200)], 4)
    with Ledger(first, create=False) as ledger:
        early = content(ledger)
    found = [
        merged(tmp_path / f"all{at}.db", *order)
        for at, order in enumerate(itertools.permutations([first, second, third]))
    ]
    assert all(one == found[0] for one in found)
    assert len(found[0]) == 16
    assert set(early) <= set(found[0])


def test_merging_again_adds_nothing_and_what_was_spent_adds_up(tmp_path):
    first = written(tmp_path / "first.db", [box(0)], 8)
    second = written(tmp_path / "second.db", [box(100)], 16)
    with Ledger(tmp_path / "all.db") as ledger:
        assert merge_ledgers(ledger, first, second) == (24, 16, 8)
        assert merge_ledgers(ledger, second, first) == (0, 0, 0)
        assert merge_ledgers(ledger) == (0, 0, 0)
        assert ledger.rows("SELECT count(*) FROM attempts") == [(24,)]
        assert ledger.rows("SELECT count(*) FROM outcomes") == [(24,)]


def test_what_is_no_ledger_is_named_and_nothing_is_merged(tmp_path):
    first = written(tmp_path / "first.db", [box(0)], 8)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database " * 400)
    with Ledger(tmp_path / "all.db") as ledger:
        for wrong in (broken, tmp_path / "missing.db"):
            with pytest.raises(FormatError, match=wrong.name):
                merge_ledgers(ledger, first, wrong)
        assert len(ledger) == 0
        assert merge_ledgers(ledger, first) == (8, 8, 0)
