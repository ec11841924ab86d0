"""Boxes of all kinds, good and bad: named errors, recorded failures, and the run goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from kinatlas.behavior import (
    Answer,
    Budget,
    CallableBox,
    EstimatorBox,
    Ledger,
    Price,
    ProbeBank,
    PromptedModel,
    accounts,
    alignment,
    ask,
    builtin_bank,
    dry_run,
    embed_behavior,
    negated,
    paired_similarity,
    read_ledger,
)
from kinatlas.errors import FormatError, ShapeError, SpaceError, UnknownNameError

pytest.importorskip("tenacity")

BANK = builtin_bank().first(64)
LABELS = ("neg", "pos")


def share(text: str) -> float:
    return 1 / (1 + np.exp(-(sum(map(ord, text)) % 97 - 48) / 12))


def plain(texts: list[str]) -> list[list[float]]:
    return [[1 - share(text), share(text)] for text in texts]


def thirds(texts: list[str]) -> list[list[float]]:
    return [[share(text) / 2, share(text) / 2, 1 - share(text)] for text in texts]


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "answers.db") as own:
        yield own


def test_a_negated_box_is_minus_one(ledger: Ledger) -> None:
    for function, labels in (
        (plain, LABELS),
        (
            lambda texts: [[share(t) / 2, share(t) / 2, 1 - share(t)] for t in texts],
            ("a", "b", "c"),
        ),
    ):
        box = CallableBox(function, f"box {len(labels)}", labels=labels)
        other = negated(box)
        ask([box, other], BANK, ledger)
        found = paired_similarity(read_ledger(ledger, boxes=[box.id, other.id]))
        pair = found.pair(box.id, other.id)
        assert pair["similarity"] == pytest.approx(-1.0, abs=1e-12)
        assert pair["high"] < -1 + 1e-9


def test_boxes_of_all_kinds_answer_in_one_call(ledger: Ledger) -> None:
    async def waiting(texts: list[str]) -> list[dict[str, float]]:
        await asyncio.sleep(0.001)
        return [{"pos": share(t), "neg": 1 - share(t)} for t in texts]

    class Model:
        classes_ = np.array(["neg", "pos"])

        def predict(self, texts):
            return np.where([share(t) > 0.5 for t in texts], "pos", "neg")

    llm = CallableBox(
        lambda texts: [{" Yes": np.log(share(t)), "no": np.log(1 - share(t))} for t in texts],
        "llm", output="logprobs",
    )  # fmt: skip
    boxes = [
        CallableBox(plain, "sync", labels=LABELS),
        CallableBox(waiting, "async", labels=("pos", "neg")),
        EstimatorBox(Model(), "estimator"),
        PromptedModel(llm, "{text}", {"pos": ["yes"], "neg": ["no"]}, id="prompted"),
    ]
    ask(boxes, BANK, ledger)
    found = read_ledger(ledger)
    assert found.labels == LABELS
    values = paired_similarity(found, n_replicates=0)
    # The template is "{text}", so the prompted model saw the very same text.
    assert values.pair("sync", "prompted")["similarity"] == pytest.approx(1.0, abs=1e-9)
    assert values.pair("sync", "async")["similarity"] == pytest.approx(1.0, abs=1e-12)
    assert 0.5 < values.pair("sync", "estimator")["similarity"] < 1


BAD = {
    "nan": [float("nan"), 0.5],
    "unnormalised": [0.9, 0.9],
    "negative": [-0.1, 1.1],
    "too many": [0.2, 0.3, 0.5],
    "wrong labels": {"good": 0.5, "bad": 0.5},
    "nothing": None,
    "a word": "pos",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_one_bad_answer_is_a_recorded_failure(bad: object, ledger: Ledger) -> None:
    marked = BANK.texts[5]
    box = CallableBox(
        lambda texts: [bad if t == marked else plain([t])[0] for t in texts], "b", labels=LABELS
    )
    found = ask([box, CallableBox(plain, "good", labels=LABELS)], BANK, ledger)
    assert found.columns["parse_failure"] == [1, 0]
    reason = ledger.rows("SELECT reason FROM answers WHERE status = 'parse_failure'")[0][0]
    assert reason
    responses = read_ledger(ledger)
    assert len(responses.common().bank) == 64
    assert paired_similarity(responses, n_replicates=0).pair("b", "good")["similarity"] > 0.9


def test_an_exception_on_one_text_costs_only_that_text(ledger: Ledger) -> None:
    def fragile(texts: list[str]) -> list[list[float]]:
        if BANK.texts[3] in texts:
            raise RuntimeError("I hate this text")
        return plain(texts)

    found = ask([CallableBox(fragile, "f", labels=LABELS)], BANK, ledger)
    assert (found.columns["ok"], found.columns["error"]) == ([63], [1])
    assert found.anomalies["exception"] >= 1
    responses = read_ledger(ledger)
    assert len(responses.common().bank) == 63
    again = ask([CallableBox(fragile, "f", labels=LABELS)], BANK, ledger)
    assert again["calls"] == found["calls"]
    healed = ask([CallableBox(plain, "f", labels=LABELS)], BANK, ledger, errors="ask_again")
    assert (healed["calls"], healed.columns["ok"]) == (found["calls"] + 1, [64])


def test_a_hopeless_box_is_set_aside_and_the_others_go_on(ledger: Ledger) -> None:
    short = CallableBox(lambda texts: plain(texts)[:-1], "short", labels=LABELS, batch_size=8)
    found = ask([short, CallableBox(plain, "good", labels=LABELS)], BANK, ledger, concurrency=2)
    assert found.set_aside == ("short",)
    rows = dict(zip(found.columns["box"], found.columns["ok"], strict=True))
    assert rows == {"short": 0, "good": 64}
    with pytest.raises(ShapeError, match="'short' 0"):
        read_ledger(ledger).common()


def test_refusals_are_answers_of_their_own(ledger: Ledger) -> None:
    def shy(texts: list[str]) -> list[Answer]:
        return [Answer("I would rather not", is_refused=True) if i % 4 == 0
                else Answer(own) for i, own in enumerate(plain(texts))]  # fmt: skip

    ask([CallableBox(shy, "shy", labels=LABELS), CallableBox(plain, "bold", labels=LABELS)],
        BANK, ledger)  # fmt: skip
    responses = read_ledger(ledger)
    assert responses.is_answered.all()
    assert responses.coordinates(mass="coordinate").shape[2] == 3
    assert (responses.mass[responses.boxes.index("shy")] == 0).sum() == 16


def test_different_label_sets_refuse_to_meet_but_align(ledger: Ledger) -> None:
    two = CallableBox(plain, "two", labels=LABELS)
    three = CallableBox(thirds, "three", labels=("x", "y", "z"))
    ask([two, three], BANK, ledger)
    with pytest.raises(SpaceError, match="alignment"):
        read_ledger(ledger)
    a, b = (read_ledger(ledger, boxes=[name]) for name in ("two", "three"))
    assert alignment(a, b)[0][0, 0] > 0.8
    assert embed_behavior(a).space != embed_behavior(b).space


def test_the_same_ledger_gives_the_same_bits_whatever_the_order_of_calls(tmp_path: Path) -> None:
    boxes = [CallableBox(plain, "a", labels=LABELS, batch_size=b) for b in (1, 7, 64)]
    found = []
    for number, box in enumerate(boxes):
        with Ledger(tmp_path / f"{number}.db") as ledger:
            ask([box, negated(box)], BANK, ledger, concurrency=1 + number)
            responses = read_ledger(ledger)
            similarity = paired_similarity(responses, n_replicates=100)
            surrogates = embed_behavior(responses, method="ridge")
            found.append((similarity.low.tobytes(), surrogates._buffer.tobytes()))
    assert found[0] == found[1] == found[2]


def test_a_dry_run_costs_what_the_run_costs(ledger: Ledger) -> None:
    box = CallableBox(plain, "a", labels=LABELS, price=Price(per_call=0.01), deterministic=False)
    planned = dry_run(box, BANK, ledger, replicates=3)
    assert len(ledger) == 0
    found = ask(box, BANK, ledger, replicates=3)
    assert found["calls"] == planned["calls"] == 192
    assert found["cost"] == pytest.approx(planned["cost"])
    assert dry_run(box, BANK, ledger, replicates=3)["calls"] == 0


def test_an_early_end_leaves_common_probes(ledger: Ledger) -> None:
    boxes = [CallableBox(plain, name, labels=LABELS, batch_size=8) for name in "abc"]
    ask(boxes, BANK, ledger, budget=Budget(calls=96), concurrency=1)
    assert len(read_ledger(ledger).common().bank) == 32


def test_asking_works_inside_a_running_event_loop(ledger: Ledger) -> None:
    async def inside() -> float:
        return ask(CallableBox(plain, "a", labels=LABELS), BANK, ledger)["answers"]

    assert asyncio.run(inside()) == 64
    assert accounts(ledger)["answers"] == 64


def test_nested_banks_and_bad_banks() -> None:
    bank = builtin_bank()
    for n in (64, 128, 256, 2048):
        counts = np.unique(bank.first(n).strata, return_counts=True)[1]
        assert counts.min() == counts.max() == n // 8
    assert len(bank.without(bank.texts[:10])) == 2038
    for bad in ([], [""], [3]):
        with pytest.raises((ShapeError, FormatError)):
            ProbeBank.from_texts(bad)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="2048"):
        bank.first(5000)


def test_boxes_are_checked_at_the_door(ledger: Ledger) -> None:
    with pytest.raises(FormatError, match="labels="):
        CallableBox(plain, "a")
    with pytest.raises(UnknownNameError, match="probabilities"):
        CallableBox(plain, "a", output="probability", labels=LABELS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="CallableBox"):
        ask([plain], BANK, ledger)  # type: ignore[list-item]
    secret = CallableBox(plain, "a", labels=LABELS, params={"api_key": "x"})
    with pytest.raises(FormatError, match="secret"):
        ask(secret, BANK, ledger)
    twins = [CallableBox(plain, "a", labels=LABELS)] * 2
    with pytest.raises(UnknownNameError, match="more than once"):
        ask(twins, BANK, ledger)
