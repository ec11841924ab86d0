"""Asking boxes: batches, limits, retries, and a ledger written before and after every call."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from kinatlas._checks import check_choice, check_names, check_number, check_whole
from kinatlas._frames import require
from kinatlas.behavior.accounts import Accounts, accounts, spent_so_far
from kinatlas.behavior.boxes import BlackBox
from kinatlas.behavior.budget import Budget, Purse
from kinatlas.behavior.calls import Caller, Question
from kinatlas.behavior.hold import held
from kinatlas.behavior.ledger import Ledger, question_key
from kinatlas.behavior.probes import ProbeBank
from kinatlas.errors import DTypeError

__all__ = ["ask", "open_questions"]


def ask(
    boxes: Sequence[BlackBox] | BlackBox,
    bank: ProbeBank,
    ledger: Ledger,
    *,
    replicates: int = 1,
    budget: Budget | None = None,
    concurrency: int = 8,
    rate: float | None = None,
    timeout: float = 60.0,
    max_attempts: int = 6,
    longest_wait: float = 60.0,
    errors: str = "keep",
    progress: bool | None = None,
) -> Accounts:
    """Ask every box every probe that the ledger does not hold yet, and return the accounts.

    Whatever is killed, resumes: an answer on disk is never asked again. Calls that were flying
    when the process died are asked again under the same idempotency key and counted as
    ``lost``. Probes are asked in bank order over all boxes, so a run that ends early leaves the
    boxes with common probes. A box whose first 20 answers all fail is set aside.

    Parameters
    ----------
    boxes
        Boxes of any kinds, together.
    bank
        Probes in nested order; ask ``bank.first(n)`` for a small budget.
    ledger
        Where answers go, and what is already known.
    replicates
        Answers wanted for each probe; boxes known to be deterministic are asked once.
    budget
        Caps over the whole ledger.
    concurrency, rate
        Calls in flight, and questions started a second (token bucket), over all boxes.
    timeout, max_attempts, longest_wait
        Seconds of one call; attempts at one question on 429, 5xx, time-outs, broken or malformed
        answers; the longest wait between them. ``Retry-After`` is honoured.
    errors
        ``keep`` questions that failed for good, or ``ask_again``.
    progress
        True shows a bar.

    Raises
    ------
    EndpointError
        If an endpoint refuses every call, for example for a wrong key; answers so far are kept.
    FormatError
        If a parameter of a box looks like a secret, or is no JSON.
    LedgerError
        If the ledger cannot be written, for example on a full disk; answers so far are kept.
    LockedError
        If another run asks for the same ledger.
    ValueError
        If a number is out of range.
    MissingDependencyError
        Without tenacity, or with ``rate`` and without aiolimiter (extra ``behavior``).

    Examples
    --------
    >>> import tempfile
    >>> from kinatlas.behavior import CallableBox, ProbeBank
    >>> box = CallableBox(lambda texts: [float(len(t)) for t in texts], "length", output="number")
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     first = ask(box, ProbeBank.from_texts(["a", "bb"]), ledger)
    ...     again = ask(box, ProbeBank.from_texts(["a", "bb", "ccc"]), ledger)
    >>> first["calls"], again["calls"]
    (2.0, 3.0)
    """
    check_choice(errors, ("keep", "ask_again"), "errors")
    for name, number in (("replicates", replicates), ("concurrency", concurrency),
                         ("max_attempts", max_attempts)):  # fmt: skip
        check_whole(number, name, 1)
    check_number(timeout, "timeout", "seconds above 0", lambda seconds: seconds > 0)
    check_number(longest_wait, "longest_wait", "seconds, not below 0", lambda seconds: seconds >= 0)
    if rate is not None:
        check_number(rate, "rate", "questions a second, above 0", lambda r: 0 < r < math.inf)
    chosen = _boxes(boxes)
    with held(ledger.path):
        for box in chosen:
            ledger.register(box, bank.texts, bank.strata)
        open_now = list(open_questions(chosen, bank, ledger, replicates=replicates, errors=errors))
        caller = Caller(
            ledger, timeout=timeout, max_attempts=max_attempts, longest_wait=longest_wait
        )
        stopped = _finished(
            lambda: _run(caller, open_now, ledger, budget or Budget(), concurrency, rate, progress)
        )
    return accounts(ledger, stopped_by=stopped, set_aside=tuple(sorted(caller.set_aside)))


async def _run(
    caller: Caller, open_now: list[list[Question]], ledger: Ledger, budget: Budget,
    concurrency: int, rate: float | None, progress: bool | None,
) -> str | None:  # fmt: skip
    limiter: Any = nullcontext()
    if rate is not None:
        # The bucket holds a second's worth, or one question where that is less than one.
        limiter = require("aiolimiter", "behavior").AsyncLimiter(max(rate, 1.0), max(1 / rate, 1.0))
    bar = require("tqdm.auto", "behavior").tqdm(total=sum(map(len, open_now))) if progress else None
    try:
        purse = Purse(budget, spent_so_far(ledger))
        queue = iter(open_now)
        failure: list[BaseException] = []

        async def worker() -> None:
            for questions in queue:
                if purse.empty or failure:
                    return
                try:
                    await caller.settle_questions(questions, purse, limiter)
                except Exception as error:
                    failure.append(error)
                if bar is not None:
                    bar.update(len(questions))

        await asyncio.gather(*(worker() for _ in range(concurrency)))
        if failure:
            raise failure[0]
        return purse.empty
    finally:
        caller.close()
        if bar is not None:
            bar.close()


def _finished(run: Any) -> Any:
    """Run a coroutine, in a thread of its own where this one already has an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    found: list[Any] = []

    def inside() -> None:
        try:
            found.append((asyncio.run(run()), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    value, error = found[0]
    if error is not None:
        raise error
    return value


def _boxes(boxes: Sequence[BlackBox] | BlackBox) -> list[BlackBox]:
    chosen = [boxes] if isinstance(boxes, BlackBox) else list(boxes)
    for box in chosen:
        if not isinstance(box, BlackBox):
            raise DTypeError(
                f"boxes: got {type(box).__name__}, expected a black box; wrap a function in "
                "CallableBox and an estimator in EstimatorBox"
            )
    check_names([box.id for box in chosen], "box")
    return chosen


def open_questions(
    boxes: Sequence[BlackBox],
    bank: ProbeBank,
    ledger: Ledger,
    *,
    replicates: int = 1,
    errors: str = "keep",
) -> Iterator[list[Question]]:
    """Yield batches of questions that the ledger does not answer, in the order to ask them.

    Examples
    --------
    >>> import tempfile
    >>> from kinatlas.behavior import CallableBox, ProbeBank
    >>> box = CallableBox(len, "a", output="number", batch_size=2)
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     [len(own) for own in open_questions([box], ProbeBank.from_texts("abc"), ledger)]
    [2, 1]
    """
    known = ledger.answered(with_errors=errors == "keep")
    keys = {id(box): question_key(box, "")[:3] for box in boxes}
    largest = max((box.batch_size for box in boxes), default=1)
    for replicate in range(replicates):
        for start in range(0, len(bank), largest):
            part = range(start, min(start + largest, len(bank)))
            for box in boxes:
                if replicate and box.deterministic:
                    continue
                wanted = [
                    Question(box, bank.texts[at], (*keys[id(box)], bank.keys[at], replicate))
                    for at in part
                    if (*keys[id(box)], bank.keys[at], replicate) not in known
                ]
                for first in range(0, len(wanted), max(1, box.batch_size)):
                    yield wanted[first : first + max(1, box.batch_size)]
