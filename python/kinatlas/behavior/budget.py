"""Caps in calls, tokens and money that hold at every moment, retries and flying calls included."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kinatlas.behavior.boxes import Answer, BlackBox

__all__ = ["Budget", "Meter", "Purse", "most_tokens"]

# Room for the words a chat protocol puts around a message.
_ENVELOPE = 32


@dataclass(frozen=True)
class Budget:
    """The most a ledger may ever hold in calls, tokens and money; None is no cap.

    A cap is one of the ledger, not of a run, so a resumed run cannot spend it again. Before a call
    its worst case is set aside: one token a byte of the text, and ``max_tokens`` of answer.

    Examples
    --------
    >>> Budget(calls=1000, money=2.5).calls
    1000
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "money"):
            cap = getattr(self, name)
            if cap is not None and (isinstance(cap, bool) or not cap >= 0):
                raise ValueError(f"budget: {name}={cap!r}, expected a number of at least 0 or None")


def most_tokens(box: BlackBox, text: str) -> tuple[int, int]:
    """Return the most tokens that asking ``text`` can read and write.

    A byte-level tokenizer never makes more tokens than bytes. Boxes without ``max_tokens`` among
    their parameters write none.

    Examples
    --------
    >>> from kinatlas.behavior import CallableBox
    >>> most_tokens(CallableBox(len, "a", output="number"), "four")
    (0, 0)
    """
    limit = box.params.get("max_tokens", box.params.get("max_completion_tokens"))
    if limit is None:
        return 0, 0
    return len((box.prompt + text).encode("utf-8", "surrogatepass")) + _ENVELOPE, int(limit)


class Meter:
    """What calls may cost at most, corrected by what boxes were seen to use."""

    def __init__(self) -> None:
        self._above: dict[str, tuple[int, int]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def first_of(self, box: BlackBox, purse: Purse) -> AsyncIterator[None]:
        """Let calls through one at a time until the box has told what a call really uses.

        A box may use more than its texts and its ``max_tokens`` say, for example a prompt of the
        endpoint's own. Only the first call can then go above a cap, not all that are in flight.
        """
        if box.id in self._above or not purse.is_capped:
            yield
            return
        async with self._locks.setdefault(box.id, asyncio.Lock()):
            yield

    def most(self, box: BlackBox, text: str) -> tuple[int, int]:
        """Return the most tokens read and written, plus what the box was seen to use above it."""
        read, write = most_tokens(box, text)
        above = self._above.get(box.id, (0, 0))
        return read + above[0], write + above[1]

    def told(self, box: BlackBox, answer: Answer, most: tuple[int, int]) -> tuple[int, int]:
        """Return the tokens an answer says it used; what is no count is the most it can be."""
        given = (answer.tokens_in, answer.tokens_out)
        used = tuple(
            int(one) if isinstance(one, (int, float)) and 0 <= one < math.inf else top
            for one, top in zip(given, most, strict=True)
        )
        above = self._above.get(box.id, (0, 0))
        self._above[box.id] = (
            above[0] + max(0, used[0] - most[0]), above[1] + max(0, used[1] - most[1])
        )  # fmt: skip
        return used[0], used[1]


class Purse:
    """What is spent and set aside in one event loop."""

    def __init__(self, budget: Budget, spent: tuple[int, int, float]) -> None:
        self._caps = (
            math.inf if budget.calls is None else budget.calls,
            math.inf if budget.tokens is None else budget.tokens,
            math.inf if budget.money is None else budget.money,
        )
        self._spent = [float(number) for number in spent]
        self._aside = [0.0, 0.0, 0.0]
        self._changed = asyncio.Condition()
        #: Whether what a call costs in tokens can stop the run.
        self.is_capped = min(self._caps[1:]) < math.inf
        self.empty: str | None = None

    async def set_aside(self, wanted: tuple[int, int, float]) -> bool:
        """Set the worst case of a call aside; False once it can never fit."""
        async with self._changed:
            while True:
                short = self._short(wanted, self._aside)
                if short is None:
                    self._aside = [a + w for a, w in zip(self._aside, wanted, strict=True)]
                    return True
                # Flying calls may turn out cheaper than feared; without any, it never will fit.
                hopeless = self._short(wanted, [0.0, 0.0, 0.0])
                if hopeless is not None or not any(self._aside):
                    # Of several texts some may still fit.
                    self.empty = (hopeless or short) if wanted[0] == 1 else None
                    return False
                await self._changed.wait()

    async def settle(self, aside: tuple[int, int, float], spent: tuple[int, int, float]) -> None:
        """Give back what was set aside and pay what the call cost."""
        async with self._changed:
            self._aside = [max(0.0, a - w) for a, w in zip(self._aside, aside, strict=True)]
            self._spent = [s + p for s, p in zip(self._spent, spent, strict=True)]
            self._changed.notify_all()

    def _short(self, wanted: tuple[int, int, float], aside: list[float]) -> str | None:
        for name, cap, spent, held, more in zip(
            ("calls", "tokens", "money"), self._caps, self._spent, aside, wanted, strict=True
        ):
            # Sums of prices round; a cap of exactly the bill must not refuse the last call.
            if spent + held + more > cap * (1 + 1e-12):
                return name
        return None
