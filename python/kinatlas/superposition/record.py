"""What several tasks' answers got in every prompt: the one input of this room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kinatlas._core import superposition_conditions
from kinatlas._names import unique_names
from kinatlas.errors import FormatError, NonFiniteError, ShapeError
from kinatlas.superposition.beam import beam_array, completed_tasks

__all__ = ["SuperpositionRecord"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Log-probabilities of float32 models sum to one within about 1e-6; beyond it something overlaps.
_MASS_TOLERANCE = 1e-6


class _Coded(NamedTuple):
    """Conditions that are numbered already; keeps their order through select and pickle."""

    codes: Integers
    labels: tuple[str, ...]


class _Arrays(NamedTuple):
    log_probabilities: Floats
    mixture: Floats
    condition: Integers
    cluster: Integers
    last: Integers | None
    completed: Floats | None


@dataclass(frozen=True, eq=False, repr=False)
class SuperpositionRecord:
    """Log-probabilities of every task's answer in every prompt, with what the prompt contained.

    Parameters
    ----------
    log_probabilities
        ln P of the whole answer of every task [n_prompts, n_tasks]; -inf where the answer was
        impossible or not returned. It stays -inf: no floor is applied (see ``with_floor``).
    mixture
        Examples of every task, [n_prompts, n_tasks] or [n_tasks] for all prompts: integers are
        counts, floats are shares that sum to 1.
    tasks
        Names of the tasks; "task 0", "task 1", ... if left out.
    condition
        Label of every prompt's condition [n_prompts]. Left out, prompts of one mixture are one
        condition; give it where examples are drawn independently and the shares therefore vary.
    query
        Label of every prompt's query [n_prompts]; intervals resample queries. Left out, every
        prompt is a query of its own.
    order
        Task number of every example in its place [n_prompts, n_examples]; -1 pads shorter prompts
        on the left.
    collisions
        Whether two answers of a prompt overlap [n_prompts]; see ``answer_collisions``.
    beam
        ln P of the most probable complete answers [n_prompts, n_beam], whoever's they are.

    Raises
    ------
    ShapeError
        If there are fewer than two tasks, no prompt, or sizes differ.
    NonFiniteError
        If a log-probability is NaN or +inf; the message names prompt and task.
    FormatError
        If a probability exceeds 1, the answers of a prompt without a collision exceed 1 together,
        or shares do not sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> record = SuperpositionRecord(np.log([[0.5, 0.3], [0.2, 0.7]]), [6, 6], ["copy", "add"])
    >>> record
    SuperpositionRecord: 2 prompts x 2 tasks ('copy', 'add'), 1 condition, 2 queries, 0 collisions
    >>> record.mixture
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    log_probabilities: Floats
    mixture: Floats
    tasks: tuple[str, ...] = ()
    condition: Any = None
    query: Any = None
    order: Any = None
    collisions: Any = None
    beam: Any = None
    #: Labels of the conditions, in the order of their codes in ``condition``.
    conditions: tuple[str, ...] = field(default=(), init=False)
    #: Floor that replaced smaller probabilities, or None.
    floor: float | None = None

    def __post_init__(self) -> None:
        logs = _log_probabilities(self.log_probabilities)
        n_prompts, n_tasks = logs.shape
        names = self.tasks or tuple(f"task {task}" for task in range(n_tasks))
        names = unique_names("task", names)
        if len(names) != n_tasks:
            raise ShapeError(f"tasks: got {len(names)} names for {n_tasks} columns of answers")
        _check_values(logs, names)
        mixture = _mixture(self.mixture, n_prompts, n_tasks)
        condition, conditions = _conditions(self.condition, mixture)
        collisions = _flags(self.collisions, n_prompts)
        _check_mass(logs, collisions, _MASS_TOLERANCE + n_tasks * (self.floor or 0.0))
        values: dict[str, Any] = {"tasks": names, "log_probabilities": logs, "mixture": mixture}
        values |= {"condition": condition, "conditions": conditions, "collisions": collisions}
        values["query"] = _codes(self.query, n_prompts, "query")[0]
        values["order"] = _order(self.order, n_prompts, n_tasks)
        values["beam"] = beam_array(self.beam, n_prompts, n_tasks)
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.log_probabilities)

    def __repr__(self) -> str:
        names = ", ".join(f"'{name}'" for name in self.tasks)
        parts = [
            f"{len(self)} prompts x {len(self.tasks)} tasks ({names})",
            _counted(len(self.conditions), "condition"),
            _counted(len(np.unique(self.query)), "query", "queries"),
            _counted(int(self.collisions.sum()), "collision"),
        ]
        return "SuperpositionRecord: " + ", ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        coded = _Coded(self.condition, self.conditions)
        parts = (self.log_probabilities, self.mixture, self.tasks, coded, self.query)
        return type(self), (*parts, self.order, self.collisions, self.beam, self.floor)

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.tasks)

    def select(self, prompts: Any) -> SuperpositionRecord:
        """Return the record of some prompts: a boolean mask [n_prompts] or prompt numbers.

        Examples
        --------
        >>> record = SuperpositionRecord([[-1.0, -2.0], [-2.0, -1.0]], [0.5, 0.5])
        >>> len(record.select([1]))
        1
        """
        chosen = np.arange(len(self))[np.asarray(prompts)]
        if len(chosen) == 0:
            raise ShapeError("select: no prompt is left, expected at least one")
        kept, codes = np.unique(self.condition[chosen], return_inverse=True)
        labels = tuple(self.conditions[code] for code in kept)
        return SuperpositionRecord(
            self.log_probabilities[chosen],
            self.mixture[chosen],
            self.tasks,
            condition=_Coded(codes.astype(np.int64), labels),
            query=self.query[chosen],
            order=None if self.order is None else self.order[chosen],
            collisions=self.collisions[chosen],
            beam=None if self.beam is None else self.beam[chosen],
            floor=self.floor,
        )

    def with_floor(self, probability: float) -> SuperpositionRecord:
        """Return the record with every smaller probability raised to ``probability``.

        For black boxes that return only their ten best tokens: an answer they leave out is not
        impossible. The floor is part of the record and of everything computed from it.

        Examples
        --------
        >>> record = SuperpositionRecord([[-0.1, -np.inf]], [0.5, 0.5]).with_floor(1e-6)
        >>> float(np.exp(record.log_probabilities[0, 1])), record.floor
        (1e-06, 1e-06)
        """
        if not 0.0 < probability < 1.0:
            raise FormatError(f"floor: got {probability}, expected a probability in (0, 1)")
        raised = np.maximum(self.log_probabilities, np.log(probability))
        record = self.select(slice(None))
        object.__setattr__(record, "log_probabilities", raised)
        object.__setattr__(record, "floor", float(probability))
        raised.flags.writeable = False
        return record

    def _arrays(self) -> _Arrays:
        last = None if self.order is None else np.ascontiguousarray(self.order[:, -1])
        completed = None
        if self.beam is not None:
            completed = completed_tasks(self.log_probabilities, self.beam).mean(axis=1)
        arrays = (self.log_probabilities, self.mixture, self.condition, self.query)
        return _Arrays(*arrays, last, completed)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _log_probabilities(values: Any) -> Floats:
    logs = np.array(values, dtype=np.float64, order="C")
    if logs.ndim != 2 or logs.shape[0] < 1 or logs.shape[1] < 2:
        raise ShapeError(
            f"log_probabilities: shape {logs.shape}, expected [n_prompts, n_tasks] with at least "
            "one prompt and two tasks; one task alone cannot be superposed"
        )
    return logs


def _check_values(logs: Floats, names: tuple[str, ...]) -> None:
    bad = np.isnan(logs) | (logs == np.inf)
    if bad.any():
        prompt, task = np.argwhere(bad)[0]
        raise NonFiniteError(
            f"prompt {prompt}, task '{names[task]}': the log-probability is {logs[prompt, task]}, "
            "expected a number of at most 0, or -inf for an impossible answer"
        )
    above = logs > _MASS_TOLERANCE
    if above.any():
        prompt, task = np.argwhere(above)[0]
        raise FormatError(
            f"prompt {prompt}, task '{names[task]}': the log-probability is "
            f"{logs[prompt, task]:.4g}, a probability above 1; pass natural logarithms of "
            "probabilities, or use record_from_logits for logits"
        )


def _check_mass(logs: Floats, collisions: npt.NDArray[np.bool_], tolerance: float) -> None:
    mass = np.exp(logs).sum(axis=1)
    over = (mass > 1.0 + tolerance) & ~collisions
    if over.any():
        prompt = int(np.argmax(over))
        raise FormatError(
            f"prompt {prompt}: its answers have probability {mass[prompt]:.6g} together, more than "
            "1, so two of them overlap; flag the prompt in collisions= (answer_collisions finds "
            "equal answers and prefixes) or score answers with their terminator"
        )


def _mixture(values: Any, n_prompts: int, n_tasks: int) -> Floats:
    raw = np.asarray(values)
    if raw.dtype.kind not in "iuf":
        raise FormatError(f"mixture: numbers are {raw.dtype}, expected counts or shares")
    if raw.shape not in {(n_tasks,), (n_prompts, n_tasks)}:
        raise ShapeError(
            f"mixture: shape {raw.shape}, expected [n_prompts, n_tasks] = {(n_prompts, n_tasks)} "
            f"or [n_tasks] = {(n_tasks,)}"
        )
    shares = np.array(np.broadcast_to(raw, (n_prompts, n_tasks)), dtype=np.float64, order="C")
    totals = shares.sum(axis=1)
    is_count = raw.dtype.kind in "iu"
    wrong = ~np.isfinite(totals) | (shares < 0).any(axis=1)
    wrong |= (totals <= 0) if is_count else (np.abs(totals - 1.0) > _MASS_TOLERANCE)
    if wrong.any():
        prompt = int(np.argmax(wrong))
        raise FormatError(
            f"mixture of prompt {prompt}: {shares[prompt].tolist()}, expected shares of at least 0 "
            "that sum to 1, or whole counts"
        )
    return shares / totals[:, None] if is_count else shares


def _conditions(labels: Any, mixture: Floats) -> tuple[Integers, tuple[str, ...]]:
    if isinstance(labels, _Coded):
        return labels.codes.copy(), labels.labels
    if labels is not None:
        return _codes(labels, len(mixture), "condition")
    codes, rows = superposition_conditions(mixture)
    shown = ["/".join(f"{share:.4g}" for share in mixture[row]) for row in rows]
    return codes, tuple(shown)


def _codes(labels: Any, n_prompts: int, what: str) -> tuple[Integers, tuple[str, ...]]:
    if labels is None:
        return np.arange(n_prompts, dtype=np.int64), ()
    array = np.asarray(labels)
    if array.shape != (n_prompts,):
        raise ShapeError(f"{what}: shape {array.shape}, expected one label a prompt ({n_prompts},)")
    if array.dtype == object:
        array = array.astype(str)
    distinct, codes = np.unique(array, return_inverse=True)
    shown = tuple(str(label) for label in distinct.tolist()) if what == "condition" else ()
    return np.ascontiguousarray(codes, dtype=np.int64), shown


def _order(order: Any, n_prompts: int, n_tasks: int) -> Integers | None:
    if order is None:
        return None
    array = np.array(order, dtype=np.int64, order="C")
    if array.ndim != 2 or len(array) != n_prompts or array.shape[1] < 1:
        raise ShapeError(
            f"order: shape {array.shape}, expected [n_prompts, n_examples] with {n_prompts} prompts"
        )
    if array.min() < -1 or array.max() >= n_tasks or (array[:, -1] < 0).any():
        raise FormatError(
            f"order: task numbers from {array.min()} to {array.max()}, expected 0 to {n_tasks - 1}, "
            "with -1 as padding on the left only"
        )
    return array


def _flags(collisions: Any, n_prompts: int) -> npt.NDArray[np.bool_]:
    if collisions is None:
        return np.zeros(n_prompts, dtype=np.bool_)
    flags = np.array(collisions, dtype=np.bool_)
    if flags.shape != (n_prompts,):
        raise ShapeError(f"collisions: shape {flags.shape}, expected one flag a prompt")
    return flags
