"""A folder in, an atlas out, with a report of everything on the way."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from kinatlas._checks import check_choice
from kinatlas.errors import FormatError, KinAtlasError, SkippedAdapterWarning
from kinatlas.io.adapters import read_adapter
from kinatlas.io.arrays import read_npy, read_npz
from kinatlas.io.build import as_atlas, chosen
from kinatlas.io.mapped_factors import in_place
from kinatlas.io.parts import Options, Part, Skip
from kinatlas.io.pickles import read_pickle
from kinatlas.io.report import LoadEntry, LoadReport
from kinatlas.io.scan import Source, scan
from kinatlas.io.tensors import read_safetensors
from kinatlas.tasks import Atlas, LowRankAtlas

__all__ = ["inspect_folder", "load_atlas"]

_READERS: dict[str, Callable[[Source, Options], list[Part]]] = {
    "adapter": read_adapter,
    "npy": read_npy,
    "npz": read_npz,
    "pickle": read_pickle,
    "safetensors": read_safetensors,
}


@dataclass(frozen=True)
class _Outcome:
    source: Source
    parts: tuple[Part, ...] = ()
    reason: str | None = None


@overload
def load_atlas(
    path: str | os.PathLike[str],
    *,
    kind: Literal["tokens"],
    space: str | None = None,
    base: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    mapped: bool = False,
) -> Atlas: ...


@overload
def load_atlas(
    path: str | os.PathLike[str],
    *,
    kind: Literal["low_rank"],
    space: str | None = None,
    base: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    mapped: bool = False,
) -> LowRankAtlas: ...


@overload
def load_atlas(
    path: str | os.PathLike[str],
    *,
    kind: None = None,
    space: str | None = None,
    base: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    mapped: bool = False,
) -> Any: ...


def load_atlas(
    path: str | os.PathLike[str],
    *,
    kind: Literal["tokens", "low_rank"] | None = None,
    space: str | None = None,
    base: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    mapped: bool = False,
) -> Atlas | LowRankAtlas:
    """Read a folder of adapters, or one file, into an atlas; ``atlas.report`` says what happened.

    Read without torch: PEFT folders (prompt tuning, P-tuning, multitask prompt tuning, prefix
    tuning, LoRA, AdaLoRA, VeRA, IA3, layer-norm tuning), AdapterHub prompts and LoRA, ``.npz``,
    ``.npy``, T5X prompt checkpoints, safetensors. A task is named after its folder below
    ``path``, or after its file. Methods that store tokens [n_tokens, dim] give an `Atlas`, those
    that store factors A [rank, n_in] and B [n_out, rank] a `LowRankAtlas`.

    Parameters
    ----------
    path
        Folder, searched to any depth (hidden entries are left out), or one file.
    kind
        ``"tokens"`` or ``"low_rank"`` where a folder holds both.
    space
        Which space to load where a folder holds several. For files that name no base model, the
        name of their space.
    base
        Folder or file with the base model's safetensors, for methods that retrain its weights
        (layer norms, biases): their embedding is the difference.
    allow_pickle
        Whether to open pickles, with torch's weights-only loader.
    errors
        ``"raise"`` stops at the first damaged file, ``"skip"`` lists it in the report.
    mapped
        Whether low-rank factors stay in their safetensors files, so that memory does not grow
        with the number of adapters. Tokens stay in the file of ``save_atlas``: ``io.open_atlas``.

    Raises
    ------
    OSError
        If the path does not exist or cannot be read.
    FormatError
        If a file is damaged or contradicts its configuration, or nothing can be read.
    SpaceError
        If the folder holds several spaces, or tokens and low-rank updates, and none was chosen.
    ShapeError, DTypeError, NonFiniteError
        If an array is no token matrix, not floating point, or holds NaN or infinity.
    MissingDependencyError
        If a pickle was allowed and torch is not installed.

    Examples
    --------
    >>> import tempfile, numpy as np, kinatlas as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/mnli.npy", np.ones((5, 8)))
    ...     np.save(f"{folder}/rte.npy", np.zeros((3, 8)))
    ...     atlas = ka.load_atlas(folder, space="t5-small")
    >>> atlas.names, atlas.n_tokens, atlas.space
    (('mnli', 'rte'), (5, 3), 't5-small')
    >>> atlas.report.summary()
    '2 tasks read, 0 files skipped'
    """
    if kind is not None:
        check_choice(kind, ("tokens", "low_rank"), "kind")
    check_choice(errors, ("raise", "skip"), "errors")
    root = _root(path)
    outcomes = _read_all(root, Options(_base_files(base), allow_pickle, mapped), errors)
    parts = [part for outcome in outcomes for part in outcome.parts]
    if not parts:
        report = _report(root, outcomes, {})
        raise FormatError(f"{root}: nothing could be read as a task embedding; {_why(report)}")
    picked, space = chosen(parts, kind, space, str(root))
    report = _report(root, outcomes, {id(part) for part in picked})
    _warn_of_skipped_adapters(outcomes)
    return as_atlas(picked, space, report)


def inspect_folder(
    path: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
) -> LoadReport:
    """Report what ``load_atlas`` would find below a path, mixed spaces and damaged files included.

    Raises
    ------
    OSError
        If the path does not exist or cannot be read.

    Examples
    --------
    >>> import tempfile, numpy as np, kinatlas as ka
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/mnli.npy", np.ones((5, 8)))
    ...     [entry.task for entry in ka.io.inspect_folder(folder).read]
    ['mnli']
    """
    root = _root(path)
    outcomes = _read_all(root, Options(_base_files(base), allow_pickle), "skip")
    return _report(root, outcomes, {id(part) for outcome in outcomes for part in outcome.parts})


def _root(path: str | os.PathLike[str]) -> Path:
    if not os.fspath(path):
        raise FileNotFoundError("path is empty, expected a folder or a file ('.' is this folder)")
    return Path(path)


def _read_all(root: Path, options: Options, errors: str) -> list[_Outcome]:
    base = {path.resolve() for path in options.base}
    outcomes = []
    for source in scan(root):
        if source.path.resolve() in base:
            source = replace(source, kind="other", reason="the base model given as base=")
        outcomes.append(_outcome(source, options, errors))
    return outcomes


def _outcome(source: Source, options: Options, errors: str) -> _Outcome:
    if source.reason is not None:
        return _Outcome(source, reason=source.reason)
    try:
        parts = _READERS[source.kind](source, options)
        return _Outcome(source, tuple(in_place(source, parts) if options.mapped else parts))
    except Skip as reason:
        return _Outcome(source, reason=str(reason))
    except (KinAtlasError, OSError) as error:
        if errors == "raise":
            raise
        return _Outcome(source, reason=str(error))


def _report(root: Path, outcomes: list[_Outcome], picked: set[int] | dict[int, Any]) -> LoadReport:
    entries = []
    for outcome in outcomes:
        source = outcome.source
        if not outcome.parts:
            entries.append(LoadEntry(source.file, source.kind, reason=outcome.reason))
        entries += [_entry(source, part, id(part) in picked) for part in outcome.parts]
    return LoadReport(str(root), tuple(entries))


def _entry(source: Source, part: Part, is_picked: bool) -> LoadEntry:
    array, dtype = part.tokens if part.tokens is not None else (None, None)
    ranks = sorted({update.rank for update in part.factors.values()})
    size = (f"{len(part.factors)} modules, rank {', '.join(map(str, ranks))}",)
    return LoadEntry(
        file=source.file,
        kind=source.kind if array is not None else f"{source.kind}, low rank",
        status="read" if is_picked else "skipped",
        task=part.task,
        reason=None if is_picked else "another kind or space was chosen",
        n_tokens=None if array is None else int(array.shape[0]),
        dim=None if array is None else int(array.shape[1]),
        dtype=dtype,
        space=part.space,
        notes=part.notes if array is not None else size + part.notes,
        skipped_tensors=part.skipped_tensors,
    )


def _why(report: LoadReport) -> str:
    if not report.entries:
        return "the folder is empty"
    shown = [f"{count} x {reason}" for reason, count in list(report.reasons().items())[:3]]
    return "reasons: " + "; ".join(shown)


def _base_files(base: str | os.PathLike[str] | None) -> tuple[Path, ...]:
    if base is None:
        return ()
    path = Path(base)
    files = (path,) if path.is_file() else tuple(sorted(path.glob("*.safetensors")))
    if not files:
        raise FormatError(f"base={path}: expected a safetensors file or a folder that holds some")
    return files


def _warn_of_skipped_adapters(outcomes: list[_Outcome]) -> None:
    lost = [item for item in outcomes if item.source.kind == "adapter" and not item.parts]
    lost = [item for item in lost if item.source.reason is None]
    if lost:
        warnings.warn(
            f"{len(lost)} adapters were not read, the first is {lost[0].source.file} "
            f"({lost[0].reason}); atlas.report lists all",
            SkippedAdapterWarning,
            stacklevel=3,
        )
