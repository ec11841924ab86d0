"""What a head reads from each source, and what it loses without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas._checks import check_n_threads
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.composition.features import Features
from kinatlas.composition.head import PromptHead
from kinatlas.composition.labels import as_labels
from kinatlas.errors import ShapeError

__all__ = ["Explanation", "explain", "log_losses"]

Floats = npt.NDArray[np.float64]

# Rows whose experts are copied at a time.
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Tabular):
    """Three accounts of every source, in rising order of trust.

    Attributes
    ----------
    sources
        Names, as in the features.
    weight
        Mean weight [n_sources]: how much of an expert is read, not how much it matters.
    contribution
        Mean length of what the expert adds to the representation beyond its mean [n_sources].
    loss, low, high
        Change of log-loss when the expert is replaced by its mean, with its interval [n_sources].
        Above zero the source helps.
    specific
        Mean share of the gate that goes to the sources at all.
    confidence, n_draws
        Of the intervals.
    """

    sources: tuple[str, ...]
    weight: Floats
    contribution: Floats
    loss: Floats
    low: Floats
    high: Floats
    specific: float
    confidence: float
    n_draws: int

    @property
    def verdicts(self) -> tuple[str, ...]:
        """``"helps"``, ``"hurts"`` or ``"unclear"`` for every source, by its interval."""
        rows = zip(self.low, self.high, strict=True)
        return tuple("helps" if a > 0 else "hurts" if b < 0 else "unclear" for a, b in rows)

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "source": list(self.sources),
            "weight": self.weight.tolist(),
            "contribution": self.contribution.tolist(),
            "loss without it": self.loss.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "verdict": list(self.verdicts),
        }

    def __repr__(self) -> str:
        return (
            f"Explanation: gate gives sources {self.specific:.3f}, intervals of "
            f"{self.confidence:.0%}\n{as_text(self._columns())}"
        )

    def _repr_html_(self) -> str:
        return as_html(self._columns(), "What the head reads from each source")


def explain(
    head: PromptHead,
    features: Features,
    labels: Any,
    *,
    background: Features | None = None,
    confidence: float = 0.95,
    n_draws: int = 1000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Explanation:
    """Explain a head on labelled rows: weights, contributions, and the loss without each source.

    Parameters
    ----------
    head, features, labels
        A trained head and rows it was not trained on, with labels [n].
    background
        Rows whose mean replaces an expert, normally the training rows; the same rows if left out.
    confidence, n_draws, rng
        Percentile intervals over rows drawn again within each class.

    Raises
    ------
    SpaceError, UnknownNameError
        If rows come from another backbone or have other sources.
    ShapeError
        If labels are all equal, or the head reads no source.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> own = rng.normal(size=(600, 2, 4)).astype("f")
    >>> features = Features(
    ...     x=rng.normal(size=(600, 3)).astype("f"), shared=rng.normal(size=(600, 4)).astype("f"),
    ...     own=own, sources=("click", "buy"), keys=rng.normal(size=(2, 4)).astype("f"),
    ...     basis_key="example")
    >>> labels = own[:, 1, 0] > 0
    >>> head = PromptHead(tower=(8,), learning_rate=0.01, batch_size=32).fit(features, labels)
    >>> explain(head, features, labels).verdicts[1]
    'helps'
    """
    confidence, n_draws = check_sampling(confidence, n_draws)
    truth = as_labels(labels, len(features), "labels")
    state = head.state()
    if "prompt.E" not in state:
        raise ShapeError("the head is of mode 'share' and reads no source; there is nothing to say")
    weights, gate = head.weights(features)
    means = _means(features if background is None else background.select(features.sources))
    plain = log_losses(head.decision_function(features), truth)
    changes = np.empty((len(features), features.n_sources, 1))
    for k in range(features.n_sources):
        changes[:, k, 0] = log_losses(_without(head, features, k, means[k]), truth) - plain
    plan = ("targets", truth.astype(np.int64), seed_of(rng))
    drawn = _core.resample_means(changes, plan, (0, n_draws), check_n_threads(n_threads))
    alone = [(k, -1) for k in range(features.n_sources)]
    found = _core.mean_intervals(changes, drawn, alone, "percentile", confidence)
    return Explanation(
        features.sources,
        weights.mean(axis=0, dtype=np.float64),
        _contributions(features, weights * gate[:, :1], means, state["prompt.E"]),
        found[:, 0],
        found[:, 1],
        found[:, 2],
        float(gate[:, 0].mean(dtype=np.float64)),
        confidence,
        n_draws,
    )


def log_losses(logits: Floats, labels: npt.NDArray[np.bool_]) -> Floats:
    """Return the log-loss [n] of every row.

    Examples
    --------
    >>> log_losses(np.zeros(1), np.array([True])).round(4)
    array([0.6931])
    """
    losses: Floats = np.logaddexp(0.0, np.where(labels, -logits, logits))
    return losses


def _means(features: Features) -> npt.NDArray[np.float32]:
    means: npt.NDArray[np.float32] = features.own.mean(axis=0, dtype=np.float64).astype(np.float32)
    return means


def _without(head: PromptHead, features: Features, k: int, mean: npt.NDArray[np.float32]) -> Floats:
    """Return logits [n] with one expert replaced by its mean."""
    parts = []
    for start in range(0, len(features), _ROWS_AT_ONCE):
        some = features.take(slice(start, start + _ROWS_AT_ONCE))
        own = some.own.copy()
        own[:, k] = mean
        replaced = Features._wrap(some.x, some.shared, own, some.sources, some.keys, some.basis_key)
        parts.append(head.decision_function(replaced))
    return np.concatenate(parts)


def _contributions(
    features: Features,
    shares: npt.NDArray[np.float32],
    means: npt.NDArray[np.float32],
    prompt: npt.NDArray[np.float32],
) -> Floats:
    """Return the mean over rows of w_a W_k |(own_k - mean_k) o prompt|."""
    totals = np.zeros(features.n_sources)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        added = (features.own[rows] - means) * prompt
        totals += (shares[rows] * np.linalg.norm(added, axis=2)).sum(axis=0, dtype=np.float64)
    return totals / len(features)
