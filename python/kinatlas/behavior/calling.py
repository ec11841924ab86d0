"""Calling functions of any kind from one event loop, so that none can hold up the others."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from kinatlas.behavior.boxes import BlackBox

__all__ = ["Callees", "callee", "is_async"]


def callee(box: BlackBox) -> Callable[..., Any]:
    """Return the function that does the work of a box, below its prompts.

    Examples
    --------
    >>> from kinatlas.behavior import CallableBox, PromptedModel
    >>> llm = CallableBox(lambda texts: ["yes"] * len(texts), "llm", output="text")
    >>> callee(PromptedModel(llm, "{text}?")) is llm.function
    True
    """
    found: Callable[..., Any] = inspect.unwrap(getattr(box, "function", box.__call__))
    return found


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling the function gives something to await.

    Examples
    --------
    >>> is_async(len)
    False
    """
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


class Callees:
    """Calls boxes; plain functions one call at a time each, in a thread of their own.

    Boxes that are prompts around one model share its thread: tokenizers and models rarely expect
    to be called twice at once. A thread is thrown away when a call takes too long, so that one
    text a function hangs on costs no other text and no other box its answer.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._locks: dict[int, asyncio.Lock] = {}
        self._hands: dict[int, _Hand] = {}

    async def answers(self, box: BlackBox, texts: list[str]) -> Any:
        """Return what the box answers; raises ``asyncio.TimeoutError`` when that takes too long."""
        function = callee(box)
        if is_async(function):
            return await asyncio.wait_for(_awaited(box(texts)), self._timeout)
        # Methods are made anew at every look; what they belong to is not.
        key = id(getattr(function, "__self__", None) or function)
        async with self._locks.setdefault(key, asyncio.Lock()):
            hand = self._hands.setdefault(key, _Hand())
            try:
                found = await asyncio.wait_for(hand.call(box, texts), self._timeout)
            except asyncio.TimeoutError:
                hand.let_go()
                del self._hands[key]
                raise
        return await asyncio.wait_for(_awaited(found), self._timeout)

    def close(self) -> None:
        """End the threads once their calls have ended."""
        for hand in self._hands.values():
            hand.let_go()


async def _awaited(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


class _Hand:
    """A thread that makes calls; a daemon, so that a hanging call keeps no process alive."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    async def call(self, function: Callable[..., Any], texts: list[str]) -> Any:
        loop, context = asyncio.get_running_loop(), copy_context()
        done = loop.create_future()

        def settle(value: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(value)
            else:
                done.set_exception(error)

        def work() -> None:
            value: Any = None
            error: BaseException | None = None
            try:
                value = context.run(function, texts)
            except BaseException as raised:
                # No future takes a StopIteration, and a box that calls exit() is not to end all.
                is_plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
                error = raised if is_plain else RuntimeError(f"{type(raised).__name__}: {raised}")
            # The loop is gone when nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, value, error)

        self._work.put(work)
        return await done

    def let_go(self) -> None:
        self._work.put(None)
