"""Prompt builders: counts, ambiguity of queries, seeds, and the authors' formats."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinatlas.errors import FormatError, ShapeError, UnknownNameError
from kinatlas.superposition import (
    Family,
    allocate_examples,
    answer_collisions,
    build_prompts,
    family,
    family_names,
)

PACKAGES = {"add_translate": "num2words", "number_names": "num2words", "country_names": "babel"}


def available(name: str) -> Family:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return family(name)


@pytest.mark.parametrize("name", family_names())
def test_every_family_makes_clean_prompts_with_exact_counts(name: str) -> None:
    source = available(name)
    n_tasks = len(source.tasks)
    share = [1 / n_tasks] * n_tasks
    prompts = build_prompts(name, share, n_examples=3 * n_tasks, n_prompts=12, rng=4)
    assert (prompts.mixture == prompts.mixture[0]).all()
    assert prompts.mixture[0] == pytest.approx(share)
    for text, query, answers in zip(prompts.texts, prompts.queries, prompts.answers, strict=True):
        *lines, last = text.split("\n")
        assert last == query + source.separator
        assert len(lines) == 3 * n_tasks
        questions = [line.split(source.separator)[0] for line in lines]
        assert len(set(questions)) == len(questions)
        assert not any(query in question for question in questions)
        assert len(set(answers)) == n_tasks
    assert not answer_collisions(prompts.answers, terminator="\n").any()


@pytest.mark.parametrize("name", family_names())
def test_every_example_answers_the_task_of_its_place(name: str) -> None:
    source = available(name)
    seen: dict[str, tuple[str, ...]] = {}

    def watched(rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        question, answers = source.draw(rng)
        seen[question] = answers
        return question, answers

    spy = Family(source.name, source.tasks, source.separator, watched)
    share = [1 / len(source.tasks)] * len(source.tasks)
    prompts = build_prompts(spy, share, n_examples=8, n_prompts=5, draw="independent", rng=1)
    for text, order in zip(prompts.texts, prompts.order, strict=True):
        for line, task in zip(text.split("\n")[:-1], order, strict=True):
            question, answer = line.split(source.separator)
            assert answer == seen[question][task]


def test_the_authors_line_formats() -> None:
    text = build_prompts("operands", [1, 0, 0], n_examples=2, n_prompts=1).texts[0]
    assert re.fullmatch(r"(\d\d@\d\d=\d\d\n){2}\d\d@\d\d=", text)
    letters = build_prompts("copy_letter", [0, 0, 1], n_examples=1, n_prompts=1).texts[0]
    assert re.fullmatch(r"[a-z]{2}([a-z])>\1\n[a-z]{3}>", letters)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=6).filter(sum), st.integers(1, 120))
def test_allocation_is_exact_and_within_one_of_the_share(weights: list[int], total: int) -> None:
    shares = [weight / sum(weights) for weight in weights]
    counts = allocate_examples(shares, total)
    assert sum(counts) == total
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - share * total) < 1 + 1e-6
        assert share > 0 or count == 0


def test_hand_worked_allocations() -> None:
    # 80 examples of 3 tasks: 26 each, and the two left over go to the first two.
    assert allocate_examples([1 / 3] * 3, 80) == (27, 27, 26)
    assert allocate_examples([0.29, 0.71], 100) == (29, 71)
    with pytest.raises(FormatError, match="sum to 1"):
        allocate_examples([0.5, 0.4], 10)


def test_independent_draws_vary_and_follow_the_share() -> None:
    prompts = build_prompts(
        "operands", [0.7, 0.3, 0], n_examples=20, n_prompts=60, draw="independent", rng=2
    )
    counts = prompts.mixture[:, 0] * 20
    # 1,200 draws at 0.7: standard error 1.3 %.
    assert counts.sum() / 1200 == pytest.approx(0.7, abs=0.055)
    assert counts.std() > 1.0
    record = prompts.record(np.full((60, 3), -2.0))
    assert record.conditions == ("0.7/0.3/0",)
    assert len(np.unique(record.mixture[:, 0])) > 3


def test_the_same_seed_gives_the_same_prompts_and_another_gives_others() -> None:
    first, again, other = (
        build_prompts("word", [0.5, 0.5, 0, 0], n_examples=6, n_prompts=4, rng=seed)
        for seed in (7, 7, 8)
    )
    assert first.texts == again.texts
    assert first.texts != other.texts


def test_without_a_terminator_no_answer_begins_another() -> None:
    prompts = build_prompts(
        "operands", [0.4, 0.3, 0.3], n_examples=3, n_prompts=400, terminator=None, rng=3
    )
    assert not answer_collisions(prompts.answers).any()
    # Such queries exist: with a terminator some of them are drawn.
    ended = build_prompts("operands", [0.4, 0.3, 0.3], n_examples=3, n_prompts=400, rng=3)
    assert answer_collisions(ended.answers).any()


def test_impossible_requests_are_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'country'"):
        family("countri")
    with pytest.raises(ShapeError, match="2 shares for the 3 tasks"):
        build_prompts("operands", [0.5, 0.5], n_examples=2, n_prompts=1)
    with pytest.raises(UnknownNameError, match="draw"):
        build_prompts("operands", [1, 0, 0], n_examples=2, n_prompts=1, draw="exactly")  # type: ignore[arg-type]
    tiny = Family("tiny", ("a", "b"), ">", lambda rng: (str(rng.integers(2)), ("x", "y")))
    with pytest.raises(FormatError, match="use up its questions"):
        build_prompts(tiny, [0.5, 0.5], n_examples=4, n_prompts=1)
    same = Family("same", ("a", "b"), ">", lambda rng: (str(rng.integers(9)), ("x", "x")))
    with pytest.raises(FormatError, match="no query with distinct answers"):
        build_prompts(same, [0.5, 0.5], n_examples=1, n_prompts=1)
