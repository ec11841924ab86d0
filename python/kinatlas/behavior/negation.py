"""The box that says the opposite: a positive control for every similarity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kinatlas.behavior.boxes import Answer, CallableBox
from kinatlas.behavior.responses import FLOOR
from kinatlas.errors import FormatError

__all__ = ["negated"]


def negated(box: CallableBox, id: str | None = None) -> CallableBox:
    """Return the box that says the opposite: every centred logit, and every number, times -1.

    Raises
    ------
    FormatError
        If the answers have no opposite: free text, or hard labels of more than two classes.

    Examples
    --------
    >>> box = CallableBox(lambda texts: [[0.75, 0.25]] * len(texts), "a", labels=("yes", "no"))
    >>> negated(box)(["x"])
    [[0.25, 0.75]]
    """
    name = id or f"not {box.id}"
    if box.verbalizers is not None and box.labels is not None and len(box.labels) == 2:
        first, second = box.labels
        swapped = {first: box.verbalizers[second], second: box.verbalizers[first]}
        return replace(box, id=name, verbalizers=swapped)
    if box.output == "number":
        return replace(box, id=name, function=_after(box.function, lambda value: -float(value)))
    if box.output == "probabilities" and box.labels is not None:
        labels = box.labels
        return replace(box, id=name, function=_after(box.function, lambda v: _inverse(v, labels)))
    if box.output == "label" and box.labels is not None and len(box.labels) == 2:
        other = dict(zip(box.labels, reversed(box.labels), strict=True))
        return replace(
            box, id=name, function=_after(box.function, lambda value: other.get(value, value))
        )
    raise FormatError(f"box {box.id!r}: answers of kind {box.output!r} have no opposite")


def _inverse(value: Any, labels: tuple[str, ...]) -> Any:
    ordered = [value[name] for name in labels] if isinstance(value, Mapping) else list(value)
    if len(ordered) == 2:
        return [ordered[1], ordered[0]]
    # A certain answer has no finite opposite; the floor is the one that logits see.
    floor = FLOOR * max(float(share) for share in ordered)
    weights = [1 / max(float(share), floor) for share in ordered]
    return [weight / sum(weights) for weight in weights]


def _after(function: Callable[[list[str]], Any], change: Callable[[Any], Any]) -> Any:
    def changed(found: Any) -> list[Any]:
        return [
            replace(one, value=change(one.value)) if isinstance(one, Answer) else change(one)
            for one in found
        ]

    def called(texts: list[str]) -> Any:
        found = function(texts)
        if hasattr(found, "__await__"):

            async def awaited() -> list[Any]:
                return changed(await found)

            return awaited()
        return changed(found)

    called.__wrapped__ = function  # type: ignore[attr-defined]
    return called
