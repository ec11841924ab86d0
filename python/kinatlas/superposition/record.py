"""What several tasks' answers got in every prompt: the one input of this room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_names
from kinatlas.errors import FormatError, ShapeError
from kinatlas.superposition.beam import beam_array, completed_tasks
from kinatlas.superposition.checking import (
    MASS_TOLERANCE,
    Coded,
    check_mass,
    check_values,
    checked_codes,
    checked_conditions,
    checked_flags,
    checked_log_probabilities,
    checked_mixture,
    checked_order,
)

__all__ = ["SuperpositionRecord"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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
        logs = checked_log_probabilities(self.log_probabilities)
        n_prompts, n_tasks = logs.shape
        names = self.tasks or tuple(f"task {task}" for task in range(n_tasks))
        names = check_names(names, "task")
        if len(names) != n_tasks:
            raise ShapeError(f"tasks: got {len(names)} names for {n_tasks} columns of answers")
        check_values(logs, names)
        mixture = checked_mixture(self.mixture, n_prompts, n_tasks)
        condition, conditions = checked_conditions(self.condition, mixture)
        collisions = checked_flags(self.collisions, n_prompts)
        check_mass(logs, collisions, MASS_TOLERANCE + n_tasks * (self.floor or 0.0))
        values: dict[str, Any] = {"tasks": names, "log_probabilities": logs, "mixture": mixture}
        values |= {"condition": condition, "conditions": conditions, "collisions": collisions}
        values["query"] = checked_codes(self.query, n_prompts, "query")[0]
        values["order"] = checked_order(self.order, n_prompts, n_tasks)
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
        coded = Coded(self.condition, self.conditions)
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
        chosen = np.arange(len(self))[
            prompts if isinstance(prompts, slice) else np.asarray(prompts)
        ]
        if len(chosen) == 0:
            raise ShapeError("select: no prompt is left, expected at least one")
        kept, codes = np.unique(self.condition[chosen], return_inverse=True)
        labels = tuple(self.conditions[code] for code in kept)
        return SuperpositionRecord(
            self.log_probabilities[chosen],
            self.mixture[chosen],
            self.tasks,
            condition=Coded(codes.astype(np.int64), labels),
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
        >>> round(float(np.exp(record.log_probabilities[0, 1])), 9), record.floor
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
