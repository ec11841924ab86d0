"""The small study: shipped weights evaluated again, and its bundled tables against the bands."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinatlas.errors import FormatError, UnknownNameError
from kinatlas.superposition import (
    SuperpositionRecord,
    analyse_superposition,
    decompose_mixture,
    judge,
    load_study,
    load_study_states,
    load_study_table,
    study_names,
)

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "notebooks" / "studies" / "superposition_small"
FIXTURE = ROOT / "tests" / "fixtures" / "superposition_small.npz"
MIDDLE = ("04/12", "06/12", "08/12")


def module(name: str) -> Any:
    spec = util.spec_from_file_location(f"superposition_small_{name}", STUDY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


retrieval, forward = module("retrieval"), module("forward")


def evaluated(regime: str, n_first: tuple[int, ...], n_prompts: int) -> SuperpositionRecord:
    """Fresh prompts, never seen in training or in the bundled tables."""
    rng = np.random.default_rng(2024)
    model = forward.load(FIXTURE, regime)
    logs, orders = [], []
    for count in n_first:
        tasks = retrieval.exact_tasks(rng, n_prompts, count)
        letters, answers = retrieval.lines(rng, tasks)
        prompts = retrieval.tokens(letters, answers)
        logs.append(np.take_along_axis(model(prompts)[0], letters[:, -1], axis=1))
        orders.append(tasks[:, :-1])
    order = np.concatenate(orders)
    counts = (order[:, :, None] == np.arange(3)).sum(axis=1)
    return SuperpositionRecord(
        np.minimum(np.concatenate(logs), 0.0),
        counts,
        ("first", "second", "third"),
        condition=np.repeat([f"{count:02d}/12" for count in n_first], n_prompts),
        order=order,
    )


def test_the_weights_are_a_small_fixture() -> None:
    assert FIXTURE.stat().st_size <= 400_000


def test_the_single_task_model_is_one_hot_although_its_mean_follows_the_mixture() -> None:
    record = evaluated("single", (0, 4, 6, 8, 12), 200)
    found = analyse_superposition(record, n_bootstrap=200)
    # The bands of docs/superposition.md, section 4.
    assert found.at("probability", "12/12", "first").value > 0.97
    assert found.at("probability", "00/12", "third").value > 0.97
    for condition in MIDDLE:
        assert found.at("dispersion", condition, "first").value > 0.7
    assert found.at("kl_shape", "06/12").value > 1.0
    means = [found.at("probability", c, "first").value for c in found.conditions]
    assert (np.diff(means) > 0).all()
    assert found.at("effective_tasks", "06/12").value < 1.4
    for row in judge(found).conditions:
        assert row.finding in {"only_on_average", "winner_take_all"}


def test_the_mixture_trained_control_counts_in_every_prompt() -> None:
    record = evaluated("mixture", (2, 4, 6, 8, 10), 150)
    found = analyse_superposition(record, n_bootstrap=200)
    for condition in found.conditions:
        count = int(condition[:2])
        assert abs(found.at("probability", condition, "first").value - (count + 1) / 14) < 0.06
        assert found.at("dispersion", condition, "first").value < 0.1
    assert found.at("kl_shape", "06/12").value < 0.06
    assert judge(found).finding == "superposed_per_prompt"


@pytest.mark.parametrize("regime", ["single", "mixture"])
def test_at_least_two_of_three_seeds_are_inside_the_bands(regime: str) -> None:
    rows = load_study_table("small_bands")
    inside = []
    for place, name in enumerate(rows["regime"]):
        if name != regime:
            continue
        row = {key: values[place] for key, values in rows.items()}
        checks = [0.7 <= row["weight_slope"] <= 1.3, row["patch_gain"] > 0.25]
        if regime == "single":
            checks += [row["single_task"] > 0.97, row["dispersion_low"] > 0.7, row["kl_half"] > 1]
        else:
            checks += [row["dispersion_high"] < 0.1, row["kl_half"] < 0.06, row["bayes_gap"] < 0.06]
        inside.append(all(checks))
    assert len(inside) == 3
    assert sum(inside) >= 2


@pytest.mark.parametrize(
    ("label", "columns", "digits"),
    [
        ("P(right)", ("single_task",), 3),
        ("V at 4, 6, 8", ("dispersion_low", "dispersion_high"), 2),
        ("KL(", ("kl_half",), 3),
        ("largest distance", ("bayes_gap",), 3),
        ("slope", ("weight_slope",), 2),
        ("gain", ("patch_gain",), 2),
    ],
)
def test_the_documented_bands_are_the_bundled_ones(
    label: str, columns: tuple[str, ...], digits: int
) -> None:
    page = (ROOT / "docs" / "superposition.md").read_text("utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {label}"))
    rows = load_study_table("small_bands")
    wanted = [
        " to ".join(f"{value:.{digits}f}" for value in values)
        for values in zip(*(rows[column] for column in columns), strict=True)
    ]
    assert [cell.strip() for cell in line.split("|")[3:-1]] == wanted


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bundled_records_say_what_the_bundled_bands_say(seed: int) -> None:
    rows = load_study_table("small_bands")
    for regime in ("single", "mixture"):
        found = analyse_superposition(load_study(f"small_{regime}", seed=seed), n_bootstrap=0)
        place = next(
            k for k, s in enumerate(rows["seed"]) if s == seed and rows["regime"][k] == regime
        )
        # Bundled log-probabilities are float32, the table has five digits.
        value = found.at("kl_shape", "06/12").value
        assert value == pytest.approx(rows["kl_half"][place], rel=2e-4)
        lowest = min(found.at("dispersion", c, "first").value for c in MIDDLE)
        assert lowest == pytest.approx(rows["dispersion_low"][place], rel=2e-4)


def test_bundled_states_give_weights_that_follow_the_output() -> None:
    states = load_study_states("small_mixture")
    pure = {name: states[f"pure {name}"] for name in ("first", "second", "third")}
    weights = []
    for count in (2, 6, 10):
        shares = [count / 12, 0.0, 1 - count / 12]
        found = decompose_mixture(pure, states[f"mixture {count:02d}/12"], shares, n_bootstrap=100)
        weights.append(found.simplex[0].value)
    assert weights[0] < weights[1] < weights[2]
    assert abs(weights[1] - 0.5) < 0.2


def test_studies_are_named_and_seeds_checked() -> None:
    assert {"small_single", "small_mixture", "small_single_independent"} <= set(study_names())
    with pytest.raises(UnknownNameError, match="did you mean 'small_single'"):
        load_study("small_singel")
    with pytest.raises(FormatError, match="expected 0 to 2"):
        load_study("small_single", seed=3)
    with pytest.raises(UnknownNameError, match="table"):
        load_study_table("large_bands")
    with pytest.raises(UnknownNameError, match="not bundled"):
        load_study_states("smollm2")


def test_the_pretrained_model_was_given_only_mixtures_of_tasks_it_can_do_alone() -> None:
    alone = load_study_table("smollm2_single")
    probability = dict(
        zip(zip(alone["family"], alone["task"], strict=True), alone["probability"], strict=True)
    )
    mixed = [name for name in study_names() if name.startswith("smollm2_")]
    assert mixed
    for name in mixed:
        record = load_study(name)
        present = (record.mixture > 0).any(axis=0)
        assert present.sum() >= 2
        for task in np.array(record.tasks)[present]:
            assert probability[name.removeprefix("smollm2_"), task] >= 0.5


def test_the_numpy_decoder_is_the_torch_one() -> None:
    torch = pytest.importorskip("torch")
    sys.path.insert(0, str(STUDY))
    try:
        network = module("network").Network()
    finally:
        sys.path.remove(str(STUDY))
    torch.manual_seed(3)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    weights = {name: tensor.detach().numpy() for name, tensor in network.named_parameters()}
    prompts = np.random.default_rng(0).integers(14, size=(5, 20))
    with torch.inference_mode():
        wanted = network(torch.from_numpy(prompts))[:, -1].double().log_softmax(dim=-1).numpy()
    # Two float32 orders of summation over three layers of width 128.
    np.testing.assert_allclose(forward.Forward(weights)(prompts)[0], wanted, atol=2e-4)
