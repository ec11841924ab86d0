"""What a reader hands back, before anybody decides which parts form the atlas."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kinatlas.tasks import LowRank, Provenance
from kinatlas.tasks.packing import Stored

__all__ = ["Options", "Part", "Skip", "file_hash", "space_of", "whole_number"]

#: Base model of a file that names none. Such files share a space only if the user says so.
UNLABELLED = "unlabelled"
_BLOCK = 1 << 20


class Skip(Exception):
    """A file that is not read, with the reason; no fault of the file."""


@dataclass(frozen=True)
class Options:
    """What the caller allows: base model files, pickles or not, factors left in their files."""

    base: tuple[Path, ...] = ()
    allow_pickle: bool = False
    mapped: bool = False


@dataclass(frozen=True)
class Part:
    """One task found in a file: its tokens or its low-rank update."""

    task: str
    space: str
    provenance: Provenance
    tokens: Stored | None = None
    factors: dict[str, LowRank] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped_tensors: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """``tokens`` or ``low_rank``."""
        return "low_rank" if self.tokens is None else "tokens"


def space_of(base_model: str | None, method: str, layout: str) -> str:
    """Return the space of a part: parts of equal space may be compared.

    Examples
    --------
    >>> space_of("t5-base", "PROMPT_TUNING", "dim=768")
    't5-base|PROMPT_TUNING|dim=768'
    >>> space_of(None, "", "dim=768")
    'unlabelled|dim=768'
    """
    return "|".join(word for word in (base_model or UNLABELLED, method, layout) if word)


def whole_number(text: str | None) -> int | None:
    """Return explicit metadata as a number; anything else is unknown, never guessed.

    Examples
    --------
    >>> whole_number("42"), whole_number("forty-two"), whole_number(None)
    (42, None, None)
    """
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "empty").write_bytes(b"")
    ...     file_hash(Path(folder, "empty"))[:8]
    'e3b0c442'
    """
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
