"""Plain safetensors files: our own atlas files, sets of token matrices, files of biases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kinatlas import _core
from kinatlas.errors import FormatError
from kinatlas.io.adapters import read_biases
from kinatlas.io.parts import Options, Part, Skip, file_hash, space_of, whole_number
from kinatlas.io.scan import Source
from kinatlas.tasks import Provenance

__all__ = ["FORMAT", "VERSION", "header_of", "own_metadata", "read_safetensors"]

#: ``__metadata__["format"]`` of files that ``save_atlas`` writes.
FORMAT = "kinatlas.atlas"
VERSION = 1
_LENGTH = 8
_TOKEN_TYPES = {"F16", "BF16", "F32", "F64"}


def header_of(path: Path) -> tuple[int, dict[str, Any]]:
    """Return where the numbers of a sound file start, and its header: types, shapes, places."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        return _LENGTH + length, json.loads(file.read(length))


def read_safetensors(source: Source, options: Options) -> list[Part]:
    """Read a safetensors file without a configuration, every tensor [n_tokens, dim] or [dim].

    Files of our own carry names, space and provenance in their metadata. Of other files,
    ``base_model``, ``method``, ``seed`` and ``step`` are taken from the metadata if stated.

    Raises
    ------
    FormatError
        If the file is damaged, or written by a newer release.
    Skip
        If the tensors are no set of token matrices.
    """
    texts, outline = _core.outline_tensors(str(source.path))
    if texts.get("format") == FORMAT:
        return _read_own(source, texts)
    if outline and all(name.endswith(".bias") for name, _, _ in outline):
        return [_with_metadata(part, texts) for part in read_biases(source, options)]
    widths = {shape[-1] if shape else 0 for _, _, shape in outline}
    if len(widths) != 1 or any(len(shape) not in (1, 2) for _, _, shape in outline):
        raise Skip("the tensors are not all token matrices [n_tokens, dim] of one width")
    if not {stored for _, stored, _ in outline} <= _TOKEN_TYPES:
        raise Skip("not all tensors are F16, BF16, F32 or F64")
    names = [name for name, _, _ in outline]
    return _tasks(source, names, texts)


def _tasks(source: Source, names: list[str], texts: dict[str, str]) -> list[Part]:
    digest = file_hash(source.path)
    method = texts.get("method") or texts.get("peft_type") or ""
    origin = Provenance(
        base_model=texts.get("base_model"),
        method=method or None,
        seed=whole_number(texts.get("seed")),
        step=whole_number(texts.get("step")),
        file=source.file,
        file_hash=digest,
    )
    parts = []
    for name, tensor in zip(names, _core.read_tensors(str(source.path), names), strict=True):
        array = tensor[0] if tensor[0].ndim == 2 else tensor[0][None, :]
        parts.append(
            Part(
                task=source.member(name, is_only=len(names) == 1),
                space=space_of(origin.base_model, method, f"dim={array.shape[1]}"),
                provenance=origin,
                tokens=(array, tensor[1]),
            )
        )
    return parts


def _read_own(source: Source, texts: dict[str, str]) -> list[Part]:
    names, origins, space = own_metadata(source.path, texts)
    tensors = _core.read_tensors(str(source.path), names)
    return [
        Part(task=source.member(name, is_only=False), space=space, provenance=origin, tokens=tensor)
        for name, origin, tensor in zip(names, origins, tensors, strict=True)
    ]


def own_metadata(
    path: Path, texts: dict[str, str]
) -> tuple[list[str], tuple[Provenance, ...], str]:
    """Return names, provenance and space from the metadata of an atlas file.

    Raises
    ------
    FormatError
        If they are damaged, or written by a newer release.
    """
    version = whole_number(texts.get("format_version"))
    if version is None or version > VERSION:
        raise FormatError(
            f"{path}: atlas format version {texts.get('format_version')!r}, this release "
            f"reads up to {VERSION}; upgrade kinatlas"
        )
    try:
        names: list[str] = json.loads(texts["names"])
        origins = tuple(_provenance(fields) for fields in json.loads(texts["provenance"]))
        if len(names) != len(origins):
            raise ValueError(f"{len(names)} names, {len(origins)} origins")
        return names, origins, texts["space"]
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError(
            f"{path}: the metadata of this atlas file are damaged: {error!r}"
        ) from None


def _provenance(fields: dict[str, Any]) -> Provenance:
    return Provenance(**{**fields, "notes": tuple(fields.get("notes", ()))})


def _with_metadata(part: Part, texts: dict[str, str]) -> Part:
    origin = part.provenance
    base_model = texts.get("base_model")
    known = Provenance(
        base_model=base_model,
        method=origin.method,
        seed=whole_number(texts.get("seed")),
        step=whole_number(texts.get("step")),
        file=origin.file,
        file_hash=origin.file_hash,
        notes=origin.notes,
    )
    space = part.space if base_model is None else base_model + part.space[part.space.index("|") :]
    return Part(part.task, space, known, part.tokens, {}, part.notes, part.skipped_tensors)
