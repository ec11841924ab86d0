"""The multi-task model and its peers: sizes, blocks, the frozen basis, and the turned gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kinatlas.composition import PromptHead
from kinatlas.datasets import multi_task_logs
from kinatlas.errors import (
    DTypeError,
    NonFiniteError,
    ShapeError,
    SpaceError,
    UnknownNameError,
)

torch = pytest.importorskip("torch")

from kinatlas.torch import MptRec, freeze, recommender_baseline  # noqa: E402  (needs torch)
from kinatlas.torch.recommender_layers import (  # noqa: E402  (needs torch)
    reversal_at,
    reverse_gradient,
)

TASKS = ("click", "buy", "wish")
FIELDS = {"device": 3, "hour": 24}
KINDS = ("single_task", "shared_bottom", "mmoe", "ple")


def small(**options: Any) -> Any:
    sizes = {"expert": (16, 8), "tower": (4,), "n_dense": 2}
    return MptRec(FIELDS, TASKS, **{**sizes, **options})


def rows(n_rows: int = 700, seed: int = 0) -> tuple[Any, Any]:
    draws = np.random.default_rng(seed)
    codes = np.stack([draws.integers(size, size=n_rows) for size in FIELDS.values()], axis=1)
    return codes, draws.standard_normal((n_rows, 2)).astype(np.float32)


def n_parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("n_tasks", "wanted"), [(2, 217_548), (3, 293_060)])
def test_the_census_model_has_as_many_parameters_as_published(n_tasks: int, wanted: int) -> None:
    # 471 categories in 28 fields and 11 dense values: 123 inputs.
    fields = {f"field {at}": 471 // 28 + (at < 471 % 28) for at in range(28)}
    model = MptRec(fields, [f"task {at}" for at in range(n_tasks)], n_dense=11)
    assert model.inputs.dim == 123
    assert n_parameters(model) == wanted


@pytest.mark.parametrize(("n_tasks", "wanted"), [(2, 5_285_043), (3, 5_307_125)])
def test_the_shop_model_has_as_many_parameters_as_published(n_tasks: int, wanted: int) -> None:
    fields = {f"field {at}": 65_278 + 3 * (at == 0) for at in range(16)}
    model = MptRec(
        fields,
        [f"task {at}" for at in range(n_tasks)],
        embedding=5,
        expert=(128, 64),
        tower=(32, 32),
        dropout=(0.1, 0.3),
    )
    assert n_parameters(model) == wanted


def test_the_forward_pass_is_the_formula() -> None:
    model = small()
    codes, dense = rows(5)
    found = model(torch.from_numpy(codes), torch.from_numpy(dense))
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    table, starts = state["inputs.table.weight"], (0, 3)
    embedded = [table[start + codes[:, at]] for at, start in enumerate(starts)]
    x = np.hstack([dense, *embedded])

    def through(name: str, values: Any, *, is_tower: bool = False) -> Any:
        layers = sorted(key for key in state if key.startswith(name) and key.endswith("weight"))
        for key in layers:
            values = values @ state[key].T + state[key.replace("weight", "bias")]
            values = values if is_tower and key == layers[-1] else np.maximum(values, 0)
        return values

    shared = through("shared.", x)
    for at in range(len(TASKS)):
        own = through(f"own.{at}.", x) * state["prompts.weight"][at]
        gate = np.exp(x @ state["gates.weight"][2 * at : 2 * at + 2].T)
        gate /= gate.sum(axis=1, keepdims=True)
        mixed = gate[:, :1] * own + gate[:, 1:] * shared
        wanted = through(f"towers.{at}.", mixed, is_tower=True)[:, 0]
        # float32 against float64 through four layers of at most 16 summands of order one.
        np.testing.assert_allclose(found.logits[:, at].detach(), wanted, atol=2e-5)
        alone = through(f"towers.{at}.", shared, is_tower=True)[:, 0]
        np.testing.assert_allclose(found.shared_logits[:, at].detach(), alone, atol=2e-5)
    guesses = shared @ state["environments.weight"].T + state["environments.bias"]
    guesses -= np.log(np.exp(guesses).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.environments.detach(), guesses, atol=2e-5)


def test_the_gradient_turns_around_for_the_representation_and_not_for_the_critic() -> None:
    model = small().double()
    codes, dense = (torch.from_numpy(part) for part in rows(40))
    wanted = torch.arange(40) % 3

    def gradients(reversal: float | None) -> tuple[Any, Any]:
        model.zero_grad()
        if reversal is None:
            shared = model.shared(model.inputs(codes, dense))
            guesses = model.environments(shared).log_softmax(dim=1)
        else:
            guesses = model(codes, dense, reversal).environments
        torch.nn.functional.nll_loss(guesses, wanted).backward()
        return model.shared[0].weight.grad.clone(), model.environments.weight.grad.clone()

    plain, critic = gradients(None)
    for strength in (0.0, 0.3, 1.0):
        turned, same = gradients(strength)
        torch.testing.assert_close(turned, -strength * plain)
        torch.testing.assert_close(same, critic)
    values = torch.ones(3, requires_grad=True)
    assert torch.equal(reverse_gradient(values, 0.7), values)


def test_the_reversal_rises_over_all_steps_and_never_falls() -> None:
    strengths = [reversal_at(step, 1000) for step in range(1001)]
    assert strengths[0] == 0
    assert strengths[500] == pytest.approx(2 / (1 + np.exp(-5)) - 1)
    assert 1 > strengths[-1] > 0.9999
    assert strengths == sorted(strengths)


@pytest.mark.parametrize("make", ["mpt_rec", "shared_bottom"])
def test_cached_features_equal_those_computed_anew_bit_for_bit(make: str) -> None:
    model: Any = small(dropout=(0.1, 0.3))
    if make != "mpt_rec":
        model = recommender_baseline(make, FIELDS, TASKS, n_dense=2, expert=(16, 8), tower=(4,))
    codes, dense = rows()
    model.train()
    cached = model.features(codes, dense)
    assert model.training
    draws = np.random.default_rng(1)
    for count in (1, 2, 255, 256, 257, 700):
        at = draws.permutation(len(codes))[:count]
        anew = model.features(codes[at], dense[at])
        for name in ("x", "shared", "own"):
            assert getattr(anew, name).tobytes() == getattr(cached, name)[at].tobytes(), name
        chances = model.predict_proba(codes[at], dense[at])
        assert chances.tobytes() == model.predict_proba(codes, dense)[at].tobytes()


def test_features_are_what_the_forward_pass_computes() -> None:
    model = small()
    codes, dense = rows(20)
    features = model.features(codes, dense)
    x = torch.from_numpy(features.x.copy())
    shared, own = model.represent(x)
    np.testing.assert_allclose(features.shared, shared.detach(), atol=1e-6)
    np.testing.assert_allclose(features.own, own.detach(), atol=1e-6)
    assert features.sources == TASKS
    np.testing.assert_array_equal(features.keys, model.prompts.weight.detach())
    assert features.basis_key == model.basis_key


def test_a_new_task_on_frozen_features_leaves_the_old_ones_as_they_were() -> None:
    model = small(dropout=(0.1, 0.3))
    codes, dense = rows()
    proof = freeze(model, codes[:50], dense[:50])
    before = model.predict_proba(codes, dense)
    features = model.features(codes, dense)
    labels = codes[:, 0] == 1
    head = PromptHead(tower=(4,), learning_rate=0.05, epochs=10).fit(features, labels)
    assert head.history.loss[-1] < head.history.loss[0]
    proof.verify(model)
    assert all(value.grad is None and not value.requires_grad for value in model.parameters())
    assert model.predict_proba(codes, dense).tobytes() == before.tobytes()


def test_one_bit_of_one_parameter_breaks_the_proof() -> None:
    model = small()
    codes, dense = rows(10)
    proof = freeze(model, codes, dense)
    for parameter in model.parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            first = parameter.view(-1)[:1]
            first.copy_(torch.nextafter(first, torch.full_like(first, torch.inf)))
        with pytest.raises(SpaceError, match="not the one that was frozen"):
            proof.verify(model)
        with torch.no_grad():
            parameter.copy_(kept)
        proof.verify(model)


def test_the_basis_hangs_on_what_features_depend_on_and_on_the_schema() -> None:
    model, key = small(), small().basis_key
    assert small().basis_key == key
    with torch.no_grad():
        for part in ("gates.weight", "towers.0.0.weight", "environments.bias"):
            model.get_parameter(part).add_(1)
    assert model.basis_key == key
    for part in ("inputs.table.weight", "shared.0.bias", "own.1.2.weight", "prompts.weight"):
        other = small()
        with torch.no_grad():
            other.get_parameter(part).view(-1)[0] += 1e-3
        assert other.basis_key != key, part
    assert small(seed=1).basis_key != key
    renamed = MptRec({"device": 3, "minute": 24}, TASKS, expert=(16, 8), tower=(4,), n_dense=2)
    assert renamed.basis_key != key


def test_a_seed_gives_the_same_model_and_leaves_other_draws_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    first = small(seed=3)
    assert torch.equal(torch.rand(3), wanted)
    assert first.digest == small(seed=3).digest != small(seed=4).digest


@pytest.mark.parametrize("kind", KINDS)
def test_every_peer_is_asked_in_the_same_way(kind: str) -> None:
    model = recommender_baseline(kind, FIELDS, TASKS, n_dense=2, expert=(16, 8), tower=(4,))
    codes, dense = rows(9)
    assert model.predict_proba(codes, dense).shape == (9, 3)
    logits = model(torch.from_numpy(codes), torch.from_numpy(dense)).logits
    losses = logits[:, 0].sum()
    losses.backward()
    touched = {
        name
        for name, value in model.named_parameters()
        if value.grad is not None and value.grad.any()
    }
    own = {"single_task": "models.0.", "ple": "levels.0.own.0."}.get(kind)
    other = {"single_task": "models.1.", "ple": "levels.0.own.1."}.get(kind)
    if own and other:
        assert any(name.startswith(own) for name in touched)
        assert not any(name.startswith(other) for name in touched)


def test_deeper_extraction_reaches_every_parameter() -> None:
    model = recommender_baseline("ple", FIELDS, TASKS, expert=(8,), tower=(), n_levels=3)
    codes, _ = rows(30)
    model(torch.from_numpy(codes)).logits.sum().backward()
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize(
    ("codes", "dense", "error", "message"),
    [
        ([[0, 24]], [[0.0, 0.0]], UnknownNameError, "'hour': category 24 in row 0"),
        ([[-1, 0]], [[0.0, 0.0]], UnknownNameError, "'device': category -1"),
        ([[0.5, 0.5]], [[0.0, 0.0]], DTypeError, "whole numbers"),
        ([[0]], [[0.0, 0.0]], ShapeError, "codes have shape"),
        ([[0, 0]], [[0.0]], ShapeError, "dense has shape"),
        ([[0, 0]], None, ShapeError, "dense has shape"),
        ([[0, 0]], [[0.0, float("nan")]], NonFiniteError, "row 0, column 1"),
        (np.zeros((0, 2), int), np.zeros((0, 2)), ShapeError, "at least one"),
    ],
)
def test_rows_that_do_not_fit_are_named(
    codes: Any, dense: Any, error: type[Exception], message: str
) -> None:
    for ask in (small().features, small().predict_proba):
        with pytest.raises(error, match=message):
            ask(codes, dense)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expert": ()}, "expert"),
        ({"dropout": (0.1,)}, "dropout"),
        ({"embedding": 0}, "embedding"),
        ({"seed": -1}, "seed"),
        ({"tower": (0,)}, "width of a layer"),
    ],
)
def test_sizes_that_make_no_model_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
    with pytest.raises(UnknownNameError, match="did you mean 'mmoe'"):
        recommender_baseline("moe", FIELDS, TASKS)
    with pytest.raises(ShapeError, match="no task"):
        MptRec(FIELDS, [])


def test_read_only_arrays_of_a_table_are_taken() -> None:
    logs = multi_task_logs({"click": {"taste": 1.0}}, 50, rng=0)
    logs.codes.flags.writeable = False
    model = MptRec(logs.fields, logs.tasks, expert=(4,), tower=())
    assert model.predict_proba(logs.codes).shape == (50, 1)
