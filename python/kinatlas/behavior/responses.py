"""What boxes answered, as numbers of equal meaning: labels aligned by name, failures kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_choice, check_known_all, check_names
from kinatlas.behavior.boxes import digest
from kinatlas.behavior.probes import ProbeBank
from kinatlas.errors import NonFiniteError, ShapeError

__all__ = ["LINKS", "Responses"]

Floats = npt.NDArray[np.float64]

LINKS = ("logit", "probability", "rank", "identity")
MASSES = ("aside", "coordinate")
# Six digits of probability are what endpoints and float32 models can tell apart near 0 and 1. Of
# the largest share of an answer, so that the opposite of an answer has opposite logits.
FLOOR = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Responses:
    """Answers [n_boxes, n_probes, n_replicates, n_labels] of boxes with one label set.

    Refusals and parse failures are answers: even over the labels, with mass 0. NaN is a question
    that was never answered. Read them with `read_ledger`, or build them with ``from_arrays``.

    Parameters
    ----------
    boxes, labels
        Names.
    bank
        The probes, in order.
    answers, mass
        Shares of labels (or numbers, or vectors), and the probability on any label at all
        [n_boxes, n_probes, n_replicates].
    kind
        ``labels`` (shares), ``numbers`` or ``vectors``.
    smoothing
        Jeffreys pseudo-count of each label: 1/2 where answers are single labels, else 0.
    encoder
        What made the vectors.

    Examples
    --------
    >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8]]}, labels=["pos", "neg"])
    >>> found
    Responses of 1 boxes to 2 probes, 1 replicates, labels 'pos', 'neg'
    """

    boxes: tuple[str, ...]
    labels: tuple[str, ...]
    bank: ProbeBank
    answers: Floats
    mass: Floats
    kind: str = "labels"
    smoothing: float = 0.0
    encoder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", check_names(self.boxes, "box"))
        object.__setattr__(self, "labels", check_names(self.labels, "label"))
        answers = np.ascontiguousarray(self.answers, dtype=np.float64)
        mass = np.ascontiguousarray(self.mass, dtype=np.float64)
        wanted = (len(self.boxes), len(self.bank), len(self.labels))
        if answers.ndim != 4 or (*answers.shape[:2], answers.shape[3]) != wanted:
            raise ShapeError(
                f"answers have shape {answers.shape}, expected [n_boxes, n_probes, n_replicates, "
                f"n_labels] with {wanted[0]} boxes, {wanted[1]} probes and {wanted[2]} labels"
            )
        if mass.shape != answers.shape[:3] or answers.size == 0:
            raise ShapeError(f"mass has shape {mass.shape}, expected {answers.shape[:3]}")
        for array in (answers, mass):
            array.flags.writeable = False
        object.__setattr__(self, "answers", answers)
        object.__setattr__(self, "mass", mass)

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Any],
        *,
        labels: Sequence[str],
        texts: Sequence[str] | None = None,
        strata: Sequence[str] | None = None,
        kind: str = "labels",
        smoothing: float = 0.0,
    ) -> Responses:
        """Build responses from ``{box: answers}`` [n_probes, n_labels] or [n_probes, R, n_labels].

        ``texts`` are the probes in the order of the rows; without them rows are named by number.

        Raises
        ------
        ShapeError
            If shapes differ or do not fit labels and texts.
        NonFiniteError
            If a share is infinite or below 0, or shares do not sum to 1; NaN rows are missing.

        Examples
        --------
        >>> found = Responses.from_arrays({"a": [[1.0, 0.0]], "b": [[0.5, 0.5]]},
        ...                               labels=["pos", "neg"], texts=["fine"])
        >>> found.answers.shape
        (2, 1, 1, 2)
        """
        check_choice(kind, ("labels", "numbers", "vectors"), "kind")
        cubes = [np.asarray(own, dtype=np.float64) for own in arrays.values()]
        cubes = [own[:, None, :] if own.ndim == 2 else own for own in cubes]
        if not cubes or any(own.ndim != 3 or own.shape != cubes[0].shape for own in cubes):
            raise ShapeError(
                f"answers have shapes {[own.shape for own in cubes[:8]]}, expected one shape "
                "[n_probes, n_labels] or [n_probes, n_replicates, n_labels] for all boxes"
            )
        answers = np.stack(cubes)
        if kind == "labels":
            known = answers[~np.isnan(answers).all(axis=-1)]
            if not np.isfinite(known).all() or (known < 0).any():
                raise NonFiniteError("shares of labels must be finite and not below 0")
            if known.size and abs(known.sum(axis=-1) - 1).max() > 1e-3:
                raise NonFiniteError("shares of labels must sum to 1 within 0.001")
        names = [f"probe {at}" for at in range(answers.shape[1])] if texts is None else list(texts)
        if len(names) != answers.shape[1] or len(set(names)) != len(names):
            raise ShapeError(
                f"{len(set(names))} different texts for {answers.shape[1]} rows of answers"
            )
        groups = [""] * len(names) if strata is None else [str(one) for one in strata]
        bank = ProbeBank(tuple(names), tuple(groups))
        mass = np.where(np.isnan(answers[..., 0]), np.nan, 1.0)
        return cls(tuple(arrays), tuple(labels), bank, answers, mass, kind, smoothing)

    @property
    def n_replicates(self) -> int:
        """Answers kept for each probe; some may be missing."""
        return int(self.answers.shape[2])

    @cached_property
    def is_answered(self) -> npt.NDArray[np.bool_]:
        """Whether box and probe have at least one answer [n_boxes, n_probes]."""
        return np.asarray((~np.isnan(self.answers[..., 0])).any(axis=2))

    def codec(self, link: str | None = None, mass: str = "aside") -> tuple[str, float, float, int]:
        """Return link, pseudo-count, floor, and whether label mass is a coordinate of its own."""
        check_choice(mass, MASSES, "mass")
        known = self.mass[~np.isnan(self.mass)]
        n_plain = int(mass == "coordinate" and known.size > 0 and np.ptp(known) > 0)
        floor = FLOOR / len(self.labels)
        if self.kind != "labels":
            return ("identity" if link is None else link), 0.0, floor, n_plain
        chosen = check_choice("logit" if link is None else link, LINKS, "link")
        return chosen, self.smoothing, floor, n_plain

    def channels(self, codec: tuple[str, float, float, int]) -> Floats:
        """Return answers as the kernels take them, with the label mass behind them if wanted.

        Mass as it is, not its logit: on the logit scale one failure among 64 probes took a
        similarity of 1.00 to 0.79.
        """
        answers = self.answers
        if self.kind == "labels" and codec[0] == "logit" and not self.smoothing:
            # fmax of NaN and a number would make a missing answer a number.
            answers = np.maximum(answers, FLOOR * answers.max(axis=-1, keepdims=True))
        if codec[3]:
            answers = np.concatenate([answers, self.mass[..., None]], axis=3)
        return np.ascontiguousarray(answers)

    def coordinates(self, link: str | None = None, *, mass: str = "aside") -> Floats:
        """Return coordinates [n_boxes, n_probes, dim]: centred logits, or as ``link`` says.

        ``dim`` is the number of labels; ``mass="coordinate"`` adds the label mass where it
        varies. NaN where a question was never answered.

        Examples
        --------
        >>> found = Responses.from_arrays({"a": [[0.5, 0.5]]}, labels=["pos", "neg"])
        >>> found.coordinates()
        array([[[0., 0.]]])
        """
        codec = self.codec(link, mass)
        return _core.behavior_coordinates(self.channels(codec), codec)

    def space(self, link: str | None = None, *, mass: str = "aside") -> str:
        """Return the name of the space of the coordinates: probes, labels and codec, hashed."""
        words = [self.bank.id, list(self.labels), self.kind, *self.codec(link, mass), self.encoder]
        return f"behavior-paired-{digest(words)[:16]}"

    def select(self, boxes: Iterable[str]) -> Responses:
        """Return some boxes, in the order asked for.

        Examples
        --------
        >>> found = Responses.from_arrays({"a": [[1.0, 0.0]], "b": [[0.5, 0.5]]},
        ...                               labels=["pos", "neg"])
        >>> found.select(["b"]).boxes
        ('b',)
        """
        wanted = [boxes] if isinstance(boxes, str) else list(boxes)
        rows = check_known_all(wanted, self.boxes, "box")
        return replace(self, boxes=tuple(wanted), answers=self.answers[rows], mass=self.mass[rows])

    def take(self, probes: Sequence[int] | npt.NDArray[np.intp]) -> Responses:
        """Return some probes, by number."""
        at = [int(one) for one in probes]
        bank = ProbeBank(
            tuple(self.bank.texts[one] for one in at), tuple(self.bank.strata[one] for one in at)
        )
        return replace(self, bank=bank, answers=self.answers[:, at], mass=self.mass[:, at])

    def first(self, n_probes: int) -> Responses:
        """Return the first so many probes.

        Raises `ShapeError` if there are fewer.
        """
        return self.take(range(len(self.bank.first(n_probes))))

    def common(self) -> Responses:
        """Return the probes that every box answered.

        Raises
        ------
        ShapeError
            If there are fewer than two; the message names the boxes with the fewest answers.

        Examples
        --------
        >>> nan = float("nan")
        >>> found = Responses.from_arrays(
        ...     {"a": [[1, 0], [nan, nan], [0, 1]], "b": [[1, 0]] * 3}, labels=["pos", "neg"])
        >>> len(found.common().bank)
        2
        """
        shared = np.flatnonzero(self.is_answered.all(axis=0))
        if len(shared) < 2:
            counts = self.is_answered.sum(axis=1)
            worst = [f"{self.boxes[at]!r} {counts[at]}" for at in np.argsort(counts)[:4]]
            raise ShapeError(
                f"{len(shared)} probes were answered by all boxes, expected at least 2; fewest "
                f"answers: {', '.join(worst)}; leave boxes out (select, or --box)"
            )
        return self if len(shared) == len(self.bank) else self.take(shared)

    def strata_numbers(self) -> npt.NDArray[np.int64]:
        """Return the number of each probe's stratum [n_probes]; a stratum of one joins the next."""
        names = sorted(set(self.bank.strata))
        numbers = np.array([names.index(one) for one in self.bank.strata], dtype=np.int64)
        counts = np.bincount(numbers, minlength=len(names))
        # A stratum of one probe never varies when it is drawn again, so it would look certain.
        lonely = counts[numbers] < 2
        numbers[lonely] = int(np.argmax(counts))
        return np.ascontiguousarray(np.unique(numbers, return_inverse=True)[1].astype(np.int64))

    def __repr__(self) -> str:
        shown = ", ".join(f"'{name}'" for name in self.labels[:6])
        more = f" and {len(self.labels) - 6} more" if len(self.labels) > 6 else ""
        return (
            f"Responses of {len(self.boxes)} boxes to {len(self.bank)} probes, "
            f"{self.n_replicates} replicates, {self.kind} {shown}{more}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Responses, (
            self.boxes, self.labels, self.bank, self.answers, self.mass, self.kind,
            self.smoothing, self.encoder,
        )  # fmt: skip
