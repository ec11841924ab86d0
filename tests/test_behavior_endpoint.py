"""An endpoint that misbehaves loses no answer, breaks no budget, and is told on."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinatlas.behavior import Budget, Endpoint, Ledger, Price, ProbeBank, PromptedModel, ask
from kinatlas.errors import EndpointError
from misbehaving import SECRET, Desk, serving

pytest.importorskip("openai")
pytest.importorskip("tenacity")

WORDS = {"even": ["yes"], "odd": ["no"]}
TROUBLES = {
    "rate": ["429", "429"],
    "broken": ["500", "500", "500"],
    "sleepy": ["timeout"],
    "garbled": ["malformed", "empty"],
    "cut": ["cut"],
    "hangup": ["hangup"],
    "refusing": ["refuse"],
    "newer": ["new_model"],
    "chatty": ["chatter"],
    "dead": ["500"] * 99,
}


def bank(n: int = 3) -> ProbeBank:
    words = [*TROUBLES, "plain"]
    return ProbeBank.from_texts([f"{w} {'x' * i}" for w in words for i in range(n)], words * n)


def box(address: str, **options):
    model = Endpoint("parrot", base_url=address, api_key=SECRET, timeout=2.0, **options)
    return PromptedModel(model, "Is it even? {text}", WORDS, id="parrot")


@pytest.mark.parametrize("options", [{}, {"output": "logprobs"}, {"stream": True}])
def test_no_answer_is_lost_and_every_anomaly_is_counted(tmp_path: Path, options: dict) -> None:
    desk, probes = Desk(TROUBLES), bank()
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        own = box(address, price=Price(0.0, 1.0, 1.0), **options)
        found = ask(own, probes, ledger, timeout=6.0, max_attempts=5, longest_wait=0.5)
        again = ask(own, probes, ledger, timeout=2.0)
    assert found["answers"] == again["answers"] == len(probes)
    assert again["calls"] == found["calls"], "a second run asked something again"
    row = {name: values[0] for name, values in found.columns.items()}
    # Every word but the dead and the refusing ends well; chatter has no label word, unless
    # log-probabilities say what the words do not.
    chatter = 0 if options.get("output") == "logprobs" else 3
    assert (row["error"], row["parse_failure"], row["refused"]) == (3, chatter, 3)
    expected = {
        "rate_limited": 6,
        "server_error": 3 * (3 + 5),
        "timeout": 3,
        "refused": 3,
        "parse_failure": chatter,
        "model_changed": 1,
    }
    seen = dict(found.anomalies)
    # Where a broken connection or body is noticed differs between layers of the client.
    broken = sum(seen.get(kind, 0) for kind in ("malformed", "connection", "truncated"))
    assert broken == 3 * (2 + 1 + 1)
    for kind in expected:
        assert seen.get(kind, 0) == expected[kind], (kind, seen)
    assert found.models["parrot"] == ("parrot-1", "parrot-2")
    assert "answered as 2 models" in repr(found)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    desk = Desk({"rate": ["429"]})
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        ask(box(address), ProbeBank.from_texts(["rate"]), ledger, longest_wait=5.0)
    (_, first), (_, second) = desk.times
    assert second - first >= 0.3


@pytest.mark.parametrize("name", ["calls", "tokens", "money"])
def test_no_budget_is_broken_by_retries_or_by_flying_calls(tmp_path: Path, name: str) -> None:
    probes, price = bank(), Price(0.0, 1.0, 1.0)
    cap = {"calls": 17, "tokens": 700, "money": 700e-6}[name]
    desk = Desk({word: own for word, own in TROUBLES.items() if word != "sleepy"})
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        own = box(address, price=price)
        for _ in range(2):
            found = ask(
                own, probes, ledger, budget=Budget(**{name: cap}), concurrency=6, longest_wait=0.1
            )
            spent = found["cost" if name == "money" else name]
            assert 0 < spent <= cap * (1 + 1e-9)
            assert found.stopped_by == name
    assert name != "calls" or sum(desk.seen.values()) <= cap


def test_a_wrong_key_stops_the_run_and_is_written_nowhere(tmp_path: Path) -> None:
    with serving(Desk({"": ["401"] * 99})) as address, Ledger(tmp_path / "answers.db") as ledger:
        with pytest.raises(EndpointError, match="AuthenticationError") as caught:
            ask(box(address), bank(), ledger, concurrency=1)
        assert caught.value.kind == "http_401"
        assert len(ledger) == 0
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_text_the_endpoint_will_not_take_costs_only_itself(tmp_path: Path) -> None:
    desk = Desk({"plain": ["400"] * 99})
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        found = ask(box(address), bank(1), ledger)
    assert (found.columns["error"], found.columns["ok"]) == ([1], [10])
    assert desk.seen == dict.fromkeys(desk.seen, 1), "a final refusal was asked again"


def test_the_rate_limit_spreads_the_calls(tmp_path: Path) -> None:
    pytest.importorskip("aiolimiter")
    desk = Desk()
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        ask(box(address), bank(1), ledger, rate=5.0, concurrency=8)
    seconds = sorted(second for _, second in desk.times)
    # A bucket of 5 lets 5 pass at once; the other 6 wait for a fifth of a second each, 1.2 s in
    # all, less what the first call takes to reach the server. Unlimited it is 0.1 s.
    assert len(seconds) == 11
    assert seconds[-1] - seconds[0] >= 0.8


@pytest.mark.parametrize("options", [{}, {"stream": True}])
@pytest.mark.parametrize("usage", ["honest", "none", "huge"])
def test_money_is_counted_whatever_the_endpoint_says_of_its_tokens(
    tmp_path: Path, usage: str, options: dict
) -> None:
    probes, cap = ProbeBank.from_texts([f"text {at}" for at in range(120)]), 1500
    with (
        serving(Desk(usage=usage)) as address,
        Ledger(tmp_path / "answers.db") as ledger,
    ):
        own = box(address, price=Price(0.0, 1e6, 1e6), **options)
        found = ask(own, probes, ledger, budget=Budget(money=cap), concurrency=8)
    assert found.stopped_by == "money"
    # A message is 18 to 20 letters long and one word is said; what is not told counts in full:
    # template and text of 24 to 26, 32 around them, 5 to say. Of 550 tokens two fit, not eight.
    each = {"honest": (19, 21), "none": (61, 63), "huge": (550, 550)}[usage]
    assert each[0] * found["answers"] <= found["cost"] <= each[1] * found["answers"]
    assert cap - found["cost"] < max(each[1], 63), "the run stopped before the money was spent"


def test_a_date_to_come_back_at_is_honoured(tmp_path: Path) -> None:
    desk = Desk({"rate": ["429 until"]})
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        ask(box(address), ProbeBank.from_texts(["rate"]), ledger, longest_wait=5.0)
    (_, first), (_, second) = desk.times
    # Dates have whole seconds: two seconds ahead is at least one.
    assert second - first >= 1.0


def test_a_refusal_without_log_probabilities_is_a_refusal(tmp_path: Path) -> None:
    desk = Desk({"curt": ["curt refusal"]})
    with serving(desk) as address, Ledger(tmp_path / "answers.db") as ledger:
        found = ask(box(address, output="logprobs"), ProbeBank.from_texts(["curt"]), ledger)
    assert (found.columns["refused"], found["calls"]) == ([1], 1)


def test_an_endpoint_that_repeats_the_key_gets_it_written_nowhere(tmp_path: Path) -> None:
    with serving(Desk({"": ["echo"]})) as address, Ledger(tmp_path / "answers.db") as ledger:
        found = ask(box(address), bank(1), ledger)
        assert found.models["parrot"] == ("[secret]",)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_another_model_under_the_same_name_is_asked_anew(tmp_path: Path) -> None:
    with serving(Desk()) as address, Ledger(tmp_path / "answers.db") as ledger:
        for model in ("parrot", "raven"):
            llm = Endpoint(model, base_url=address, api_key=SECRET)
            own = PromptedModel(llm, "Is it even? {text}", WORDS, id="best prompt")
            found = ask(own, bank(1), ledger)
    assert found["calls"] == 2 * len(bank(1))
