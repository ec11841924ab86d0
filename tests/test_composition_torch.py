"""The head and multitask prompts beside torch's autograd and the installed peft."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kinatlas import _core  # noqa: E402
from kinatlas.composition import Features, MultitaskPrompt, PromptHead  # noqa: E402
from kinatlas.composition.starts import split  # noqa: E402

MODES = ("prompt", "fixed", "task", "share")


def answer(tensors: dict, x, shared, own, keys, mode: str, tau: float):
    """Logits and weights, as one would write them in torch."""
    if mode == "share":
        weights, fused = None, shared
    else:
        if mode == "prompt":
            hidden = torch.relu(x @ tensors["proj.0.weight"].T) @ tensors["proj.2.weight"].T
            scale, shift = tensors["proj.ln.weight"], tensors["proj.ln.bias"]
            query = torch.nn.functional.layer_norm(hidden, scale.shape, scale, shift)
            weights = torch.softmax(query @ keys.T / tau, dim=1)
        elif mode == "task":
            weights = torch.softmax(keys @ tensors["prompt.E"] / tau, dim=0).expand(len(x), -1)
        else:
            weights = torch.full(own.shape[:2], 1 / own.shape[1], dtype=x.dtype)
        mixed = torch.einsum("nk,nkr->nr", weights, own)
        gate = torch.softmax(x @ tensors["gate.weight"].T, dim=1)
        fused = gate[:, :1] * mixed * tensors["prompt.E"] + gate[:, 1:] * shared
    number = 0
    while f"tower.{number + 2}.weight" in tensors:
        weight, bias = tensors[f"tower.{number}.weight"], tensors[f"tower.{number}.bias"]
        fused = torch.relu(fused @ weight.T + bias)
        number += 2
    logits = fused @ tensors[f"tower.{number}.weight"].T + tensors[f"tower.{number}.bias"]
    return logits[:, 0], weights


def numbers(n: int = 150, dim: int = 9, width: int = 12, n_sources: int = 3):
    rng = np.random.default_rng(3)
    shapes = (n, dim), (n, width), (n, n_sources, width), (n_sources, width)
    return [rng.normal(size=shape) for shape in shapes], rng.random(n) < 0.4


def objective(tensors, parts, labels, mode, tau, beta_kl):
    logits, weights = answer(tensors, *parts, mode, tau)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    if beta_kl and weights is not None:
        loss = loss + beta_kl * (weights * torch.log(weights * weights.shape[1])).sum(1).mean()
    return loss


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("beta_kl", [0.0, 0.3])
def test_slopes_are_those_of_torch(mode: str, beta_kl: float) -> None:
    arrays, labels = numbers()
    sizes = (9, 12, 3, [7, 5], mode)
    start = _core.head_initial(sizes, 4)
    head = (sizes, (2.0, beta_kl, 0.0), arrays[3].ravel())
    loss, slopes = _core.head_slopes(head, start, ((*arrays[:3], [0, 1, 2]), labels))
    tensors = {name: torch.tensor(v, requires_grad=True) for name, v in split(start, sizes).items()}
    parts = [torch.tensor(array) for array in arrays]
    wanted = objective(
        tensors, parts, torch.tensor(labels, dtype=torch.float64), mode, 2.0, beta_kl
    )
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), rel=1e-12)
    for name, found in split(slopes, sizes).items():
        grad = tensors[name].grad.numpy()
        assert np.abs(found - grad).max() <= 1e-10 * max(1.0, np.abs(grad).max()), name


@pytest.mark.parametrize("mode", MODES)
def test_training_by_whole_batches_is_torch_adam(mode: str) -> None:
    arrays, labels = numbers()
    single = [array.astype("f") for array in arrays]
    features = Features(
        x=single[0],
        shared=single[1],
        own=single[2],
        sources=("a", "b", "c"),
        keys=single[3],
        basis_key="here",
    )
    options = {"tower": (7, 5), "tau": 2.0, "mode": mode, "learning_rate": 1e-2, "reg_dnn": 1e-2}
    still = PromptHead(**(options | {"learning_rate": 1e-30}), epochs=1).fit(features, labels)
    head = PromptHead(**options, epochs=10, batch_size=150).fit(features, labels)
    start = still.state().items()
    tensors = {n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in start}
    parts = [torch.tensor(array, dtype=torch.float64) for array in single]
    wanted = torch.tensor(labels, dtype=torch.float64)
    optimiser = torch.optim.Adam(tensors.values(), lr=1e-2)
    for _ in range(10):
        optimiser.zero_grad()
        loss = objective(tensors, parts, wanted, mode, 2.0, 0.0)
        for name, tensor in tensors.items():
            if name.startswith("tower") and name.endswith("weight"):
                loss = loss + 0.5e-2 * tensor.square().sum()
        loss.backward()
        optimiser.step()
    logits = answer(tensors, *parts, mode, 2.0)[0].detach().numpy()
    # Ten steps of at most 0.01 in single precision against double.
    assert np.abs(head.decision_function(features) - logits).max() < 2e-3 * np.abs(logits).max()


def test_peft_reads_what_we_write_and_we_read_what_it_writes(tmp_path) -> None:
    peft = pytest.importorskip("peft")
    from safetensors.numpy import load_file, save_file

    rng = np.random.default_rng(0)
    shapes = (4, 6), (1, 4, 2), (1, 2, 6)
    ours = MultitaskPrompt(*(rng.normal(size=shape).astype("f") for shape in shapes), ["rte"])
    path = tmp_path / "adapter_model.safetensors"
    ours.save(path)
    held = load_file(path)
    assert {name: array.shape for name, array in held.items()} == {
        "prompt_embeddings": (4, 6),
        "prefix_task_cols": (1, 4, 2),
        "prefix_task_rows": (1, 2, 6),
    }
    config = peft.MultitaskPromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=4,
        token_dim=6,
        num_ranks=2,
        num_tasks=1,
        prompt_tuning_init="EXACT_SOURCE_TASK",
        prompt_tuning_init_task=0,
        prompt_tuning_init_state_dict_path=str(path),
        num_transformer_submodules=1,
    )
    from peft.tuners.multitask_prompt_tuning import MultitaskPromptEmbedding

    module = MultitaskPromptEmbedding(config, torch.nn.Embedding(10, 6))
    with torch.no_grad():
        theirs = module(torch.arange(4)[None], torch.tensor([0]))[0].numpy()
    assert np.allclose(theirs, ours.prompt("rte"), atol=1e-6)
    tensors = {
        "prompt_embeddings": module.embedding.weight.detach().numpy(),
        "prefix_task_cols": module.prefix_task_cols.detach().numpy(),
        "prefix_task_rows": module.prefix_task_rows.detach().numpy(),
    }
    save_file(tensors, path, {"format": "pt"})
    back = MultitaskPrompt.load(path)
    assert back.tasks == ("task0",)
    for name in ("shared", "columns", "rows"):
        assert np.array_equal(getattr(back, name), getattr(ours, name))
