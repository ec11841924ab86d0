"""One call to one box: paid for, written down, repeated where that can help."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kinatlas._frames import require
from kinatlas.behavior.boxes import Answer, BlackBox, digest
from kinatlas.behavior.budget import Meter, Purse
from kinatlas.behavior.calling import Callees
from kinatlas.behavior.keys import keyed
from kinatlas.behavior.ledger import Key, Ledger, Outcome, Written
from kinatlas.behavior.parsing import parse
from kinatlas.errors import EndpointError, LedgerError, MissingDependencyError

__all__ = ["Caller", "Question"]

# A box that fails this often before its first success is broken; asking on would only cost.
_HOPELESS = 20
# A wrong key, a forbidden or an unknown model: no other text would fare better.
_HOPELESS_KINDS = ("http_401", "http_403", "http_404")


@dataclass(frozen=True)
class Question:
    """One text for one box under its key."""

    box: BlackBox
    text: str
    key: Key


class _WrongAnswer(Exception):
    """A box that returned something else than one answer a text, or raised."""


class _OutOfBudget(Exception):
    """The next attempt no longer fits the budget."""


class Caller:
    """Makes calls and writes them down; lives in one event loop."""

    def __init__(
        self, ledger: Ledger, *, timeout: float, max_attempts: int, longest_wait: float
    ) -> None:
        self._ledger, self._timeout = ledger, timeout
        self._tries, self._longest = max_attempts, longest_wait
        self._callees, self._meter = Callees(timeout), Meter()
        self._failed: Counter[str] = Counter()
        self._succeeded: set[str] = set()
        self.set_aside: set[str] = set()

    def close(self) -> None:
        """Let go of the threads."""
        self._callees.close()

    async def settle_questions(
        self, questions: Sequence[Question], purse: Purse, limiter: Any
    ) -> None:
        """Have the questions answered, or their failure recorded."""
        box = questions[0].box
        if box.id in self.set_aside or purse.empty:
            return
        tenacity = require("tenacity", "behavior")
        jitter = tenacity.wait_random_exponential(multiplier=0.2, max=self._longest)

        def wait(state: Any) -> float:
            asked = getattr(state.outcome.exception(), "retry_after", None)
            # Jitter comes on top of what the endpoint asked for, or all workers return at once.
            own = float(jitter(state))
            return own if asked is None else min(asked, self._longest) + min(own, 1.0)

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._tries),
            wait=wait,
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, EndpointError) and not error.is_final
            ),
            reraise=True,
        )
        state: dict[str, Any] = {}
        try:
            await retrying(self._attempt, questions, purse, limiter, state)
        except (_OutOfBudget, _WrongAnswer) as error:
            if len(questions) > 1:
                # Ask the texts one by one, so that one bad text costs only its own answer, and a
                # budget too small for all of them still buys some.
                for question in questions:
                    await self.settle_questions([question], purse, limiter)
            elif isinstance(error, _WrongAnswer):
                self._give_up(questions, state, str(error))
        except EndpointError as error:
            if error.kind in _HOPELESS_KINDS:
                raise
            self._give_up(questions, state, f"{error.kind}: {error}", error.kind == "refused")

    async def _attempt(
        self, questions: Sequence[Question], purse: Purse, limiter: Any, state: dict[str, Any]
    ) -> None:
        async with self._meter.first_of(questions[0].box, purse):
            await self._paid(questions, purse, limiter, state)

    async def _paid(
        self, questions: Sequence[Question], purse: Purse, limiter: Any, state: dict[str, Any]
    ) -> None:
        box = questions[0].box
        most = [self._meter.most(box, question.text) for question in questions]
        aside = [(sum(own), box.price.cost(*own)) for own in most]
        wanted = (len(questions), sum(a[0] for a in aside), sum(a[1] for a in aside))
        if not await purse.set_aside(wanted):
            raise _OutOfBudget
        spent, attempts = wanted, []
        try:
            for _ in questions:
                async with limiter:
                    pass
            attempts = self._ledger.begin(
                (question.key, *own) for question, own in zip(questions, aside, strict=True)
            )
            state["attempts"] = attempts
            start = time.perf_counter()
            answers = await self._called(box, questions)
            spent = self._write(box, questions, attempts, answers, most, _milliseconds(start))
        except LedgerError:
            raise
        except BaseException as error:
            if not attempts:
                spent = (0, 0, 0.0)
                raise
            kind, detail = _kind(error), f"{type(error).__name__}: {error}"
            # What a failed call cost is unknown: its tokens count in full, since an endpoint may
            # bill an answer that never arrived.
            outcomes = [
                (attempt, Outcome(kind, detail, _milliseconds(start), own[0], own[1], money))
                for attempt, own, (_, money) in zip(attempts, most, aside, strict=True)
            ]
            self._ledger.finish(outcomes, [], getattr(box, "secrets", ()))
            if isinstance(error, asyncio.TimeoutError):
                raise EndpointError(f"no answer in {self._timeout:g} s", "timeout") from None
            if isinstance(error, (ConnectionError, MissingDependencyError)) or not isinstance(
                error, Exception
            ):
                raise _as_endpoint(error) from None
            raise _WrongAnswer(detail) from error
        finally:
            await purse.settle(wanted, spent)

    async def _called(self, box: BlackBox, questions: Sequence[Question]) -> list[Any]:
        texts = [question.text for question in questions]
        with keyed(digest([question.key for question in questions])):
            answers = await self._callees.answers(box, texts)
        try:
            listed = list(answers)
        except TypeError:
            raise TypeError(f"the box returned {type(answers).__name__}, not a list") from None
        if len(listed) != len(texts):
            raise ValueError(f"{len(listed)} answers to {len(texts)} texts")
        return listed

    def _write(
        self, box: BlackBox, questions: Sequence[Question], attempts: list[int],
        answers: list[Any], most: list[tuple[int, int]], latency: float,
    ) -> tuple[int, int, float]:  # fmt: skip
        outcomes, written, tokens, money = [], [], 0, 0.0
        for question, attempt, given, own in zip(questions, attempts, answers, most, strict=True):
            one = given if isinstance(given, Answer) else Answer(given)
            value = _jsonable(one.value)
            read_in, out = self._meter.told(box, one, own)
            cost = box.price.cost(read_in, out)
            tokens, money = tokens + read_in + out, money + cost
            if one.is_refused:
                status, mass, reason = "refused", 0.0, str(value)
            else:
                read = parse(box.output, box.labels, box.verbalizers, value)
                status, mass, reason = read.status, read.mass, read.reason
            self._watch(box, status in ("ok", "refused"))
            outcomes.append(
                (attempt, Outcome(status, reason, latency, read_in, out, cost, one.model))
            )  # fmt: skip
            written.append(
                Written(attempt, question.key, status, value, mass, reason, one.model)
            )  # fmt: skip
        self._ledger.finish(outcomes, written, getattr(box, "secrets", ()))
        return len(questions), tokens, money

    def _give_up(
        self, questions: Sequence[Question], state: dict[str, Any], reason: str,
        is_refused: bool = False,
    ) -> None:  # fmt: skip
        box, status = questions[0].box, "refused" if is_refused else "error"
        rows = [
            Written(attempt, question.key, status, None, 0.0, reason)
            for attempt, question in zip(state["attempts"], questions, strict=True)
        ]
        self._ledger.finish([], rows, getattr(box, "secrets", ()))
        self._watch(box, is_refused)

    def _watch(self, box: BlackBox, is_good: bool) -> None:
        if is_good:
            self._succeeded.add(box.id)
        elif box.id not in self._succeeded:
            self._failed[box.id] += 1
            if self._failed[box.id] >= _HOPELESS:
                self.set_aside.add(box.id)


def _milliseconds(start: float) -> float:
    return 1e3 * (time.perf_counter() - start)


def _kind(error: BaseException) -> str:
    if isinstance(error, EndpointError):
        return error.kind
    if isinstance(error, asyncio.TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError):
        return "connection"
    return "exception" if isinstance(error, Exception) else "interrupted"


def _as_endpoint(error: BaseException) -> BaseException:
    if isinstance(error, ConnectionError) and not isinstance(error, EndpointError):
        return EndpointError(f"{type(error).__name__}: {error}", "connection")
    return error


def _jsonable(value: Any) -> Any:
    """The answer as it will be read back: arrays, mappings and sequences of any kind as JSON."""
    return json.loads(json.dumps(_plain(value), default=str))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [_plain(one) for one in value]
    return value
