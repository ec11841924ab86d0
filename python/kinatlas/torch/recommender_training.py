"""Training of recommenders of several tasks: early stopping, checkpoints, and a reversed critic."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinatlas._checks import check_choice, check_number, check_whole
from kinatlas._progress import bar
from kinatlas.errors import ShapeError, SpaceError
from kinatlas.torch.environments import Environments
from kinatlas.torch.recommender import Recommender, hash_tensors
from kinatlas.torch.recommender_data import Rows, read_rows
from kinatlas.torch.recommender_run import Run, Settings

__all__ = ["TrainingRecord", "fit_recommender"]


@dataclass(frozen=True)
class TrainingRecord:
    """What happened in training, epoch by epoch.

    Attributes
    ----------
    epochs
        For every epoch: mean training ``loss``, validation ``auc`` by task, ``reversal`` at its
        end, ``environments`` (share of every task's environment) and the critic's
        ``critic_accuracy``, where there are such.
    best_epoch
        Number of the epoch, from 0, whose weights the model has now.
    """

    epochs: tuple[Mapping[str, Any], ...]
    best_epoch: int

    def __repr__(self) -> str:
        auc = self.epochs[self.best_epoch].get("auc") or {}
        shown = ", ".join(f"{task} {value:.4f}" for task, value in auc.items())
        told = f"; validation AUC {shown}" if shown else ""
        return f"TrainingRecord: epoch {self.best_epoch + 1} of {len(self.epochs)}{told}"


def fit_recommender(
    model: Recommender,
    codes: Any,
    labels: Any,
    *,
    dense: Any = None,
    validation: Any = None,
    environment_weight: float = 0.1,
    environments: Environments = "rank",
    environments_from: str = "shared",
    recluster_every: int = 2,
    learning_rate: float = 1e-3,
    weight_decay: float = 3e-5,
    embedding_decay: float = 1e-3,
    batch_size: int = 256,
    n_epochs: int = 10,
    patience: int = 5,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> TrainingRecord:
    """Train a recommender on all its tasks at once, and leave it with its best epoch's weights.

    With a the environment weight the loss of `MptRec` is the log-loss of every task, plus (1 - a)
    times that of the towers on the shared part alone, plus a times the log-loss of the critic,
    whose gradient comes back reversed with strength 2 / (1 + exp(-10 p)) - 1, p the share of all
    steps done. Peers have the first term alone. The order of rows and what is dropped out follow
    from seed and epoch, so that a resumed run gives the model of one that never stopped.

    Parameters
    ----------
    codes, dense, labels
        [n_rows, n_fields] whole numbers, [n_rows, n_dense] or None, [n_rows, n_tasks] 0 or 1.
    validation
        ``(codes, labels)`` or ``(codes, labels, dense)`` to stop on: the mean AUC of the tasks.
        None trains all epochs.
    environments
        What the critic guesses; see `assign_environments`. Assigned anew every
        ``recluster_every`` epochs, at random before; row n keeps its own however rows are
        shuffled.
    environments_from
        Whether the losses compared are those of the ``shared`` part alone or of the ``fused``
        prediction.
    weight_decay, embedding_decay
        Gradient of half the squared weights of experts and towers, and of the rows of the tables
        that a batch touches.
    patience
        Epochs without a better validation AUC before training stops.
    checkpoint
        A file written after every epoch; if it is there, the run goes on from it.
    progress
        True shows a bar (needs tqdm).

    Raises
    ------
    ShapeError, DTypeError, UnknownNameError, NonFiniteError
        If the data do not fit the model, a task has one label only, or the loss becomes NaN.
    FormatError
        If the checkpoint is damaged or belongs to another run.
    SpaceError
        If the model is frozen.

    Warns
    -----
    CollapsedEnvironmentsWarning
        If an environment holds less than 5 % of the rows.

    Examples
    --------
    >>> import torch
    >>> from kinatlas.torch import MptRec
    >>> model = MptRec({"hour": 4}, ["click", "buy"], expert=(8, 4), tower=(4,))
    >>> codes = torch.arange(64).reshape(-1, 1) % 4
    >>> labels = torch.cat([codes > 1, codes % 2 == 1], dim=1)
    >>> record = fit_recommender(model, codes, labels, n_epochs=2)
    >>> record, sorted(record.epochs[0]["environments"])
    (TrainingRecord: epoch 2 of 2, ['buy', 'click'])
    """
    check_choice(environments_from, ("shared", "fused"), "environments_from")
    check_choice(environments, ("rank", "raw", "strat"), "environments")
    # Plain numbers: those of numpy would make a checkpoint that cannot be read again.
    counts = {
        "recluster_every": recluster_every,
        "batch_size": batch_size,
        "n_epochs": n_epochs,
        "patience": patience,
    }
    counts = {name: check_whole(number, name) for name, number in counts.items()}
    rates = {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "embedding_decay": embedding_decay,
    }
    rates = {name: _rate(number, name) for name, number in rates.items()}
    environment_weight = check_number(
        environment_weight, "environment_weight", "in [0, 1]", lambda x: 0 <= x <= 1
    )
    _check_learns(model)
    rows = read_rows(model, codes, labels, dense, "training")
    held = None if validation is None else read_rows(model, *_three(validation), "validation")
    settings = Settings(
        environment_weight=environment_weight,
        environments=environments,
        environments_from=environments_from,
        **counts,
        learning_rate=rates["learning_rate"],
        weight_decay=rates["weight_decay"],
        embedding_decay=rates["embedding_decay"],
        seed=check_whole(seed, "seed", 0),
        fingerprint=_fingerprint(model, rows, held),
    )
    run = Run(model, rows, held, settings)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")
    if path is not None and path.exists():
        run.resume(path)
    with bar(
        progress, counts["n_epochs"] * -(-len(rows.codes) // counts["batch_size"]), unit="step"
    ) as report:
        try:
            run.go(path, report)
        finally:
            # Also when stopped by hand: whoever predicts next wants no dropout.
            model.eval()
    return TrainingRecord(tuple(run.epochs), run.best_epoch)


def _fingerprint(model: Recommender, rows: Rows, held: Rows | None) -> str:
    tensors = rows._asdict()
    if held is not None:
        tensors |= {f"validation {name}": part for name, part in held._asdict().items()}
    return hash_tensors(tensors, model.digest)


def _three(validation: Any) -> tuple[Any, Any, Any]:
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        raise ShapeError(
            f"validation: got {type(validation).__name__}, expected (codes, labels) or (codes, "
            "labels, dense)"
        )
    codes, labels, *rest = validation
    return codes, labels, rest[0] if rest else None


def _rate(value: float, name: str) -> float:
    return check_number(value, name, "a finite number of at least 0", lambda x: 0 <= x < math.inf)


def _check_learns(model: Recommender) -> None:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise SpaceError(
            "the recommender is frozen, so nothing can be learned; copy it and call "
            "requires_grad_(True) on the copy, or add the task with PromptHead"
        )
