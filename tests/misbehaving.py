"""A server that speaks the OpenAI protocol and misbehaves on purpose, on the loopback device."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "sk-very-secret-key-0123456789"


class Desk:
    """What the server does with the n-th attempt at a message, and what it billed for it."""

    def __init__(
        self,
        troubles: dict[str, list[str]] | None = None,
        delay: float = 0.0,
        usage: str = "honest",
    ) -> None:
        self.troubles = troubles or {}
        self.delay = delay
        self.usage = usage
        self.seen: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.keys: dict[str, dict] = {}
        self.times: list[tuple[str, float]] = []
        self.lock = threading.Lock()

    def next_trouble(self, message: str) -> str:
        with self.lock:
            self.times.append((message, time.monotonic()))
            at = self.seen[message]
            self.seen[message] += 1
            own = next((t for word, t in self.troubles.items() if word in message), [])
            return own[at] if at < len(own) else "fine"


def answer_to(message: str, *, model: str = "parrot-1", refuse: bool = False) -> dict:
    """A chat completion that says yes to even lengths, with usage and log-probabilities."""
    word = "yes" if len(message) % 2 == 0 else "no"
    other = "no" if word == "yes" else "yes"
    listed = [{"token": word, "logprob": -0.2}, {"token": " " + other, "logprob": -2.0}]
    for entry in listed:
        entry["bytes"] = None
    said = {"role": "assistant", "content": None if refuse else word}
    said["refusal"] = "I will not." if refuse else None
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{
            "index": 0, "message": said, "finish_reason": "stop",
            "logprobs": {"content": [{**listed[0], "top_logprobs": listed}], "refusal": None},
        }],
        "usage": {"prompt_tokens": len(message), "completion_tokens": 1,
                  "total_tokens": len(message) + 1},
    }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    desk: Desk

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.reply(status, json.dumps({"error": {"message": text, "code": None}}).encode(), headers)

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = request["messages"][0]["content"]
        trouble = self.desk.next_trouble(message)
        time.sleep(self.desk.delay)
        try:
            self.act(trouble, message, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def act(self, trouble: str, message: str, request: dict) -> None:
        key = self.headers.get("Idempotency-Key", message)
        if trouble == "429":
            return self.fail(429, f"slow down, {SECRET}", {"Retry-After": "0.3"})
        if trouble == "429 until":
            return self.fail(
                429, "slow down", {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
            )
        if trouble == "500":
            return self.fail(500, "it is not you, it is me")
        if trouble == "400":
            return self.fail(400, "this text is too long")
        if trouble == "401":
            return self.fail(401, f"wrong key {self.headers['Authorization']}")
        if trouble == "timeout":
            time.sleep(4.0)
            return self.fail(500, "too late")
        if trouble == "malformed":
            return self.reply(200, b'{"choices": [{"message": ')
        if trouble == "empty":
            return self.reply(200, b'{"id": "x", "object": "chat.completion", "choices": []}')
        if trouble == "hangup":
            self.close_connection = True
            return self.connection.close()
        found = answer_to(
            message,
            refuse=trouble == "refuse",
            model="parrot-2" if trouble == "new_model" else "parrot-1",
        )
        if trouble == "echo":
            found["model"] = str(self.headers["Authorization"]).split()[-1]
        if trouble == "curt refusal":
            found = answer_to(message, refuse=True)
            found["choices"][0]["logprobs"] = None
        if self.desk.usage == "none":
            del found["usage"]
        elif self.desk.usage == "huge":
            found["usage"] = {"prompt_tokens": 500, "completion_tokens": 50, "total_tokens": 550}
        if trouble == "chatter":
            found["choices"][0]["message"]["content"] = "As a parrot I cannot tell."
        with self.desk.lock:
            # As providers of idempotency keys promise: the same key gets, and pays, one answer.
            if key not in self.desk.keys:
                self.desk.keys[key] = found
                self.desk.billed[message] += 1
            found = self.desk.keys[key]
        body = json.dumps(found).encode()
        if request.get("stream"):
            is_told = bool((request.get("stream_options") or {}).get("include_usage"))
            return self.stream(found, is_cut=trouble == "cut", is_told=is_told)
        if trouble == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:40])
            self.close_connection = True
            return self.connection.close()
        return self.reply(200, body)

    def stream(self, found: dict, *, is_cut: bool, is_told: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        choice = found["choices"][0]
        said = {k: choice["message"][k] for k in ("content", "refusal")}
        for delta, reason in ((said, None), ({}, "stop")):
            if reason and is_cut:
                return
            piece = {
                "id": "x", "object": "chat.completion.chunk", "created": 0, "model": found["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }  # fmt: skip
            self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
        if is_told and "usage" in found:
            last = {**piece, "choices": [], "usage": found["usage"]}
            self.wfile.write(f"data: {json.dumps(last)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


@contextmanager
def serving(desk: Desk):
    """The address of a server behind this desk, while it runs."""
    handler = type("Own", (Handler,), {"desk": desk})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
