"""Hugging Face models as boxes: the same answers as a forward pass by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from kinatlas.behavior.parsing import parse  # noqa: E402
from kinatlas.torch import CausalBox, PipelineBox  # noqa: E402

WORDS = ["<pad>", "yes", "no", "maybe", "a", "b", "c"]


class Tokenizer:
    """Words by spaces, padded as it is told to."""

    pad_token, eos_token, padding_side = None, "<pad>", "right"

    def __call__(self, texts, **_):
        rows = [[WORDS.index(word) for word in text.split()] for text in texts]
        width = max(map(len, rows))
        assert self.padding_side == "left"
        padded = [[0] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}

    def decode(self, ids):
        return " " + WORDS[int(ids[0])]


def tiny_model():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def test_a_causal_model_answers_as_its_forward_pass_does() -> None:
    model = tiny_model()
    box = CausalBox(model, Tokenizer(), "a {text} b", {"y": ["yes"], "n": ["no"]}, id="tiny")
    texts = ["c", "c c a", "a b"]
    for text, answer in zip(texts, box(texts), strict=True):
        ids = torch.tensor([[WORDS.index(word) for word in f"a {text} b".split()]])
        with torch.inference_mode():
            shares = torch.softmax(model(ids).logits[0, -1], dim=-1).numpy()
        read = parse("logprobs", box.labels, box.verbalizers, answer)
        # float32 forward passes of other shapes agree to a few units in the last place.
        assert read.mass == pytest.approx(float(shares[1] + shares[2]), rel=1e-4)
        assert read.values[0] == pytest.approx(shares[1] / (shares[1] + shares[2]), rel=1e-4)
        assert math.fsum(np.exp(list(answer.values()))) == pytest.approx(1.0, rel=1e-4)


def test_a_pipeline_gives_probabilities_by_label() -> None:
    def pipeline(texts, top_k):
        assert top_k is None
        return [[{"label": "POS", "score": 0.75}, {"label": "NEG", "score": 0.25}] for _ in texts]

    box = PipelineBox(pipeline, "toy", labels=["NEG", "POS"])
    assert parse(box.output, box.labels, None, box(["x"])[0]).values == (0.25, 0.75)
