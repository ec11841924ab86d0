"""Hashes of tensors, so that what was made from others is not taken for the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["fingerprint"]


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the first digits of a hash of names, types, shapes and every byte.

    Examples
    --------
    >>> fingerprint({"a": torch.ones(2)}) == fingerprint({"a": torch.ones(2, 1)})
    False
    """
    digest = hashlib.sha256()
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        # Row by row, so that large tensors are never copied as a whole.
        rows = len(tensor) if tensor.ndim else 1
        for row in tensor.detach().reshape(rows, -1) if tensor.numel() else ():
            digest.update(row.cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
