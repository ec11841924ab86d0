"""Families of tasks that share their questions, so that a mixed prompt stays ambiguous.

The questions of a family are drawn from offline tables: the bundled countries and words, babel's
locale data and num2words. Lines look as in arXiv 2410.05603, ``question`` + separator + ``answer``.
"""

from __future__ import annotations

import csv
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from kinatlas._checks import check_known
from kinatlas._frames import require

__all__ = ["Family", "family", "family_names"]

_LOWEST, _HIGHEST = 10, 99


@dataclass(frozen=True)
class Family:
    """Tasks over common questions; ``draw(rng)`` gives a question and the answer of every task."""

    name: str
    tasks: tuple[str, ...]
    separator: str
    draw: Callable[[np.random.Generator], tuple[str, tuple[str, ...]]]


def family_names() -> tuple[str, ...]:
    """Return the names that ``family`` knows.

    Examples
    --------
    >>> "operands" in family_names()
    True
    """
    return tuple(_FAMILIES)


def family(name: str) -> Family:
    """Return a family of tasks by name.

    - ``operands``: copy A, copy B, A+B of two-digit numbers, ``12@45=12``
    - ``add_translate``: A+B as digits and as English, French, Spanish words (num2words)
    - ``number_names``: a two-digit number in French, German, Italian words (num2words)
    - ``country``: capital, continent, name in capitals
    - ``country_names``: the name of a country in French, German, Spanish (babel)
    - ``word``: first letter, last letter, lower case, upper case
    - ``copy_letter``: first, second, third of three distinct letters, ``abc>b``

    Raises
    ------
    UnknownNameError
        For other names.
    MissingDependencyError
        If num2words or babel is needed and missing.

    Examples
    --------
    >>> import numpy as np
    >>> chosen = family("operands")
    >>> question, answers = chosen.draw(np.random.default_rng(0))
    >>> question, dict(zip(chosen.tasks, answers))
    ('86@67', {'copy A': '86', 'copy B': '67', 'A+B': '153'})
    """
    check_known(name, list(_FAMILIES), "family")
    return _FAMILIES[name]()


def _operands() -> Family:
    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        first, second = _numbers(rng, 2)
        return f"{first}@{second}", (str(first), str(second), str(first + second))

    return Family("operands", ("copy A", "copy B", "A+B"), "=", draw)


def _add_translate() -> Family:
    say = require("num2words", "prompts").num2words

    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        first, second = _numbers(rng, 2)
        words = (say(first + second, lang=language) for language in ("en", "fr", "es"))
        return f"{first}+{second}", (str(first + second), *words)

    return Family("add_translate", ("digits", "English", "French", "Spanish"), "->", draw)


def _number_names() -> Family:
    say = require("num2words", "prompts").num2words

    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        (number,) = _numbers(rng, 1)
        return str(number), tuple(say(number, lang=language) for language in ("fr", "de", "it"))

    return Family("number_names", ("French", "German", "Italian"), "->", draw)


def _country() -> Family:
    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        row = _drawn(rng, _countries())
        return row[0], (row[1], row[2], row[0].upper())

    return Family("country", ("capital", "continent", "upper case"), "->", draw)


def _country_names() -> Family:
    locale = require("babel", "prompts").Locale
    tables = [locale(language).territories for language in ("en", "fr", "de", "es")]
    known = {row[0] for row in _countries()}
    # Not every language has a name for every territory.
    codes = sorted(set.intersection(*(set(table) for table in tables)))
    names = [tuple(str(table[code]) for table in tables) for code in codes]
    rows = [row for row in names if row[0] in known]

    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        row = _drawn(rng, rows)
        return row[0], row[1:]

    return Family("country_names", ("French", "German", "Spanish"), "->", draw)


def _word() -> Family:
    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        word = _drawn(rng, _words())
        letters = (word[0], word[-1])
        return word.capitalize(), (*letters, word, word.upper())

    return Family("word", ("first letter", "last letter", "lower case", "upper case"), "->", draw)


def _copy_letter() -> Family:
    def draw(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        letters = rng.choice(list(string.ascii_lowercase), size=3, replace=False).tolist()
        return "".join(letters), tuple(letters)

    return Family("copy_letter", ("first", "second", "third"), ">", draw)


_FAMILIES: dict[str, Callable[[], Family]] = {
    "operands": _operands,
    "add_translate": _add_translate,
    "number_names": _number_names,
    "country": _country,
    "country_names": _country_names,
    "word": _word,
    "copy_letter": _copy_letter,
}


def _numbers(rng: np.random.Generator, count: int) -> list[int]:
    drawn: list[int] = rng.integers(_LOWEST, _HIGHEST + 1, size=count).tolist()
    return drawn


def _drawn(rng: np.random.Generator, rows: Any) -> Any:
    return rows[int(rng.integers(len(rows)))]


def _bundled(name: str) -> str:
    return (resources.files("kinatlas") / "data" / "superposition" / name).read_text("utf-8")


@lru_cache(maxsize=1)
def _countries() -> tuple[tuple[str, ...], ...]:
    rows = list(csv.reader(_bundled("countries.csv").splitlines()))
    return tuple(tuple(row) for row in rows[1:])


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    return tuple(word for word in _bundled("words.txt").split() if word[0] != word[-1])
