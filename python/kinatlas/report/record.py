"""What a page was made from: versions, seeds, conventions, and hashes of its inputs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas.errors import DTypeError
from kinatlas.tasks import Atlas

__all__ = ["content_hash", "record_of"]

_BLOCK = 1 << 20


def content_hash(content: Any) -> str:
    """Return the SHA-256 of what an input says, the same on every machine and in every session.

    Takes an Atlas, anything with ``to_dict`` (a matrix, a transfer table, an evaluation), an array,
    a path to a file, plain numbers and texts, and lists and mappings of these; the order of a
    mapping does not matter.

    Raises
    ------
    DTypeError
        For anything else.

    Examples
    --------
    >>> content_hash({"a": [1, 2.5]}) == content_hash({"a": [1, 2.5]})
    True
    >>> content_hash("1") == content_hash(1)
    False
    """
    digest = hashlib.sha256()
    _feed(digest, content)
    return digest.hexdigest()


def record_of(
    inputs: Mapping[str, Any], conventions: Mapping[str, Any], seeds: Any
) -> dict[str, Any]:
    """Return the record of a page as plain values, ready for JSON.

    Examples
    --------
    >>> record = record_of({"scores": [0.5]}, {"gain": "linear"}, seeds=1)
    >>> sorted(record), record["conventions"]
    (['conventions', 'inputs', 'seeds', 'versions'], {'gain': 'linear'})
    """
    versions = {
        "kinatlas": _core.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    return {
        "versions": versions,
        "seeds": plain(seeds),
        "conventions": plain(dict(conventions)),
        "inputs": {
            name: {"what": _described(value), "sha256": content_hash(value)}
            for name, value in inputs.items()
        },
    }


def plain(value: Any) -> Any:
    """Return a value as JSON knows it; what JSON has no word for becomes its text."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _described(value: Any) -> str:
    first = repr(value).splitlines()[0] if not isinstance(value, np.ndarray) else ""
    return first or f"array {list(value.shape)}, {value.dtype}"


def _feed(digest: Any, content: Any) -> None:
    # Kind and length stand before every content, so that no two contents share their bytes.
    if isinstance(content, Atlas):
        head = [content.names, content.space, content.dtype, content.n_tokens, content.dim]
        _mark(digest, "atlas", json.dumps(plain(head)).encode())
        digest.update(np.ascontiguousarray(content._packed[0]).tobytes())
    elif isinstance(content, np.ndarray) and content.dtype.hasobject:
        # Its bytes are addresses, other ones in every session.
        _mark(digest, "objects", f"{content.shape}".encode())
        _feed(digest, content.ravel().tolist())
    elif isinstance(content, np.ndarray):
        _mark(digest, "array", f"{content.dtype.str}{content.shape}".encode())
        digest.update(np.ascontiguousarray(content).tobytes())
    elif isinstance(content, os.PathLike):
        path = Path(content)
        _mark(digest, "file", str(path.stat().st_size).encode())
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    elif is_dataclass(content) and not isinstance(content, type):
        # Every field, since the columns of a result leave out names, units and what was missing.
        _mark(digest, "result", type(content).__name__.encode())
        _feed(digest, {field.name: getattr(content, field.name) for field in fields(content)})
    elif hasattr(content, "to_dict"):
        _mark(digest, "result", type(content).__name__.encode())
        _feed(digest, content.to_dict())
    elif isinstance(content, Mapping):
        _mark(digest, "mapping", str(len(content)).encode())
        for key in sorted(content, key=repr):
            _feed(digest, repr(key))
            _feed(digest, content[key])
    elif isinstance(content, list | tuple):
        _mark(digest, "list", str(len(content)).encode())
        for item in content:
            _feed(digest, item)
    elif content is None or isinstance(content, bool | int | float | str | np.generic):
        value = plain(content)
        _mark(digest, type(value).__name__, repr(value).encode())
    else:
        raise DTypeError(
            f"content: got {type(content).__name__}, expected an Atlas, a result, an array, a "
            "path, numbers, texts, or lists and mappings of these"
        )


def _mark(digest: Any, kind: str, head: bytes) -> None:
    digest.update(f"{kind}:{len(head)}:".encode())
    digest.update(head)
