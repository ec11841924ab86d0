"""The files of a store: each named by the hash of its bytes, written whole, never changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kinatlas.errors import FormatError, UnknownNameError
from kinatlas.io.atomic import write_whole
from kinatlas.io.prompts.record import Evaluation, PromptRecord, StoredPrompt, unpacked

__all__ = ["Shelf"]

_SUFFIX = ".safetensors"
# Fewer hexadecimal digits than this are more likely a slip than an abbreviation.
_SHORTEST = 4


class Shelf:
    """A folder of prompt files.

    Examples
    --------
    >>> Shelf(Path("nowhere")).ids()
    []
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def ids(self) -> list[str]:
        """Return the ids of all prompts, sorted."""
        return sorted(path.stem for path in self.path.glob(f"[!.]*{_SUFFIX}"))

    def put(self, data: bytes) -> str:
        """Write a file unless it is there and sound, and return its id."""
        name = hashlib.sha256(data).hexdigest()
        if self.problem(name):
            write_whole(self.file(name), data)
        return name

    def read(self, name: str) -> tuple[StoredPrompt, Evaluation | None]:
        """Return a prompt and its evaluation; raises FormatError if it is damaged or missing."""
        return unpacked(self.file(name))

    def record(self, name: str) -> PromptRecord:
        """Return what is known of a prompt; raises as `read`."""
        return self.read(name)[0].record

    def records(self) -> list[PromptRecord]:
        """Return all records; one damaged file does not hide the others, `problems` names it."""
        return [self.record(name) for name in self.ids() if not self.problem(name)]

    def problem(self, name: str) -> str:
        """Return what is wrong with one prompt's file, empty if nothing is."""
        try:
            self.read(name)
        except (FormatError, OSError) as error:
            return str(error)
        return ""

    def problems(self) -> dict[str, str]:
        """Return everything that is wrong, by id or file name.

        Hidden files are those of writers at work, or of killed ones; they are in nobody's way.
        """
        found = {}
        for path in sorted(self.path.glob("[!.]*")):
            problem = self.problem(path.stem) if path.suffix == _SUFFIX else "no prompt's file"
            if problem:
                found[path.stem if path.suffix == _SUFFIX else path.name] = problem
        return found

    def named(self, digits: str) -> str:
        """Return the one id that begins with these digits; raises UnknownNameError otherwise."""
        fitting = [name for name in self.ids() if name.startswith(digits)]
        if len(digits) >= _SHORTEST and len(fitting) == 1:
            return fitting[0]
        found = f"{len(fitting)} prompts begin so" if len(digits) >= _SHORTEST else "too short"
        raise UnknownNameError(
            f"prompt {digits!r}: {found}; expected {_SHORTEST} or more digits of one prompt's id, "
            f"or 'task@channel', in {self.path.parent}"
        )

    def file(self, name: str) -> Path:
        """Return the path of a prompt's file."""
        return self.path / f"{name}{_SUFFIX}"
