"""Probes, labels and a sure answer to every text, for the tests of black boxes."""

from __future__ import annotations

import numpy as np

from kinatlas.behavior import builtin_bank

BANK = builtin_bank().first(64)
LABELS = ("neg", "pos")
WORDS = {"pos": ["yes"], "neg": ["no"]}


def share(text: str) -> float:
    return 1 / (1 + np.exp(-(sum(map(ord, text)) % 97 - 48) / 12))


def plain(texts: list[str]) -> list[list[float]]:
    return [[1 - share(text), share(text)] for text in texts]
