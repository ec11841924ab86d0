"""Train one soft prompt against fixed class words, with everything else frozen."""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time

import numpy as np
import torch
from encoder import Encoder
from tasks import Task, seed_of
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of the training, the same for every task and seed."""

    n_tokens: int = 16
    n_steps: int = 200
    batch_size: int = 16
    learning_rate: float = 2e-2
    weight_decay: float = 1e-2
    n_warmup: int = 10
    final_rate: float = 0.1
    logit_scale: float = 20.0


@dataclass(frozen=True)
class Trained:
    """A prompt [n_tokens, dim] in half precision and how its training went."""

    prompt: np.ndarray
    loss_first: float
    loss_last: float
    cpu_seconds: float


# Prompts start from frequent words (Lester et al. 2021, section 3.2); BERT's vocabulary keeps
# reserved pieces and single characters below 1996 and sorts words by frequency from there.
FIRST_WORD, N_FREQUENT_WORDS = 1996, 5000


def initial_prompt(encoder: Encoder, recipe: Recipe, seed: int) -> np.ndarray:
    """The untrained prompt [n_tokens, dim] that all tasks of one seed share, in half precision."""
    rng = seed_of("initial prompt", seed)
    rows = FIRST_WORD + rng.choice(N_FREQUENT_WORDS, recipe.n_tokens, replace=False)
    words = encoder.weights["embeddings.word_embeddings.weight"].numpy()
    return words[rows].astype(np.float16)


def label_vectors(encoder: Encoder, task: Task) -> Tensor:
    """Unit vectors of the class words under the encoder without a prompt [n_classes, dim]."""
    return functional.normalize(encoder.features(task.label_texts), dim=1)


def class_logits(pooled: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Scaled cosine of texts [n, dim] and class words [n_classes, dim]: [n, n_classes]."""
    return scale * functional.normalize(pooled, dim=1) @ labels.T


def rate_at(step: int, recipe: Recipe) -> float:
    """Share of the learning rate in use: linear warm-up, then linear decay to `final_rate`."""
    if step < recipe.n_warmup:
        return (step + 1) / recipe.n_warmup
    progress = (step - recipe.n_warmup) / max(1, recipe.n_steps - recipe.n_warmup)
    return 1.0 - (1.0 - recipe.final_rate) * progress


def train_prompt(encoder: Encoder, task: Task, recipe: Recipe, seed: int) -> Trained:
    """Prompt of one task and seed; the seed sets the shared start and the order of the texts."""
    started = process_time()
    texts, targets = task.train
    start = initial_prompt(encoder, recipe, seed).astype(np.float32)
    prompt = torch.from_numpy(start).requires_grad_()
    optimiser = torch.optim.AdamW(
        [prompt], lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, recipe))
    labels = label_vectors(encoder, task)
    rng = seed_of(task.name, seed)
    queue = np.empty(0, dtype=np.int64)
    losses: list[float] = []
    for _ in range(recipe.n_steps):
        if len(queue) < recipe.batch_size:
            queue = np.concatenate([queue, rng.permutation(len(texts))])
        rows, queue = queue[: recipe.batch_size], queue[recipe.batch_size :]
        ids, mask = encoder.tokenize([texts[i] for i in rows])
        logits = class_logits(encoder.pooled(ids, mask, prompt), labels, recipe.logit_scale)
        loss = functional.cross_entropy(logits, torch.from_numpy(targets[rows]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    window = min(20, recipe.n_steps)
    return Trained(
        prompt=prompt.detach().numpy().astype(np.float16),
        loss_first=float(np.mean(losses[:window])),
        loss_last=float(np.mean(losses[-window:])),
        cpu_seconds=process_time() - started,
    )
