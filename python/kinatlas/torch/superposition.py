"""Score the answers of mixed prompts with any causal language model, forward passes only.

Prompts of equal length form a batch, so nothing is padded and nothing has to be masked. A prompt is
read once; answers of several tokens continue from its cached keys and values where the model offers
them. Every batch is written to the ledger before the next one starts, and a second run reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kinatlas.errors import FormatError
from kinatlas.superposition import PromptSet, SuperpositionRecord

__all__ = ["encode_answers", "score_answers", "score_prompts"]

Encode = Callable[[str], list[int]]


def score_prompts(
    model: Any,
    tokenizer: Any,
    prompts: PromptSet,
    *,
    batch_size: int = 8,
    ledger: str | Path | None = None,
    model_name: str = "",
    progress: Callable[[int], object] | None = None,
) -> SuperpositionRecord:
    """Return the record of a prompt set under a model.

    Parameters
    ----------
    model
        A causal language model: called with token ids [n, n_tokens], it returns logits, or an
        object with ``logits`` (and ``past_key_values`` when it was asked for a cache).
    tokenizer
        A Hugging Face tokenizer, or a callable from text to token ids.
    prompts
        From ``build_prompts``. Its terminator is scored after every answer.
    ledger
        Path of a JSON-lines file; scored prompts are appended and never scored again. Entries are
        keyed by tokens and ``model_name``: name the model when you keep a ledger.
    progress
        Called with the number of scored prompts.

    Raises
    ------
    FormatError
        If a prompt and its answer do not tokenise as the prompt followed by the answer.

    Examples
    --------
    >>> import torch
    >>> from kinatlas.superposition import build_prompts
    >>> prompts = build_prompts("copy_letter", [0.5, 0.5, 0], n_examples=4, n_prompts=3)
    >>> uniform = lambda tokens: torch.zeros(*tokens.shape, 128)
    >>> record = score_prompts(uniform, lambda text: [ord(letter) for letter in text], prompts)
    >>> record.log_probabilities[0].round(3)  # letter and newline, 1/128 each
    array([-9.704, -9.704, -9.704])
    """
    encoded = [
        encode_answers(tokenizer, text, answers, prompts.terminator)
        for text, answers in zip(prompts.texts, prompts.answers, strict=True)
    ]
    scores = score_answers(
        model,
        encoded,
        batch_size=batch_size,
        ledger=ledger,
        model_name=model_name,
        progress=progress,
    )
    return prompts.record(scores)


def encode_answers(
    tokenizer: Any, text: str, answers: Sequence[str], terminator: str | None
) -> tuple[list[int], list[list[int]]]:
    """Return the tokens of a prompt and of every answer that follows it.

    Prompt and answer are tokenised together; the prompt's own tokens must be their beginning,
    because a merge across the border would score another prompt.

    Examples
    --------
    >>> encode_answers(lambda text: [ord(letter) for letter in text], "ab>", ["b"], None)
    ([97, 98, 62], [[98]])
    """
    encode = _encoder(tokenizer)
    prompt = encode(text)
    tails = []
    for answer in answers:
        whole = encode(text + answer + (terminator or ""))
        if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            raise FormatError(
                f"prompt ending in {text[-12:]!r} with answer {answer!r}: the tokens of the prompt "
                "change when the answer follows; use a separator that ends a token, such as '->'"
            )
        tails.append(whole[len(prompt) :])
    return prompt, tails


def score_answers(
    model: Any,
    encoded: Sequence[tuple[list[int], list[list[int]]]],
    *,
    batch_size: int = 8,
    ledger: str | Path | None = None,
    model_name: str = "",
    progress: Callable[[int], object] | None = None,
) -> Any:
    """Return ln P of every answer [n_prompts, n_tasks] as float64: sums over all its tokens.

    Examples
    --------
    >>> import torch
    >>> uniform = lambda tokens: torch.zeros(*tokens.shape, 4)
    >>> score_answers(uniform, [([0, 1], [[2], [3, 1]])]).round(4)
    array([[-1.3863, -2.7726]])
    """
    keys = [_key(model_name, prompt, tails) for prompt, tails in encoded]
    known = _read(ledger)
    todo = [place for place, key in enumerate(keys) if key not in known]
    done = len(encoded) - len(todo)
    for places in _batches(encoded, todo, batch_size):
        with torch.inference_mode():
            found = _score_batch(model, [encoded[place] for place in places])
        entries = {keys[place]: row for place, row in zip(places, found, strict=True)}
        _append(ledger, entries)
        known |= entries
        done += len(places)
        if progress is not None:
            progress(done)
    return np.array([known[key] for key in keys], dtype=np.float64)


def _batches(
    encoded: Sequence[tuple[list[int], list[list[int]]]], todo: list[int], batch_size: int
) -> Iterator[list[int]]:
    by_length: dict[int, list[int]] = {}
    for place in todo:
        by_length.setdefault(len(encoded[place][0]), []).append(place)
    for places in by_length.values():
        for start in range(0, len(places), batch_size):
            yield places[start : start + batch_size]


def _score_batch(model: Any, batch: list[tuple[list[int], list[list[int]]]]) -> list[list[float]]:
    device = _device(model)
    tokens = torch.tensor([prompt for prompt, _ in batch], device=device)
    tails = [tail for _, answers in batch for tail in answers]
    n_tasks = len(batch[0][1])
    longest = max(len(tail) for tail in tails)
    # Padding stands after the answer, where a causal model cannot see it from the answer.
    padded = torch.tensor([tail + [0] * (longest - len(tail)) for tail in tails], device=device)
    first, cache = _forward(model, tokens, wants_cache=longest > 1)
    logits = first[:, -1:].repeat_interleave(n_tasks, dim=0)
    if longest > 1:
        if cache is not None:
            cache.batch_repeat_interleave(n_tasks)
            rest = model(padded[:, :-1], past_key_values=cache, use_cache=True).logits
        else:
            whole = torch.cat([tokens.repeat_interleave(n_tasks, dim=0), padded[:, :-1]], dim=1)
            rest = _forward(model, whole, wants_cache=False)[0][:, tokens.shape[1] :]
        logits = torch.cat([logits, rest], dim=1)
    logs = logits.double().log_softmax(dim=-1).gather(2, padded[:, :, None])[:, :, 0]
    lengths = torch.tensor([len(tail) for tail in tails], device=device)
    inside = torch.arange(longest, device=device)[None, :] < lengths[:, None]
    sums = torch.where(inside, logs, torch.zeros_like(logs)).sum(dim=1)
    rows: list[list[float]] = sums.reshape(len(batch), n_tasks).tolist()
    return rows


def _forward(model: Any, tokens: Any, *, wants_cache: bool) -> tuple[Any, Any]:
    if wants_cache and getattr(getattr(model, "config", None), "use_cache", False):
        output = model(tokens, use_cache=True)
        cache = getattr(output, "past_key_values", None)
        if hasattr(cache, "batch_repeat_interleave"):
            return output.logits, cache
    else:
        output = model(tokens)
    return getattr(output, "logits", output), None


def _device(model: Any) -> Any:
    parameters = getattr(model, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    return torch.device("cpu") if first is None else first.device


def _encoder(tokenizer: Any) -> Encode:
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        return lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return lambda text: list(tokenizer(text))


def _key(model_name: str, prompt: list[int], tails: list[list[int]]) -> str:
    text = json.dumps([model_name, prompt, tails], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(ledger: str | Path | None) -> dict[str, list[float]]:
    known: dict[str, list[float]] = {}
    if ledger is None or not Path(ledger).exists():
        return known
    for line in Path(ledger).read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            # A run that was killed while writing leaves half a line; its batch is scored again.
            continue
        known[entry["key"]] = entry["log_probabilities"]
    return known


def _append(ledger: str | Path | None, entries: dict[str, list[float]]) -> None:
    if ledger is None:
        return
    Path(ledger).parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"key": key, "log_probabilities": row}) for key, row in entries.items())
    with Path(ledger).open("a", encoding="utf-8") as file:
        # The newline in front closes half a line that a killed run may have left.
        file.write("\n" + "\n".join(lines) + "\n")
