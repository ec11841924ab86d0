"""Secrets are never written: they are cut out of every text on its way to the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kinatlas.errors import FormatError

__all__ = ["check_no_secret", "scrubbed", "scrubbed_value"]

_SHOWN = "[secret]"
# Shorter texts would be cut out of ordinary words.
_SHORTEST = 6
_NAMES = re.compile(
    r"api[-_]?key|authorization|password|passwd|secret|(^|[-_])token$|bearer", re.IGNORECASE
)
_PATTERN = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{8,}=*")


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without the secrets given and without what looks like a key.

    Examples
    --------
    >>> scrubbed("wrong key open-sesame-123", ["open-sesame-123"])
    'wrong key [secret]'
    >>> scrubbed("Authorization: Bearer abcdefgh12345")
    'Authorization: Bearer [secret]'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, _SHOWN)
    # Half a surrogate pair has no place in a file of UTF-8; it is written as its escape.
    return _PATTERN.sub(_SHOWN, text).encode("utf-8", "backslashreplace").decode("utf-8")


def scrubbed_value(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return a JSON value with every text in it scrubbed.

    Examples
    --------
    >>> scrubbed_value({"said": ["your key is open-sesame-123", 1]}, ["open-sesame-123"])
    {'said': ['your key is [secret]', 1]}
    """
    if isinstance(value, str):
        return scrubbed(value, secrets)
    if isinstance(value, Mapping):
        return {scrubbed(str(k), secrets): scrubbed_value(v, secrets) for k, v in value.items()}
    return [scrubbed_value(one, secrets) for one in value] if isinstance(value, list) else value


def check_no_secret(params: Mapping[str, Any], box: str) -> None:
    """Refuse parameters whose names say that they are secret.

    Examples
    --------
    >>> check_no_secret({"api_key": "x"}, "box")
    Traceback (most recent call last):
    kinatlas.errors.FormatError: box 'box': parameter 'api_key' looks like a secret; ...
    """
    for name, value in params.items():
        if _NAMES.search(str(name)):
            raise FormatError(
                f"box {box!r}: parameter {name!r} looks like a secret; parameters are written to "
                "the ledger, so give it to the client instead"
            )
        for own in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(own, Mapping):
                check_no_secret(own, box)
