"""A soft prompt for a frozen model, trained so that a crashed run goes on where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kinatlas._checks import check_choice, check_space, check_whole
from kinatlas._progress import bar
from kinatlas.errors import FormatError, NonFiniteError, ShapeError
from kinatlas.io.atomic import replaced
from kinatlas.tasks import Provenance, Task
from kinatlas.torch.fingerprints import fingerprint

__all__ = ["fit_soft_prompt"]

Loss = Callable[[nn.Module, Tensor, Tensor, dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class _Settings:
    n_tokens: int
    n_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    init: str
    seed: int
    name: str
    space: str
    #: Of the data and the word embeddings: another run's checkpoint must not pass for this one's.
    fingerprint: str


def fit_soft_prompt(
    model: nn.Module,
    data: Mapping[str, Tensor],
    n_tokens: int,
    *,
    name: str,
    space: str,
    n_steps: int,
    batch_size: int = 32,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-5,
    init: str = "vocabulary",
    seed: int = 0,
    loss: Loss | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    save_every: int = 100,
    progress: bool | None = None,
) -> Task:
    """Train a prompt [n_tokens, dim] in front of a frozen encoder or causal language model.

    The order of examples follows from the seed and the step alone, so that a run resumed from a
    checkpoint gives the prompt of a run that never stopped, unless the model drops out at random.
    The model is left as it was.

    Parameters
    ----------
    model
        Has ``get_input_embeddings()`` and takes ``inputs_embeds``, ``attention_mask`` and
        ``labels`` (for the default loss), as transformers do. Runs in the mode it is in.
    data
        ``input_ids`` [n_examples, n_positions], ``attention_mask`` of that shape, ``labels``
        [n_examples, ...], and whatever else the loss wants; examples along the first dimension.
    n_steps, batch_size, learning_rate, weight_decay
        AdamW on the prompt, learning rate falling linearly to 0.
    init
        ``"vocabulary"`` copies the embeddings of the first ``n_tokens`` words, as the prompts of
        intermediate-task transfer do; ``"sampled"`` those of words drawn under the seed.
    loss
        Called with model, input embeddings, attention mask (both with the prompt in front) and
        the batch. The default takes ``model(...).loss``; labels [n_examples, n_positions] get
        ``-100`` for the prompt.
    checkpoint
        A file for prompt and optimiser, written every ``save_every`` steps; if it is there, the
        run goes on from it. Its folder must exist. It belongs to one task, its data and its model.
    progress
        True shows a bar (needs tqdm).

    Raises
    ------
    ShapeError
        If ``data`` is empty or its tensors differ in their number of examples.
    NonFiniteError
        If the loss becomes NaN or infinite; the message names the step.
    FormatError
        If the checkpoint belongs to a run with other settings, data or word embeddings, or is
        damaged.
    ValueError
        If a number of tokens, steps or examples is no whole number of at least 1.

    References
    ----------
    Lester et al. 2021, The power of scale for parameter-efficient prompt tuning.

    Examples
    --------
    >>> class Bag(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.words = nn.Embedding(5, 3)
    ...     def get_input_embeddings(self):
    ...         return self.words
    >>> data = {"input_ids": torch.zeros(4, 2, dtype=torch.long)}
    >>> def loss(model, embeddings, mask, batch):
    ...     return (embeddings.mean(dim=1) - 1).square().mean()
    >>> task = fit_soft_prompt(
    ...     Bag(), data, 2, name="ones", space="bag", n_steps=20, batch_size=2, loss=loss
    ... )
    >>> task.tokens.shape, task.provenance.step
    ((2, 3), 20)
    """
    check_choice(init, ("vocabulary", "sampled"), "init")
    counts = {"n_tokens": n_tokens, "n_steps": n_steps, "batch_size": batch_size}
    for argument, number in (counts | {"save_every": save_every}).items():
        check_whole(number, argument, 1)
    n_examples = _count(data)
    words = _embedding(model).weight.detach()
    settings = _Settings(
        **counts,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        init=init,
        seed=seed,
        name=name,
        space=check_space(space),
        fingerprint=fingerprint({**data, "word embeddings": words}),
    )
    prompt = nn.Parameter(_start(words, settings))
    optimiser = torch.optim.AdamW([prompt], lr=learning_rate, weight_decay=weight_decay)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")
    first, losses = _resumed(path, settings, prompt, optimiser)
    frozen = {id(value): value.requires_grad for value in model.parameters()}
    try:
        for value in model.parameters():
            value.requires_grad_(False)
        with bar(progress, n_steps - first, unit="step") as report:
            for step in range(first, n_steps):
                optimiser.param_groups[0]["lr"] = learning_rate * (1 - step / n_steps)
                rows = _rows(n_examples, batch_size, step, seed)
                batch = {key: tensor[rows].to(prompt.device) for key, tensor in data.items()}
                found = (loss or _default_loss)(model, *_prefixed(model, prompt, batch), batch)
                if not torch.isfinite(found):
                    raise NonFiniteError(
                        f"step {step}: the loss is {float(found)}; use a smaller learning_rate"
                    )
                optimiser.zero_grad()
                found.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                losses.append(float(found.detach()))
                if report is not None:
                    report(step + 1 - first)
                if path is not None and ((step + 1) % save_every == 0 or step + 1 == n_steps):
                    _save(path, settings, prompt, optimiser, losses)
    finally:
        for value in model.parameters():
            value.requires_grad_(frozen[id(value)])
    notes = (f"init={init}", f"learning_rate={learning_rate:g}", f"last_loss={losses[-1]:.6g}")
    origin = Provenance(
        base_model=space, method="PROMPT_TUNING", seed=seed, step=n_steps, notes=notes
    )
    tokens = prompt.detach().cpu()
    return Task(
        name, tokens, space=f"{space}|PROMPT_TUNING|dim={words.shape[1]}", provenance=origin
    )


def _count(data: Mapping[str, Tensor]) -> int:
    sizes = {key: int(tensor.shape[0]) for key, tensor in data.items()}
    if "input_ids" not in sizes or len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ShapeError(
            f"data: tensors hold {sizes} examples, expected 'input_ids' and others of one number "
            "of examples, at least one"
        )
    return sizes["input_ids"]


def _start(words: Tensor, settings: _Settings) -> Tensor:
    if settings.init == "vocabulary":
        chosen = torch.arange(settings.n_tokens) % len(words)
    else:
        generator = torch.Generator().manual_seed(settings.seed)
        chosen = torch.randint(len(words), (settings.n_tokens,), generator=generator)
    return words[chosen.to(words.device)].clone().float()


def _rows(n_examples: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Examples of one step: every pass over the data is a permutation drawn for that pass."""
    per_pass = max(1, n_examples // batch_size)
    epoch, place = divmod(step, per_pass)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(n_examples, generator=generator)
    return order[place * batch_size : (place + 1) * batch_size]


def _embedding(model: Any) -> nn.Embedding:
    found: nn.Embedding = model.get_input_embeddings()
    return found


def _prefixed(model: nn.Module, prompt: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    ids = batch["input_ids"]
    words = _embedding(model)(ids)
    front = prompt.to(words.dtype).expand(len(ids), *prompt.shape)
    mask = batch.get("attention_mask", torch.ones_like(ids))
    ones = torch.ones(len(ids), len(prompt), dtype=mask.dtype, device=mask.device)
    return torch.cat([front, words], dim=1), torch.cat([ones, mask], dim=1)


def _default_loss(
    model: nn.Module, embeddings: Tensor, mask: Tensor, batch: dict[str, Tensor]
) -> Tensor:
    labels = batch["labels"]
    if labels.shape == batch["input_ids"].shape:
        front = embeddings.shape[1] - labels.shape[1]
        labels = nn.functional.pad(labels, (front, 0), value=-100)
    found: Tensor = model(inputs_embeds=embeddings, attention_mask=mask, labels=labels).loss
    return found


def _save(
    path: Path, settings: _Settings, prompt: Tensor, optimiser: Any, losses: list[float]
) -> None:
    state = {
        "settings": asdict(settings),
        "prompt": prompt.detach().cpu(),
        "optimiser": optimiser.state_dict(),
        "losses": losses,
    }
    with replaced(path) as file:
        torch.save(state, file)


def _resumed(
    path: Path | None, settings: _Settings, prompt: Tensor, optimiser: Any
) -> tuple[int, list[float]]:
    if path is None or not path.exists():
        return 0, []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found, losses = state["settings"], list(state["losses"])
        start, moments = state["prompt"], state["optimiser"]
    except OSError:
        raise
    # Whatever torch meets in bytes that are no checkpoint: EOFError, KeyError, RuntimeError, ...
    except Exception as error:
        raise FormatError(
            f"{path}: the file is no checkpoint of a soft prompt, or is damaged; remove it to "
            f"start anew ({type(error).__name__}: {error})"
        ) from None
    if found != asdict(settings):
        raise FormatError(
            f"{path}: the checkpoint belongs to a run with {found}, asked for "
            f"{asdict(settings)}; name another file, or remove it"
        )
    with torch.no_grad():
        prompt.copy_(start)
    optimiser.load_state_dict(moments)
    return len(losses), losses
