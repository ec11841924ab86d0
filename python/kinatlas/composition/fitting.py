"""One training run of a head, or a race of several, and what they leave behind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known, quoted
from kinatlas._progress import bar
from kinatlas.composition.features import Features
from kinatlas.composition.settings import HeadSettings
from kinatlas.composition.starts import Sizes, candidates, starting_point
from kinatlas.errors import DTypeError, ShapeError, SpaceError, UnknownNameError

__all__ = ["Fitted", "TrainingHistory", "check_features", "run"]

Floats = npt.NDArray[np.float32]
_Table = tuple[Floats, Floats, Floats, list[int]]
_Labelled = tuple[_Table, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class TrainingHistory:
    """What happened during training, epoch by epoch.

    ``loss``, ``auc`` and ``log_loss`` hold one number an epoch (the last two of the validation
    rows, NaN without them); ``best_epoch`` counts from 0 and is the one kept; ``init`` is the
    starting point used; ``race`` holds the validation AUC of every starting point compared.
    """

    loss: tuple[float, ...]
    auc: tuple[float, ...]
    log_loss: tuple[float, ...]
    best_epoch: int
    init: str
    race: dict[str, float]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained head: its sizes, its sources by name, and all parameters [n_parameters]."""

    sizes: Sizes
    sources: tuple[str, ...]
    keys: Floats
    basis_key: str
    parameters: Floats
    history: TrainingHistory | None

    def table(self, features: Features) -> _Table:
        """Return the features as Rust reads them, sources in the head's order."""
        check_features(features, "features")
        if features.basis_key != self.basis_key:
            raise SpaceError(
                f"features belong to backbone {features.basis_key!r}, the head to "
                f"{self.basis_key!r}; their representations do not mean the same thing, so train a "
                "head on features of this backbone"
            )
        strange = [name for name in features.sources if name not in self.sources]
        if strange:
            raise UnknownNameError(
                f"features hold the sources {quoted(strange)}, which the head does not know; it "
                f"knows {quoted(self.sources)}, so use features.select"
            )
        dim, width = (features.dim if self.sizes[4] == "share" else self.sizes[0]), self.sizes[1]
        if (features.dim, features.width) != (dim, width):
            raise ShapeError(
                f"features have dim {features.dim} and width {features.width}, the head "
                f"{dim} and {width}"
            )
        order = [check_known(name, features.sources, "source") for name in self.sources]
        return features.x, features.shared, features.own, order

    def described(self, settings: HeadSettings) -> _core._Head:
        """Return sizes, aims and keys as Rust reads them."""
        aims = (settings.temperature(self.sizes[1]), settings.beta_kl, settings.reg_dnn)
        return self.sizes, aims, self.keys.ravel()


def check_features(features: object, label: str) -> None:
    """Refuse anything but `Features`; an array alone does not say which backbone made it."""
    if not isinstance(features, Features):
        raise DTypeError(
            f"{label}: got {type(features).__name__}, expected Features, such as "
            "MptRec.features(...) returns"
        )


def run(
    settings: HeadSettings,
    empty: Fitted,
    table: _Labelled,
    judge: _Labelled | None,
    progress: bool | None,
) -> Fitted:
    """Train from the start that is asked for; a race compares all and trains on from the best."""
    if settings.init != "race":
        return _train(settings, settings.init, empty, table, judge, progress)
    if judge is None:
        raise ShapeError("init='race' compares validation AUC; give fit validation=(rows, labels)")
    brief = replace(settings, init="random", epochs=settings.race_epochs)
    scores = {}
    for init in candidates(settings, empty.sources):
        found = _train(brief, init, empty, table, judge, None).history
        if found is not None:
            scores[init] = max(found.auc)
    # Of equals the first: the plain starts stand in front.
    best = max(scores, key=scores.__getitem__)
    return _train(settings, best, empty, table, judge, progress, scores)


def _train(
    settings: HeadSettings,
    init: str,
    empty: Fitted,
    table: _Labelled,
    judge: _Labelled | None,
    progress: bool | None,
    race: dict[str, float] | None = None,
) -> Fitted:
    start = starting_point(init, settings, empty.sizes, empty.sources, empty.keys)
    pace = (
        settings.learning_rate,
        settings.batch_size,
        settings.epochs,
        settings.patience,
        settings.seed,
    )
    head = empty.described(settings)
    with bar(progress, settings.epochs * len(table[1]), "row") as report:
        parameters, epochs, best = _core.head_train(
            head, start, table, judge, pace, settings.n_threads, report
        )
    loss, auc, log_loss = zip(*epochs, strict=True)
    history = TrainingHistory(loss, auc, log_loss, best, init, race or {})
    return replace(empty, parameters=parameters, history=history)
