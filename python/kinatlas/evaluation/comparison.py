"""The outcome of a comparison of methods: a row a method, a row a pair, and average ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kinatlas._frames import Tabular, as_html, as_text

__all__ = ["CriticalDifference", "MethodComparison", "MethodPairs"]

Columns = dict[str, list[Any]]

NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True, repr=False)
class CriticalDifference(Tabular):
    """Average ranks of methods over targets (1 is best), and how far apart is apart.

    Parameters
    ----------
    methods, average_ranks
        Best first.
    value
        Nemenyi's critical difference: average ranks closer than this are not told apart.
    cliques
        Maximal runs of methods within it; a method may be in several.
    statistic, p_value
        Friedman's test that all methods rank alike.
    n_targets, confidence
        Targets ranked on, and the level.

    Examples
    --------
    >>> found = CriticalDifference(("a", "b"), (1.2, 1.8), 0.9, (("a", "b"),), 3.6, 0.06, 10, 0.95)
    >>> print(found.explain())
    a has average rank 1.20 over 10 targets.
    b has average rank 1.80 over 10 targets.
    Average ranks must differ by 0.90 to be told apart (95 % confidence for all pairs at once).
    Friedman's test that all methods rank alike: chi2 = 3.60, p = 0.060.
    """

    methods: tuple[str, ...]
    average_ranks: tuple[float, ...]
    value: float
    cliques: tuple[tuple[str, ...], ...]
    statistic: float
    p_value: float
    n_targets: int
    confidence: float

    def explain(self) -> str:
        """Return one plain sentence for every number, a line each."""
        level = f"{100 * self.confidence:g} % confidence"
        ranks = zip(self.methods, self.average_ranks, strict=True)
        return "\n".join(
            [
                *(
                    f"{name} has average rank {rank:.2f} over {self.n_targets} targets."
                    for name, rank in ranks
                ),
                f"Average ranks must differ by {self.value:.2f} to be told apart ({level} for all "
                "pairs at once).",
                f"Friedman's test that all methods rank alike: chi2 = {self.statistic:.2f}, "
                f"p = {self.p_value:.3f}.",
            ]
        )

    def _columns(self) -> Columns:
        return {"method": list(self.methods), "average_rank": list(self.average_ranks)}

    def __repr__(self) -> str:
        cliques = "; ".join(", ".join(clique) for clique in self.cliques)
        title = f"Critical difference {self.value:.2f}, not told apart: {cliques}"
        return f"{title}\n{as_text(self._columns())}"

    def _repr_html_(self) -> str:
        return as_html(self._columns(), self.explain())


@dataclass(frozen=True, repr=False)
class MethodPairs(Tabular):
    """One row a pair of methods; made by `compare_methods`.

    ``difference`` is how much better ``first`` is than ``second`` (already turned for metrics
    where less is better), with its interval; ``p_superior`` the chance that ``first`` is better
    on another target, with a Wilson interval, ties counting half.

    Examples
    --------
    >>> MethodPairs({"first": ["a"], "second": ["b"], "verdict": ["no difference shown"]}).n_shown
    0
    """

    columns: Columns

    @property
    def n_shown(self) -> int:
        """Pairs in which a difference was shown."""
        return sum(verdict != NO_DIFFERENCE for verdict in self.columns["verdict"])

    def explain(self) -> str:
        """Return one plain sentence a pair.

        Examples
        --------
        >>> MethodPairs({name: [] for name in ("first", "verdict")}).explain()
        ''
        """
        lines = []
        for row in zip(*self.columns.values(), strict=True):
            entry = dict(zip(self.columns, row, strict=True))
            lines.append(
                f"{entry['first']} against {entry['second']}: better by {entry['difference']:.4f} "
                f"({entry['low']:.4f} to {entry['high']:.4f}), corrected p = "
                f"{entry['p_adjusted']:.3f}; better on another target with probability "
                f"{entry['p_superior']:.2f} ({entry['p_superior_low']:.2f} to "
                f"{entry['p_superior_high']:.2f}): {entry['verdict']}."
            )
        return "\n".join(lines)

    def _columns(self) -> Columns:
        return self.columns

    def __repr__(self) -> str:
        count = len(self.columns["verdict"])
        return f"{count} pairs, {self.n_shown} with a difference\n{as_text(self.columns)}"

    def _repr_html_(self) -> str:
        return as_html(self.columns, "Pairs of methods")


@dataclass(frozen=True, repr=False)
class MethodComparison(Tabular):
    """Methods beside chance, data size, text overlap and the oracle; made by `compare_methods`.

    Parameters
    ----------
    metric
        What was compared, and ``is_higher_better`` which way.
    rows
        Columns of the table: method, kind, score with interval, corrected, average_rank, p_chance.
    pairs
        Every pair of methods.
    critical_difference
        Average ranks and Nemenyi's critical difference, or None for one method or target.
    conventions
        Everything the numbers depend on.
    remarks
        What was not given, what was left out.

    Examples
    --------
    >>> import kinatlas as ka
    >>> found = ka.compare_methods(
    ...     {"prior": ka.SimilarityMatrix([[3, 2, 1.0]] * 4, list("wxyz"), list("abc"), "k")},
    ...     ka.TransferTable.from_arrays(
    ...         [t for t in "wxyz" for _ in "abc"], list("abc") * 4, [60.0, 61, 62] * 4),
    ...     n_replicates=200, n_permutations=200)
    >>> found.scores["random"], found.scores["oracle"]
    (0.862..., 1.0)
    """

    metric: str
    is_higher_better: bool
    rows: Columns
    pairs: MethodPairs
    critical_difference: CriticalDifference | None
    conventions: Mapping[str, Any]
    remarks: tuple[str, ...]

    @property
    def scores(self) -> dict[str, float]:
        """Mean of every row by name; NaN for a baseline that was not given."""
        return dict(zip(self.rows["method"], self.rows["score"], strict=True))

    def explain(self) -> str:
        """Return one plain sentence for every row, then for every pair, a line each.

        Examples
        --------
        >>> import kinatlas as ka
        >>> prior = ka.SimilarityMatrix([[3, 2, 1.0]] * 4, list("wxyz"), list("abc"), "k")
        >>> truth = ka.TransferTable.from_arrays(
        ...     [t for t in "wxyz" for _ in "abc"], list("abc") * 4, [60.0, 61, 62] * 4)
        >>> found = ka.compare_methods({"prior": prior}, truth, n_replicates=200)
        >>> print(found.explain().splitlines()[0])
        prior: mean ndcg 0.7397 (95 % interval 0.7397 to 0.7397); p = 1.000 against random orders.
        """
        percent = f"{100 * self.conventions['confidence']:g} %"
        lines = []
        for row in zip(*self.rows.values(), strict=True):
            entry = dict(zip(self.rows, row, strict=True))
            text = f"{entry['method']}: mean {self.metric} {entry['score']:.4f}"
            if entry["kind"] == "not given":
                text = f"{entry['method']}: not given"
            elif entry["kind"] == "chance":
                text += ", the exact expectation of a random order"
            elif entry["kind"] == "ceiling":
                text += ", what the true order itself gets"
            else:
                text += (
                    f" ({percent} interval {entry['low']:.4f} to {entry['high']:.4f}); "
                    f"p = {entry['p_chance']:.3f} against random orders"
                )
            lines.append(text + ".")
        pairs = self.pairs.explain()
        return "\n".join([*lines, *([pairs] if pairs else []), *self.remarks])

    def to_dict(self) -> dict[str, Any]:
        """Return rows, pairs, average ranks, conventions and remarks, ready for JSON.

        Examples
        --------
        >>> from dataclasses import fields
        >>> [field.name for field in fields(MethodComparison)][:3]
        ['metric', 'is_higher_better', 'rows']
        """
        ranks = self.critical_difference
        return {
            "metric": self.metric,
            "is_higher_better": self.is_higher_better,
            "methods": self.rows,
            "pairs": self.pairs.to_dict(),
            "critical_difference": None
            if ranks is None
            else {name: value for name, value in vars(ranks).items()},
            "conventions": dict(self.conventions),
            "remarks": list(self.remarks),
        }

    def _columns(self) -> Columns:
        return self.rows

    def _title(self) -> str:
        counts = self.conventions
        return (
            f"Comparison by {self.metric} over {counts['n_targets']} targets, "
            f"{counts['n_seeds']} seeds; {self.pairs.n_shown} of "
            f"{len(self.pairs.columns['verdict'])} pairs show a difference"
        )

    def __repr__(self) -> str:
        shown = ("first", "second", "difference", "low", "high", "p_adjusted", "verdict")
        pairs = {name: self.pairs.columns[name] for name in shown}
        # A screen of 24 lines: every remark beyond the usual three takes a pair's place.
        n_pairs = max(1, 7 - max(0, len(self.remarks) - 3))
        tables = [as_text(self.rows, max_rows=9), as_text(pairs, max_rows=n_pairs)]
        if not pairs["verdict"]:
            tables = tables[:1]
        return "\n".join([self._title(), *tables, *self.remarks])

    def _repr_html_(self) -> str:
        title = ". ".join([self._title(), *self.remarks])
        return as_html(self.rows, title) + self.pairs._repr_html_()
