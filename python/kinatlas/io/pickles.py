"""Pickles, opened only on request and only by torch's weights-only loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kinatlas import _core
from kinatlas._frames import require
from kinatlas.errors import FormatError
from kinatlas.interop import DTYPES, as_stored
from kinatlas.io.parts import Options, Part, Skip, file_hash, space_of
from kinatlas.io.scan import Source
from kinatlas.tasks import Provenance
from kinatlas.tasks.packing import Stored

__all__ = ["adapter_bytes", "read_pickle"]

_REFUSAL = (
    "a pickle can run any program when it is opened; pass allow_pickle=True to read it with "
    "torch's weights-only loader, or convert it to safetensors"
)


def adapter_bytes(path: Path, options: Options) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a pickled state dict as safetensors bytes, and the tensors that do not fit in there.

    Raises
    ------
    Skip
        If pickles were not allowed.
    FormatError
        If the file is damaged or holds more than tensors.
    MissingDependencyError
        If torch is not installed.
    """
    kept, dropped = [], []
    for name, tensor in _state_dict(path, options).items():
        try:
            array, dtype = _stored(tensor, f"{path}, tensor {name!r}")
        except (TypeError, ValueError) as error:
            dropped.append((name, str(error)))
            continue
        kept.append((name, dtype, list(tensor.shape), array.reshape(-1).view("uint8")))
    return _core.serialize_tensors(kept, {}), dropped


def read_pickle(source: Source, options: Options) -> list[Part]:
    """Read a pickled dictionary of token matrices [n_tokens, dim], such as ``prefix_shared.bin``.

    Raises
    ------
    Skip
        If pickles were not allowed, or the file holds no set of token matrices.
    FormatError
        If the file is damaged or holds more than tensors.
    """
    tensors = _state_dict(source.path, options)
    if any(tensor.ndim not in (1, 2) for tensor in tensors.values()):
        raise Skip("not every tensor is a token matrix [n_tokens, dim]")
    if len({tensor.shape[-1] for tensor in tensors.values()}) != 1:
        raise Skip("the tensors have different widths; not a set of token matrices")
    digest = file_hash(source.path)
    parts = []
    for name, tensor in tensors.items():
        stored = as_stored(tensor, f"{source.path}, tensor {name!r}")
        parts.append(
            Part(
                task=source.member(name, is_only=len(tensors) == 1),
                space=space_of(None, "", f"dim={stored[0].shape[1]}"),
                provenance=Provenance(file=source.file, file_hash=digest),
                tokens=stored,
            )
        )
    return parts


def _state_dict(path: Path, options: Options) -> Mapping[str, Any]:
    if not options.allow_pickle:
        raise Skip(_REFUSAL)
    torch = require("torch", "torch")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(
            f"{path}: torch's weights-only loader refuses this file ({first}); it is damaged or "
            "holds more than tensors"
        ) from None
    tensors = {"": found} if isinstance(found, torch.Tensor) else found
    if not isinstance(tensors, Mapping) or not tensors:
        raise FormatError(f"{path}: holds {type(found).__name__}, expected tensors by name")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise FormatError(
                f"{path}: entry {name!r} is {type(tensor).__name__}, expected a tensor"
            )
    return tensors


def _stored(tensor: Any, label: str) -> Stored:
    flat = tensor.reshape(1, -1) if tensor.numel() else tensor
    array, dtype = as_stored(flat, label)
    assert dtype in DTYPES
    return array, dtype
