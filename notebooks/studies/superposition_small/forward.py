"""The small decoder once more in NumPy, so that its weights can be used where torch is missing."""

from __future__ import annotations

import numpy as np

N_LAYERS, WIDTH, N_HEADS = 3, 48, 4
ROTARY_BASE = 10_000.0
EPSILON = 1e-6


class Forward:
    """The trained decoder; ``weights`` are arrays by their torch names."""

    def __init__(self, weights):
        self.weights = {
            name: np.asarray(array, dtype=np.float32) for name, array in weights.items()
        }

    def __call__(self, tokens, *, patch=None):
        """Return last-token log-probabilities [n, vocabulary], and states [n, 3, t, 48].

        ``patch`` is (layer, positions, vectors [n_positions, 48]), added after that layer.
        """
        weights = self.weights
        states = weights["embedding.weight"][tokens]
        cosine, sine = angles(tokens.shape[1])
        every = []
        for layer in range(N_LAYERS):
            states = self.block(f"blocks.{layer}.", states, cosine, sine)
            if patch is not None and patch[0] == layer:
                states = states.copy()
                states[:, patch[1]] += patch[2]
            every.append(states)
        last = normed(states[:, -1], weights["norm.weight"]) @ weights["output.weight"].T
        last = last.astype(np.float64)
        last -= last.max(axis=1, keepdims=True)
        return last - np.log(np.exp(last).sum(axis=1, keepdims=True)), np.stack(every, axis=1)

    def block(self, prefix, states, cosine, sine):
        part = {
            name.removeprefix(prefix): array
            for name, array in self.weights.items()
            if name.startswith(prefix)
        }
        n_prompts, n_tokens, _ = states.shape
        flat = normed(states, part["attention_norm.weight"]) @ part["attention_in.weight"].T
        flat = flat.reshape(n_prompts, n_tokens, 3, N_HEADS, -1).transpose(2, 0, 3, 1, 4)
        query, key = rotated(flat[0], cosine, sine), rotated(flat[1], cosine, sine)
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(WIDTH // N_HEADS))
        scores[..., np.triu(np.ones((n_tokens, n_tokens), dtype=bool), 1)] = -np.inf
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores @ flat[2] / scores.sum(axis=-1, keepdims=True)
        mixed = mixed.transpose(0, 2, 1, 3).reshape(states.shape)
        states = states + mixed @ part["attention_out.weight"].T
        inner = normed(states, part["mlp_norm.weight"]) @ part["mlp_in.weight"].T
        gate, up = np.split(inner, 2, axis=-1)
        return states + (gate / (1 + np.exp(-gate)) * up) @ part["mlp_out.weight"].T


def angles(n_tokens):
    width = WIDTH // N_HEADS
    powers = ROTARY_BASE ** (-np.arange(0, width, 2) / width)
    turn = np.arange(n_tokens)[:, None] * powers
    return np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)


def rotated(values, cosine, sine):
    first, second = np.split(values, 2, axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def normed(states, weight):
    scale = np.sqrt((states**2).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
    return states / scale * weight


def load(path, regime):
    """Return the decoder of a regime from a fixture of half-precision weights."""
    with np.load(path) as data:
        prefix = f"{regime}/"
        return Forward(
            {
                name.removeprefix(prefix): data[name]
                for name in data.files
                if name.startswith(prefix)
            }
        )
