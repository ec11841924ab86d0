"""From a ledger to responses, without asking anything again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinatlas._checks import check_known_all
from kinatlas.behavior.codecs import character_ngrams
from kinatlas.behavior.ledger import Ledger, Record
from kinatlas.behavior.parsing import parse
from kinatlas.behavior.probes import ProbeBank
from kinatlas.behavior.responses import Floats, Responses
from kinatlas.errors import FormatError, ShapeError, SpaceError

__all__ = ["comparable_boxes", "read_ledger"]

# Jeffreys (1946): half an observation of every label.
_JEFFREYS = 0.5


@dataclass
class _Subject:
    """One box with one prompt and one set of parameters."""

    name: str
    output: str
    labels: tuple[str, ...] | None
    verbalizers: dict[str, list[str]] | None
    records: list[Record] = field(default_factory=list)


def read_ledger(
    ledger: Ledger,
    *,
    boxes: Iterable[str] | None = None,
    bank: ProbeBank | None = None,
    encoder: Callable[[Sequence[str]], Any] | None = None,
    encoder_name: str = "",
) -> Responses:
    """Return the responses of boxes of one label set, aligned by label name.

    Single labels beside probabilities are smoothed: half a count of every label is added to what a
    probe got (Jeffreys).

    Parameters
    ----------
    ledger
        Answers.
    boxes
        Names of the boxes to read; default all. One id with several prompts or parameters gets
        the first digits of their hash behind its name.
    bank
        Probes and their order; default all of the ledger.
    encoder, encoder_name
        Maps free answers to vectors [n, q]; default hashed character n-grams.

    Raises
    ------
    SpaceError
        If the label sets differ; compare such boxes with `alignment`.
    ShapeError
        If the ledger holds no answer of the kind wanted.
    UnknownNameError
        If a box is not in the ledger.

    Examples
    --------
    >>> import tempfile
    >>> from kinatlas.behavior import CallableBox, ask
    >>> first = CallableBox(lambda t: [{"no": 0.2, "yes": 0.8}] * len(t), "a", labels=("yes", "no"))
    >>> second = CallableBox(lambda t: ["no"] * len(t), "b", output="label", labels=("no", "yes"))
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     _ = ask([first, second], ProbeBank.from_texts(["x", "y"]), ledger)
    ...     read_ledger(ledger).answers[:, 0, 0]
    array([[0.2 , 0.8 ],
           [0.75, 0.25]])
    """
    subjects = _subjects(ledger)
    if boxes is not None:
        wanted = [boxes] if isinstance(boxes, str) else list(boxes)
        names = [own.name for own in subjects]
        subjects = [subjects[at] for at in check_known_all(wanted, names, "box")]
    if not subjects:
        raise ShapeError(f"{ledger.path}: no box has an answer yet")
    sets = {frozenset(own.labels or ()) for own in subjects}
    kinds = {_kind(own) for own in subjects}
    if len(sets) > 1 or len(kinds) > 1:
        shown = "; ".join(f"{own.name!r}: {list(own.labels or ()) or own.output}" for own in
                          subjects[:8])  # fmt: skip
        raise SpaceError(
            f"the boxes do not share one label set: {shown}; read them apart with boxes=[...] and "
            "compare them with behavior.alignment, which needs no common labels"
        )
    rows = ledger.rows("SELECT probe, text, stratum FROM probes")
    chosen = bank or ProbeBank.from_texts([row[1] for row in rows], [row[2] for row in rows])
    kind = kinds.pop()
    if kind == "vectors":
        return _vectors(subjects, chosen, encoder, encoder_name)
    return _numbers(subjects, chosen, kind)


def comparable_boxes(ledger: Ledger) -> tuple[list[list[str]], list[str]]:
    """Return names of boxes in groups of one label set and kind, and those without any answer.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     comparable_boxes(ledger)
    ([], [])
    """
    groups: dict[tuple[str, frozenset[str]], list[str]] = {}
    silent = []
    for own in _subjects(ledger):
        if all(record.status == "error" for record in own.records):
            silent.append(own.name)
        else:
            groups.setdefault((_kind(own), frozenset(own.labels or ())), []).append(own.name)
    return list(groups.values()), silent


def _subjects(ledger: Ledger) -> list[_Subject]:
    known = {
        row[0]: row[1:]
        for row in ledger.rows("SELECT box, id, output, labels, verbalizers FROM boxes")
    }
    found: dict[tuple[str, str, str], _Subject] = {}
    for record in ledger.records():
        own = record.key[:3]
        if own not in found:
            name, output, labels, words = known[own[0]]
            names = json.loads(labels)
            found[own] = _Subject(
                name, output, None if names is None else tuple(names), json.loads(words)
            )
        found[own].records.append(record)
    counts: dict[str, int] = {}
    for subject in found.values():
        counts[subject.name] = counts.get(subject.name, 0) + 1
    for (box, prompt, params), subject in found.items():
        if counts[subject.name] > 1:
            subject.name += f"#{box[:4]}{prompt[:4]}{params[:4]}"
    return sorted(found.values(), key=lambda own: own.name)


def _kind(subject: _Subject) -> str:
    if subject.output == "number":
        return "numbers"
    return "vectors" if subject.output == "text" and subject.labels is None else "labels"


def _places(subjects: list[_Subject], bank: ProbeBank) -> tuple[dict[str, int], int]:
    replicates = [record.key[4] for own in subjects for record in own.records]
    return {key: at for at, key in enumerate(bank.keys)}, max(replicates) + 1


def _numbers(subjects: list[_Subject], bank: ProbeBank, kind: str) -> Responses:
    labels = tuple(sorted(subjects[0].labels or ())) or ("value",)
    places, n_replicates = _places(subjects, bank)
    shape = (len(subjects), len(bank), n_replicates)
    answers, mass = np.full((*shape, len(labels)), np.nan), np.full(shape, np.nan)
    for row, subject in enumerate(subjects):
        own = subject.labels or labels
        order = [own.index(name) for name in labels]
        for record in subject.records:
            if record.status == "error" or record.key[3] not in places:
                continue
            at = (row, places[record.key[3]], record.key[4])
            read = parse(subject.output, subject.labels, subject.verbalizers, record.value)
            is_good = record.status == "ok" and read.status == "ok"
            answers[at] = [read.values[one] for one in order] if is_good else 1 / len(labels)
            mass[at] = read.mass if is_good else 0.0
        if kind == "numbers":
            _fill_failures(answers[row], mass[row])
    counted = [kind == "labels" and own.output in ("label", "text") for own in subjects]
    for one in np.flatnonzero(counted) if not all(counted) else []:
        answers[one] = _smoothed(answers[one])
    return Responses(
        tuple(own.name for own in subjects), labels, bank, answers, mass, kind,
        _JEFFREYS if all(counted) else 0.0,
    )  # fmt: skip


def _smoothed(answers: Floats) -> Floats:
    """Answers [n_probes, n_replicates, n_labels] whose mean over replicates is the smoothed one.

    Beside boxes that give probabilities the pseudo-counts cannot be those of all boxes.
    """
    counts = (~np.isnan(answers[..., :1])).sum(axis=1, keepdims=True)
    total = counts + _JEFFREYS * answers.shape[2]
    return np.asarray((answers * counts + _JEFFREYS) / total)


def _fill_failures(answers: Floats, mass: Floats) -> None:
    """Put the mean of the good answers where a number could not be read: it says nothing."""
    good, bad = mass > 0, mass == 0
    answers[bad] = answers[good].mean(axis=0) if good.any() else 0.0


def _vectors(
    subjects: list[_Subject], bank: ProbeBank, encoder: Any, encoder_name: str
) -> Responses:
    if encoder is not None and not encoder_name:
        raise FormatError("encoder_name: name the encoder; it is part of the space")
    places, n_replicates = _places(subjects, bank)
    spots, texts = [], []
    for row, subject in enumerate(subjects):
        for record in subject.records:
            if record.status != "error" and record.key[3] in places:
                spots.append((row, places[record.key[3]], record.key[4], record.status == "ok"))
                texts.append(str(record.value) if record.status == "ok" else "")
    if not texts:
        raise ShapeError("no free answer to the probes of this bank")
    vectors = np.asarray((encoder or character_ngrams)(texts), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
        raise ShapeError(
            f"the encoder returned shape {vectors.shape} for {len(texts)} texts, expected finite "
            "[n_texts, q]"
        )
    shape = (len(subjects), len(bank), n_replicates)
    answers, mass = np.full((*shape, vectors.shape[1]), np.nan), np.full(shape, np.nan)
    for (row, probe, replicate, is_ok), vector in zip(spots, vectors, strict=True):
        answers[row, probe, replicate] = vector
        mass[row, probe, replicate] = 1.0 if is_ok else 0.0
    return Responses(
        tuple(own.name for own in subjects), tuple(f"v{at}" for at in range(vectors.shape[1])),
        bank, answers, mass, "vectors", 0.0, encoder_name or "character_ngrams",
    )  # fmt: skip
