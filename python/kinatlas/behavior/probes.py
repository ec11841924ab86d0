"""Probe banks: frozen texts in one nested order, named by their content."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from kinatlas._checks import check_known_all
from kinatlas.behavior.boxes import digest
from kinatlas.errors import FormatError, ShapeError

__all__ = ["ProbeBank", "builtin_bank", "probe_key"]


def probe_key(text: str) -> str:
    """Return the SHA-256 of a text, by which it is known everywhere.

    Examples
    --------
    >>> probe_key("a")[:8]
    'ca978112'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, repr=False)
class ProbeBank:
    """Texts in a fixed order whose every beginning holds the strata in proportion.

    The order depends on the texts alone, not on the order they were given in: inside a stratum by
    hash, strata interleaved by how much of them was used. So the first 64 are part of the first
    128, and any two boxes share the probes of the smaller budget. Build it with ``from_texts``.

    Examples
    --------
    >>> bank = ProbeBank.from_texts(["a", "b", "c", "d"], ["x", "x", "y", "y"])
    >>> sorted(bank.first(2).strata), len(bank)
    (['x', 'y'], 4)
    >>> bank.id == ProbeBank.from_texts(["d", "c", "b", "a"], ["y", "y", "x", "x"]).id
    True
    """

    texts: tuple[str, ...]
    strata: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.texts or len(self.texts) != len(self.strata):
            raise ShapeError(
                f"a bank needs texts and one stratum each, got {len(self.texts)} and "
                f"{len(self.strata)}"
            )
        for text in self.texts:
            try:
                is_text = bool(text.strip()) and bool(text.encode("utf-8"))
            except (AttributeError, UnicodeEncodeError):
                is_text = False
            if not is_text:
                raise FormatError(f"probe {text!r} is not a non-empty text of Unicode characters")

    @classmethod
    def from_texts(cls, texts: Iterable[str], strata: Sequence[str] | None = None) -> ProbeBank:
        """Build a bank; equal texts are kept once.

        Raises
        ------
        FormatError
            If a text is not a non-empty string.
        ShapeError
            If there is no text, or not one stratum a text.

        Examples
        --------
        >>> len(ProbeBank.from_texts(["a", "b", "a"]))
        2
        """
        given = list(texts)
        groups = [""] * len(given) if strata is None else [str(one) for one in strata]
        cls(tuple(given), tuple(groups))
        members: dict[str, dict[str, str]] = {}
        seen: set[str] = set()
        for text, group in zip(given, groups, strict=True):
            if text not in seen:
                seen.add(text)
                members.setdefault(group, {})[probe_key(text)] = text
        placed = []
        for group, own in members.items():
            for at, key in enumerate(sorted(own)):
                placed.append(((at + 0.5) / len(own), group, key, own[key]))
        placed.sort()
        return cls(tuple(row[3] for row in placed), tuple(row[1] for row in placed))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Hash of every probe, in order."""
        return tuple(probe_key(text) for text in self.texts)

    @cached_property
    def id(self) -> str:
        """Hash of the content: texts, strata and order."""
        return digest([list(self.keys), list(self.strata)])

    def first(self, n_probes: int) -> ProbeBank:
        """Return the first so many probes; a larger budget later extends them.

        Raises `ShapeError` if the bank holds fewer.

        Examples
        --------
        >>> len(builtin_bank().first(64))
        64
        """
        if not 1 <= n_probes <= len(self):
            raise ShapeError(f"the bank holds {len(self)} probes, {n_probes} were asked for")
        return ProbeBank(self.texts[:n_probes], self.strata[:n_probes])

    def without(self, texts: Iterable[str]) -> ProbeBank:
        """Return the bank less texts a box may have seen, compared without case and spacing.

        Raises `ShapeError` if nothing would be left.

        Examples
        --------
        >>> ProbeBank.from_texts(["A cat.", "A dog."]).without(["a  CAT."]).texts
        ('A dog.',)
        """
        leaked = {_plain(text) for text in texts}
        kept = [at for at, text in enumerate(self.texts) if _plain(text) not in leaked]
        if not kept:
            raise ShapeError("every probe of the bank is among the texts to leave out")
        return ProbeBank(
            tuple(self.texts[at] for at in kept), tuple(self.strata[at] for at in kept)
        )

    def select(self, strata: Iterable[str]) -> ProbeBank:
        """Return the probes of some strata, in the same order.

        Examples
        --------
        >>> set(builtin_bank().select(["weather"]).strata)
        {'weather'}
        """
        wanted = list(strata)
        check_known_all(wanted, sorted(set(self.strata)), "stratum")
        kept = [at for at, stratum in enumerate(self.strata) if stratum in wanted]
        return ProbeBank(
            tuple(self.texts[at] for at in kept), tuple(self.strata[at] for at in kept)
        )

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        names = sorted(set(self.strata))
        return f"ProbeBank of {len(self)} texts in {len(names)} strata, id {self.id[:12]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ProbeBank, (self.texts, self.strata)


def builtin_bank() -> ProbeBank:
    """Return the bank that ships: 2,048 short English texts of our own making in eight strata.

    Examples
    --------
    >>> builtin_bank()
    ProbeBank of 2048 texts in 8 strata, id ...
    """
    source = resources.files("kinatlas") / "data" / "behavior" / "probes.csv"
    rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
    return ProbeBank.from_texts([row["text"] for row in rows], [row["stratum"] for row in rows])


def _plain(text: str) -> str:
    # The same letter may be written as one character or as two.
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
