"""Records: what goes in, what is refused by name, and what is never touched."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kinatlas.errors import FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.superposition import (
    SuperpositionRecord,
    analyse_superposition,
    answer_collisions,
    answer_log_probability,
    completed_tasks,
    prompt_metrics,
    record_from_logits,
    record_from_table,
)

HALF = [0.5, 0.5]


def test_one_task_alone_is_refused() -> None:
    with pytest.raises(ShapeError, match="two tasks; one task alone cannot be superposed"):
        SuperpositionRecord([[-1.0]], [1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_log_probability_that_is_no_number_is_refused_with_prompt_and_task(value: float) -> None:
    with pytest.raises(NonFiniteError, match="prompt 1, task 'add'"):
        SuperpositionRecord([[-1.0, -1.0], [-1.0, value]], HALF, ["copy", "add"])


def test_logits_passed_as_log_probabilities_are_refused() -> None:
    with pytest.raises(FormatError, match=r"probability above 1.*record_from_logits"):
        SuperpositionRecord([[3.2, -1.0]], HALF)


def test_answers_that_exceed_one_together_need_a_collision_flag() -> None:
    logs = np.log([[0.7, 0.7]])
    with pytest.raises(FormatError, match=r"prompt 0.*1\.4.*overlap"):
        SuperpositionRecord(logs, HALF)
    record = SuperpositionRecord(logs, HALF, collisions=[True])
    assert prompt_metrics(record)["other"][0] == pytest.approx(-0.4)


def test_excess_within_rounding_passes() -> None:
    SuperpositionRecord(np.log([[0.5, 0.5 + 9e-7]]), HALF)
    with pytest.raises(FormatError):
        SuperpositionRecord(np.log([[0.5, 0.5 + 2e-6]]), HALF)


@pytest.mark.parametrize(
    ("mixture", "error"),
    [
        ([0.5, 0.6], FormatError),
        ([1.5, -0.5], FormatError),
        ([0, 0], FormatError),
        ([np.nan, 1.0], FormatError),
        ([True, False], FormatError),
        ([0.2, 0.3, 0.5], ShapeError),
    ],
)
def test_a_mixture_that_is_none_is_refused(mixture: list[float], error: type[Exception]) -> None:
    with pytest.raises(error, match="mixture"):
        SuperpositionRecord([[-1.0, -1.0]], mixture)


def test_counts_and_shares_mean_the_same() -> None:
    counts = SuperpositionRecord([[-1.0, -1.0]], [3, 9])
    shares = SuperpositionRecord([[-1.0, -1.0]], [0.25, 0.75])
    np.testing.assert_array_equal(counts.mixture, shares.mixture)
    assert counts.conditions == shares.conditions == ("0.25/0.75",)


def test_the_order_must_name_existing_tasks_and_end_with_one() -> None:
    with pytest.raises(FormatError, match="task numbers 0 to 2"):
        SuperpositionRecord([[-1.0, -1.0]], HALF, order=[[0, 2]])
    with pytest.raises(FormatError, match="padding on the left only"):
        SuperpositionRecord([[-1.0, -1.0]], HALF, order=[[0, -1]])
    assert SuperpositionRecord([[-1.0, -1.0]], HALF, order=[[-1, 1]]).order is not None


def test_inputs_are_copied_and_the_record_is_read_only() -> None:
    logs = np.log([[0.5, 0.4]])
    record = SuperpositionRecord(logs, HALF)
    logs[0, 0] = -9.0
    assert record.log_probabilities[0, 0] == np.log(0.5)
    with pytest.raises(ValueError, match="read-only"):
        record.log_probabilities[0, 0] = 0.0


def test_pickle_and_select_keep_the_order_of_numbered_conditions() -> None:
    shares = np.linspace(0.05, 0.95, 11)
    record = SuperpositionRecord(
        np.log(np.column_stack([shares, 1 - shares])),
        [0.5, 0.5],
        condition=np.arange(11),
        query=np.arange(11) // 2,
        order=np.zeros((11, 3), dtype=int),
        beam=np.full((11, 2), -0.7),
    )
    assert record.conditions == tuple(str(number) for number in range(11))
    back = pickle.loads(pickle.dumps(record))
    assert back.conditions == record.conditions
    np.testing.assert_array_equal(back.condition, record.condition)
    chosen = record.select([2, 10])
    assert chosen.conditions == ("2", "10")
    np.testing.assert_array_equal(chosen.condition, [0, 1])
    np.testing.assert_array_equal(record.select(shares > 0.5).query, [0, 0, 1, 1, 2])


def test_a_floor_is_explicit_and_recorded_down_to_the_analysis() -> None:
    record = SuperpositionRecord([[np.log(1.0), -np.inf]], HALF)
    assert prompt_metrics(record)["kl"][0] == np.inf
    floored = pickle.loads(pickle.dumps(record.with_floor(1e-6)))
    expected = 0.5 * np.log(0.5 / 1.0) + 0.5 * np.log(0.5 / 1e-6)
    assert prompt_metrics(floored)["kl"][0] == pytest.approx(expected, abs=1e-12)
    assert analyse_superposition(floored, n_bootstrap=0).options["floor"] == 1e-6
    with pytest.raises(FormatError, match="floor"):
        record.with_floor(0.0)


def test_an_answer_that_begins_another_collides_until_the_terminator_is_scored() -> None:
    assert answer_collisions([["12", "121"]])[0]
    assert not answer_collisions([["12", "121"]], terminator="\n")[0]
    assert answer_collisions([[[7, 8], [7, 8, 9]], [[7, 8], [8, 7, 9]]]).tolist() == [True, False]
    assert answer_collisions([["a", "b", "a"]], terminator="\n")[0]
    # Between a prefix and its extension another answer may sort.
    assert answer_collisions([["1", "19", "12"]])[0]
    with pytest.raises(ShapeError, match="empty"):
        answer_collisions([["", "a"]])
    with pytest.raises(ShapeError, match="at least two tasks"):
        answer_collisions([["a"]])


def test_probability_of_twelve_contains_that_of_one_hundred_and_twenty_one() -> None:
    # One character a token: 1 2 then newline or 1; P("12") = P("12\n") + P("121").
    digits = np.log([[1.0, 0.0 + 1e-300, 1e-300], [1e-300, 1.0, 1e-300], [0.25, 1e-300, 0.75]])
    bare = answer_log_probability(digits[:2], [0, 1])
    ended = answer_log_probability(digits, [0, 1, 2])
    longer = answer_log_probability(digits, [0, 1, 0])
    assert np.exp(bare) == pytest.approx(np.exp(ended) + np.exp(longer), rel=1e-12)


def test_answers_of_unequal_length_are_full_products() -> None:
    logits = np.zeros((3, 4))
    assert answer_log_probability(logits[:1], [2]) == pytest.approx(-np.log(4))
    assert answer_log_probability(logits, [2, 0, 1]) == pytest.approx(-3 * np.log(4))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0, np.nan, 1.0], "row 0, token 1 is nan"),
        ([0.0, np.inf, 1.0], "row 0, token 1 is inf"),
        ([-np.inf] * 3, "every token of row 0 is masked"),
    ],
)
def test_logits_without_a_softmax_are_refused(row: list[float], message: str) -> None:
    with pytest.raises(NonFiniteError, match=message):
        record_from_logits([row], [[0, 1]], HALF)


def test_masked_logits_become_impossible_answers() -> None:
    record = record_from_logits([[0.0, -np.inf, 0.0]], [[0, 1]], HALF)
    assert record.log_probabilities.tolist() == [[-np.log(2.0), -np.inf]]


def test_equal_answer_tokens_are_flagged() -> None:
    record = record_from_logits(np.zeros((2, 3)), [[0, 0], [0, 1]], HALF)
    assert record.collisions.tolist() == [True, False]


@pytest.mark.parametrize("answers", [[[0, 3]], [[-1, 0]], [[0.0, 1.0]], [[0, 1], [0, 1]]])
def test_answer_tokens_outside_the_vocabulary_are_refused(answers: list[list[int]]) -> None:
    with pytest.raises(ShapeError):
        record_from_logits(np.zeros((1, 3)), answers, HALF)


def test_a_table_with_missing_rows_gives_impossible_answers() -> None:
    table = {
        "prompt": ["a", "b", "b"],
        "task": ["copy", "add", "copy"],
        "log_probability": [-0.1, -0.2, -2.0],
        "share": [1.0, 0.25, 0.75],
        "query": ["x", "y", "y"],
    }
    record = record_from_table(table, tasks=["add", "copy"])
    assert record.log_probabilities.tolist() == [[-np.inf, -0.1], [-0.2, -2.0]]
    assert record.mixture.tolist() == [[0.0, 1.0], [0.25, 0.75]]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_comes_from_any_data_frame(library: str) -> None:
    pytest.importorskip("pyarrow")
    module = pytest.importorskip(library)
    build = module.table if library == "pyarrow" else module.DataFrame
    columns = {
        "prompt": [0, 0],
        "task": ["a", "b"],
        "log_probability": [-1.0, -2.0],
        "share": [0.5, 0.5],
    }
    assert record_from_table(build(columns)).log_probabilities.tolist() == [[-1.0, -2.0]]


def test_a_table_that_repeats_a_task_or_lacks_a_column_is_refused() -> None:
    columns = {"prompt": [0, 0], "task": ["a", "a"], "log_probability": [-1.0, -2.0]}
    with pytest.raises(FormatError, match="no column"):
        record_from_table(columns)
    with pytest.raises(FormatError, match="names one task twice"):
        record_from_table(columns | {"share": [0.5, 0.5]}, tasks=["a", "b"])
    with pytest.raises(FormatError, match="not among"):
        record_from_table(columns | {"share": [0.5, 0.5]}, tasks=["c", "b"])


def test_completed_tasks_follow_the_beam_with_the_authors_slack() -> None:
    logs = np.log([[0.5, 0.2], [0.5, 0.29999], [0.5, 0.2999]])
    beam = np.log([[0.5, 0.3, 0.2]] * 3)
    assert completed_tasks(logs, beam).tolist() == [[True, False], [True, True], [True, False]]
    record = SuperpositionRecord(logs, HALF, beam=beam)
    assert analyse_superposition(record, n_bootstrap=0).at("completed").value == pytest.approx(
        4 / 6
    )
    without = analyse_superposition(SuperpositionRecord(logs, HALF), n_bootstrap=0)
    assert np.isnan(without.at("completed").value)


def test_a_beam_narrower_than_the_tasks_is_refused() -> None:
    with pytest.raises(ShapeError, match="wider beam"):
        SuperpositionRecord([[-1.0, -1.0]], HALF, beam=[[-1.0]])
    with pytest.raises(NonFiniteError, match="beam of prompt 0"):
        SuperpositionRecord([[-1.0, -1.0]], HALF, beam=[[-1.0, np.nan]])


def test_unknown_statistics_are_answered_with_a_suggestion() -> None:
    record = SuperpositionRecord([[-1.0, -1.0]], HALF)
    with pytest.raises(UnknownNameError, match="did you mean 'coverage'"):
        prompt_metrics(record)["covrage"]
    with pytest.raises(UnknownNameError, match="did you mean 'dispersion'"):
        analyse_superposition(record, n_bootstrap=0).at("dispersionn")
