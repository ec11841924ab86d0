"""What changed between two prompts, with intervals where both answered for the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._answers import Answers, paired_draws
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.io.prompts.record import SHOWN, Evaluation, StoredPrompt

__all__ = ["PromptDiff", "compared"]

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PromptDiff(Tabular):
    """One row for each thing that differs or was measured: before, after, change, interval.

    ``auc`` and ``log loss`` of prompts that were evaluated on the same rows come with a paired
    bootstrap: both are computed on the same resamples. Tensors are compared only within one
    backbone, since elsewhere their coordinates mean something else.
    """

    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...]

    def _columns(self) -> dict[str, list[Any]]:
        names = ("what", "before", "after", "change", "low", "high")
        return {name: [row[at] for row in self.rows] for at, name in enumerate(names)}

    def __repr__(self) -> str:
        return "\n".join([as_text(self._columns(), max_rows=40), *self.notes])

    def _repr_html_(self) -> str:
        return as_html(self._columns(), "; ".join(self.notes))


def compared(
    before: tuple[StoredPrompt, Evaluation | None],
    after: tuple[StoredPrompt, Evaluation | None],
    *,
    n_draws: int,
    confidence: float,
    rng: Rng,
) -> PromptDiff:
    """Return the differences of two prompts that were read with their evaluations.

    Examples
    --------
    >>> from kinatlas.io.prompts.record import PromptRecord
    >>> old = StoredPrompt(PromptRecord("a", "ctr", "base", metrics={"auc": 0.7}), {})
    >>> new = StoredPrompt(PromptRecord("b", "ctr", "base", metrics={"auc": 0.8}), {})
    >>> compared((old, None), (new, None), n_draws=100, confidence=0.95, rng=0).to_dict()["change"]
    [0.10000000000000009]
    """
    confidence, n_draws = check_sampling(confidence, n_draws)
    (old, old_answers), (new, new_answers) = before, after
    rows, notes = [], []
    for name in sorted({*old.record.metrics, *new.record.metrics}):
        values = old.record.value(name), new.record.value(name)
        rows.append((name, *values, values[1] - values[0], None, None))
    same_set = old.record.evaluated_on == new.record.evaluated_on
    if (
        same_set
        and old_answers is not None
        and new_answers is not None
        and np.array_equal(old_answers[0], new_answers[0])
    ):
        rows += _bootstrapped(old_answers, new_answers[1], n_draws, confidence, seed_of(rng))
        notes.append(f"auc and log loss on the {len(new_answers[0])} rows of both, low and high: "
                     f"{confidence:.0%} of {n_draws} paired resamples")  # fmt: skip
    else:
        notes.append("not evaluated on the same rows, so changes have no interval")
    for what in ("basis_key", "evaluated_on"):
        rows += _changed(what, getattr(old.record, what), getattr(new.record, what))
    rows += _changed("parent", old.record.parent[:SHOWN], new.record.parent[:SHOWN])
    for what in ("sources", "settings", "checks"):
        one, other = getattr(old.record, what), getattr(new.record, what)
        for key in sorted({*one, *other}):
            rows += _changed(f"{what}: {key}", one.get(key), other.get(key))
    if old.record.basis_key == new.record.basis_key:
        rows += _tensors(old.tensors, new.tensors)
    else:
        notes.append("other backbone: tensors are not compared")
    return PromptDiff(tuple(rows), tuple(notes))


def _changed(what: str, before: Any, after: Any) -> list[tuple[Any, ...]]:
    return [] if before == after else [(what, str(before), str(after), None, None, None)]


def _tensors(
    before: Mapping[str, npt.NDArray[Any]], after: Mapping[str, npt.NDArray[Any]]
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for name in sorted({*before, *after}):
        shapes = [str(list(side[name].shape)) if name in side else "none" for side in
                  (before, after)]  # fmt: skip
        if shapes[0] != shapes[1]:
            rows.append((f"tensor {name}: shape", *shapes, None, None, None))
        else:
            one, other = (side[name].astype(np.float64).ravel() for side in (before, after))
            norms = float(np.linalg.norm(one) * np.linalg.norm(other))
            cosine = float(one @ other) / norms if norms else float("nan")
            rows.append((f"tensor {name}: cosine", None, None, cosine, None, None))
    return rows


def _bootstrapped(
    before: Evaluation, scores: _Floats, n_draws: int, confidence: float, seed: int
) -> list[tuple[Any, ...]]:
    labels = before[0]
    old, new = Answers(labels, before[1]), Answers(labels, scores)
    drawn = paired_draws(old, new, len(labels), n_draws, seed)
    whole = np.array([side.measured(np.ones(len(labels))) for side in (old, new)])
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    found: list[tuple[Any, ...]] = []
    for place, name in enumerate(("auc", "log loss")):
        changes = drawn[:, 1, place] - drawn[:, 0, place]
        # Resamples of one class alone have no AUC.
        known = changes[np.isfinite(changes)]
        low, high = np.quantile(known, ends).tolist() if len(known) else (np.nan, np.nan)
        one, other = whole[:, place].tolist()
        found.append((f"{name} (same rows)", one, other, other - one, low, high))
    return found
