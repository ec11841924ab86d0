"""What was asked, answered, paid and went wrong, read from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kinatlas._checks import check_known
from kinatlas._frames import Tabular, as_html, as_text
from kinatlas.behavior.boxes import BlackBox
from kinatlas.behavior.budget import most_tokens
from kinatlas.behavior.ledger import Ledger
from kinatlas.behavior.probes import ProbeBank

__all__ = ["Accounts", "accounts", "dry_run", "spent_so_far"]

_STATUSES = ("ok", "refused", "parse_failure", "error")
# English text has about four characters a token; a rough figure, for estimates only.
_CHARACTERS = 4


@dataclass(frozen=True, repr=False)
class Accounts(Tabular):
    """Numbers of a ledger box by box, and over all of them by name.

    ``anomalies`` counts every attempt that was not plainly answered, by kind; ``lost`` are calls
    that were flying when a process died. ``models`` lists the versions each box answered with:
    more than one means that the endpoint changed under way.

    Examples
    --------
    >>> Accounts({"box": ["a"], "ok": [3]}, {"calls": 3.0}, {})["calls"]
    3.0
    """

    columns: Mapping[str, list[Any]]
    totals: Mapping[str, float]
    anomalies: Mapping[str, int]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stopped_by: str | None = None
    set_aside: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.totals[list(self.totals)[check_known(name, list(self.totals), "number")]]

    @property
    def remarks(self) -> tuple[str, ...]:
        """One sentence on everything out of the ordinary."""
        found = [f"{count} attempts: {kind}" for kind, count in self.anomalies.items()]
        found += [
            f"box {name!r} answered as {len(own)} models: {', '.join(own)}"
            for name, own in self.models.items()
            if len(own) > 1
        ]
        if self.stopped_by:
            found.append(f"stopped: the budget of {self.stopped_by} is used up")
        found += [f"box {name!r} was set aside: its first answers all failed" for name in
                  self.set_aside]  # fmt: skip
        return tuple(found)

    def _columns(self) -> dict[str, list[Any]]:
        return dict(self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the table, the totals and the anomalies, ready for JSON."""
        return {
            "boxes": self._columns(),
            "totals": dict(self.totals),
            "anomalies": dict(self.anomalies),
            "models": {name: list(own) for name, own in self.models.items()},
            "stopped_by": self.stopped_by,
            "set_aside": list(self.set_aside),
        }

    def _head(self) -> str:
        return ", ".join(f"{name} {number:g}" for name, number in self.totals.items())

    def __repr__(self) -> str:
        return "\n".join([self._head(), as_text(self.columns), *self.remarks])

    def _repr_html_(self) -> str:
        return as_html(self.columns, ". ".join([self._head(), *self.remarks]))


def spent_so_far(ledger: Ledger) -> tuple[int, int, float]:
    """Return calls, tokens and money of a ledger; a call without an end costs its worst case.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     spent_so_far(ledger)
    (0, 0, 0.0)
    """
    calls, tokens, cost = ledger.rows(
        "SELECT count(*), total(coalesce(o.tokens_in + o.tokens_out, a.tokens)), "
        "total(coalesce(o.cost, a.cost)) FROM attempts a LEFT JOIN outcomes o USING (attempt)"
    )[0]
    return int(calls), int(tokens), float(cost)


def accounts(
    ledger: Ledger, *, stopped_by: str | None = None, set_aside: tuple[str, ...] = ()
) -> Accounts:
    """Return what a ledger holds, box by box, with every anomaly counted.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     accounts(ledger)["calls"]
    0.0
    """
    counts = ledger.rows("SELECT box, prompt, status, count(*) FROM answers GROUP BY 1, 2, 3")
    names = {row[0]: row[1] for row in ledger.rows("SELECT box, id FROM boxes")}
    subjects = sorted(
        ledger.rows("SELECT DISTINCT box, prompt FROM attempts"),
        key=lambda row: (names.get(row[0], ""), row),
    )
    table = {(box, prompt, status): count for box, prompt, status, count in counts}
    paid = {
        (box, prompt): rest
        for box, prompt, *rest in ledger.rows(
            "SELECT a.box, a.prompt, count(*), total(coalesce(o.tokens_in + o.tokens_out, "
            "a.tokens)), total(coalesce(o.cost, a.cost)), avg(o.latency_ms) "
            "FROM attempts a LEFT JOIN outcomes o USING (attempt) GROUP BY 1, 2"
        )
    }
    columns: dict[str, list[Any]] = {"box": [names.get(box, box) for box, _ in subjects]}
    for status in _STATUSES:
        columns[status] = [table.get((*own, status), 0) for own in subjects]
    for at, (name, kind) in enumerate(
        (("calls", int), ("tokens", int), ("cost", float), ("latency_ms", float))
    ):
        columns[name] = [kind(paid[own][at] or 0) for own in subjects]
    anomalies = dict(
        ledger.rows("SELECT kind, count(*) FROM outcomes WHERE kind <> 'ok' GROUP BY 1 ORDER BY 1")
    )
    lost = ledger.rows("SELECT count(*) FROM attempts LEFT JOIN outcomes USING (attempt) "
                       "WHERE kind IS NULL")[0][0]  # fmt: skip
    models: dict[str, tuple[str, ...]] = {}
    for box, model in ledger.rows(
        "SELECT DISTINCT box, model FROM answers WHERE model IS NOT NULL ORDER BY 1, 2"
    ):
        models[names.get(box, box)] = (*models.get(names.get(box, box), ()), model)
    changed = sum(len(own) - 1 for own in models.values())
    anomalies |= {k: n for k, n in (("lost", lost), ("model_changed", changed)) if n}
    calls, tokens, cost = spent_so_far(ledger)
    totals = {"answers": float(len(ledger)), "calls": float(calls), "tokens": float(tokens),
              "cost": cost}  # fmt: skip
    return Accounts(columns, totals, anomalies, models, stopped_by, set_aside)


def dry_run(
    boxes: Sequence[BlackBox] | BlackBox, bank: ProbeBank, ledger: Ledger, *, replicates: int = 1
) -> Accounts:
    """Return what `ask` would have to ask and pay, without asking anything.

    ``calls`` is exact where no call has to be repeated; ``tokens`` and ``cost`` take four
    characters for a token and the longest answer; ``most_tokens`` and ``most_cost`` are what a
    budget sets aside for one attempt each.

    Examples
    --------
    >>> import tempfile
    >>> from kinatlas.behavior import CallableBox, ProbeBank
    >>> box = CallableBox(len, "a", output="number")
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder + "/answers.db") as ledger:
    ...     dry_run(box, ProbeBank.from_texts(["x", "y"]), ledger, replicates=3)["calls"]
    6.0
    """
    from kinatlas.behavior.asking import _boxes, open_questions

    chosen = _boxes(boxes)
    names = ("calls", "tokens", "cost", "most_tokens", "most_cost")
    sums = {box.id: dict.fromkeys(names, 0.0) for box in chosen}
    for batch in open_questions(chosen, bank, ledger, replicates=replicates):
        for question in batch:
            box, own = question.box, sums[question.box.id]
            read, write = most_tokens(box, question.text)
            guess = -(-len(box.prompt + question.text) // _CHARACTERS) if read else 0
            own["calls"] += 1
            own["tokens"] += guess + write
            own["cost"] += box.price.cost(guess, write)
            own["most_tokens"] += read + write
            own["most_cost"] += box.price.cost(read, write)
    columns: dict[str, list[Any]] = {"box": [box.id for box in chosen]}
    columns |= {name: [sums[box.id][name] for box in chosen] for name in names}
    return Accounts(columns, {name: sum(columns[name]) for name in names}, {})
