"""Answers of every shape: what was parsed is what is read, and what cannot be costs only itself."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from kinatlas.behavior import (
    Answer,
    CallableBox,
    Ledger,
    ProbeBank,
    PromptedModel,
    ask,
    negated,
    paired_similarity,
    read_ledger,
)
from kinatlas.errors import FormatError, ShapeError
from plain_boxes import BANK, LABELS, WORDS, plain, share

pytest.importorskip("tenacity")


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "answers.db") as own:
        yield own


SHAPES = {
    "iterator": lambda own: iter(own),
    "mapping": lambda own: MappingProxyType(dict(zip(LABELS, own, strict=True))),
    "array": lambda own: np.array(own, dtype=np.float32),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_was_parsed_is_what_is_read_back(shape, ledger: Ledger) -> None:
    odd = CallableBox(lambda texts: [shape(own) for own in plain(texts)], "odd", labels=LABELS)
    ask([odd, CallableBox(plain, "good", labels=LABELS)], BANK, ledger)
    found = read_ledger(ledger)
    assert abs(found.answers[0] - found.answers[1]).max() < 1e-6


WILD = {
    "half a character": "\ud800",
    "more digits than json prints": 10**6000,
    "itself": (lambda own: own.append(own) or own)([]),
}


@pytest.mark.parametrize("wild", WILD.values(), ids=WILD)
def test_an_answer_that_cannot_be_written_costs_only_itself(wild, ledger: Ledger) -> None:
    marked = BANK.texts[5]
    box = CallableBox(
        lambda texts: [wild if t == marked else plain([t])[0] for t in texts], "w", labels=LABELS
    )
    found = ask([box, CallableBox(plain, "good", labels=LABELS)], BANK, ledger)
    assert found.columns["ok"] == [64, 63]


@pytest.mark.parametrize("raised", [StopIteration, SystemExit])
def test_what_no_future_takes_costs_only_one_text(raised, ledger: Ledger) -> None:
    def fragile(texts: list[str]) -> list[list[float]]:
        if BANK.texts[3] in texts:
            raise raised
        return plain(texts)

    found = ask(CallableBox(fragile, "f", labels=LABELS), BANK, ledger)
    assert (found.columns["ok"], found.columns["error"]) == ([63], [1])
    reasons = ledger.rows("SELECT reason FROM answers WHERE status = 'error'")
    assert raised.__name__ in reasons[0][0]


def test_parameters_that_change_with_the_process_are_refused(ledger: Ledger) -> None:
    box = CallableBox(plain, "a", labels=LABELS, params={"stop": object()})
    with pytest.raises(FormatError, match="params"):
        ask(box, BANK, ledger)


def test_the_opposite_of_a_box_is_minus_one_whatever_it_answers(ledger: Ledger) -> None:
    draw = np.random.default_rng(0)
    logits = {text: draw.normal(0, 12, 3) for text in BANK.texts}

    def certain(texts: list[str]) -> list[list[float]]:
        rows = [np.exp(logits[t] - logits[t].max()) for t in texts]
        return [(row / row.sum()).tolist() for row in rows]

    def listed(texts: list[str]) -> list[dict[str, float]]:
        masses = [0.3 + 0.6 * (len(t) % 7) / 7 for t in texts]
        return [{"yes": np.log(share(t) * m), "no": np.log((1 - share(t)) * m)}
                for t, m in zip(texts, masses, strict=True)]  # fmt: skip

    def shy(texts: list[str]) -> list[Answer]:
        return [Answer("no", is_refused=len(t) % 5 == 0) if len(t) % 5 == 0 else Answer(own)
                for t, own in zip(texts, plain(texts), strict=True)]  # fmt: skip

    llm = CallableBox(listed, "llm", output="logprobs")
    boxes = [
        CallableBox(certain, "certain", labels=("a", "b", "c")),
        PromptedModel(llm, "{text}", WORDS, id="prompted"),
        CallableBox(shy, "shy", labels=LABELS),
        CallableBox(lambda texts: [share(t) for t in texts], "number", output="number"),
        CallableBox(lambda texts: ["pos" if share(t) > 0.5 else "neg" for t in texts], "label",
                    output="label", labels=LABELS),
    ]  # fmt: skip
    for box in boxes:
        other = negated(box)
        ask([box, other], BANK, ledger)
        responses = read_ledger(ledger, boxes=[box.id, other.id])
        pair = paired_similarity(responses, n_replicates=100).pair(box.id, other.id)
        assert pair["similarity"] == pytest.approx(-1.0, abs=1e-12), box.id
    # What the two share is there for the asking: how much they put on label words.
    both = read_ledger(ledger, boxes=["prompted", "not prompted"])
    told = paired_similarity(both, mass="coordinate", n_replicates=0)
    assert -1 < told.pair("prompted", "not prompted")["similarity"] < -0.9


def test_counts_are_smoothed_beside_probabilities_as_they_are_alone(ledger: Ledger) -> None:
    draw = np.random.default_rng(0)

    def sampled(texts: list[str]) -> list[str]:
        return ["pos" if draw.random() < share(t) else "neg" for t in texts]

    boxes = [CallableBox(sampled, "a", output="label", labels=LABELS),
             CallableBox(plain, "b", labels=LABELS)]  # fmt: skip
    ask(boxes, BANK, ledger, replicates=4)
    alone, mixed = read_ledger(ledger, boxes=["a"]), read_ledger(ledger)
    assert np.allclose(alone.coordinates()[0], mixed.coordinates()[0], atol=1e-12)
    # Four of four: (4 + 1/2) / (4 + 1), not 1.
    assert mixed.coordinates()[0].max() <= np.log(9) / 2 + 1e-12


def test_banks_and_numbers_out_of_range_are_refused_at_the_door(ledger: Ledger) -> None:
    for bad in (((), ()), (("a", "b"), ("x",))):
        with pytest.raises(ShapeError, match="one stratum each"):
            ProbeBank(*bad)
    with pytest.raises(FormatError, match="Unicode"):
        ProbeBank.from_texts(["fine", "half \ud800"])
    assert ProbeBank.from_texts(["cafe\u0301", "tea"]).without(["CAFÉ"]).texts == ("tea",)
    box = CallableBox(plain, "a", labels=LABELS)
    for name, number in (("timeout", 0), ("timeout", float("nan")), ("longest_wait", -1),
                         ("rate", 0), ("rate", float("inf"))):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            ask(box, BANK, ledger, **{name: number})
    pytest.importorskip("aiolimiter")
    assert ask(box, BANK.first(1), ledger, rate=0.5)["answers"] == 1


def test_one_probe_is_kept_and_compared_by_no_one(ledger: Ledger) -> None:
    ask([CallableBox(plain, name, labels=LABELS) for name in "ab"], BANK.first(1), ledger)
    with pytest.raises(ShapeError, match="at least 2"):
        paired_similarity(read_ledger(ledger))
