"""The verbs of a prompt store: prompts list, show, promote, rollback, diff, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kinatlas.cli.options import AsCsv, AsJson
from kinatlas.cli.output import print_csv, print_json, print_table
from kinatlas.io import PromptStore

__all__ = ["prompts"]

prompts = typer.Typer(
    help="Prompts managed like releases: what there is, what is served, and the way back.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(help="Folder of the prompt store.")]
Prompt = Annotated[str, typer.Argument(help="Id, its first digits, or TASK@CHANNEL.")]
Task = Annotated[str, typer.Argument(help="Task.")]
Channel = Annotated[str, typer.Option(help="Channel, such as staging or prod.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the journal.")]
Bars = Annotated[
    list[str] | None,
    typer.Option("--at-least", metavar="METRIC=BAR", help="Gate; may be repeated."),
]
Drops = Annotated[
    list[str] | None,
    typer.Option("--may-drop", metavar="METRIC=FALL", help="Most it may fall; may be repeated."),
]


@prompts.command("list")
def list_prompts(
    store: Folder,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    basis_key: Annotated[str | None, typer.Option(help="Only this backbone.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List prompts with their channels, backbone, metrics and parent."""
    found = PromptStore(store, create=False)
    table = found.prompts(task) if basis_key is None else found.dependants(basis_key)
    _show(table, table.title, as_json, as_csv)


@prompts.command()
def show(store: Folder, prompt: Prompt, as_json: AsJson = False) -> None:
    """Show one prompt: lineage, settings, metrics, checks, and where it was served."""
    found = PromptStore(store, create=False)
    record = found.record(prompt)
    moves = [vars(move) for move in found.channels.moves()
             if record.id in (move.prompt, move.previous)]  # fmt: skip
    if as_json:
        print_json({**vars(record), "moves": moves})
        return
    rows = {name: value for name, value in vars(record).items() if value not in ("", {})}
    print_table({"field": list(rows), "value": [_plain(value) for value in rows.values()]},
                f"Prompt {record.id[:12]}")  # fmt: skip
    names = ("at", "kind", "channel", "prompt", "previous", "reason")
    print_table({name: [move[name][:40] for move in moves] for name in names}, "Moves")


@prompts.command()
def promote(
    store: Folder,
    prompt: Prompt,
    channel: Channel,
    at_least: Bars = None,
    may_drop: Drops = None,
    basis_key: Annotated[str | None, typer.Option(help="Refuse any other backbone.")] = None,
    reason: Reason = "",
) -> None:
    """Let a channel serve a prompt, if it passes the gates."""
    record = PromptStore(store, create=False).promote(
        prompt, channel, at_least=_numbers(at_least, "--at-least"),
        may_drop=_numbers(may_drop, "--may-drop"), basis_key=basis_key, reason=reason,
    )  # fmt: skip
    typer.echo(f"{record.task}@{channel} serves {record.id}")


@prompts.command()
def rollback(
    store: Folder,
    task: Task,
    channel: Channel,
    to: Annotated[str | None, typer.Option(help="An earlier prompt; default the last one.")] = None,
    reason: Reason = "",
) -> None:
    """Let a channel serve again what it served before."""
    record = PromptStore(store, create=False).rollback(task, channel, to=to, reason=reason)
    typer.echo(f"{task}@{channel} serves {record.id}")


@prompts.command()
def diff(
    store: Folder, before: Prompt, after: Prompt, as_json: AsJson = False, as_csv: AsCsv = False
) -> None:
    """Show what changed between two prompts, with intervals where rows are shared."""
    found = PromptStore(store, create=False).diff(before, after)
    _show(found, "Differences", as_json, as_csv, list(found.notes))


@prompts.command()
def verify(store: Folder, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Check every byte and every channel; exit code 1 if anything is wrong."""
    found = PromptStore(store, create=False).verify()
    if as_json or as_csv or len(found):
        _show(found, found.title, as_json, as_csv)
    else:
        typer.echo("all prompts are what they were, all channels can serve")
    raise typer.Exit(1 if len(found) else 0)


def _show(
    found: Any, title: str, as_json: bool, as_csv: bool, notes: list[str] | None = None
) -> None:
    if as_json:
        print_json(found.to_dict())
    elif as_csv:
        print_csv(found.to_dict())
    else:
        print_table(found.to_dict(), title, notes or [])


def _numbers(given: list[str] | None, option: str) -> dict[str, float]:
    found = {}
    for text in given or []:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r}: expected METRIC=NUMBER", param_hint=option
            ) from None
    return found


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    return str(value)
