"""Hugging Face models as black boxes, in the process that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from kinatlas.behavior import CallableBox, PromptedModel
from kinatlas.errors import FormatError

__all__ = ["CausalBox", "PipelineBox"]

_LISTED = 50


def PipelineBox(
    pipeline: Any, id: str, *, version: str = "1", labels: Sequence[str] | None = None
) -> CallableBox:
    """Return a transformers text-classification pipeline as a black box of probabilities.

    Raises
    ------
    FormatError
        If the labels are neither given nor in the model's configuration.

    Examples
    --------
    >>> def pipeline(texts, top_k):
    ...     return [[{"label": "pos", "score": 0.75}, {"label": "neg", "score": 0.25}]] * len(texts)
    >>> PipelineBox(pipeline, "toy", labels=["neg", "pos"])(["fine"])
    [{'pos': 0.75, 'neg': 0.25}]
    """
    known = getattr(getattr(getattr(pipeline, "model", None), "config", None), "id2label", None)
    names = list(labels) if labels is not None else list((known or {}).values())
    if not names:
        raise FormatError(f"box {id!r}: the pipeline names no labels; give labels=")

    def answers(texts: list[str]) -> list[dict[str, float]]:
        return [
            {str(one["label"]): float(one["score"]) for one in own}
            for own in pipeline(list(texts), top_k=None)
        ]

    return CallableBox(answers, id, version, labels=tuple(names), deterministic=True)


def CausalBox(
    model: Any,
    tokenizer: Any,
    template: str,
    verbalizers: Mapping[str, Sequence[str]],
    *,
    id: str,
    version: str = "1",
    batch_size: int = 8,
) -> CallableBox:
    """Return a causal language model with a prompt as a black box of next-token probabilities.

    The box is a `PromptedModel`: log-probabilities of the 50 likeliest next tokens, mapped onto
    the verbalizers, with the mass they have together.

    Raises
    ------
    FormatError
        If the template has no ``{text}`` or a label has no word.

    Examples
    --------
    >>> class Toy(torch.nn.Module):
    ...     def forward(self, input_ids, attention_mask):
    ...         from types import SimpleNamespace
    ...         return SimpleNamespace(logits=torch.eye(3)[input_ids])
    >>> class Words:
    ...     padding_side, pad_token = "left", "x"
    ...     def __call__(self, texts, **_):
    ...         ids = torch.tensor([[len(t) % 3] for t in texts])
    ...         return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    ...     def decode(self, ids):
    ...         return ["no", "yes", "hm"][int(ids[0])]
    >>> box = CausalBox(Toy(), Words(), "{text}", {"n": ["no"], "y": ["yes"]}, id="toy")
    >>> sorted(box(["abc"])[0])
    ['hm', 'no', 'yes']
    """
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"

    def listed(texts: list[str]) -> list[dict[str, float]]:
        batch = tokenizer(list(texts), return_tensors="pt", padding=True)
        with torch.inference_mode():
            # Left padding keeps the last position the last token of every text.
            logits = model(**batch).logits[:, -1].float()
        top = torch.log_softmax(logits, dim=-1).topk(min(_LISTED, logits.shape[-1]))
        rows = []
        for values, ids in zip(top.values.tolist(), top.indices.tolist(), strict=True):
            row: dict[str, float] = {}
            for value, token in zip(values, ids, strict=True):
                # Different tokens may be written alike; their probabilities add.
                word = tokenizer.decode([token])
                both = torch.logaddexp(torch.tensor(row.get(word, -torch.inf)), torch.tensor(value))
                row[word] = min(float(both), 0.0)
            rows.append(row)
        return rows

    llm = CallableBox(
        listed, id, version, "logprobs", deterministic=True, batch_size=batch_size,
        params={"listed": _LISTED},
    )  # fmt: skip
    return PromptedModel(llm, template, verbalizers, id=id)
