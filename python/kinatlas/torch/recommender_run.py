"""One training run of a recommender: epochs, early stopping, and a checkpoint after each."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kinatlas import _core
from kinatlas.errors import CollapsedEnvironmentsWarning, FormatError, NonFiniteError
from kinatlas.io.atomic import replaced
from kinatlas.torch.environments import assign_environments
from kinatlas.torch.recommender import Predictions, Recommender
from kinatlas.torch.recommender_data import Rows
from kinatlas.torch.recommender_layers import reversal_at, seeded

__all__ = ["Run", "Settings"]

# Below this share (or half an even one) an environment is as good as empty: with the base rates
# of conversions the raw losses leave it 0.3 % of the rows.
_COLLAPSED = 0.05


@dataclass(frozen=True)
class Settings:
    """What a run is made with, and a hash of the model and data it starts from."""

    environment_weight: float
    environments: str
    environments_from: str
    recluster_every: int
    learning_rate: float
    weight_decay: float
    embedding_decay: float
    batch_size: int
    n_epochs: int
    patience: int
    seed: int
    fingerprint: str


@dataclass
class Run:
    """State of a run between two epochs."""

    model: Recommender
    rows: Rows
    held: Rows | None
    settings: Settings
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    _has_warned: bool = False

    def __post_init__(self) -> None:
        rate = self.settings.learning_rate
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=rate)
        with seeded(self.settings.seed):
            self.environments = torch.randint(len(self.model.tasks), (len(self.rows.codes),))
        kept = self.model.undecayed()
        self._decayed = [
            part.weight
            for name, part in self.model.named_modules()
            if isinstance(part, nn.Linear) and not name.startswith(kept)
        ]

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or the best one lies too far back."""
        done = len(self.epochs)
        waited = done - 1 - self.best_epoch
        stopped = self.held is not None and done > 0 and waited >= self.settings.patience
        return done >= self.settings.n_epochs or stopped

    def go(self, path: Path | None, report: Callable[[int], object] | None) -> None:
        """Train to the end, writing a checkpoint after every epoch; keep the best weights."""
        while not self.is_over:
            self.epoch(report)
            if path is not None:
                with replaced(path) as file:
                    torch.save(self.state(), file)
        self.model.load_state_dict(self.best)

    def epoch(self, report: Callable[[int], object] | None) -> None:
        """Train on every row once, in an order that follows from seed and epoch."""
        number, size = len(self.epochs), self.settings.batch_size
        if number and number % self.settings.recluster_every == 0:
            self._recluster()
        n_rows = len(self.rows.codes)
        starts = range(0, n_rows, size)
        n_steps = len(starts) * self.settings.n_epochs
        sums = torch.zeros(2, dtype=torch.float64)
        self.model.train()
        with seeded(self.settings.seed * 1_000_003 + number):
            order = torch.randperm(n_rows)
            for at, start in enumerate(starts):
                step = number * len(starts) + at
                sums += self._step(order[start : start + size], step, n_steps)
                if report is not None:
                    report(step + 1)
        self.model.eval()
        found: dict[str, Any] = {"loss": float(sums[0]) / n_rows}
        if self._has_critic:
            found["reversal"] = reversal_at((number + 1) * len(starts), n_steps)
            found["environments"] = self._shares()
            found["critic_accuracy"] = float(sums[1]) / n_rows
        self._judge(found)

    @property
    def _has_critic(self) -> bool:
        return hasattr(self.model, "environments")

    def _step(self, at: Tensor, step: int, n_steps: int) -> Tensor:
        """Sums over a batch of loss and right guesses of the critic [2]."""
        codes, dense, labels = (part[at].to(self._device) for part in self.rows)
        wanted = self.environments[at].to(self._device)
        found = self.model(codes, dense, reversal_at(step, n_steps))
        loss = self._loss(found, labels, wanted)
        value = float(loss.detach())
        if value != value or abs(value) == float("inf"):
            raise NonFiniteError(
                f"the loss is {value} at step {step}; lower learning_rate "
                f"({self.settings.learning_rate:g})"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._decay(codes)
        self.optimiser.step()
        right = 0.0
        if found.environments is not None:
            right = float((found.environments.argmax(dim=1) == wanted).sum())
        return torch.tensor([value * len(at), right], dtype=torch.float64)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _loss(self, found: Predictions, labels: Tensor, wanted: Tensor) -> Tensor:
        def of_tasks(logits: Tensor) -> Tensor:
            return _losses(logits, labels).mean(dim=0).sum()

        loss = of_tasks(found.logits)
        weight = self.settings.environment_weight
        if found.shared_logits is not None:
            loss = loss + (1 - weight) * of_tasks(found.shared_logits)
        if found.environments is not None:
            loss = loss + weight * nn.functional.nll_loss(found.environments, wanted)
        return loss

    def _decay(self, codes: Tensor) -> None:
        """Add the gradients of the squares, of tables only where the batch has touched them."""
        with torch.no_grad():
            for weight in self._decayed:
                if weight.grad is not None:
                    weight.grad.add_(weight, alpha=self.settings.weight_decay)
            for fields in self.model.tables():
                table = fields.table.weight
                if table.grad is not None and len(fields.names):
                    touched = torch.unique(fields.rows_of(codes))
                    table.grad[touched] += self.settings.embedding_decay * table[touched]

    def _recluster(self) -> None:
        if not self._has_critic:
            return
        is_shared = self.settings.environments_from == "shared"

        def logits(codes: Tensor, dense: Tensor) -> tuple[Tensor, ...]:
            found = self.model(codes, dense)
            return (found.shared_logits if is_shared else found.logits,)

        (values,) = self.model.in_blocks(logits, self.rows.codes, self.rows.dense)
        losses = _losses(torch.from_numpy(values), self.rows.labels)
        how: Any = self.settings.environments
        self.environments = assign_environments(losses, self.rows.labels, how)
        shares = self._shares()
        least = min(_COLLAPSED, 0.5 / len(shares))
        poor = {task: share for task, share in shares.items() if share < least}
        if poor and not self._has_warned:
            self._has_warned = True
            told = ", ".join(f"{task} {100 * share:.2f} %" for task, share in poor.items())
            hint = "" if how != "raw" else '; environments="rank" balances them'
            warnings.warn(
                f"environments have collapsed after epoch {len(self.epochs)}: {told} of the rows"
                f"{hint}. The critic now removes what tells these few rows apart from the shared "
                "part",
                CollapsedEnvironmentsWarning,
                stacklevel=5,
            )

    def _shares(self) -> dict[str, float]:
        counts = torch.bincount(self.environments, minlength=len(self.model.tasks))
        shares = (counts / len(self.environments)).tolist()
        return dict(zip(self.model.tasks, shares, strict=True))

    def _judge(self, found: dict[str, Any]) -> None:
        """Note the epoch, and its weights if they are the best so far."""
        if self.held is not None:
            chances = self.model.predict_proba(self.held.codes, self.held.dense).astype(float)
            wanted = self.held.labels.numpy() == 1
            found["auc"] = {
                task: _core.area_under_curve(chances[:, at], wanted[:, at])
                for at, task in enumerate(self.model.tasks)
            }
        self.epochs.append(found)
        if self.held is None or len(self.epochs) == 1 or _mean(found) > _mean(self._best_so_far()):
            self.best_epoch = len(self.epochs) - 1
            self.best = copy.deepcopy(self.model.state_dict())

    def _best_so_far(self) -> dict[str, Any]:
        return self.epochs[self.best_epoch]

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on."""
        return {
            "settings": asdict(self.settings),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "environments": self.environments,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "best": self.best,
        }

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        FormatError
            If it is damaged, or of a run with other settings, data or weights to start from.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            found = state["settings"]
            if found == asdict(self.settings):
                self.model.load_state_dict(state["model"])
                self.optimiser.load_state_dict(state["optimiser"])
                self.environments, self.epochs = state["environments"], state["epochs"]
                self.best_epoch, self.best = state["best_epoch"], state["best"]
        except OSError:
            raise
        # Whatever torch meets in bytes that are no checkpoint: EOFError, RuntimeError, ...
        except Exception as error:
            raise FormatError(
                f"{path}: the file is no checkpoint of a recommender, or is damaged; remove it to "
                f"start anew ({type(error).__name__}: {error})"
            ) from None
        if found != asdict(self.settings):
            wanted: Mapping[str, Any] = asdict(self.settings)
            other = [name for name in wanted if found.get(name) != wanted[name]]
            raise FormatError(
                f"{path}: the checkpoint belongs to a run with other {', '.join(other)} "
                "(fingerprint: of weights and data); name another file, or remove it"
            )


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def _mean(epoch: Mapping[str, Any]) -> float:
    values = list(epoch["auc"].values())
    return float(sum(values) / len(values))
