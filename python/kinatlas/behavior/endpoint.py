"""Any endpoint that speaks the OpenAI protocol, through its own client."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal

from kinatlas._checks import check_choice
from kinatlas._frames import require
from kinatlas.behavior.boxes import Answer, CallableBox, Output, Price
from kinatlas.behavior.keys import call_key
from kinatlas.errors import EndpointError

__all__ = ["Endpoint"]


def Endpoint(
    model: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    output: Literal["text", "logprobs"] = "text",
    protocol: Literal["chat", "completions"] = "chat",
    params: Mapping[str, Any] | None = None,
    stream: bool = False,
    version: str = "",
    price: Price | None = None,
    timeout: float = 60.0,
) -> CallableBox:
    """Return an OpenAI-compatible HTTP endpoint as a black box of texts; wrap it in a prompt.

    Parameters
    ----------
    model, base_url, api_key
        As the ``openai`` client takes them; the key is never written anywhere. Where the same
        model lives at two addresses, tell them apart by ``version``.
    output
        ``text``, or ``logprobs`` of the first token where the endpoint offers them.
    protocol
        ``chat`` or the older ``completions``.
    params
        Sampling parameters; default temperature 0 and 5 tokens.
    stream
        Read the answer as a stream; one that ends early is asked again.

    Raises
    ------
    MissingDependencyError
        If the ``openai`` package is not installed (extra ``behavior``).

    Examples
    --------
    >>> box = Endpoint("some-model", base_url="http://127.0.0.1:1/v1", api_key="not-a-key")
    >>> box.id, dict(box.params)
    ('some-model', {'temperature': 0, 'max_tokens': 5, 'protocol': 'chat', 'model': 'some-model'})
    """
    check_choice(output, ("text", "logprobs"), "output")
    check_choice(protocol, ("chat", "completions"), "protocol")
    openai = require("openai", "behavior")
    sampling = {"temperature": 0, "max_tokens": 5, **(params or {})}
    key = api_key if api_key is not None else os.environ.get("OPENAI_API_KEY")

    @lru_cache(1)
    def trusted() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=require("certifi", "behavior").where())

    async def ask(texts: list[str]) -> list[Answer]:
        # One client a call: a client may not outlive the event loop it was made in. Reading the
        # trusted certificates is most of its cost (0.1 of 0.11 s), so that is done once. Retries
        # are the asking engine's, which pays for them from the budget and counts them.
        async with openai.AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(verify=trusted()),
        ) as client:
            return [
                await _one(openai, client, model, text, output, protocol, sampling, stream)
                for text in texts
            ]

    return CallableBox(
        ask,
        model,
        version,
        output,
        deterministic=None,
        # The model too: under a name of its own a prompt would else keep another model's answers.
        params={**sampling, "protocol": protocol, "model": model},
        batch_size=1,
        price=price or Price(),
        secrets=(key,) if key else (),
    )


async def _one(
    openai: Any, client: Any, model: str, text: str, output: Output,
    protocol: str, sampling: Mapping[str, Any], stream: bool,
) -> Answer:  # fmt: skip
    request: dict[str, Any] = {"model": model, **sampling}
    if stream:
        request["stream_options"] = {"include_usage": True}
    key = call_key()
    if key:
        request["extra_headers"] = {"Idempotency-Key": key}
    if protocol == "chat":
        request["messages"] = [{"role": "user", "content": text}]
        create = client.chat.completions.create
        if output == "logprobs":
            request |= {"logprobs": True, "top_logprobs": 20}
    else:
        request["prompt"] = text
        create = client.completions.create
        if output == "logprobs":
            request["logprobs"] = 20
    try:
        found = await create(**request, stream=True) if stream else await create(**request)
        return await _streamed(found, output) if stream else _whole(found, protocol, output)
    except openai.OpenAIError as error:
        raise _translated(openai, error) from None
    except (ValueError, AttributeError, TypeError, IndexError, KeyError) as error:
        raise EndpointError(
            f"{model}: the answer is not what the protocol promises ({type(error).__name__}: "
            f"{error})", "malformed",
        ) from None  # fmt: skip
    except OSError as error:
        raise EndpointError(f"{model}: {type(error).__name__}: {error}", "connection") from None
    except Exception as error:
        # Lower layers of the client raise their own kinds when a stream breaks off.
        if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise EndpointError(f"{model}: {type(error).__name__}: {error}", "truncated") from None
        raise


def _whole(found: Any, protocol: str, output: Output) -> Answer:
    choice = found.choices[0]
    if choice.finish_reason is None:
        raise EndpointError("the answer ends without a finish reason", "truncated")
    is_chat = protocol == "chat"
    content = choice.message.content if is_chat else choice.text
    refusal = getattr(choice.message, "refusal", None) if is_chat else None
    listed: Mapping[str, float] = {}
    # A refusal has no first token to list alternatives of.
    if output == "logprobs" and not refusal and choice.finish_reason != "content_filter":
        first = choice.logprobs.content[0].top_logprobs if is_chat else None
        listed = (
            dict(choice.logprobs.top_logprobs[0])
            if first is None
            else {entry.token: entry.logprob for entry in first}
        )
    return _answer(
        found, getattr(found, "usage", None), content, refusal, choice.finish_reason, listed, output
    )


async def _streamed(found: Any, output: Output) -> Answer:
    content, refusal, reason, last, usage = "", "", None, None, None
    listed: dict[str, float] = {}
    async for piece in found:
        last, usage = piece, getattr(piece, "usage", None) or usage
        for choice in piece.choices[:1]:
            content += choice.delta.content or ""
            refusal += getattr(choice.delta, "refusal", None) or ""
            reason = choice.finish_reason or reason
            if output == "logprobs" and not listed and choice.logprobs is not None:
                entries = choice.logprobs.content[0].top_logprobs
                listed = {entry.token: entry.logprob for entry in entries}
    if reason is None or last is None:
        raise EndpointError("the stream ends without a finish reason", "truncated")
    return _answer(last, usage, content, refusal, reason, listed, output)


def _answer(
    found: Any, usage: Any, content: Any, refusal: Any, reason: str,
    listed: Mapping[str, float], output: Output,
) -> Answer:  # fmt: skip
    mark = getattr(found, "system_fingerprint", None)
    return Answer(
        value=dict(listed) if output == "logprobs" and listed else (refusal or content or ""),
        is_refused=bool(refusal) or reason == "content_filter",
        tokens_in=getattr(usage, "prompt_tokens", None),
        tokens_out=getattr(usage, "completion_tokens", None),
        model=f"{found.model}@{mark}" if mark else str(found.model),
    )


def _translated(openai: Any, error: Any) -> EndpointError:
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, openai.APITimeoutError):
        return EndpointError(message, "timeout")
    if isinstance(error, openai.APIConnectionError):
        return EndpointError(message, "connection")
    if isinstance(error, openai.RateLimitError):
        return EndpointError(message, "rate_limited", _seconds(error))
    status = getattr(error, "status_code", None)
    if status is None or 200 <= status < 300:
        return EndpointError(message, "malformed")
    if status >= 500 or status in (408, 409):
        return EndpointError(message, "server_error", _seconds(error))
    if status == 400 and "content" in str(getattr(error, "code", "")):
        return EndpointError(message, "refused", is_final=True)
    return EndpointError(message, f"http_{status}", is_final=True)


def _seconds(error: Any) -> float | None:
    """Seconds that ``Retry-After`` asks to wait, which is a number or a date."""
    try:
        said = str(error.response.headers["retry-after"])
    except (AttributeError, KeyError):
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(said)
        then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
        return max(0.0, (then - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError):
        return None
