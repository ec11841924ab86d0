"""A new task on a frozen multi-task model: prompt, gate and tower, trained in Rust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_known, check_known_all, check_names, quoted
from kinatlas.composition.features import Features
from kinatlas.composition.fitting import Fitted, TrainingHistory, check_features, run
from kinatlas.composition.labels import as_labels
from kinatlas.composition.settings import HeadSettings
from kinatlas.composition.starts import Sizes, as_single, matrix_shape, merged, split, tower_of
from kinatlas.errors import KinAtlasError, NonFiniteError, ShapeError, SpaceError

__all__ = ["PromptHead", "TrainingHistory"]

Floats = npt.NDArray[np.float32]


# What the gate says where there is nothing specific.
_SHARED_ONLY = np.array([[0.0, 1.0]], np.float32)


class PromptHead:
    """A binary task on cached features of a frozen backbone: prompt, query network, gate, tower.

    Parameters
    ----------
    mode
        ``"prompt"``: every row weighs the source experts by their prompts; ``"fixed"``: all weigh
        the same; ``"task"``: the new prompt weighs them, alike for every row; ``"share"``: a tower
        on the shared representation, without any source.
    tau
        Temperature of the source weights; ``"auto"`` is 2.34 * width, infinity weighs all alike.
    beta_kl
        Weight of KL(weights || uniform).
    init
        Start of the new prompt: ``"random"``, ``"mean"`` of the sources, ``"source:<name>"``,
        ``"warm:<name>"`` (every tensor given in ``warm``), or ``"race"``: each of them for
        ``race_epochs`` epochs, the best validation AUC trains on from its start.
    warm
        Tensors to start from, ``{name: {tensor name: array}}``.
    tower
        Widths of the tower's hidden layers.
    learning_rate, batch_size, epochs, patience
        Adam, rows a step, most epochs, epochs without a better validation AUC before stopping.
    reg_dnn
        Half of it times the squares of the tower's weights is added to the loss.
    seed
        Seed of starting numbers and shuffles.
    n_threads
        Threads; the weights do not depend on it.

    References
    ----------
    Bai et al., Efficient Multi-task Prompt Tuning for Recommendation, arXiv 2408.17214.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> own = rng.normal(size=(400, 2, 4)).astype("f")
    >>> features = Features(
    ...     x=rng.normal(size=(400, 3)).astype("f"), shared=rng.normal(size=(400, 4)).astype("f"),
    ...     own=own, sources=("click", "buy"), keys=rng.normal(size=(2, 4)).astype("f"),
    ...     basis_key="example")
    >>> labels = own[:, 1, 0] > 0
    >>> head = PromptHead(tower=(8,), learning_rate=0.01, batch_size=32)
    >>> head = head.fit(features.take(slice(300)), labels[:300],
    ...                 validation=(features.take(slice(300, 400)), labels[300:]))
    >>> head.predict_proba(features).shape, max(head.history.auc) > 0.8
    ((400, 2), True)
    """

    def __init__(
        self,
        *,
        mode: str = "prompt",
        tau: float | str = 150.0,
        beta_kl: float = 0.0,
        init: str = "random",
        warm: Mapping[str, Mapping[str, Any]] | None = None,
        tower: Sequence[int] = (64, 32),
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        epochs: int = 30,
        patience: int = 5,
        race_epochs: int = 3,
        reg_dnn: float = 3e-5,
        seed: int = 0,
        n_threads: int | None = None,
    ) -> None:
        self.settings = HeadSettings(
            mode, tau, beta_kl, init, warm, tower, learning_rate, batch_size, epochs, patience,
            race_epochs, reg_dnn, seed, n_threads,
        )  # fmt: skip
        self._fitted: Fitted | None = None

    def fit(
        self,
        features: Features,
        labels: Any,
        validation: tuple[Features, Any] | None = None,
        *,
        progress: bool | None = None,
    ) -> PromptHead:
        """Train on labels [n] of 0 and 1; with validation rows the best epoch by AUC is kept.

        Raises
        ------
        ShapeError
            If labels do not fit, or training or validation labels are all equal.
        NonFiniteError
            If training diverges.
        DTypeError
            If the rows are no `Features`.
        SpaceError
            If the validation rows come from another backbone.
        UnknownNameError
            If ``init`` names a source that is not there.
        """
        check_features(features, "features")
        sources = tuple(sorted(features.sources))
        keys = features.keys[check_known_all(sources, features.sources, "source")]
        settings = self.settings
        sizes: Sizes = (
            features.dim,
            features.width,
            features.n_sources,
            list(settings.tower),
            settings.mode,
        )
        fitted = Fitted(sizes, sources, keys, features.basis_key, np.empty(0, np.float32), None)
        table = (fitted.table(features), as_labels(labels, len(features), "labels"))
        judge = None
        if validation is not None:
            if not isinstance(validation, (tuple, list)) or len(validation) != 2:
                raise ShapeError("validation: expected a pair (Features, labels)")
            rows, wanted = validation
            check_features(rows, "validation")
            judged = as_labels(wanted, len(rows), "validation labels")
            judge = (fitted.table(rows), judged)
        self._fitted = run(settings, fitted, table, judge, progress)
        return self

    def decision_function(self, features: Features) -> npt.NDArray[np.float64]:
        """Return the logits [n] of rows.

        Raises
        ------
        SpaceError
            If the rows come from another backbone than the one the head was trained on.
        UnknownNameError
            If the sources are not those of the training rows.
        """
        return self._answer(features)[0].astype(np.float64)

    def predict_proba(self, features: Features) -> npt.NDArray[np.float64]:
        """Return the probabilities [n, 2] of labels 0 and 1; errors as `decision_function`."""
        logits = self.decision_function(features)
        # Both sides from the logit: one minus a number near one would lose the other.
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(np.stack([logits, -logits], axis=1)))

    def predict(self, features: Features) -> npt.NDArray[np.int64]:
        """Return the likelier label [n] of rows; errors as `decision_function`."""
        return (self.decision_function(features) > 0).astype(np.int64)

    def weights(self, features: Features) -> tuple[Floats, Floats]:
        """Return source weights [n, n_sources] and gate [n, 2]; errors as `decision_function`.

        Weights stand in the order of ``features.sources``; the gate is (specific, shared). A weight
        says how much of an expert is read, not how much it matters.
        """
        _, weights, gate = self._answer(features)
        fitted, n = self._known(), len(features)
        if fitted.sizes[4] == "share":
            return np.zeros((n, len(fitted.sources)), np.float32), np.tile(_SHARED_ONLY, (n, 1))
        at = [fitted.sources.index(name) for name in features.sources]
        return weights.reshape(n, -1)[:, at], gate.reshape(n, 2)

    def _answer(self, features: Features) -> list[Floats]:
        fitted = self._known()
        table = fitted.table(features)
        head = fitted.described(self.settings)
        return _core.head_answer(head, fitted.parameters, table, self.settings.n_threads)

    def _known(self) -> Fitted:
        if self._fitted is None:
            raise KinAtlasError("this head is not trained; call fit or PromptHead.from_state first")
        return self._fitted

    @property
    def history(self) -> TrainingHistory:
        """Loss and validation AUC of every epoch, the epoch kept, the starting point used."""
        history = self._known().history
        if history is None:
            raise KinAtlasError("this head was read from its state and has no history")
        return history

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the source tasks, sorted."""
        return self._known().sources

    @property
    def basis_key(self) -> str:
        """Hash of the backbone the head belongs to."""
        return self._known().basis_key

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters."""
        return len(self._known().parameters)

    def __repr__(self) -> str:
        if self._fitted is None:
            return f"PromptHead of mode {self.settings.mode!r}, not trained"
        return (
            f"PromptHead of mode {self.settings.mode!r}: {self.n_parameters} parameters, sources "
            f"{quoted(self.sources)}, basis {self.basis_key[:12]!r}"
        )

    def state(self) -> dict[str, Floats]:
        """Return a copy of every tensor by its name in files: prompt.E, proj.0.weight and so on."""
        fitted = self._known()
        return split(fitted.parameters, fitted.sizes)

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Any],
        *,
        sources: Sequence[str],
        keys: Any,
        basis_key: str,
        **settings: Any,
    ) -> PromptHead:
        """Return a trained head from its tensors, the prompts of its sources and its settings.

        Widths follow from the tensors; ``mode`` and ``tau`` must be those of training.

        Raises
        ------
        ShapeError, UnknownNameError, DTypeError, NonFiniteError, SpaceError
            If a tensor is missing, has another shape, or holds NaN; if there is no basis key.

        Examples
        --------
        >>> state = {"tower.0.weight": np.ones((1, 4), "f"), "tower.0.bias": np.zeros(1, "f")}
        >>> head = PromptHead.from_state(state, sources=["click"], keys=np.ones((1, 4), "f"),
        ...                              basis_key="example", mode="share")
        >>> head.n_parameters
        5
        """
        names = check_names(sources, "source")
        if not isinstance(state, Mapping) or not isinstance(basis_key, str) or not basis_key:
            raise SpaceError(
                f"basis_key={basis_key!r} and a state of {type(state).__name__}: expected the hash "
                "of the backbone, and {name: array}"
            )
        if "tower" in settings:
            raise ShapeError("tower follows from the tensors of the state; leave it out")
        keys = as_single(keys, "keys")
        if keys.ndim != 2 or len(keys) != len(names) or len(names) == 0:
            raise ShapeError(
                f"keys have shape {keys.shape}, expected [{len(names)}, width], one for each of at "
                "least one source"
            )
        if not np.isfinite(keys).all():
            raise NonFiniteError("keys hold NaN or infinity, expected finite numbers")
        order = sorted(range(len(names)), key=names.__getitem__)
        tower = tower_of(state)
        head = cls(tower=tower, **settings)
        # Without a gate no input is read, and any width of it will do.
        dim = matrix_shape(state, "gate.weight")[1] if "gate.weight" in state else 1
        sizes: Sizes = (dim, keys.shape[1], len(names), tower, head.settings.mode)
        known = [name for name, _ in _core.head_tensors(sizes)]
        for name in state:
            check_known(name, known, f"mode {head.settings.mode!r}: tensor")
        head._fitted = Fitted(
            sizes,
            tuple(names[at] for at in order),
            keys[order],
            basis_key,
            merged(state, sizes, "state"),
            None,
        )
        return head
