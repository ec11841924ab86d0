"""The verbs of black boxes: probe run, resume, status, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kinatlas.behavior import (
    Accounts,
    Budget,
    Ledger,
    accounts,
    ask,
    dry_run,
    paired_similarity,
    prompt_bias,
    read_ledger,
)
from kinatlas.behavior.reading import comparable_boxes
from kinatlas.behavior.study import read_study
from kinatlas.cli.options import AsCsv, AsJson
from kinatlas.cli.output import print_csv, print_json, print_table

__all__ = ["probe"]

probe = typer.Typer(
    help="Ask black boxes the probes of a bank and compare their answers.", no_args_is_help=True
)

Study = Annotated[Path, typer.Argument(help="JSON file naming boxes and probes.")]
File = Annotated[Path, typer.Option("--ledger", help="Where every answer is kept.")]
Known = Annotated[Path, typer.Argument(help="Ledger to read.")]
Calls = Annotated[int | None, typer.Option(help="Most calls of the whole ledger.")]
Tokens = Annotated[int | None, typer.Option(help="Most tokens of the whole ledger.")]
Money = Annotated[float | None, typer.Option(help="Most money of the whole ledger.")]
Rate = Annotated[float | None, typer.Option(help="Questions a second, over all boxes.")]
Concurrency = Annotated[int, typer.Option(help="Calls in flight.")]
Box = Annotated[list[str] | None, typer.Option(help="Only this box; may be repeated.")]


@probe.command()
def run(
    study: Study,
    ledger: File,
    calls: Calls = None,
    tokens: Tokens = None,
    money: Money = None,
    rate: Rate = None,
    concurrency: Concurrency = 8,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only estimate calls and cost.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask what the ledger does not answer yet; interrupt it and run it again at will."""
    _run(study, ledger, Budget(calls, tokens, money), rate, concurrency, dry, "keep",
         as_json, as_csv)  # fmt: skip


@probe.command()
def resume(
    study: Study,
    ledger: File,
    calls: Calls = None,
    tokens: Tokens = None,
    money: Money = None,
    rate: Rate = None,
    concurrency: Concurrency = 8,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Go on with a ledger that exists, and ask again what failed for good."""
    with Ledger(ledger, create=False):
        pass
    _run(study, ledger, Budget(calls, tokens, money), rate, concurrency, False, "ask_again",
         as_json, as_csv)  # fmt: skip


@probe.command()
def status(ledger: Known, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Count answers, calls, tokens, money and everything that went wrong."""
    with Ledger(ledger, create=False) as book:
        _show(accounts(book), "Ledger", as_json, as_csv)


@probe.command()
def report(
    ledger: Known,
    box: Box = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare the boxes of a ledger, and count everything that went wrong while asking.

    Boxes of one label set are compared with each other; boxes without any answer are named.
    """
    with Ledger(ledger, create=False) as book:
        groups, silent = comparable_boxes(book) if box is None else ([box], [])
        if (as_json or as_csv or not groups) and len(groups) != 1:
            groups = [[name for own in groups for name in own] or silent]
        found = [read_ledger(book, boxes=own) for own in groups]
        told = accounts(book)
    for responses in found:
        similarity, bias = paired_similarity(responses), prompt_bias(responses)
        if as_json:
            print_json({"similarity": similarity.to_dict(), "bias": bias.to_dict(),
                        "options": similarity.options, "accounts": told.to_dict()})  # fmt: skip
        elif as_csv:
            print_csv(similarity.to_dict())
        else:
            left = similarity.options["n_left_out"]
            notes = [f"{left} probes that some box did not answer are left out"] if left else []
            title = f"Similarity on {similarity.options['n_probes']} probes"
            print_table(similarity.to_dict(), title, notes)
            print_table(bias.to_dict(), bias.title)
    if not (as_json or as_csv):
        unheard = [f"box {name!r} gave no answer" for name in silent]
        print_table(told.columns, "Ledger", [*told.remarks, *unheard])


def _run(
    study: Path, ledger: Path, budget: Budget, rate: float | None, concurrency: int, dry: bool,
    errors: str, as_json: bool, as_csv: bool,
) -> None:  # fmt: skip
    # Boxes written in Python live beside the study more often than in a package.
    sys.path.insert(0, str(study.resolve().parent))
    plan = read_study(study)
    with Ledger(ledger) as book:
        if dry:
            found = dry_run(plan.boxes, plan.bank, book, replicates=plan.replicates)
        else:
            shown = sys.stderr.isatty() and not (as_json or as_csv)
            found = ask(
                plan.boxes, plan.bank, book, replicates=plan.replicates, budget=budget, rate=rate,
                concurrency=concurrency, errors=errors, progress=shown,
            )  # fmt: skip
    _show(found, "To ask" if dry else "Ledger", as_json, as_csv)


def _show(found: Accounts, title: str, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(found.to_dict())
    elif as_csv:
        print_csv(found.columns)
    else:
        print_table(found.columns, title, found.remarks)
