"""Prompts with a known mixture: examples in random order and a query nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice
from kinatlas._frames import as_text
from kinatlas.errors import FormatError, ShapeError
from kinatlas.superposition.collisions import answer_collisions
from kinatlas.superposition.prompts.families import Family, family
from kinatlas.superposition.record import SuperpositionRecord

__all__ = ["PromptSet", "allocate_examples", "build_prompts"]

# A family of a few dozen questions still finds a clean query among this many draws.
_TRIES = 10_000


@dataclass(frozen=True, eq=False, repr=False)
class PromptSet:
    """Prompts, the answer of every task to their queries, and what they were mixed from.

    ``texts`` end with the separator; ``answers`` [n_prompts][n_tasks]; ``order`` [n_prompts,
    n_examples] holds task numbers; ``mixture`` [n_prompts, n_tasks] the shares that were really
    drawn; ``share`` the shares that were asked for.
    """

    family: str
    tasks: tuple[str, ...]
    texts: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    queries: tuple[str, ...]
    order: npt.NDArray[np.int64]
    share: tuple[float, ...]
    terminator: str | None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def mixture(self) -> npt.NDArray[np.float64]:
        """Shares of the examples of every prompt [n_prompts, n_tasks]."""
        counts = (self.order[:, :, None] == np.arange(len(self.tasks))).sum(axis=1)
        shares: npt.NDArray[np.float64] = counts / float(self.order.shape[1])
        return shares

    def record(self, log_probabilities: Any, **fields: Any) -> SuperpositionRecord:
        """Return the record of these prompts once their answers are scored [n_prompts, n_tasks].

        Examples
        --------
        >>> import numpy as np
        >>> prompts = build_prompts("operands", [0.5, 0.5, 0], n_examples=4, n_prompts=3)
        >>> prompts.record(np.full((3, 3), -2.0)).conditions
        ('0.5/0.5/0',)
        """
        label = "/".join(f"{share:.4g}" for share in self.share)
        fields.setdefault("condition", [label] * len(self))
        fields.setdefault("query", list(self.queries))
        collisions = answer_collisions(self.answers, terminator=self.terminator)
        return SuperpositionRecord(
            log_probabilities,
            self.mixture,
            self.tasks,
            order=self.order,
            collisions=collisions,
            **fields,
        )

    def __repr__(self) -> str:
        shown = {"query": list(self.queries[:4])}
        shown |= {t: [row[k] for row in self.answers[:4]] for k, t in enumerate(self.tasks)}
        n_examples = self.order.shape[1]
        title = f"PromptSet '{self.family}': {len(self)} prompts of {n_examples} examples"
        return f"{title}\n{as_text(shown)}"


def allocate_examples(mixture: Sequence[float], n_examples: int) -> tuple[int, ...]:
    """Return whole numbers of examples for the shares of a mixture.

    n_k = int(pi_k m); what is left goes one by one to the tasks with a fractional pi_k m, in order
    (the authors' rule). The shares really used are n_k / m.

    Examples
    --------
    >>> allocate_examples([0.5, 0.5], 5)
    (3, 2)
    >>> allocate_examples([0.25, 0.25, 0.5], 8)
    (2, 2, 4)
    """
    shares = [float(share) for share in mixture]
    if n_examples < 1 or min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-6:
        raise FormatError(
            f"mixture {shares} of {n_examples} examples: expected shares of at least 0 that sum to "
            "1, and at least one example"
        )
    # 0.29 * 100 is 28.999999999999996; shares are meant to nine digits.
    exact = [round(share * n_examples, 9) for share in shares]
    counts = [int(part) for part in exact]
    broken = [task for task, part in enumerate(exact) if part != int(part)]
    left = n_examples - sum(counts)
    for place in range(left):
        counts[broken[place % len(broken)]] += 1
    return tuple(counts)


def build_prompts(
    tasks: Family | str,
    mixture: Sequence[float],
    *,
    n_examples: int,
    n_prompts: int,
    draw: Literal["exact", "independent"] = "exact",
    terminator: str | None = "\n",
    rng: Any = 0,
) -> PromptSet:
    """Return prompts that mix the tasks of a family, each with a fresh, collision-free query.

    Lines are joined by newlines and the query ends with the separator, without a space. No question
    occurs twice in a prompt and the query is no part of it. Queries are drawn again until no answer
    equals or, without terminator, begins another.

    Parameters
    ----------
    tasks
        A `Family` or its name.
    mixture
        Share of every task, in the family's order.
    draw
        ``exact`` allocates whole numbers and shuffles; ``independent`` draws every example's task.
    terminator
        What will be scored after every answer; None scores the bare answer.

    Raises
    ------
    FormatError
        If shares do not fit, or a family has too few questions for so many examples.

    Examples
    --------
    >>> prompts = build_prompts("operands", [0.5, 0, 0.5], n_examples=2, n_prompts=1, rng=1)
    >>> print(prompts.texts[0])
    56@77=56
    95@13=108
    22@84=
    >>> prompts.answers
    (('22', '84', '106'),)
    """
    source = family(tasks) if isinstance(tasks, str) else tasks
    counts = allocate_examples(mixture, n_examples)
    if len(counts) != len(source.tasks):
        raise ShapeError(
            f"mixture: {len(counts)} shares for the {len(source.tasks)} tasks of '{source.name}'"
        )
    check_choice(draw, ("exact", "independent"), "draw")
    generator = np.random.default_rng(rng)
    shares = np.asarray(mixture, dtype=np.float64)
    texts, answers, queries, orders = [], [], [], []
    for _ in range(n_prompts):
        if draw == "exact":
            order = generator.permutation(np.repeat(np.arange(len(counts)), counts))
        else:
            order = generator.choice(len(counts), size=n_examples, p=shares / shares.sum())
        lines, seen = _examples(source, order, generator)
        query, wanted = _query(source, seen, terminator, generator)
        texts.append("\n".join([*lines, query + source.separator]))
        answers.append(wanted)
        queries.append(query)
        orders.append(order)
    order_array = np.array(orders, dtype=np.int64)
    parts = (tuple(texts), tuple(answers), tuple(queries), order_array)
    return PromptSet(source.name, source.tasks, *parts, tuple(shares.tolist()), terminator)


def _examples(
    source: Family, order: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    seen: dict[str, None] = {}
    for task in order:
        question, answers = _fresh(source, list(seen), rng)
        seen[question] = None
        lines.append(question + source.separator + answers[task])
    return lines, list(seen)


def _query(
    source: Family, seen: list[str], terminator: str | None, rng: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    for _ in range(_TRIES):
        question, answers = _fresh(source, seen, rng)
        inside = any(question in other for other in seen)
        if not inside and not answer_collisions([answers], terminator=terminator)[0]:
            return question, answers
    raise FormatError(f"family '{source.name}': no query with distinct answers in {_TRIES} draws")


def _fresh(
    source: Family, seen: list[str], rng: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    for _ in range(_TRIES):
        question, answers = source.draw(rng)
        if question not in seen:
            return question, answers
    raise FormatError(
        f"family '{source.name}': {len(seen)} examples use up its questions; ask for fewer"
    )
