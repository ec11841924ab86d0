"""Options that several verbs share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "AsCsv",
    "AsJson",
    "Base",
    "Center",
    "Direction",
    "Folder",
    "Kernel",
    "Kind",
    "NThreads",
    "Neighbours",
    "Normalize",
    "Pickle",
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
