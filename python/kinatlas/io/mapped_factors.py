"""Factors of adapters left in their files: read once to be understood, then looked at in place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas.io.parts import Part
from kinatlas.io.scan import Source
from kinatlas.io.tensors import header_of
from kinatlas.tasks import LowRank

__all__ = ["in_place"]

# Factors of bfloat16 are compared as float32, so a file has nothing to lend there.
_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def in_place(source: Source, parts: list[Part]) -> list[Part]:
    """Return parts whose factors are views of the file, where it holds the very same numbers.

    What the file stores in another type, order or shape stays as it was read.
    """
    if source.path.suffix != ".safetensors" or not any(part.factors for part in parts):
        return parts
    tensors = _tensors(source.path)
    return [
        replace(
            part,
            factors={
                module: LowRank(
                    _found(factors.a, module, tensors),
                    _found(factors.b, module, tensors),
                    scale=factors.scale,
                    is_transposed=factors.is_transposed,
                )
                for module, factors in part.factors.items()
            },
        )
        for part in parts
    ]


def _tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Matrices of a file by name; the file was read before, so its header is sound."""
    start, header = header_of(path)
    mapped, found = np.memmap(path, dtype=np.uint8, mode="r"), {}
    for name, entry in header.items():
        stored = _TYPES.get(entry.get("dtype"))
        if stored is not None and len(entry["shape"]) == 2:
            first, last = (start + offset for offset in entry["data_offsets"])
            if first % np.dtype(stored).itemsize == 0:
                flat = np.asarray(mapped[first:last]).view(stored)
                found[name] = flat.reshape(entry["shape"])
    return found


def _found(
    read: npt.NDArray[Any], module: str, tensors: dict[str, npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """The tensor that holds what was read; names only say where to look first."""
    alike = [
        name
        for name, tensor in tensors.items()
        if tensor.dtype == read.dtype and tensor.shape == read.shape
    ]
    for name in sorted(alike, key=lambda name: module not in name):
        if np.array_equal(tensors[name], read):
            return tensors[name]
    return read
