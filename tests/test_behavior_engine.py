"""The engine under attack: hanging calls, greedy boxes, full disks, and two runs at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from kinatlas.behavior import (
    Answer,
    Budget,
    CallableBox,
    Ledger,
    Price,
    PromptedModel,
    ask,
    negated,
)
from kinatlas.errors import LedgerError, LockedError
from plain_boxes import BANK, LABELS, WORDS, plain

pytest.importorskip("tenacity")


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "answers.db") as own:
        yield own


def test_a_hanging_text_holds_up_neither_other_texts_nor_other_boxes(ledger: Ledger) -> None:
    def hanging(texts: list[str]) -> list[list[float]]:
        if BANK.texts[3] in texts:
            time.sleep(60)
        return plain(texts)

    boxes = [CallableBox(hanging, "h", labels=LABELS, batch_size=1)]
    boxes += [CallableBox(plain, f"g{at}", labels=LABELS, batch_size=1) for at in range(3)]
    start = time.monotonic()
    # Twelve hanging threads are twice what asyncio's own pool has on two cores.
    found = ask(boxes, BANK, ledger, timeout=0.5, max_attempts=12, longest_wait=0.01)
    assert time.monotonic() - start < 30
    assert found.columns["ok"] == [64, 64, 64, 63]
    assert found.anomalies == {"timeout": 12}


class Counting:
    """A model that notes how many calls are in it at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __call__(self, texts: list[str]) -> list[str]:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.002)
        self.now -= 1
        return ["yes"] * len(texts)

    async def waiting(self, texts: list[str]) -> list[str]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        return ["yes"] * len(texts)


def test_prompts_around_one_plain_model_take_turns(ledger: Ledger) -> None:
    model = Counting()
    llm = CallableBox(model, "llm", output="text", batch_size=4)
    ask([PromptedModel(llm, f"{at} {{text}}", WORDS) for at in range(3)], BANK, ledger)
    assert model.most == 1


def test_a_prompt_around_an_endpoint_keeps_it_as_busy_as_allowed(ledger: Ledger) -> None:
    model = Counting()
    llm = CallableBox(model.waiting, "llm", output="text", batch_size=1)
    box = PromptedModel(llm, "{text}", WORDS, id="p")
    ask([box, negated(box)], BANK, ledger, concurrency=6)
    assert model.most == 6


def test_a_box_that_uses_more_than_it_says_goes_above_no_cap(ledger: Ledger) -> None:
    async def greedy(texts: list[str]) -> list[Answer]:
        await asyncio.sleep(0.005)
        return [Answer(own, tokens_in=100, tokens_out=50) for own in plain(texts)]

    box = CallableBox(greedy, "g", labels=LABELS, batch_size=1, price=Price(0, 1.0, 1.0))
    for budget in (Budget(tokens=1000), Budget(money=2000e-6)):
        found = ask(box, BANK, ledger, budget=budget, concurrency=8)
        assert found["tokens"] <= (budget.tokens or 2000)
    assert found["tokens"] == 1950


def test_tokens_that_are_no_counts_earn_nothing_back(ledger: Ledger) -> None:
    lies = [-100, float("nan"), float("inf"), None, "many"]

    def lying(texts: list[str]) -> list[Answer]:
        return [Answer(own, tokens_in=lies[len(t) % 5]) for t, own in zip(texts, plain(texts),
                                                                          strict=True)]  # fmt: skip

    box = CallableBox(lying, "l", labels=LABELS, batch_size=1, params={"max_tokens": 1})
    found = ask(box, BANK, ledger, budget=Budget(tokens=1000))
    assert 0 < found["tokens"] <= 1000
    assert found.stopped_by == "tokens"


def test_a_budget_below_one_batch_still_buys_what_it_can(ledger: Ledger) -> None:
    found = ask(CallableBox(plain, "a", labels=LABELS), BANK, ledger, budget=Budget(calls=10))
    assert (found["calls"], found.columns["ok"]) == (10, [10])


def test_a_full_disk_is_a_named_error_and_the_run_goes_on_when_there_is_room(
    ledger: Ledger,
) -> None:
    boxes = [CallableBox(plain, name, labels=LABELS, batch_size=4) for name in "ab"]
    ask(boxes, BANK.first(8), ledger)
    known = len(ledger)
    pages = ledger.rows("PRAGMA page_count")[0][0]
    ledger.rows(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(LedgerError, match="full"):
        ask(boxes, BANK, ledger, budget=Budget(tokens=10**9), concurrency=3)
    assert len(ledger) >= known
    ledger.rows("PRAGMA max_page_count=1000000")
    found = ask(boxes, BANK, ledger)
    assert (found.columns["ok"], found["answers"]) == ([64, 64], 128)


SIDE_BY_SIDE = """
import sys, time
from kinatlas.behavior import CallableBox, Ledger, ask, builtin_bank
from kinatlas.errors import LockedError

def slow(texts):
    time.sleep(0.2)
    return [1.0] * len(texts)

box = CallableBox(slow, "a", output="number", batch_size=1)
with Ledger(sys.argv[1]) as ledger:
    print("asking", flush=True)
    try:
        ask(box, builtin_bank().first(64), ledger)
    except LockedError as error:
        print(error)
"""


def test_a_second_process_waits_its_turn_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    command = [sys.executable, "-c", SIDE_BY_SIDE, str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    first.stdout.readline()
    for _ in range(100):
        time.sleep(0.05)
        with Ledger(path) as ledger:
            if len(ledger):
                break
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "another run asks for this ledger" in second.stdout
    box = CallableBox(lambda texts: [1.0] * len(texts), "a", output="number")
    with Ledger(path) as ledger:
        with pytest.raises(LockedError, match="wait for it"):
            ask(box, BANK, ledger)
        first.kill()
        first.communicate()
        assert ask(box, BANK, ledger)["answers"] == 64


def test_every_question_is_put_once_however_calls_interleave(ledger: Ledger) -> None:
    seen: Counter[str] = Counter()

    async def noted(texts: list[str]) -> list[float]:
        seen.update(texts)
        await asyncio.sleep(0.001)
        return [1.0] * len(texts)

    box = CallableBox(noted, "n", output="number", batch_size=3)
    for n in (16, 64, 64):
        ask(box, BANK.first(n), ledger, concurrency=16)
    assert set(seen.values()) == {1}
    assert len(seen) == 64
