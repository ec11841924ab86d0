"""Surrogates trained by gradients: a box, or a data set, as what it does to a transformer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kinatlas._checks import check_choice, check_number, check_whole
from kinatlas._progress import bar
from kinatlas.behavior import Responses
from kinatlas.behavior.boxes import digest
from kinatlas.errors import FormatError, ShapeError
from kinatlas.io.atomic import replaced
from kinatlas.tasks import Atlas, Provenance, Task
from kinatlas.torch.fingerprints import fingerprint
from kinatlas.torch.learners import Settings, fisher_diagonal, trained_delta

__all__ = ["TrainedSpace"]

_LEARNERS = ("prefix", "prompt", "fisher")
_REDUCTIONS = ("layers", "positions", "none")
# Of the released code: prefixes at 1e-2 (its data sets), whole models at 2e-5.
_RATES = {"prefix": 1e-2, "prompt": 1e-2, "fisher": 2e-5}

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainedSpace:
    """A frozen transformer, a learner and its settings: what makes two embeddings comparable.

    The faithful path of FUTE, for comparison with `behavior.RidgeSpace`, which is hundreds of times
    cheaper and came out better (docs/behavior.md). Other than in the released code every box
    starts from the same seeds, embeddings are differences from that start, every embedded
    coordinate is checked to get a gradient, and data sets are fitted by the same loss as models.
    Since the head is thrown away, boxes of any label sets share one space, and which way a box
    leans is lost.

    Parameters
    ----------
    model
        A transformers model without a head: encoder, decoder or both. Left as it was.
    encode
        Maps texts to ``input_ids`` and ``attention_mask`` [n_texts, n_positions].
    name
        Of the model and its tokenizer; the weights are hashed beside it.
    learner
        ``prefix``: keys and values before every layer's self-attention (the decoder's, where there
        is one); ``prompt``: word embeddings before the text; ``fisher``: the mean squared gradient
        of a fine-tuned copy at the answers it was tuned to.
    n_tokens
        Positions of prompt or prefix.
    reduce
        Of a prefix: ``layers`` takes the mean over layers and keeps positions as tokens (FUTE),
        ``positions`` the mean over positions (TuPaTE), ``none`` keeps both.
    n_epochs, batch_size, learning_rate, weight_decay, warm_up, largest_norm, dropout
        AdamW, its rate rising over the share ``warm_up`` of the steps and then falling to 0; norm
        that gradients are cut to; share of the prefix left out at random. ``learning_rate`` is by
        default 0.01, and 2e-5 for ``fisher``.
    seeds
        One run each, which the tokens of a task hold behind each other, scaled to one: the kernel
        ``flatten`` is then the mean of the cosines of all runs.
    parameters, dim
        Fisher only: names of the weights looked at, by default those of the last layer; random
        projection to ``dim`` coordinates.

    Raises
    ------
    UnknownNameError
        For an unknown learner or reduction.
    ValueError
        For a number out of range.

    References
    ----------
    Wang, Xu, Gui and He (2024), "Towards Unified Task Embeddings Across Multiple Models"; Zhou et
    al. (2022) for TuPaTE; Vu et al. (2020) for TaskEmb.

    Examples
    --------
    >>> from transformers import BertConfig, BertModel
    >>> config = BertConfig(vocab_size=128, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
    ...                     num_attention_heads=2, max_position_embeddings=32)
    >>> def encode(texts):
    ...     ids = torch.tensor([[ord(letter) for letter in t[:8].ljust(8)] for t in texts])
    ...     return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    >>> space = TrainedSpace(BertModel(config), encode, "letters", n_tokens=2, n_epochs=1)
    >>> found = Responses.from_arrays({"a": [[0.9, 0.1], [0.2, 0.8]], "b": [[0.5, 0.5]] * 2},
    ...                               labels=["pos", "neg"], texts=["fine day", "rain again"])
    >>> atlas = space.embed(found)
    >>> atlas.names, atlas["a"].tokens.shape, atlas.space == space.id
    (('a', 'b'), (2, 16), True)
    """

    model: nn.Module
    encode: Callable[[Sequence[str]], Mapping[str, Tensor]]
    name: str
    learner: str = "prefix"
    n_tokens: int = 16
    reduce: str = "layers"
    n_epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None
    weight_decay: float = 0.01
    warm_up: float = 0.05
    largest_norm: float = 1.0
    dropout: float = 0.15
    seeds: tuple[int, ...] = (0,)
    parameters: tuple[str, ...] = ()
    dim: int | None = None

    def __post_init__(self) -> None:
        check_choice(self.learner, _LEARNERS, "learner")
        check_choice(self.reduce, _REDUCTIONS, "reduce")
        for argument in ("n_tokens", "n_epochs", "batch_size"):
            check_whole(getattr(self, argument), argument, 1)
        check_number(self.dropout, "dropout", "a share below 1", lambda share: 0 <= share < 1)
        object.__setattr__(self, "seeds", tuple(check_whole(one, "seed", 0) for one in self.seeds))
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds={self.seeds!r}: expected one or more different seeds")
        if self.learner == "fisher" and not self.parameters:
            object.__setattr__(self, "parameters", _last_layer(self.model))

    @cached_property
    def settings(self) -> Settings:
        """The numbers of every run."""
        rate = _RATES[self.learner] if self.learning_rate is None else self.learning_rate
        return Settings(
            self.learner, self.n_tokens, self.n_epochs, self.batch_size, rate, self.weight_decay,
            self.warm_up, self.largest_norm, self.dropout, self.parameters, self.dim,
        )  # fmt: skip

    @cached_property
    def id(self) -> str:
        """Hash of the weights and of every setting the coordinates depend on."""
        weights = fingerprint(dict(self.model.named_parameters()))
        words = [self.name, weights, repr(self.settings), self.reduce, list(self.seeds)]
        return f"behavior-{self.learner}-{digest(words)[:16]}"

    def embed(
        self,
        responses: Responses,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> Atlas:
        """Return the model task embeddings, one task a box, fitted to the probes it answered.

        Parameters
        ----------
        checkpoint
            A folder that keeps every finished run; a run that was killed goes on after the last.
        progress
            True shows a bar over runs (needs tqdm).

        Raises
        ------
        ShapeError
            If a box answered fewer than two probes.
        SpaceError
            If the model leaves coordinates of the prefix without a gradient.
        FormatError
            If the model gives no states, or a kept run is damaged.
        """
        tasks = []
        with bar(progress, len(responses.boxes), unit="box") as report:
            for row, box in enumerate(responses.boxes):
                known = responses.is_answered[row]
                if known.sum() < 2:
                    raise ShapeError(
                        f"box {box!r} answered {known.sum()} probes, expected at least 2"
                    )
                texts = [t for t, own in zip(responses.bank.texts, known, strict=True) if own]
                targets = np.nanmean(responses.answers[row, known], axis=1)
                is_share = responses.kind == "labels"
                tasks.append(self._task(box, texts, targets, is_share, checkpoint))
                if report is not None:
                    report(row + 1)
        return Atlas.from_tasks(tasks)

    def embed_labels(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        *,
        name: str,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Task:
        """Return the data set task embedding: the same fit, with gold labels as the answers.

        Raises
        ------
        ShapeError
            If there is not one label a text, or only one label occurs; else as `embed`.
        """
        names = sorted(set(labels))
        if len(labels) != len(texts) or len(names) < 2:
            raise ShapeError(
                f"{len(texts)} texts with {len(labels)} labels of {len(names)} kinds, expected one "
                "label a text and at least two kinds"
            )
        targets = np.eye(len(names))[[names.index(one) for one in labels]]
        return self._task(name, texts, targets, True, checkpoint)

    def _task(
        self, name: str, texts: Sequence[str], targets: _Floats, is_share: bool,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Task:  # fmt: skip
        if not is_share:
            spread = targets.std(axis=0)
            targets = (targets - targets.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        runs = [self._run(texts, targets, is_share, seed, checkpoint) for seed in self.seeds]
        if len(runs) > 1:
            runs = [own / (np.linalg.norm(own) or 1.0) for own in runs]
        notes = (f"{len(texts)} probes", f"seeds {', '.join(map(str, self.seeds))}", self.name)
        origin = Provenance(base_model=self.name, method=f"behavior-{self.learner}", notes=notes)
        return Task(name, np.concatenate(runs), space=self.id, provenance=origin)

    def _run(
        self, texts: Sequence[str], targets: _Floats, is_share: bool, seed: int,
        checkpoint: str | os.PathLike[str] | None,
    ) -> _Floats:  # fmt: skip
        """Tokens [n_tokens, dim] of one seed, from the folder if they are there."""
        words = [self.id, seed, list(texts), np.round(targets, 12).tolist(), is_share]
        path = None if checkpoint is None else Path(checkpoint) / f"{digest(words)[:24]}.npy"
        if path is not None and path.exists():
            try:
                return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
            except (ValueError, EOFError) as error:
                raise FormatError(
                    f"{path}: the file is no finished run, or is damaged; remove it to train anew "
                    f"({error})"
                ) from None
        device = next(self.model.parameters()).device
        given = {name: tensor.to(device) for name, tensor in self.encode(list(texts)).items()}
        data = {name: given[name] for name in ("input_ids", "attention_mask")}
        data["targets"] = torch.tensor(targets, dtype=torch.float32, device=device)
        if self.learner == "fisher":
            found = fisher_diagonal(self.model, data, self.settings, is_share, seed)[None]
        else:
            moved = trained_delta(self.model, data, self.settings, is_share, seed)
            found = _tokens(moved.double().cpu().numpy(), self.reduce)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced(path) as file:
                np.save(file, found)
        return found


def _tokens(moved: _Floats, reduce: str) -> _Floats:
    """A prompt [p, d] as it is; a prefix [L, 2, H, p, h] with positions in front."""
    if moved.ndim == 2:
        return moved
    if reduce == "layers":
        moved = moved.mean(axis=0, keepdims=True)
    ordered = np.moveaxis(moved, 3, 0)
    tokens = ordered.reshape(len(ordered), -1)
    return tokens.mean(axis=0, keepdims=True) if reduce == "positions" else tokens


def _last_layer(model: Any) -> tuple[str, ...]:
    """Names of the weights of the last layer: of the decoder, where there is one."""
    stacks = [
        (name, len(module))
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers
    ]
    names = [name for name, _ in model.named_parameters()]
    found = [n for n in names if stacks and n.startswith(f"{stacks[-1][0]}.{stacks[-1][1] - 1}.")]
    if not found:
        raise FormatError(f"{type(model).__name__}: no last layer found; give parameters=")
    return tuple(found)
