"""Free text as vectors, without any model: hashed character n-grams."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["character_ngrams"]

_LENGTHS = (2, 3, 4)


def character_ngrams(texts: Sequence[str], dim: int = 256) -> npt.NDArray[np.float64]:
    """Return unit vectors [n_texts, dim] of signed, hashed character n-grams of two to four.

    Letters are folded to lower case and runs of spaces to one. The same text has the same vector
    on every machine; a text without characters is the zero vector.

    References
    ----------
    Weinberger et al. (2009), "Feature hashing for large scale multitask learning".

    Examples
    --------
    >>> vectors = character_ngrams(["Hello there", "hello  there", "quite another text"])
    >>> bool((vectors[0] == vectors[1]).all()), bool(vectors[0] @ vectors[2] < 0.5)
    (True, True)
    """
    found = np.zeros((len(texts), dim))
    for row, text in zip(found, texts, strict=True):
        plain = f" {' '.join(text.casefold().split())} "
        if not plain.strip():
            continue
        for length in _LENGTHS:
            for start in range(len(plain) - length + 1):
                mark = zlib.crc32(plain[start : start + length].encode("utf-8", "surrogatepass"))
                row[(mark >> 1) % dim] += 1.0 if mark & 1 else -1.0
        norm = np.sqrt((row * row).sum())
        if norm > 0:
            row /= norm
    return found
