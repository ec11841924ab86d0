"""What each source task contributes to a new task's head, by four measures of rising trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.errors import DTypeError, FormatError, ShapeError
from kinatlas.similarity import SimilarityMatrix

if TYPE_CHECKING:
    from kinatlas.composition import Features, PromptHead

__all__ = ["SourceEvidence", "explain_sources", "hide_shared"]

_MEASURES = ("leave_one_out", "mean_weight", "label_correlation", "probe")
# Ridge of the probe, in rows: enough to invert, little beside any sample worth probing.
_RIDGE = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class SourceEvidence(Tabular):
    """What speaks for each source of a head.

    Attributes
    ----------
    target, sources
        The new task and its sources.
    leave_one_out
        [n_sources, 3]: rise of the log-loss when the source's expert gives its mean instead of
        what it says about a row, and the ends of its bootstrap interval.
    mean_weight
        [n_sources] mean attention. A weight says how much is read, not how much it matters.
    mean_gate
        Mean shares of the specific and the shared part.
    label_correlation, probe
        [n_sources] absolute correlation of the labels, and of ridge probes on the features; None
        without the sources' labels.
    """

    target: str
    sources: tuple[str, ...]
    leave_one_out: Any
    mean_weight: Any
    mean_gate: tuple[float, float]
    label_correlation: Any | None
    probe: Any | None
    options: Mapping[str, Any]

    @property
    def verdicts(self) -> dict[str, str]:
        """By source ``transfer+`` or ``transfer-`` if the interval is off 0, else ``neutral``."""
        return {
            name: "transfer+" if low > 0 else "transfer-" if high < 0 else "neutral"
            for name, (_, low, high) in zip(self.sources, self.leave_one_out, strict=True)
        }

    def to_matrix(self, measure: str = "leave_one_out") -> SimilarityMatrix:
        """Return one measure as scores [1, n_sources], for `rank_sources`.

        Raises
        ------
        UnknownNameError
            If the measure is unknown.
        FormatError
            If it needs labels of the sources, which were not given.
        """
        values = getattr(self, check_choice(measure, _MEASURES, "measure"))
        if values is None:
            raise FormatError(f"measure {measure!r} needs source_labels; give them")
        first = values[:, 0] if measure == "leave_one_out" else values
        neutral = 0.0 if measure == "leave_one_out" else None
        return SimilarityMatrix(
            first[np.newaxis], (self.target,), self.sources, measure, self.options, neutral=neutral
        )

    def _columns(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {"source": list(self.sources)}
        columns |= dict(
            zip(("leave_one_out", "low", "high"), self.leave_one_out.T.tolist(), strict=True)
        )
        columns["verdict"] = list(self.verdicts.values())
        for name in _MEASURES[1:]:
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name).tolist()
        return columns

    def _title(self) -> str:
        own, shared = self.mean_gate
        return (
            f"SourceEvidence for '{self.target}': {self.options['n_rows']} rows, gate "
            f"{own:.2f} specific, {shared:.2f} shared"
        )

    def __repr__(self) -> str:
        return f"{self._title()}\n{as_text(self._columns())}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self._title())


def explain_sources(
    head: PromptHead,
    features: Features,
    labels: Any,
    *,
    target: str,
    background: Features | None = None,
    source_labels: Any = None,
    confidence: float = 0.95,
    n_draws: int = 1000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> SourceEvidence:
    """Return what each source contributes to a trained head, measured on rows it has not seen.

    Leaving a source out (its expert gives the mean over ``background``) shows what *this* head
    would lose; ask it of a head trained on `hide_shared` features to learn what the new task is
    made of. Correlations cost nothing and need no head; weights are compressed by the
    temperature.

    Parameters
    ----------
    head
        A trained head; with mode ``share`` no source can matter.
    features, labels
        Validation rows [n], each with a label 0 or 1.
    target
        Name of the new task.
    background
        Rows that the experts' means are taken over; ``features`` if None.
    source_labels
        Labels [n, n_sources] of the same rows for the source tasks, in the order of
        ``features.sources``.
    confidence, n_draws, rng
        Of the bootstrap over rows.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        If labels do not fit, are not 0 and 1, or all alike; if rows are no `Features`.
    SpaceError, UnknownNameError
        If the features are of another backbone or of other sources than the head's.
    KinAtlasError
        If the head is not trained.
    ValueError
        If a number is out of range.

    References
    ----------
    Lei et al. 2018, Distribution-free predictive inference (leaving covariates out).

    Examples
    --------
    >>> from kinatlas.composition import Features, PromptHead
    >>> x, shared, own, keys = (
    ...     np.random.default_rng(seed).normal(size=shape).astype("f")
    ...     for seed, shape in enumerate([(600, 3), (600, 4), (600, 2, 4), (2, 4)])
    ... )
    >>> features = Features(x, shared, own, ("click", "buy"), keys, basis_key="example")
    >>> labels = own[:, 1, 0] > 0
    >>> head = PromptHead(tower=(8,), learning_rate=0.01, epochs=20).fit(features, labels)
    >>> explain_sources(head, features, labels, target="wish").verdicts["buy"]
    'transfer+'
    """
    confidence, n_draws = check_sampling(confidence, n_draws)
    # Heads belong to another room; it is entered only by those who have one.
    from kinatlas.composition.fitting import check_features
    from kinatlas.composition.labels import as_labels

    background = features if background is None else background
    for rows, label in ((features, "features"), (background, "background")):
        check_features(rows, label)
    wanted = as_labels(labels, len(features), "labels")
    means = background.select(features.sources).own.mean(axis=0, dtype=np.float64)
    base = _losses(head, features, wanted)
    rises = np.empty((len(features), features.n_sources, 1))
    for at in range(features.n_sources):
        own = features.own.copy()
        own[:, at] = means[at]
        rises[:, at, 0] = _losses(head, replace(features, own=own), wanted) - base
    plan = ("targets", np.zeros(len(features), dtype=np.int64), seed_of(rng))
    drawn = _core.resample_means(rises, plan, (0, n_draws), n_threads)
    alone = [(at, -1) for at in range(features.n_sources)]
    weights, gate = head.weights(features)
    correlation, probe = _correlations(features, wanted, source_labels)
    own_share, shared_share = gate.mean(axis=0, dtype=np.float64).tolist()
    return SourceEvidence(
        target=target,
        sources=features.sources,
        leave_one_out=_core.mean_intervals(rises, drawn, alone, "percentile", confidence),
        mean_weight=weights.mean(axis=0, dtype=np.float64),
        mean_gate=(own_share, shared_share),
        label_correlation=correlation,
        probe=probe,
        options={
            "n_rows": len(features),
            "confidence": confidence,
            "n_draws": n_draws,
            "basis_key": features.basis_key,
        },
    )


def hide_shared(features: Features) -> Features:
    """Return features whose shared part is zero for every row, for a head that explains.

    A shared expert that learnt all tasks knows what each source knows, so that a head that may
    read it loses little without any one source. A second head trained without it has to read the
    sources; leaving one out of that head named the true source in 36 of 36 cases, out of the
    served head in 30 (docs/recommenders.md). The basis is marked, since a head for one kind of
    features is wrong for the other.

    Examples
    --------
    >>> from kinatlas.composition import Features
    >>> ones = np.ones((3, 2), np.float32)
    >>> features = Features(ones, ones, ones[:, None], ("click",), ones[:1], basis_key="example")
    >>> hidden = hide_shared(features)
    >>> float(hidden.shared.max()), hidden.basis_key
    (0.0, 'example, shared part hidden')
    """
    return replace(
        features,
        shared=np.zeros_like(features.shared),
        basis_key=f"{features.basis_key}, shared part hidden",
    )


def _losses(head: PromptHead, features: Features, labels: Any) -> Any:
    logits = head.decision_function(features)
    return np.logaddexp(0.0, np.where(labels == 1, -logits, logits))


def _correlations(features: Features, labels: Any, source_labels: Any) -> tuple[Any, Any]:
    """Absolute correlations [n_sources] of the labels, and of probes of them; or None twice."""
    if source_labels is None:
        return None, None
    try:
        theirs = np.asarray(source_labels, dtype=np.float64)
    except (TypeError, ValueError):
        raise DTypeError(
            "source_labels: expected numbers [n_rows, n_sources], columns as features.sources"
        ) from None
    wanted = (len(features), features.n_sources)
    if theirs.shape != wanted:
        raise ShapeError(f"source_labels have shape {theirs.shape}, expected {wanted}")
    columns = np.column_stack([labels.astype(np.float64), theirs])
    if (columns == columns[0]).all(axis=0).any():
        raise ShapeError("labels or source_labels: a task has one class only on these rows")
    inputs = np.hstack([features.shared, features.own.reshape(len(features), -1)])
    inputs = inputs.astype(np.float64) - inputs.mean(axis=0, dtype=np.float64)
    spread = inputs.std(axis=0)
    # A dead unit of the experts says nothing.
    inputs = inputs[:, spread > 0] / spread[spread > 0]
    gram = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1])
    probes = inputs @ np.linalg.solve(gram, inputs.T @ (columns - columns.mean(axis=0)))
    return tuple(np.abs(np.corrcoef(part.T)[0, 1:]) for part in (columns, probes))
