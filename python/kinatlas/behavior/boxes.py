"""Black boxes: anything that answers texts, with the names that make its answers comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from kinatlas._checks import check_choice, check_names
from kinatlas.errors import FormatError

__all__ = [
    "OUTPUTS",
    "Answer",
    "BlackBox",
    "CallableBox",
    "Output",
    "Price",
    "digest",
    "fingerprint",
]

Output = Literal["probabilities", "logprobs", "label", "number", "text"]
OUTPUTS: tuple[str, ...] = ("probabilities", "logprobs", "label", "number", "text")


@dataclass(frozen=True)
class Answer:
    """One answer with what it cost; a box may return these instead of bare values.

    Examples
    --------
    >>> Answer([0.9, 0.1], tokens_in=12).tokens_in
    12
    """

    value: Any
    is_refused: bool = False
    #: None where it is not known: the most that the call can have used is then charged.
    tokens_in: int | None = 0
    tokens_out: int | None = 0
    model: str | None = None


@dataclass(frozen=True)
class Price:
    """Money a call costs: a fixed part, and parts per million tokens read and written.

    Examples
    --------
    >>> Price(per_million_in=0.5, per_million_out=1.5).cost(1_000_000, 2_000_000)
    3.5
    """

    per_call: float = 0.0
    per_million_in: float = 0.0
    per_million_out: float = 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return the money of one call with so many tokens."""
        tokens = tokens_in * self.per_million_in + tokens_out * self.per_million_out
        return self.per_call + tokens / 1e6


@runtime_checkable
class BlackBox(Protocol):
    """Anything that maps a list of texts to as many answers, at once or awaited.

    ``output`` says what an answer is: ``probabilities`` (a sequence in the order of ``labels``, or
    a mapping by label), ``logprobs`` (a mapping of token to log-probability), ``label``, ``number``
    or ``text``. Answers may be bare values or `Answer` objects.
    """

    @property
    def id(self) -> str:
        """Stable name."""

    @property
    def version(self) -> str:
        """What else changes its answers."""

    @property
    def output(self) -> Output:
        """What an answer is."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The closed label set, or None."""

    @property
    def verbalizers(self) -> Mapping[str, Sequence[str]] | None:
        """Words that stand for each label, or None."""

    @property
    def deterministic(self) -> bool | None:
        """Whether the same text always gets the same answer; None if unknown."""

    @property
    def prompt(self) -> str:
        """The template around a text; empty without one."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Sampling parameters and the like, without secrets."""

    @property
    def batch_size(self) -> int:
        """Texts of one call."""

    @property
    def price(self) -> Price:
        """Money a call costs."""

    def __call__(self, texts: list[str]) -> Any:
        """Answer every text, in order."""


@dataclass(frozen=True)
class CallableBox:
    """A Python function of a list of texts, sync or async, as a black box.

    Parameters
    ----------
    function
        Takes a list of texts, returns as many answers; a coroutine function is awaited.
    id, version
        Name, and whatever else changes the answers; both enter the fingerprint.
    output, labels, verbalizers
        What an answer is; see `BlackBox`.
    deterministic
        Whether a text always gets the same answer; None if unknown.

    Raises
    ------
    FormatError
        If the output needs labels and has none.
    UnknownNameError
        For an unknown output, an empty id, or repeated labels.

    Examples
    --------
    >>> box = CallableBox(lambda texts: [[0.9, 0.1] if "good" in t else [0.2, 0.8] for t in texts],
    ...                   id="keyword", labels=("positive", "negative"))
    >>> box(["a good day"])
    [[0.9, 0.1]]
    """

    function: Callable[[list[str]], Any]
    id: str
    version: str = "1"
    output: Output = "probabilities"
    labels: tuple[str, ...] | None = None
    verbalizers: Mapping[str, Sequence[str]] | None = None
    deterministic: bool | None = None
    prompt: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 64
    price: Price = Price()
    #: Texts that are cut out of everything on its way to the ledger.
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        check_names([self.id], "box")
        check_choice(self.output, OUTPUTS, "output")
        if self.labels is None and self.verbalizers is not None:
            object.__setattr__(self, "labels", tuple(self.verbalizers))
        if self.labels is not None:
            object.__setattr__(self, "labels", check_names(self.labels, "label"))
        if self.labels is None and self.output in ("probabilities", "label"):
            raise FormatError(
                f"box {self.id!r}: output {self.output!r} needs labels=, the names its answers "
                "are aligned by"
            )

    def __call__(self, texts: list[str]) -> Any:
        """Answer every text, in order."""
        return self.function(texts)


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, the same on every machine.

    Examples
    --------
    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(box: BlackBox) -> str:
    """Return the hash of everything that makes a box this box, but prompt and parameters.

    Examples
    --------
    >>> box = CallableBox(len, "a", output="number")
    >>> fingerprint(box) == fingerprint(CallableBox(sum, "a", output="number"))
    True
    """
    words = None if box.verbalizers is None else {k: list(v) for k, v in box.verbalizers.items()}
    labels = None if box.labels is None else list(box.labels)
    return digest([box.id, box.version, box.output, labels, words])
