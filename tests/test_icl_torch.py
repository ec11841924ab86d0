"""The torch layer is the Rust layer, and it trains."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.icl import Mixture, attention_forward, optimum, weights

torch = pytest.importorskip("torch")

from kinatlas.errors import ShapeError, UnknownNameError  # noqa: E402
from kinatlas.torch import LinearAttention  # noqa: E402


def mixture(dim: int = 2) -> Mixture:
    means = np.outer([1.4, -0.6], np.ones(dim))
    return Mixture([0.3, 0.7], means, [np.eye(dim)] * 2, noise_variance=0.09)


def sequences(generator: np.random.Generator, n_sequences: int, n: int, dim: int = 2):
    tasks = (generator.random(n_sequences) < 0.7).astype(np.int64)
    vectors = mixture(dim).means[tasks] + generator.normal(size=(n_sequences, dim))
    inputs = generator.normal(size=(n_sequences, n, dim))
    queries = generator.normal(size=(n_sequences, dim))
    labels = np.einsum("snd,sd->sn", inputs, vectors)
    labels += 0.3 * generator.normal(size=labels.shape)
    targets = (queries * vectors).sum(axis=1) + 0.3 * generator.normal(size=n_sequences)
    return inputs, labels, queries, tasks, targets


def test_the_torch_layer_predicts_what_the_rust_layer_predicts() -> None:
    raw = weights(optimum(mixture(), 5, "joint_prompt_head"))
    *batch, _ = sequences(np.random.default_rng(1), 40, 5)
    layer = LinearAttention.from_weights(raw)
    found = layer(*map(torch.from_numpy, batch)).detach().numpy()
    wanted = attention_forward(raw, *batch)
    assert np.abs(found - wanted).max() <= 1e-9 * np.abs(wanted).max()


def test_weights_survive_the_round_trip() -> None:
    raw = weights(optimum(mixture(), 5, "joint_prompt_head"))
    back = LinearAttention.from_weights(raw).to_weights()
    for name in ("query", "key", "value", "prompts", "heads"):
        assert np.array_equal(getattr(back, name), getattr(raw, name))


def test_only_what_is_trained_has_a_gradient() -> None:
    plain = LinearAttention(2, 2)
    assert not plain.prompts.requires_grad
    assert not plain.heads.requires_grad
    both = LinearAttention(2, 2, prompts=True, heads=True, dtype=torch.float64)
    *batch, targets = (torch.from_numpy(x) for x in sequences(np.random.default_rng(1), 40, 5))
    (both(*batch) - targets).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in both.parameters())


def test_the_layer_trains_towards_the_closed_form() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generator = np.random.default_rng(2)
    layer = LinearAttention(2, 2, prompts=True, dtype=torch.float64)
    n_steps = 400
    optimiser = torch.optim.Adam([p for p in layer.parameters() if p.requires_grad], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for _ in range(n_steps):
        *batch, targets = (torch.from_numpy(x) for x in sequences(generator, 256, 5))
        optimiser.zero_grad()
        (layer(*batch) - targets).square().mean().backward()
        optimiser.step()
        schedule.step()
    *batch, targets = (torch.from_numpy(x) for x in sequences(generator, 40_000, 5))
    loss = (layer(*batch) - targets).square().mean().item()
    plain = optimum(mixture(), 5, "plain").loss
    joint = optimum(mixture(), 5, "joint_prompt").loss
    # Better than anything without prompts, and near the optimum after a short run.
    assert loss < 0.5 * (plain + joint)
    assert loss < 1.1 * joint


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="gradient_step"):
        LinearAttention(2, start="zeros")
    layer = LinearAttention(2)
    with pytest.raises(ShapeError, match="dim 2"):
        layer(torch.zeros(1, 3, 3), torch.zeros(1, 3), torch.zeros(1, 2), torch.tensor([0]))
