"""From a raw answer to numbers, by rules that are fixed and say why they fail."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Parsed", "label_masses", "parse"]

# Probabilities printed with three digits still count as probabilities.
_SUM_TOLERANCE = 1e-3
# Below this share of the listed tokens a model did not answer in the words it was asked to use.
_LEAST_MASS = 0.01


@dataclass(frozen=True)
class Parsed:
    """What was read from one answer: ``ok`` with its numbers, or why there are none.

    ``mass`` is the probability the model put on any label word at all, 1 where it is not known.
    """

    status: str
    values: tuple[float, ...] = ()
    mass: float = 1.0
    reason: str = ""


def parse(
    output: str,
    labels: Sequence[str] | None,
    verbalizers: Mapping[str, Sequence[str]] | None,
    value: Any,
) -> Parsed:
    """Return the numbers of one raw answer, in the order of ``labels``.

    A wrong number of probabilities, NaN, negative numbers, a sum off 1 by more than 0.001, an
    unknown label and an answer without any label word are ``parse_failure`` with a reason.

    Examples
    --------
    >>> parse("probabilities", ["no", "yes"], None, {"yes": 0.75, "no": 0.25}).values
    (0.25, 0.75)
    >>> parse("probabilities", ["no", "yes"], None, [0.75, 0.75]).reason
    'probabilities sum to 1.5, expected 1'
    >>> parse("text", ["no", "yes"], None, "Yes, it is.").values
    (0.0, 1.0)
    """
    try:
        if output == "probabilities":
            return _probabilities(list(labels or ()), value)
        if output == "logprobs":
            return _logprobs(list(labels or ()), verbalizers, value)
        if output == "number":
            return _number(value)
        if not isinstance(value, str):
            return _failed(f"the answer is a {type(value).__name__}, expected a text")
        if labels is None:
            return Parsed("ok")
        if output == "label":
            return _chosen(list(labels), [value] if value in labels else [], value)
        return _chosen(list(labels), _said(list(labels), verbalizers, value), value)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        return _failed(f"{type(error).__name__}: {error}")


def _failed(reason: str, mass: float = 0.0) -> Parsed:
    return Parsed("parse_failure", mass=mass, reason=reason)


def _probabilities(labels: list[str], value: Any) -> Parsed:
    if isinstance(value, Mapping):
        if set(value) != set(labels):
            return _failed(f"labels are {sorted(map(str, value))}, expected {sorted(labels)}")
        value = [value[name] for name in labels]
    shares = [float(share) for share in value]
    if len(shares) != len(labels):
        return _failed(f"{len(shares)} probabilities, expected {len(labels)}")
    if not all(math.isfinite(share) for share in shares):
        return _failed("probabilities hold NaN or infinity")
    if min(shares) < 0:
        return _failed(f"a probability is {min(shares):g}, expected none below 0")
    total = math.fsum(shares)
    if abs(total - 1) > _SUM_TOLERANCE:
        return _failed(f"probabilities sum to {total:g}, expected 1")
    return Parsed("ok", tuple(share / total for share in shares))


def _number(value: Any) -> Parsed:
    number = float(value)
    if not math.isfinite(number):
        return _failed(f"the number is {number}")
    return Parsed("ok", (number,))


def label_masses(
    labels: Sequence[str],
    verbalizers: Mapping[str, Sequence[str]] | None,
    logprobs: Mapping[str, float],
) -> tuple[list[float], float]:
    """Return the probability [n_labels] that listed first tokens put on each label's words.

    A token counts for a label when, without spaces and case, it begins one of the label's words
    and no word of another label; probabilities of synonyms and spellings are added. The second
    number bounds what an unlisted token could have: the least listed probability.

    Examples
    --------
    >>> masses, _ = label_masses(["no", "yes"], None, {" Yes": -0.5, "no": -1.5, "the": -3.0})
    >>> [round(mass, 3) for mass in masses]
    [0.223, 0.607]
    """
    words = {
        name: [word.strip().casefold() for word in (verbalizers or {}).get(name, [name])]
        for name in labels
    }
    masses = [0.0] * len(labels)
    for token, logprob in logprobs.items():
        if math.isnan(float(logprob)) or float(logprob) > 1e-6:
            raise ValueError(f"the log-probability of {token!r} is {logprob}")
        shape = token.strip().casefold()
        owners = [
            at
            for at, name in enumerate(labels)
            if shape and any(word.startswith(shape) for word in words[name])
        ]
        if len(owners) == 1:
            masses[owners[0]] += math.exp(float(logprob))
    return masses, min((math.exp(float(value)) for value in logprobs.values()), default=0.0)


def _logprobs(
    labels: list[str], verbalizers: Mapping[str, Sequence[str]] | None, value: Any
) -> Parsed:
    if not isinstance(value, Mapping) or not value:
        return _failed("no log-probabilities in the answer")
    masses, unlisted = label_masses(labels, verbalizers, value)
    mass = math.fsum(masses)
    if mass < _LEAST_MASS:
        return _failed(f"label words have {mass:.2g} of the probability", mass)
    # A label that was not listed is at most as likely as the last one listed; half of that bound
    # keeps its logit finite without claiming to know it.
    filled = [share if share > 0 else unlisted / 2 for share in masses]
    total = math.fsum(filled)
    return Parsed("ok", tuple(share / total for share in filled), min(mass, 1.0))


def _said(
    labels: list[str], verbalizers: Mapping[str, Sequence[str]] | None, value: str
) -> list[str]:
    """Labels whose words the text says first: the earliest word wins, then the longest."""
    found: list[tuple[int, int, str]] = []
    for name in labels:
        for word in (verbalizers or {}).get(name, [name]):
            match = re.search(rf"(?<!\w){re.escape(word.strip())}(?!\w)", value, re.IGNORECASE)
            if match:
                found.append((match.start(), -len(word), name))
    if not found:
        return []
    best = min(found)[:2]
    return sorted({name for start, length, name in found if (start, length) == best})


def _chosen(labels: list[str], said: list[str], value: str) -> Parsed:
    if len(said) != 1:
        shown = value if len(value) <= 60 else value[:57] + "..."
        return _failed(f"{shown!r} names {len(said)} of the labels, expected 1")
    return Parsed("ok", tuple(1.0 if name == said[0] else 0.0 for name in labels))
