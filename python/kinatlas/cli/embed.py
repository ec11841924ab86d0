"""The verb embed: what lives on disk becomes an atlas file that the other verbs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import kinatlas as ka
from kinatlas.errors import FormatError

__all__ = ["embed"]

embed = typer.Typer(
    name="embed",
    help="Make task embeddings of checkpoints or of texts, and save them as one atlas file.",
    no_args_is_help=True,
)

_Named = Annotated[list[str], typer.Argument(help="Tasks, each as NAME=PATH.")]
_Out = Annotated[Path, typer.Option(help="The .safetensors file to write.")]
_Dim = Annotated[int, typer.Option(help="Coordinates of the embedding.")]
_Seed = Annotated[int, typer.Option(help="Seed of the projection.")]


@embed.command()
def weights(
    base: Annotated[Path, typer.Argument(help="The base model: a folder, file or index.")],
    tasks: _Named,
    out: _Out,
    form: Annotated[str, typer.Option(help="projected, tensors or flat.")] = "projected",
    dim: _Dim = 4096,
    seed: _Seed = 0,
) -> None:
    """Task vectors: fine-tuned models less their base model, read piece by piece."""
    _check_out(out)
    vectors = []
    for name, path in _pairs(tasks).items():
        vectors.append(ka.embed_task_vector(base, path, name=name, form=form, dim=dim, seed=seed))
    _save(ka.Atlas.from_tasks(vectors), out)


@embed.command()
def texts(
    tasks: _Named,
    out: _Out,
    method: Annotated[str, typer.Option(help="words (TF-IDF and SVD) or vocabulary.")] = "words",
    dim: _Dim = 64,
    seed: _Seed = 0,
) -> None:
    """Data sets by their words alone; one text file per task, one example per line."""
    _check_out(out)
    found = {name: _lines(path) for name, path in _pairs(tasks).items()}
    if method == "words":
        _save(ka.embeddings.embed_words(found, dim=dim, seed=seed), out)
    elif method == "vocabulary":
        _save(ka.embeddings.embed_vocabulary(found), out)
    else:
        raise FormatError(f"--method {method}: expected words or vocabulary")


def _check_out(out: Path) -> None:
    """Refuse what cannot be written before models of many gigabytes are read."""
    if out.suffix != ".safetensors":
        raise FormatError(f"{out}: atlas files end in .safetensors")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out}: there is no folder {out.parent}; make it first")


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: the file is not UTF-8 text ({error})") from None
    return [line for line in text.splitlines() if line.strip()]


def _pairs(tasks: list[str]) -> dict[str, Path]:
    pairs: dict[str, Path] = {}
    for task in tasks:
        name, is_pair, path = task.partition("=")
        if not (name and is_pair and path) or name in pairs:
            raise FormatError(f"{task!r}: expected NAME=PATH, every name once")
        pairs[name] = Path(path)
    return pairs


def _save(atlas: ka.Atlas, out: Path) -> None:
    path = ka.save_atlas(atlas, out)
    typer.echo(f"{path}: {len(atlas)} tasks, dim {atlas.dim}, space {atlas.space}")
