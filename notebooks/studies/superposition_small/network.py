"""A three-layer decoder of 84,624 weights: RMSNorm, rotary positions, SwiGLU, untied output."""

from __future__ import annotations

import torch
from retrieval import VOCABULARY
from torch import nn
from torch.nn import functional

N_LAYERS, WIDTH, N_HEADS, HIDDEN = 3, 48, 4, 128
ROTARY_BASE = 10_000.0


def rotated(values, cosine, sine):
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.RMSNorm(WIDTH, eps=1e-6)
        self.attention_in = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp_norm = nn.RMSNorm(WIDTH, eps=1e-6)
        self.mlp_in = nn.Linear(WIDTH, 2 * HIDDEN, bias=False)
        self.mlp_out = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, states, cosine, sine):
        n_prompts, n_tokens, _ = states.shape
        parts = self.attention_in(self.attention_norm(states))
        parts = parts.view(n_prompts, n_tokens, 3, N_HEADS, -1).transpose(1, 3)
        query, key, value = parts.unbind(dim=2)
        mixed = functional.scaled_dot_product_attention(
            rotated(query, cosine, sine), rotated(key, cosine, sine), value, is_causal=True
        )
        states = states + self.attention_out(mixed.transpose(1, 2).reshape(states.shape))
        gate, up = self.mlp_in(self.mlp_norm(states)).chunk(2, dim=-1)
        return states + self.mlp_out(functional.silu(gate) * up)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(N_LAYERS))
        self.norm = nn.RMSNorm(WIDTH, eps=1e-6)
        self.output = nn.Linear(WIDTH, VOCABULARY, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                last = name.endswith(("attention_out.weight", "mlp_out.weight"))
                scale = 0.02 / (2 * N_LAYERS) ** 0.5 if last else 0.02
                nn.init.normal_(weight, std=scale if "embedding" not in name else 0.02)

    def forward(self, tokens):
        """Return logits [n_prompts, n_tokens, vocabulary]."""
        angles = torch.arange(tokens.shape[1])[:, None] * ROTARY_BASE ** (
            -torch.arange(0, WIDTH // N_HEADS, 2) / (WIDTH // N_HEADS)
        )
        cosine, sine = angles.cos(), angles.sin()
        states = self.embedding(tokens)
        for block in self.blocks:
            states = block(states, cosine, sine)
        return self.output(self.norm(states))
