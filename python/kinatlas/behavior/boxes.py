"""Black boxes: anything that answers texts, with the names that make its answers comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from kinatlas._checks import check_choice, check_names
from kinatlas.errors import FormatError

__all__ = [
    "OUTPUTS",
    "Answer",
    "BlackBox",
    "CallableBox",
    "EstimatorBox",
    "Output",
    "Price",
    "digest",
    "fingerprint",
    "negated",
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
    tokens_in: int = 0
    tokens_out: int = 0
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


def EstimatorBox(
    estimator: Any, id: str, *, version: str = "1", labels: Sequence[str] | None = None
) -> CallableBox:
    """Return a fitted scikit-learn classifier or regressor of texts as a black box.

    ``predict_proba`` is preferred; then ``decision_function`` of two classes through a logistic
    function; then ``predict``. Labels default to ``classes_``.

    Raises
    ------
    FormatError
        If the estimator can predict nothing.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = make_pipeline(CountVectorizer(), LogisticRegression())
    >>> box = EstimatorBox(model.fit(["good", "bad"], ["pos", "neg"]), "bag")
    >>> box.labels, len(box(["good", "bad", "fine"]))
    (('neg', 'pos'), 3)
    """
    found = getattr(estimator, "classes_", None)
    names = tuple(str(name) for name in (labels if labels is not None else _given(found)))
    if hasattr(estimator, "predict_proba"):
        return CallableBox(
            lambda texts: np.asarray(estimator.predict_proba(texts)).tolist(),
            id, version, "probabilities", names, deterministic=True,
        )  # fmt: skip
    if hasattr(estimator, "decision_function") and len(names) == 2:

        def logistic(texts: list[str]) -> list[list[float]]:
            margins = np.clip(np.asarray(estimator.decision_function(texts)), -500, 500)
            first = 1 / (1 + np.exp(margins))
            return np.stack([first, 1 - first], axis=1).tolist()  # type: ignore[no-any-return]

        return CallableBox(logistic, id, version, "probabilities", names, deterministic=True)
    if not hasattr(estimator, "predict"):
        raise FormatError(f"box {id!r}: {type(estimator).__name__} has no predict method")
    if names:
        return CallableBox(
            lambda texts: [str(name) for name in estimator.predict(texts)],
            id, version, "label", names, deterministic=True,
        )  # fmt: skip
    return CallableBox(
        lambda texts: [float(number) for number in estimator.predict(texts)],
        id, version, "number", deterministic=True,
    )  # fmt: skip


def _given(values: Any) -> Sequence[Any]:
    return () if values is None else list(values)


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
    # A certain answer has no finite opposite; the smallest float keeps it a probability.
    weights = [1 / max(float(share), 1e-300) for share in ordered]
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

    return called
