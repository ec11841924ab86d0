"""Numbers of single prompts: identities, the NumPy twin, and the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinatlas._reference_superposition import prompt_numbers
from kinatlas.errors import FormatError
from kinatlas.superposition import SuperpositionRecord, prompt_metrics

LN2 = np.log(2.0)


@st.composite
def prompts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n_tasks = draw(st.integers(2, 8))
    part = st.floats(1e-4, 1.0)
    raw = draw(hnp.arrays(np.float64, (5, n_tasks + 1), elements=part))
    shares = draw(hnp.arrays(np.float64, (5, n_tasks), elements=part))
    mass = raw / raw.sum(axis=1, keepdims=True)
    return np.log(mass[:, :-1]), shares / shares.sum(axis=1, keepdims=True)


@given(prompts())
def test_every_number_agrees_with_its_numpy_twin(case: tuple[np.ndarray, np.ndarray]) -> None:
    logs, mixture = case
    found = prompt_metrics(SuperpositionRecord(logs, mixture))
    for prompt in range(len(logs)):
        for name, wanted in prompt_numbers(logs[prompt], mixture[prompt]).items():
            # A share may sit on the coverage limit to the last bit; everything else is smooth.
            if name != "coverage":
                assert found[name][prompt] == pytest.approx(wanted, rel=1e-11, abs=1e-13), name


@given(prompts())
def test_kl_is_shape_plus_leak_and_ranges_hold(case: tuple[np.ndarray, np.ndarray]) -> None:
    found = prompt_metrics(SuperpositionRecord(*case))
    # Two sums of eight terms that weigh numbers below 9.3: 2 x 8 x 9.3 x 1.1e-16, and shapes below
    # 4e-15 become 0.
    whole = found["kl_shape"] + found["leak"]
    np.testing.assert_allclose(found["kl"], whole, rtol=1e-12, atol=2.1e-14)
    assert (found["kl_shape"] >= 0).all()
    assert (found["leak"] >= 0).all()
    assert (found["jensen_shannon"] <= LN2).all()
    assert (found["total_variation"] <= 1).all()
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0, rtol=1e-12)
    # Pinsker and Bretagnolle-Huber tie total variation to the divergence.
    bound = np.sqrt(1 - np.exp(-found["kl_shape"]))
    assert (found["total_variation"] <= bound + 1e-9).all()


@given(prompts(), st.randoms())
def test_relabelling_the_tasks_changes_nothing(
    case: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    logs, mixture = case
    order = np.arange(logs.shape[1])
    random.shuffle(order)  # type: ignore[attr-defined]
    first = prompt_metrics(SuperpositionRecord(logs, mixture))
    second = prompt_metrics(SuperpositionRecord(logs[:, order], mixture[:, order]))
    np.testing.assert_allclose(first.values, second.values, rtol=1e-10, atol=1e-12)


def test_a_calibrated_answer_has_no_divergence_of_any_kind() -> None:
    mixture = np.array([[0.2, 0.3, 0.5]])
    found = prompt_metrics(SuperpositionRecord(np.log(mixture), mixture))
    for name in ("kl", "kl_shape", "leak", "total_variation", "jensen_shannon", "brier", "other"):
        assert found[name][0] == pytest.approx(0.0, abs=1e-15)
    assert found["entropy_ratio"][0] == pytest.approx(1.0)
    assert found["coverage"][0] == 1.0


def test_a_hand_worked_prompt() -> None:
    found = prompt_metrics(SuperpositionRecord(np.log([[0.6, 0.2]]), [0.5, 0.5]))
    assert found["other"][0] == pytest.approx(0.2)
    assert found.shares[0] == pytest.approx([0.75, 0.25])
    assert found["kl"][0] == pytest.approx(0.5 * np.log(0.5 / 0.6) + 0.5 * np.log(0.5 / 0.2))
    assert found["leak"][0] == pytest.approx(-np.log(0.8))
    assert found["total_variation"][0] == pytest.approx(0.25)
    assert found["brier"][0] == pytest.approx(2 * 0.25**2)
    assert found["effective_tasks"][0] == pytest.approx(
        np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    )


def test_a_task_without_examples_adds_nothing_and_counts_only_on_request() -> None:
    record = SuperpositionRecord(np.log([[0.5, 0.4, 0.05]]), [0.5, 0.5, 0.0])
    found = prompt_metrics(record)
    assert np.isfinite(found["kl"][0])
    assert found["coverage"][0] == 1.0
    low = SuperpositionRecord(np.log([[0.9, 0.001, 0.05]]), [0.5, 0.5, 0.0])
    assert prompt_metrics(low)["coverage"][0] == 0.5
    assert prompt_metrics(low, absent_tasks=True)["coverage"][0] == pytest.approx(2 / 3)
    impossible = SuperpositionRecord([[np.log(0.9), np.log(0.1), -np.inf]], [0.5, 0.5, 0.0])
    assert np.isfinite(prompt_metrics(impossible)["kl"][0])


def test_a_missing_answer_makes_kl_infinite_and_nothing_else() -> None:
    found = prompt_metrics(SuperpositionRecord([[0.0, -np.inf]], [0.5, 0.5]))
    assert found["kl"][0] == found["kl_shape"][0] == np.inf
    assert found["leak"][0] == 0.0
    assert found["total_variation"][0] == 0.5
    assert found["effective_tasks"][0] == 1.0
    assert found["coverage"][0] == 0.5


def test_a_prompt_without_answers_has_no_shape_and_leaks_without_end() -> None:
    found = prompt_metrics(SuperpositionRecord([[-np.inf, -np.inf]], [0.5, 0.5]))
    assert found["total_mass"][0] == 0.0
    assert found["kl"][0] == found["leak"][0] == np.inf
    for name in ("kl_shape", "total_variation", "entropy", "effective_tasks", "coverage"):
        assert np.isnan(found[name][0])


def test_answers_of_many_tokens_keep_their_ratio_below_the_smallest_double() -> None:
    found = prompt_metrics(SuperpositionRecord([[-900.0, -900.0 - np.log(3.0)]], [0.5, 0.5]))
    assert found.shares[0] == pytest.approx([0.75, 0.25], rel=1e-12)
    assert found["leak"][0] == pytest.approx(900.0 - np.log(4 / 3), rel=1e-12)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.5, np.nan])
def test_a_coverage_threshold_outside_its_range_is_refused(threshold: float) -> None:
    record = SuperpositionRecord(np.log([[0.6, 0.2]]), [0.5, 0.5])
    with pytest.raises(FormatError, match="coverage_threshold"):
        prompt_metrics(record, coverage_threshold=threshold)


def test_metrics_lay_themselves_out_as_one_row_a_prompt() -> None:
    record = SuperpositionRecord(np.log([[0.6, 0.2], [0.1, 0.8]]), [1, 1], ["a", "b"])
    columns = prompt_metrics(record).to_dict()
    assert {len(values) for values in columns.values()} == {2}
    assert columns["share a"] == pytest.approx([0.75, 1 / 9])
    assert "PromptMetrics of 2 prompts" in repr(prompt_metrics(record))
