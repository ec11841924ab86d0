"""A language model with its prompt is one black box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kinatlas.behavior.boxes import CallableBox, digest
from kinatlas.errors import FormatError

__all__ = ["PromptedModel"]


def PromptedModel(
    llm: Any,
    template: str,
    verbalizers: Mapping[str, Sequence[str]] | None = None,
    *,
    id: str | None = None,
) -> CallableBox:
    """Return a language model with a prompt around every text as one black box.

    Parameters
    ----------
    llm
        A box whose output is ``text`` or ``logprobs``, for example an `Endpoint`.
    template
        Text with ``{text}`` where the probe goes; other braces are left alone.
    verbalizers
        Words that stand for each label, ``{label: [words]}``; None for free text.
    id
        Name; default is the model's id and the first digits of the template's hash.

    Raises
    ------
    FormatError
        If the template has no ``{text}``, the model gives neither text nor log-probabilities, or
        a label has no word.

    Examples
    --------
    >>> llm = CallableBox(lambda texts: ["Yes." if "sun" in t else "No." for t in texts],
    ...                   "parrot", output="text")
    >>> box = PromptedModel(llm, "Nice weather? {text}", {"good": ["yes"], "bad": ["no"]})
    >>> box(["a sunny day", "rain"]), box.labels
    (['Yes.', 'No.'], ('good', 'bad'))
    """
    if "{text}" not in template:
        raise FormatError(f"template {template!r} has no {{text}}, the place of the probe")
    if llm.output not in ("text", "logprobs"):
        raise FormatError(
            f"box {llm.id!r} answers {llm.output!r}; a prompted model needs text or logprobs"
        )
    words = None
    if verbalizers is not None:
        words = {name: tuple(own) for name, own in verbalizers.items()}
        for name, own in words.items():
            if isinstance(verbalizers[name], str) or not own or not all(own):
                raise FormatError(f"verbalizers of {name!r} are {own!r}, expected a list of words")
    elif llm.output == "logprobs":
        raise FormatError("log-probabilities need verbalizers={label: [words]}")

    def function(texts: list[str]) -> Any:
        return llm([template.replace("{text}", text) for text in texts])

    # Whoever calls it can tell what the model is: one that awaits, or one that others share.
    function.__wrapped__ = getattr(llm, "function", llm.__call__)  # type: ignore[attr-defined]

    return CallableBox(
        function,
        id or f"{llm.id}/{digest(template)[:8]}",
        llm.version,
        llm.output,
        verbalizers=words,
        deterministic=llm.deterministic,
        prompt=template,
        params=llm.params,
        batch_size=llm.batch_size,
        price=llm.price,
        secrets=getattr(llm, "secrets", ()),
    )
