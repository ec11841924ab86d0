"""The verbs: inspect, embed, similarity, rank, evaluate, probe, prompts, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import kinatlas as ka
from kinatlas.cli.blocks import BlockOptions, compare_in_blocks
from kinatlas.cli.embed import embed
from kinatlas.cli.options import (
    AsCsv,
    AsJson,
    Base,
    Blocks,
    BlockSize,
    Center,
    Direction,
    Folder,
    Kernel,
    Kind,
    LogJson,
    MaxMemory,
    Neighbours,
    Normalize,
    NThreads,
    Out,
    Pickle,
    Resume,
    Scheduler,
    Space,
    Tasks,
    Temperature,
)
from kinatlas.cli.output import print_csv, print_json, print_table
from kinatlas.cli.probe import probe
from kinatlas.cli.prompts import prompts
from kinatlas.evaluation.evaluate import Gain

__all__ = ["app"]

app = typer.Typer(
    name="kinatlas",
    help="Which tasks, prompts and adapters are kin, and what to transfer from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(embed)
app.add_typer(probe, name="probe")
app.add_typer(prompts, name="prompts")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kinatlas {ka.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def inspect(
    folder: Folder,
    base: Base = None,
    allow_pickle: Pickle = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List what a folder holds: every file, what was read, what was skipped, and why."""
    _progress(as_json, as_csv)
    report = ka.io.inspect_folder(folder, base=base, allow_pickle=allow_pickle)
    if as_json or as_csv:
        _show(report, "", as_json, as_csv)
    else:
        spaces = [f"{count} in space {space}" for space, count in report.spaces().items()]
        print_table(report.overview(), f"{folder}: {report.summary()}", spaces)


@app.command()
def similarity(
    folder: Folder,
    kernel: Kernel = "max_pairwise",
    direction: Direction = "source_to_target",
    normalize: Normalize = "tokens",
    center: Center = "none",
    neighbours: Neighbours = None,
    temperature: Temperature = None,
    tasks: Tasks = None,
    space: Space = None,
    base: Base = None,
    kind: Kind = None,
    allow_pickle: Pickle = False,
    threads: NThreads = None,
    blocks: Blocks = None,
    scheduler: Scheduler = None,
    resume: Resume = False,
    block_size: BlockSize = None,
    max_memory: MaxMemory = 2.0,
    out: Out = None,
    log_json: LogJson = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare all tasks of a folder; rows are targets, columns are sources."""
    settings = _settings(kernel, direction, normalize, center, neighbours, temperature, threads)
    if blocks is not None or out is not None:
        options = BlockOptions(blocks, scheduler, resume, block_size, max_memory, out, log_json)
        plain = not (tasks or space or base or kind or allow_pickle)
        side = folder if plain else _atlas(folder, tasks, space, base, kind, allow_pickle)
        _progress(as_json, as_csv)
        shown = None if as_json or as_csv or log_json else sys.stderr.isatty()
        found = compare_in_blocks(side, options, settings, progress=shown)
        if as_json or as_csv:
            _show(found.matrix(), "", as_json, as_csv)
        else:
            typer.echo(f"{found}, in {found.path}")
        return
    if scheduler or resume or block_size or log_json:
        raise typer.BadParameter("--scheduler, --resume and the like need --out or --blocks")
    atlas = _atlas(folder, tasks, space, base, kind, allow_pickle)
    matrix = ka.similarity_matrix(atlas, progress=_progress(as_json, as_csv), **settings)
    _show(matrix, f"{kernel}: {len(matrix.targets)} targets", as_json, as_csv, _notes(matrix))


@app.command()
def rank(
    folder: Folder,
    target: Annotated[str, typer.Option(help="The task to find sources for.")],
    kernel: Kernel = "max_pairwise",
    direction: Direction = "source_to_target",
    normalize: Normalize = "tokens",
    center: Center = "none",
    neighbours: Neighbours = None,
    temperature: Temperature = None,
    top: Annotated[int | None, typer.Option(help="Show only the best so many.")] = None,
    tasks: Tasks = None,
    space: Space = None,
    base: Base = None,
    kind: Kind = None,
    allow_pickle: Pickle = False,
    threads: NThreads = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Rank the sources for one target, best first."""
    atlas = _atlas(folder, tasks, space, base, kind, allow_pickle)
    settings = _settings(kernel, direction, normalize, center, neighbours, temperature, threads)
    matrix = ka.similarity_matrix(atlas, progress=_progress(as_json, as_csv), **settings)
    ranking = ka.rank_sources(matrix, target, k=top)
    _show(ranking, f"Sources for {target} by {kernel}", as_json, as_csv, _notes(matrix))


@app.command()
def evaluate(
    folder: Folder,
    transfer: Annotated[Path, typer.Argument(help="CSV of measured transfer, long or wide.")],
    kernel: Kernel = "max_pairwise",
    direction: Direction = "source_to_target",
    normalize: Normalize = "tokens",
    center: Center = "none",
    neighbours: Neighbours = None,
    temperature: Temperature = None,
    gain: Annotated[Gain, typer.Option(help="What NDCG adds up.")] = "exp2_percent",
    k: Annotated[list[int], typer.Option(help="Cut-offs of regret and top-k.")] = [1, 3],  # noqa: B006
    baseline: Annotated[
        str | None, typer.Option(help="Wide tables: the column of the untrained baseline.")
    ] = None,
    units: Annotated[str, typer.Option(help="auto, fraction or percent.")] = "auto",
    tasks: Tasks = None,
    space: Space = None,
    base: Base = None,
    kind: Kind = None,
    allow_pickle: Pickle = False,
    threads: NThreads = None,
    per_target: Annotated[bool, typer.Option("--per-target", help="One row a target.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Score a kernel's rankings against measured transfer, each number beside its chance."""
    atlas = _atlas(folder, tasks, space, base, kind, allow_pickle)
    settings = _settings(kernel, direction, normalize, center, neighbours, temperature, threads)
    matrix = ka.similarity_matrix(atlas, progress=_progress(as_json, as_csv), **settings)
    table = ka.TransferTable.from_csv(transfer, baseline=baseline, units=units)
    result = ka.evaluate(matrix, table, gain=gain, k=tuple(k))
    if as_json:
        print_json(result.to_dict())
    else:
        rows = result._columns() if per_target else result.summary_table()
        title = f"{kernel} against {transfer.name}"
        print_csv(rows) if as_csv else print_table(rows, title, _notes(matrix))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the page.")] = Path(
        "demo-out"
    ),
) -> None:
    """Rank and evaluate on the bundled real prompts; writes two PNGs and one HTML page."""
    from kinatlas.cli.demo import run

    run(out)


def _atlas(
    folder: Path,
    tasks: str | None,
    space: str | None,
    base: Path | None,
    kind: Any,
    allow_pickle: bool,
) -> Any:
    atlas = ka.load_atlas(folder, kind=kind, space=space, base=base, allow_pickle=allow_pickle)
    return atlas.select(tasks.split(",")) if tasks else atlas


def _settings(
    kernel: str,
    direction: str,
    normalize: str,
    center: str,
    neighbours: int | None,
    temperature: float | None,
    threads: int | None,
) -> dict[str, Any]:
    words = {"none": None, "features": "features", "positions": "positions", "auto": "auto"}
    start: Any = words[center] if center in words else _initial_prompt(Path(center))
    return {
        "kernel": kernel,
        "direction": direction,
        "normalize": None if normalize == "none" else normalize,
        "center": start,
        "k": neighbours,
        "temperature": temperature,
        "n_threads": threads,
    }


def _initial_prompt(path: Path) -> Any:
    if not path.exists():
        raise ka.errors.UnknownNameError(
            f"--center {path}: expected none, features, positions, auto, or an existing file"
        )
    return ka.load_atlas(path)[0].tokens


def _progress(as_json: bool, as_csv: bool) -> bool | None:
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    return False if as_json or as_csv else None


def _notes(matrix: Any) -> list[str]:
    reason = matrix.options.get("center_reason")
    return [f"center: {reason}"] if reason else []


def _show(
    result: Any, title: str, as_json: bool, as_csv: bool, notes: list[str] | None = None
) -> None:
    if as_json:
        print_json(result.to_dict())
    elif as_csv:
        print_csv(result._columns())
    else:
        print_table(result._columns(), title, notes or [])
