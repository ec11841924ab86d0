"""Collectors inside a torch loop: against a loop over examples, against the disk, resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError

torch = pytest.importorskip("torch", reason="torch is not installed: make test-torch installs it")
from torch import nn  # noqa: E402

from kinatlas.torch import (  # noqa: E402
    accumulate_fisher,
    atlas_from_peft,
    collect_states,
    fit_soft_prompt,
    per_example_gradients,
)

torch.set_num_threads(1)
EPSILON = torch.finfo(torch.float32).eps


class Transformer(nn.Module):
    """Two layers that read [n, n_positions] words and answer [n, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        states = self.words(input_ids)
        for layer in self.layers:
            states = layer(states)
        return self.head(states.mean(dim=1))


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return Transformer()


def adapted(seed: int = 0) -> nn.Module:
    peft = pytest.importorskip("peft", reason="peft is not installed: make test-torch installs it")
    config = peft.LoraConfig(r=2, target_modules=["linear1", "linear2"], init_lora_weights=False)
    model = small(seed)
    torch.manual_seed(seed + 1)
    return peft.get_peft_model(model, config)


def words(n: int = 7, seed: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "input_ids": torch.randint(20, (n, 5), generator=generator),
        "labels": torch.randint(3, (n,), generator=generator),
    }


def logits(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(batch["input_ids"])


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return nn.functional.cross_entropy(logits(model, batch), batch["labels"])


def by_hand(model: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gradients by ``backward``, one example after the other."""
    rows: dict[str, list[torch.Tensor]] = {}
    for at in range(len(batch["labels"])):
        model.zero_grad()
        loss(model, {name: tensor[at : at + 1] for name, tensor in batch.items()}).backward()
        for name, value in model.named_parameters():
            if value.requires_grad:
                rows.setdefault(name, []).append(value.grad.clone())
    model.zero_grad()
    return {name: torch.stack(values) for name, values in rows.items()}


@pytest.mark.parametrize("method", ["vmap", "loop"])
@pytest.mark.parametrize("build", [small, adapted])
def test_torch_gradients_agree_with_a_loop_over_examples(build, method: str) -> None:
    model, batch = build(), words()
    found = per_example_gradients(model, batch, loss, method=method)
    expected = by_hand(model, batch)
    assert set(found) == set(expected)
    for name, gradients in expected.items():
        size = float(gradients.abs().max())
        # Sums of at most a few hundred terms, reordered by batching.
        assert float((found[name] - gradients).abs().max()) <= 200 * EPSILON * max(size, 1e-3)
    assert all(value.grad is None for value in model.parameters())


def test_torch_gradients_need_something_to_differentiate() -> None:
    model = small()
    with pytest.raises(UnknownNameError, match=r"head\.weight"):
        per_example_gradients(model, words(), loss, parameters=["head.weigt"])
    with pytest.raises(ValueError, match="at least one example"):
        per_example_gradients(model, words(0), loss)
    for value in model.parameters():
        value.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        per_example_gradients(model, words(), loss)
    drops = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"call model.eval\(\)"):
        per_example_gradients(drops, {"x": torch.ones(1, 2)}, loss)


@pytest.mark.parametrize("convention", ["gold", "exact", "monte_carlo"])
def test_torch_fisher_does_not_depend_on_the_batch(convention: str) -> None:
    model, data = small(), words(12)

    def fisher(size: int) -> dict[str, np.ndarray]:
        batches = [
            {name: tensor[start : start + size] for name, tensor in data.items()}
            for start in range(0, 12, size)
        ]
        return accumulate_fisher(
            model, batches, logits=logits, convention=convention, n_draws=4, seed=1
        ).diagonal()

    one, many = fisher(1), fisher(5)
    for name, values in one.items():
        # The sums are exact to float64; the gradients of torch differ by float32 rounding.
        np.testing.assert_allclose(many[name], values, rtol=1e-3, atol=1e-9)


def test_torch_fisher_of_a_linear_head_is_its_closed_form() -> None:
    torch.manual_seed(0)
    head, x = nn.Linear(4, 3).double(), torch.randn(30, 4, dtype=torch.float64)

    def scores(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return model(batch["x"])

    found = accumulate_fisher(head, [{"x": x}], logits=scores, convention="exact").diagonal()
    p = head(x).softmax(dim=1).detach()
    task = ka.embed_fisher(x, p, name="t", space="m").tokens.reshape(5, 3)
    # The collector takes its loss in float32.
    np.testing.assert_allclose(found["weight"], task[:4].T, rtol=1e-5)
    np.testing.assert_allclose(found["bias"], task[4], rtol=1e-5)


def test_torch_states_are_pooled_over_the_tokens_the_mask_keeps() -> None:
    model = small()
    batch = words(3)
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    inputs = {"input_ids": batch["input_ids"], "attention_mask": mask}

    def call(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return model(batch["input_ids"])

    layers = ["words", "layers.0", "layers.1"]
    found = {
        pool: collect_states(model, [inputs], modules=layers, pool=pool, call=call)
        for pool in ("last", "first", "mean")
    }
    embedded = model.words(batch["input_ids"]).detach().numpy()
    assert found["last"].shape == (3, 3, 8)
    for row, (first, last) in enumerate([(0, 2), (2, 4), (0, 4)]):
        np.testing.assert_array_equal(found["last"][row, 0], embedded[row, last])
        np.testing.assert_array_equal(found["first"][row, 0], embedded[row, first])
        np.testing.assert_allclose(
            found["mean"][row, 0], embedded[row, first : last + 1].mean(axis=0), rtol=1e-6
        )
    assert not model.layers[0]._forward_hooks
    with pytest.raises(UnknownNameError, match=r"layers\.7"):
        collect_states(model, [inputs], modules=["layers.7"], call=call)
    empty = inputs | {"attention_mask": torch.zeros_like(mask)}
    with pytest.raises(ShapeError, match="keeps no token"):
        collect_states(model, [empty], modules=["words"], call=call)
    with pytest.raises(ValueError, match="got none"):
        collect_states(model, [], modules=["words"])


def test_live_torch_adapters_are_what_the_disk_would_hold(tmp_path: Path) -> None:
    models = {"rte": adapted(0), "cb": adapted(0)}
    torch.manual_seed(9)
    with torch.no_grad():
        for name, value in models["cb"].named_parameters():
            if "lora_" in name:
                value.copy_(torch.randn_like(value))
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
    live, read = atlas_from_peft(models), ka.load_atlas(tmp_path)
    assert set(live.names) == set(read.names)
    for kernel in ("low_rank_cosine", "low_rank_inner"):
        both = [
            ka.similarity_matrix(atlas.select(["rte", "cb"]), kernel=kernel).values
            for atlas in (live, read)
        ]
        assert np.array_equal(*both)
    assert atlas_from_peft(models["rte"]).names == ("default",)
    with pytest.raises(DTypeError, match="'x': got Linear"):
        atlas_from_peft({"x": nn.Linear(1, 1)})


class Classifier(nn.Module):
    """A frozen reader of embeddings with the interface of transformers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(20, 8)
        self.head = nn.Linear(8, 3)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.words

    def forward(self, inputs_embeds, attention_mask, labels):  # type: ignore[no-untyped-def]
        kept = attention_mask.unsqueeze(-1)
        pooled = (inputs_embeds * kept).sum(dim=1) / kept.sum(dim=1)
        value = nn.functional.cross_entropy(self.head(pooled.tanh()), labels)
        return type("Output", (), {"loss": value})


def test_a_torch_prompt_resumed_is_the_prompt_of_a_run_that_never_stopped(
    tmp_path: Path,
) -> None:
    model, data = Classifier(), words(30)
    frozen = {name: value.clone() for name, value in model.state_dict().items()}
    settings = {"name": "rte", "space": "toy", "n_steps": 40, "batch_size": 8}
    whole = fit_soft_prompt(model, data, 4, **settings)
    path = tmp_path / "prompt.pt"
    calls = []

    def stopping(*arguments: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 27:
            raise KeyboardInterrupt
        from kinatlas.torch.soft_prompt import _default_loss

        return _default_loss(*arguments)

    with pytest.raises(KeyboardInterrupt):
        fit_soft_prompt(model, data, 4, **settings, loss=stopping, checkpoint=path, save_every=10)
    again = fit_soft_prompt(model, data, 4, **settings, checkpoint=path, save_every=10)
    assert np.array_equal(again.tokens, whole.tokens)
    assert again.space == "toy|PROMPT_TUNING|dim=8"
    assert float(whole.provenance.notes[-1].split("=")[1]) < np.log(3)
    for name, value in model.state_dict().items():
        assert torch.equal(value, frozen[name])
    assert all(value.requires_grad for value in model.parameters())
    with pytest.raises(FormatError, match="another file"):
        fit_soft_prompt(model, data, 5, **settings, checkpoint=path)


def test_a_torch_prompt_refuses_bad_data_and_a_diverging_loss() -> None:
    settings = {"name": "rte", "space": "toy", "n_steps": 3}
    with pytest.raises(ShapeError, match="at least one"):
        fit_soft_prompt(Classifier(), words(0), 4, **settings)
    with pytest.raises(NonFiniteError, match="step 0"):
        fit_soft_prompt(
            Classifier(), words(4), 4, **settings, loss=lambda *_: torch.tensor(float("nan"))
        )
    with pytest.raises(ValueError, match="n_tokens=0"):
        fit_soft_prompt(Classifier(), words(4), 0, **settings)
