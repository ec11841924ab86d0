"""The torch runner against full forward passes, with and without a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinatlas.errors import FormatError, ShapeError
from kinatlas.superposition import build_prompts

torch = pytest.importorskip("torch")

from kinatlas.torch.superposition import (  # noqa: E402  (needs torch)
    encode_answers,
    score_answers,
    score_prompts,
)
from kinatlas.torch.superposition_states import (  # noqa: E402  (needs torch)
    extract_states,
    find_blocks,
    patched,
)


def encode(text: str) -> list[int]:
    return [ord(letter) % 64 for letter in text]


def small_llama() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    return transformers.LlamaForCausalLM(config).eval()


def one_by_one(model: Any, prompt: list[int], tail: list[int]) -> float:
    with torch.inference_mode():
        output = model(torch.tensor([prompt + tail]))
    logs = getattr(output, "logits", output)[0].double().log_softmax(dim=-1)
    return sum(float(logs[len(prompt) + t - 1, token]) for t, token in enumerate(tail))


class Toy(torch.nn.Module):
    """A causal model without cache: a running mean of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embedding = torch.nn.Embedding(64, 8)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(2))
        self.output = torch.nn.Linear(8, 64)
        self.calls = 0

    def forward(self, tokens: Any) -> Any:
        self.calls += 1
        states = self.embedding(tokens).cumsum(dim=1)
        for layer in self.layers:
            states = torch.tanh(layer(states))
        return self.output(states)


@pytest.mark.parametrize("build", [small_llama, Toy])
def test_batched_cached_scores_equal_single_full_passes(build: Any) -> None:
    model = build()
    rng = np.random.default_rng(0)
    encoded = []
    for length in (5, 9, 5, 7, 9):
        prompt = rng.integers(64, size=length).tolist()
        encoded.append((prompt, [rng.integers(64, size=n).tolist() for n in (1, 3, 2)]))
    found = score_answers(model, encoded, batch_size=2)
    wanted = [[one_by_one(model, prompt, tail) for tail in tails] for prompt, tails in encoded]
    # float32 logits of order one: 1e-6 relative, three tokens.
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_a_ledger_resumes_without_scoring_twice(tmp_path: Path) -> None:
    model = Toy()
    prompts = build_prompts("copy_letter", [0.5, 0, 0.5], n_examples=3, n_prompts=6)
    ledger = tmp_path / "ledger.jsonl"
    first = score_prompts(model, encode, prompts, ledger=ledger, model_name="toy", batch_size=2)
    lines = ledger.read_text().splitlines()
    calls = model.calls
    again = score_prompts(model, encode, prompts, ledger=ledger, model_name="toy")
    assert model.calls == calls
    np.testing.assert_array_equal(first.log_probabilities, again.log_probabilities)
    # A run that was killed while writing: half a line is left, and only its prompts run again.
    kept = [line for line in lines if line][:-1]
    ledger.write_text("\n".join(kept) + "\n" + lines[-1][:20])
    resumed = score_prompts(model, encode, prompts, ledger=ledger, model_name="toy")
    assert model.calls == calls + 2  # one prompt: its prefix, and its answers after it
    np.testing.assert_allclose(resumed.log_probabilities, first.log_probabilities, atol=1e-6)
    other = score_prompts(model, encode, prompts, ledger=ledger, model_name="another")
    assert model.calls > calls + 2
    np.testing.assert_allclose(other.log_probabilities, first.log_probabilities, atol=1e-6)


def test_a_tokenizer_that_merges_over_the_border_is_refused() -> None:
    def greedy(text: str) -> list[int]:
        return [len(word) for word in text.split(">")]

    with pytest.raises(FormatError, match="separator that ends a token"):
        encode_answers(greedy, "ab>", ["b"], None)
    assert encode_answers(encode, "ab>", ["b"], "\n")[1] == [[ord("b") % 64, 10]]


def test_states_are_those_of_the_model_itself() -> None:
    model = small_llama()
    prompts = [[1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    found = extract_states(model, prompts, positions=(-1, -2), batch_size=2)
    assert found.shape == (3, 3, 2, 16)
    for prompt, states in zip(prompts, found, strict=True):
        with torch.inference_mode():
            output = model.model(torch.tensor([prompt]), output_hidden_states=True)
        # The last entry of hidden_states has passed the final norm; layers before it have not.
        for layer in range(2):
            wanted = output.hidden_states[layer + 1][0, [-1, -2]].numpy()
            np.testing.assert_allclose(states[layer], wanted, atol=1e-5)


def test_patching_a_prompts_own_states_changes_nothing_and_adding_zero_neither() -> None:
    model = small_llama()
    prompt = [3, 1, 4, 1, 5]
    tokens = torch.tensor([prompt])
    own = extract_states(model, [prompt], positions=(-1,))[0]
    with torch.inference_mode():
        plain = model(tokens).logits
        for layer in range(3):
            with patched(model, layer, own[layer]):
                np.testing.assert_allclose(model(tokens).logits, plain, atol=1e-5)
            with patched(model, layer, np.zeros(16), mode="add"):
                np.testing.assert_array_equal(model(tokens).logits, plain)
        with patched(model, 1, own[1] + 3.0):
            assert not np.allclose(model(tokens).logits[0, -1], plain[0, -1], atol=1e-2)
        np.testing.assert_array_equal(model(tokens).logits, plain)


def test_a_patch_moves_the_answer_of_another_prompt_to_its_own() -> None:
    model = small_llama()
    source, target = [3, 1, 4, 1, 5], [9, 2, 6, 5, 3]
    own = extract_states(model, [source], positions=(-1,))[0]
    with torch.inference_mode():
        wanted = model(torch.tensor([source])).logits[0, -1]
        with patched(model, 2, own[2]):
            found = model(torch.tensor([target])).logits[0, -1]
    # After the last layer nothing else reaches the last token's logits.
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_wrong_layers_widths_and_models_are_refused() -> None:
    model = Toy()
    assert len(find_blocks(model)) == 2
    with pytest.raises(ShapeError, match="layer 2, expected 0 to 1"), patched(model, 2, [0.0] * 8):
        pass
    with pytest.raises(ShapeError, match="width 7"), patched(model, 0, [0.0] * 7):
        model(torch.tensor([[1, 2]]))
    assert model(torch.tensor([[1, 2]])).shape == (1, 2, 64)
    with pytest.raises(FormatError, match="pass blocks="):
        find_blocks(torch.nn.Linear(2, 2))
