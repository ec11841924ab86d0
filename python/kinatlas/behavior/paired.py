"""How alike boxes answer the same probes, with intervals and what noise took from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_choice, check_known, check_n_threads, check_names
from kinatlas._frames import Tabular, as_html, as_text, require
from kinatlas._seeds import Rng, check_sampling, seed_of
from kinatlas.behavior.responses import Floats, Responses

__all__ = ["BehaviorSimilarity", "calls_needed", "paired_similarity"]

# Below it a correction multiplies noise by more than 1 / 0.2.
LEAST_RELIABILITY = 0.2
_N_HALVINGS = 20


@dataclass(frozen=True, eq=False, repr=False)
class BehaviorSimilarity(Tabular):
    """Similarities [n_boxes, n_boxes] of boxes with intervals and what noise took from them.

    ``reliability`` is what each box's answers would share with as many new ones of its own, 1
    where it answers the same every time; ``ceiling`` is the most two boxes could show, the root of
    the product; ``corrected`` is the similarity over it, NaN below a reliability of 0.2.
    `selection.behavior_matrix` turns it into a `SimilarityMatrix` for rankings.

    Examples
    --------
    >>> BehaviorSimilarity(("a", "b"), np.eye(2), np.eye(2), np.eye(2), np.ones(2), "paired")
    Similarity of 2 boxes by paired
    box  other  similarity     low    high  ceiling  corrected
    a    b          0.0000  0.0000  0.0000   1.0000     0.0000
    """

    boxes: tuple[str, ...]
    values: Floats
    low: Floats
    high: Floats
    reliability: Floats
    kernel: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", check_names(self.boxes, "box"))
        for name in ("values", "low", "high", "reliability"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def ceiling(self) -> Floats:
        """The most two boxes could show under their noise [n_boxes, n_boxes]."""
        known = np.where(self.reliability >= LEAST_RELIABILITY, self.reliability, np.nan)
        return np.asarray(np.sqrt(np.outer(known, known)))

    @property
    def corrected(self) -> Floats:
        """Similarity free of response noise [n_boxes, n_boxes], within -1 and 1."""
        found = np.clip(self.values / self.ceiling, -1.0, 1.0)
        np.fill_diagonal(found, np.diag(self.values))
        return found

    def pair(self, box: str, other: str) -> dict[str, float]:
        """Return the numbers of one pair.

        Raises `UnknownNameError` for a name that is no box.
        """
        a, b = (check_known(name, self.boxes, "box") for name in (box, other))
        return {
            "similarity": float(self.values[a, b]),
            "low": float(self.low[a, b]),
            "high": float(self.high[a, b]),
            "ceiling": float(self.ceiling[a, b]),
            "corrected": float(self.corrected[a, b]),
        }

    def _columns(self) -> dict[str, list[Any]]:
        rows, columns = np.triu_indices(len(self.boxes), 1)
        found: dict[str, list[Any]] = {
            "box": [self.boxes[at] for at in rows],
            "other": [self.boxes[at] for at in columns],
        }
        for name, table in (("similarity", self.values), ("low", self.low), ("high", self.high),
                            ("ceiling", self.ceiling), ("corrected", self.corrected)):  # fmt: skip
            found[name] = table[rows, columns].tolist()
        return found

    def _head(self) -> str:
        return f"Similarity of {len(self.boxes)} boxes by {self.kernel}"

    def __repr__(self) -> str:
        return "\n".join([self._head(), as_text(self._columns())])

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self._head())


def paired_similarity(
    responses: Responses,
    *,
    link: str | None = None,
    mass: str = "aside",
    confidence: float = 0.9,
    n_replicates: int = 1000,
    interval: str = "fisher_z",
    rng: Rng = 0,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> BehaviorSimilarity:
    """Return the cosine of every pair of boxes over the probes that all of them answered.

    Coordinates are centred over probes, so a prompt that always leans to one label, or another
    temperature, changes nothing. Probes are drawn again inside their strata; with several answers
    a probe, answers are drawn again within each drawn probe.

    Parameters
    ----------
    responses
        Answers of boxes with one label set.
    link
        ``logit`` (default), ``probability``, ``rank`` (over probes) or ``identity``.
    mass
        ``aside`` compares what boxes say; ``coordinate`` also how much of their probability is on
        label words at all, where that varies. A box and its opposite share that.
    confidence, n_replicates, rng
        Of the intervals; ``n_replicates=0`` gives none.
    interval
        ``fisher_z`` (spread of atanh over replicates) or ``percentile``; with several answers a
        probe percentiles are biased towards 0.
    n_threads, progress
        Threads; a bar over pairs.

    Raises
    ------
    ShapeError
        If fewer than two probes were answered by all boxes.

    References
    ----------
    Spec of coordinates and kernel: ``src/behavior/coordinates.rs``, ``src/behavior/paired.rs``.

    Examples
    --------
    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> found = paired_similarity(Responses.from_arrays(
    ...     {"a": shares, "not a": shares[:, ::-1]}, labels=["pos", "neg"]))
    >>> found.pair("a", "not a")["similarity"]
    -1.0
    """
    check_choice(interval, ("fisher_z", "percentile"), "interval")
    if n_replicates != 0:
        check_sampling(confidence, n_replicates)
    threads, seed = check_n_threads(n_threads), seed_of(rng)
    shared = responses.common()
    codec = shared.codec(link, mass)
    draws = (shared.strata_numbers(), n_replicates, confidence, seed, interval == "fisher_z")
    n_pairs = len(shared.boxes) * (len(shared.boxes) + 1) // 2
    with _bar(progress, n_replicates if _is_nested(shared, codec) else n_pairs) as report:
        if _is_nested(shared, codec):
            found = _core.behavior_nested(shared.channels(codec), codec, draws, threads, report)
        else:
            coordinates = shared.coordinates(link, mass=mass)
            found = _core.behavior_paired(coordinates, draws, threads, report)
    options = {
        "link": codec[0],
        "n_probes": len(shared.bank),
        "n_left_out": len(responses.bank) - len(shared.bank),
        "n_answers": shared.n_replicates,
        "has_mass": bool(codec[3]),
        "confidence": confidence,
        "n_replicates": n_replicates,
        "interval": interval,
        "space": shared.space(link, mass=mass),
    }
    own = _reliability(shared, codec, seed, threads)
    values, low, high = found
    return BehaviorSimilarity(shared.boxes, values, low, high, own, "paired", options)


def _is_nested(responses: Responses, codec: tuple[str, float, float, int]) -> bool:
    # Ranks are taken over probes, which a replicate of one probe does not know.
    return responses.n_replicates > 1 and codec[0] != "rank"


def _reliability(
    responses: Responses, codec: tuple[str, float, float, int], seed: int, threads: int | None
) -> Floats:
    """Split-half reliability of each box over its replicates, stepped up to all of them."""
    if responses.n_replicates < 2:
        # One answer a probe: nothing is known of its noise, so nothing is corrected.
        return np.ones(len(responses.boxes))
    answers = responses.channels(codec)
    counts = (~np.isnan(responses.answers[..., 0])).sum(axis=2)
    halves = np.array(_core.behavior_split_half(answers, codec, (_N_HALVINGS, seed), threads))
    stepped = np.where(halves > 0, 2 * halves / (1 + halves), 0.0)
    return np.where(counts.max(axis=1) < 2, 1.0, stepped)


class _bar:
    """A bar told how many units are done; nothing without ``progress``."""

    def __init__(self, progress: bool | None, total: int) -> None:
        self._bar = require("tqdm.auto", "behavior").tqdm(total=total) if progress else None

    def __enter__(self) -> Callable[[int], object] | None:
        bar = self._bar
        return None if bar is None else lambda done: bar.update(done - bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def calls_needed(
    similarity: BehaviorSimilarity, half_width: float, boxes: Sequence[str] | None = None
) -> dict[str, float]:
    """Return how many probes a box needs for intervals of a wanted half-width.

    The width of an interval falls with the root of the number of probes, so the need is the number
    asked times the square of the ratio of widths: for the median pair and for the widest one.

    Raises
    ------
    ValueError
        If the half-width is not between 0 and 1, or the similarity has no intervals.

    Examples
    --------
    >>> value = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> found = BehaviorSimilarity(("a", "b"), value, value - 0.1, value + 0.1, np.ones(2),
    ...                            "paired", {"n_probes": 100})
    >>> {name: round(number) for name, number in calls_needed(found, 0.05).items()}
    {'median': 400, 'widest': 400}
    """
    if not 0 < half_width < 1:
        raise ValueError(f"half_width={half_width!r}: expected a number between 0 and 1")
    names = similarity.boxes if boxes is None else tuple(boxes)
    rows = [check_known(name, similarity.boxes, "box") for name in names]
    at = np.triu_indices(len(rows), 1)
    widths = ((similarity.high - similarity.low) / 2)[np.ix_(rows, rows)][at]
    if not widths.size or np.isnan(widths).any():
        raise ValueError("the similarity has no intervals; compute it with n_replicates > 0")
    n = similarity.options["n_probes"]
    return {
        "median": float(n * (np.median(widths) / half_width) ** 2),
        "widest": float(n * (widths.max() / half_width) ** 2),
    }
