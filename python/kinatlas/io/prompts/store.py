"""A folder of prompts: added once, never changed, served by channels that can be rolled back.

```text
STORE/prompts/ID.safetensors   one prompt; ID is the SHA-256 of the file
STORE/channels.db              which prompt each channel serves, and served before
```
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from kinatlas._seeds import Rng
from kinatlas.errors import FormatError, SpaceError, UnknownNameError
from kinatlas.io.prompts.channels import Channels, Move
from kinatlas.io.prompts.diff import PromptDiff, compared
from kinatlas.io.prompts.entries import Metric, as_checks, as_gates, as_metrics, as_text
from kinatlas.io.prompts.gates import check_gates
from kinatlas.io.prompts.record import SHOWN, Evaluation, PromptRecord, StoredPrompt, packed
from kinatlas.io.prompts.shelf import Shelf
from kinatlas.io.prompts.tables import PromptTable, listed

__all__ = ["PromptStore"]


class PromptStore:
    """Prompts of one team in a folder, with lineage, metrics, channels and the way back.

    A prompt is named by its id, by the first digits of it, or as ``task@channel``.

    Raises
    ------
    FormatError
        If ``create`` is False and the folder is no store, or its journal is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = PromptStore(folder)
    ...     for value, auc in ((1.0, 0.71), (2.0, 0.74)):
    ...         tensors = {"prompt.E": np.full(4, value, np.float32)}
    ...         record = store.add(tensors, task="ctr", basis_key="v1", metrics={"auc": auc})
    ...         _ = store.promote(record.id, "prod", may_drop={"auc": 0.01})
    ...     print(store.load("ctr@prod", basis_key="v1").tensors["prompt.E"])
    ...     _ = store.rollback("ctr", "prod", reason="complaints")
    ...     print(store.load("ctr@prod", basis_key="v1").tensors["prompt.E"])
    [2. 2. 2. 2.]
    [1. 1. 1. 1.]
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path = Path(path)
        journal = self.path / "channels.db"
        if not create and not journal.is_file():
            raise FormatError(f"{self.path}: there is no prompt store (no channels.db)")
        self._shelf = Shelf(self.path / "prompts")
        if create:
            self._shelf.path.mkdir(parents=True, exist_ok=True)
        self.channels = Channels(journal)

    def __repr__(self) -> str:
        return f"PromptStore({str(self.path)!r}): {len(self._shelf.ids())} prompts"

    def add(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        *,
        task: str,
        basis_key: str,
        sources: Mapping[str, str] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        checks: Mapping[str, bool] | None = None,
        settings: Mapping[str, Any] | None = None,
        parent: str = "",
        evaluation: Evaluation | None = None,
        evaluated_on: str = "",
        notes: str = "",
    ) -> PromptRecord:
        """Write a prompt and return its record; adding the same one again changes nothing.

        Parameters
        ----------
        tensors
            Arrays of float16, float32 or float64 by name, such as ``PromptHead.state()``.
        basis_key
            What the prompt belongs to: the hash of the frozen backbone and its features.
        evaluation, evaluated_on
            Labels [n] and scores [n] of a held-out set, and its name: two prompts that were
            evaluated on one set can then be compared pair by pair.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            If a tensor, metric, check or the evaluation is not what it should be.
        UnknownNameError
            If ``task`` is empty or holds an @, or ``parent`` is no prompt of the store.
        """
        _check_name(task, "task")
        if not isinstance(basis_key, str) or not basis_key:
            raise SpaceError(f"basis_key={basis_key!r}: expected the key of a backbone, a text")
        known = PromptRecord(
            "", as_text(task, "task"), as_text(basis_key, "basis_key"), sources or {},
            as_metrics(metrics or {}), as_checks(checks or {}), settings or {},
            self._id(parent) if parent else "", as_text(evaluated_on, "evaluated_on"),
            as_text(notes, "notes"),
        )  # fmt: skip
        return replace(known, id=self._shelf.put(packed(tensors, known, evaluation)))

    def record(self, prompt: str) -> PromptRecord:
        """Return what is known of a prompt without its numbers.

        Raises
        ------
        UnknownNameError
            If there is no such prompt, or the digits name several.
        FormatError
            If its file is damaged or missing.
        """
        return self._shelf.record(self._id(prompt))

    def load(
        self, prompt: str, *, basis_key: str, sources: Mapping[str, str] | None = None
    ) -> StoredPrompt:
        """Return a prompt with its tensors, if it belongs to this backbone and these sources.

        Raises
        ------
        SpaceError
            If it was trained for another backbone, or a source has another id than it had then.
        UnknownNameError, FormatError
            As for `record`.
        """
        found = self._shelf.read(self._id(prompt))[0]
        record = found.record
        if record.basis_key != basis_key:
            raise SpaceError(
                f"prompt {record.id[:SHOWN]} of task {record.task!r} belongs to backbone "
                f"{record.basis_key!r}, this one is {basis_key!r}; train it again on this backbone"
            )
        for name, expected in (sources or {}).items():
            if record.sources.get(name) != expected:
                raise SpaceError(
                    f"prompt {record.id[:SHOWN]} was made with source {name!r} = "
                    f"{record.sources.get(name, 'none')!r}, given is {expected!r}"
                )
        return found

    def promote(
        self,
        prompt: str,
        channel: str,
        *,
        at_least: Mapping[str, float] | None = None,
        may_drop: Mapping[str, float] | None = None,
        basis_key: str | None = None,
        reason: str = "",
    ) -> PromptRecord:
        """Let a channel serve a prompt, if its checks held and its metrics reach the gates.

        ``at_least`` and ``may_drop`` are for metrics where more is better: bars for the metric
        (the low end of its interval, if it has one), and how far below the prompt served now its
        value may lie. Promoting what is served already changes nothing.

        Raises
        ------
        GateError
            If a gate is missed; the channel goes on serving what it serves.
        SpaceError
            If ``basis_key`` is given and the prompt belongs to another backbone.
        UnknownNameError, FormatError
            As for `record`; a damaged prompt is never promoted.
        """
        _check_name(channel, "channel")
        name = self._id(prompt)
        record = self._shelf.record(name)
        if basis_key is not None:
            self.load(name, basis_key=basis_key)
        place, reason = (record.task, channel), as_text(reason, "reason")
        bars, falls = as_gates(at_least or {}, "at_least"), as_gates(may_drop or {}, "may_drop")

        def decide(held: tuple[str, ...]) -> Move | None:
            served = held[-1] if held else ""
            old = self._shelf.record(served) if served and falls else None
            gates = check_gates(record, old, bars, falls)
            if served == name:
                return None
            return Move.now("promote", place, (name, served), reason, gates)

        self.channels.move(place, decide)
        return record

    def rollback(
        self, task: str, channel: str, *, to: str | None = None, reason: str = ""
    ) -> PromptRecord:
        """Let a channel serve again what it served before, or the earlier prompt ``to``.

        Raises
        ------
        UnknownNameError
            If the channel served nothing before, or never served ``to``.
        FormatError
            If the earlier prompt's file is damaged or missing.
        """
        for name, label in ((task, "task"), (channel, "channel")):
            _check_name(name, label)
        reason = as_text(reason, "reason")
        wanted = None if to is None else self._id(to)
        found: list[PromptRecord] = []

        def decide(held: tuple[str, ...]) -> Move:
            earlier = held[:-1]
            if not earlier or (wanted is not None and wanted not in earlier):
                served = ", ".join(one[:SHOWN] for one in earlier) or "nothing"
                asked = "" if wanted is None else f"; asked is {wanted[:SHOWN]}"
                raise UnknownNameError(
                    f"{task}@{channel} cannot be rolled back: before, it served {served}{asked}"
                )
            target = earlier[-1] if wanted is None else wanted
            found.append(self._shelf.record(target))
            return Move.now("rollback", (task, channel), (target, held[-1]), reason, {})

        self.channels.move((task, channel), decide)
        return found[0]

    def diff(
        self,
        before: str,
        after: str,
        *,
        n_draws: int = 1000,
        confidence: float = 0.95,
        rng: Rng = 0,
    ) -> PromptDiff:
        """Return what changed between two prompts; see `PromptDiff`.

        Raises
        ------
        UnknownNameError, FormatError
            As for `record`.
        """
        old, new = (self._shelf.read(self._id(prompt)) for prompt in (before, after))
        return compared(old, new, n_draws=n_draws, confidence=confidence, rng=rng)

    def prompts(self, task: str | None = None) -> PromptTable:
        """Return a table of all prompts, or of one task: channels, backbone, metrics, parent."""
        rows = [row for row in self._shelf.records() if task in (None, row.task)]
        return listed("Prompts", rows, self.channels.places())

    def dependants(self, basis_key: str) -> PromptTable:
        """Return the prompts that belong to a backbone: those to train again when it changes."""
        rows = [row for row in self._shelf.records() if row.basis_key == basis_key]
        return listed(f"Prompts of backbone {basis_key}", rows, self.channels.places())

    def history(self, task: str | None = None, channel: str | None = None) -> PromptTable:
        """Return every move of the channels, oldest first, with reasons and gates."""
        moves = self.channels.moves(task, channel)
        names = ("at", "kind", "task", "channel", "prompt", "previous", "reason", "gates")
        columns = {name: [getattr(move, name) for move in moves] for name in names}
        for name in ("prompt", "previous"):
            columns[name] = [known[:SHOWN] for known in columns[name]]
        return PromptTable("Moves", columns)

    def verify(self) -> PromptTable:
        """Return every problem found: damaged, missing and foreign files.

        An empty table means that every byte is what it was, and all channels can serve.
        """
        found = self._shelf.problems()
        known = set(self._shelf.ids())
        for place, name in sorted(self.channels.places().items()):
            if name not in known:
                found[name] = f"missing, and served as {'@'.join(place)}; roll back"
        return PromptTable("Problems", {"prompt": list(found), "problem": list(found.values())})

    def _id(self, prompt: str) -> str:
        if not isinstance(prompt, str):
            raise UnknownNameError(f"prompt {prompt!r}: expected an id or 'task@channel'")
        if "@" in prompt:
            task, _, channel = prompt.rpartition("@")
            held = self.channels.held(task, channel)
            if not held:
                known = sorted("@".join(place) for place in self.channels.places())
                raise UnknownNameError(
                    f"{prompt!r} serves nothing; known are: {', '.join(known) or 'none'}"
                )
            return held[-1]
        return self._shelf.named(prompt)


def _check_name(name: object, label: str) -> None:
    if not isinstance(name, str) or not name.strip() or "@" in name:
        raise UnknownNameError(f"{label} {name!r}: expected a text without @")
