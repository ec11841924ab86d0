"""Options that several verbs share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "AsCsv",
    "AsJson",
    "Base",
    "BlockSize",
    "Blocks",
    "Center",
    "Direction",
    "Folder",
    "Kernel",
    "Kind",
    "LogJson",
    "MaxMemory",
    "NThreads",
    "Neighbours",
    "Normalize",
    "Out",
    "Pickle",
    "Resume",
    "Scheduler",
    "Space",
    "Tasks",
    "Temperature",
]

Folder = Annotated[Path, typer.Argument(help="Folder of adapters, or one file of prompts.")]
Kernel = Annotated[str, typer.Option(help="Similarity kernel; a wrong name lists them all.")]
Direction = Annotated[str, typer.Option(help="source_to_target, target_to_source or symmetric.")]
Normalize = Annotated[str, typer.Option(help="tokens (unit length) or none.")]
Center = Annotated[
    str,
    typer.Option(help="none, features, positions, auto, or a file with the initial prompt."),
]
Neighbours = Annotated[int | None, typer.Option(help="k of the kernel topk_mean.")]
Temperature = Annotated[float | None, typer.Option(help="Temperature of the kernel soft_max.")]
Tasks = Annotated[
    str | None, typer.Option(help="Only these tasks, separated by commas; default all.")
]
Space = Annotated[str | None, typer.Option(help="Which space to read, if the folder has several.")]
Kind = Annotated[
    Literal["tokens", "low_rank"] | None,
    typer.Option(help="tokens or low_rank, if the folder has both."),
]
Base = Annotated[
    Path | None, typer.Option(help="Base model file that bias and norm tuning start from.")
]
Pickle = Annotated[bool, typer.Option("--allow-pickle", help="Read pickles, with torch.")]
NThreads = Annotated[int | None, typer.Option("--threads", help="Threads; default all allowed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Blocks = Annotated[
    Path | None,
    typer.Option(help="Compute in blocks that are kept in this folder; for large comparisons."),
]
Scheduler = Annotated[
    str | None, typer.Option(help="With --blocks: address of a Dask scheduler, tcp://HOST:PORT.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="With --out or --blocks: verify what is there, compute the rest."
    ),
]
BlockSize = Annotated[int | None, typer.Option(help="With --blocks: tasks a side of a block.")]
MaxMemory = Annotated[float, typer.Option(help="With --out or --blocks: GiB to use.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Compute in blocks, and write all scores to this .npy or .parquet."),
]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="With --blocks: log to standard error, JSON lines.")
]
