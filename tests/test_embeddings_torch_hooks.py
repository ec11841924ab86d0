"""Per-example gradients by hooks: the values of vmap, chosen where they fit, refused elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test-torch installs it")
from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy, linear  # noqa: E402

from kinatlas.torch import accumulate_fisher, per_example_gradients  # noqa: E402
from test_embeddings_torch import EPSILON, adapted, logits, small, words  # noqa: E402


def losses(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return cross_entropy(logits(model, batch), batch["labels"], reduction="none")


def agree(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    # Sums of at most a few hundred terms, reordered by batching.
    gaps = [
        float((found[name] - value).abs().max())
        <= 200 * EPSILON * max(float(value.abs().max()), 1e-3)
        for name, value in expected.items()
    ]
    return set(found) == set(expected) and all(gaps)


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_torch_hooks_give_the_gradients_of_vmap_on_adapters(chunk_size: int | None) -> None:
    model, batch = adapted(), words()
    expected = per_example_gradients(model, batch, losses, method="vmap")
    found = per_example_gradients(model, batch, losses, method="hooks", chunk_size=chunk_size)
    assert len(expected) == 8
    assert agree(found, expected)
    assert all(value.grad is None for value in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_torch_hooks_see_weights_biases_and_layers_called_twice() -> None:
    model = small()
    names = ["head.weight", "head.bias", "layers.0.linear1.weight", "layers.1.linear2.bias"]
    model.requires_grad_(False)

    def twice(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        other = {"input_ids": batch["input_ids"].flip(1)[:, :3]}
        return losses(model, batch) + logits(model, other).square().sum(dim=1)

    both = [
        per_example_gradients(model, words(), twice, parameters=names, method=method)
        for method in ("hooks", "vmap")
    ]
    assert agree(*both)
    assert not any(value.requires_grad for value in model.parameters())


class Odd(nn.Module):
    """A linear layer used as a test says."""

    def __init__(self, use: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.use, self.layer = use, nn.Linear(2, 2)
        self.other = nn.Linear(2, 2)
        if use == "tied":
            self.other.weight = self.layer.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.use == "functional":
            return linear(x, self.layer.weight, self.layer.bias)
        if self.use == "both":
            return self.layer(x) + linear(x, self.layer.weight)
        if self.use == "overwritten":
            return self.layer(x).tanh_()
        if self.use == "flattened":
            return self.layer(x.reshape(-1, 2)).reshape(x.shape)
        return self.other(self.layer(x))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("functional", "never called"),
        ("both", "also used"),
        ("overwritten", "also used"),
        ("flattened", "expected 3 examples along the first dimension"),
        ("tied", "are one parameter"),
    ],
)
def test_torch_hooks_refuse_what_they_do_not_see_and_auto_takes_vmap(
    use: str, message: str
) -> None:
    model, generator = Odd(use), torch.Generator().manual_seed(1)
    batch = {"x": torch.randn(3, 4, 2, generator=generator)}

    def total(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return model(batch["x"]).square().sum(dim=(1, 2))

    names = ["layer.weight"]
    with pytest.raises(ValueError, match=message):
        per_example_gradients(model, batch, total, parameters=names, method="hooks")
    auto = per_example_gradients(model, batch, total, parameters=names)
    assert agree(auto, per_example_gradients(model, batch, total, parameters=names, method="loop"))


def test_torch_hooks_refuse_other_layers_mixed_examples_and_losses_of_a_batch() -> None:
    model, batch = small(), words()
    with pytest.raises(ValueError, match="belongs to a Embedding"):
        per_example_gradients(model, batch, losses, parameters=["words.weight"], method="hooks")
    with pytest.raises(ValueError, match=r"shape \(\), expected one loss for each example \[7\]"):
        per_example_gradients(
            model,
            batch,
            lambda model, batch: losses(model, batch).mean(),
            parameters=["head.weight"],
            method="hooks",
        )
    mixing = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match="mixes the examples"):
        per_example_gradients(
            mixing,
            {"x": torch.randn(4, 2)},
            lambda model, batch: model(batch["x"]).sum(dim=1),
            parameters=["0.weight"],
            method="hooks",
        )
    with pytest.raises(ValueError, match="cannot take a whole batch"):
        per_example_gradients(
            model,
            batch,
            lambda model, batch: losses(model, batch).reshape(()),
            parameters=["head.weight"],
            method="hooks",
        )
    with pytest.raises(ValueError, match="chunk_size=0"):
        per_example_gradients(model, batch, losses, chunk_size=0)


@pytest.mark.parametrize("convention", ["gold", "exact", "monte_carlo"])
def test_torch_fisher_by_hooks_is_that_of_vmap(convention: str) -> None:
    model, data = adapted(), words(12)
    found, expected = (
        accumulate_fisher(
            model, [data], logits=logits, convention=convention, n_draws=2, method=method
        ).diagonal()
        for method in ("auto", "vmap")
    )
    for name, values in expected.items():
        # Squares of gradients that differ by float32 rounding.
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-9)


class Recurrent(nn.Module):
    """Dropout inside a recurrent layer, inside attention or in a function: no module shows it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.lstm = nn.LSTM(4, 4, num_layers=2, dropout=0.5, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.5, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "lstm":
            x = self.lstm(x)[0]
        elif self.kind == "attention":
            x = self.attention(x, x, x)[0]
        else:
            x = nn.functional.dropout(x, 0.5, self.training)
        return self.head(x.mean(dim=1))


@pytest.mark.parametrize("method", ["auto", "hooks", "vmap", "loop"])
@pytest.mark.parametrize("kind", ["lstm", "attention", "function"])
def test_dropout_that_no_module_shows_is_refused(kind: str, method: str) -> None:
    torch.manual_seed(0)
    model, batch = Recurrent(kind).train(), {"x": torch.randn(3, 5, 4)}

    def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return model(batch["x"]).square().sum(dim=1)

    with pytest.raises(ValueError, match=r"random.*model\.eval\(\)"):
        per_example_gradients(
            model, batch, loss, parameters=["head.weight", "head.bias"], method=method
        )
    found = per_example_gradients(model.eval(), batch, loss, parameters=["head.bias"])
    assert found["head.bias"].shape == (3, 2)
