"""An atlas in a training loop: its tasks through a DataLoader, its best source as a start."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch.utils.data import Dataset

from kinatlas._checks import check_known, check_whole
from kinatlas.errors import ShapeError
from kinatlas.io import open_atlas
from kinatlas.tasks import Atlas

__all__ = ["AtlasDataset", "initial_prompt", "ragged_batch"]


class AtlasDataset(Dataset[dict[str, Any]]):
    """Tasks of an atlas as ``{"name", "tokens" [n_tokens, dim]}``, for a `torch` DataLoader.

    An atlas given by the path of its file is opened in place by every loader process, so that
    workers copy nothing. Batch ragged tasks with `ragged_batch`.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 2.0]], "rte": [[0.5, 1.0], [0.0, 1.0]]})
    >>> loader = DataLoader(AtlasDataset(atlas), batch_size=2, collate_fn=ragged_batch)
    >>> batch = next(iter(loader))
    >>> batch["names"], batch["tokens"].shape, batch["offsets"].tolist()
    (['mnli', 'rte'], torch.Size([3, 2]), [0, 1, 3])
    """

    def __init__(self, atlas: Atlas | str | os.PathLike[str]) -> None:
        # Loader processes may stand in another folder than this one.
        self._path = None if isinstance(atlas, Atlas) else os.path.abspath(atlas)
        self._atlas = atlas if isinstance(atlas, Atlas) else open_atlas(atlas)

    def __len__(self) -> int:
        return len(self._atlas)

    def __getitem__(self, index: int) -> dict[str, Any]:
        task = self._atlas[index]
        # A copy, because torch has no tensors that must not be written to.
        return {"name": task.name, "tokens": _tensor(task.tokens, task.dtype)}

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path, "atlas": None if self._path else self._atlas}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._path = state["path"]
        self._atlas = state["atlas"] if self._path is None else open_atlas(self._path)


def ragged_batch(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return tasks behind each other, never padded: names, tokens [n_total, dim], offsets.

    Examples
    --------
    >>> one = {"name": "mnli", "tokens": torch.ones(2, 3)}
    >>> ragged_batch([one, one])["offsets"].tolist()
    [0, 2, 4]
    """
    lengths = [len(item["tokens"]) for item in items]
    return {
        "names": [item["name"] for item in items],
        "tokens": torch.cat([item["tokens"] for item in items]),
        "offsets": torch.tensor([0, *lengths]).cumsum(0),
    }


def initial_prompt(ranking: Any, atlas: Atlas, *, n_tokens: int | None = None) -> Any:
    """Return the best source of a ranking as a prompt [n_tokens, dim] to start training from.

    Parameters
    ----------
    ranking
        A `Ranking`, or names, best first, or one name.
    atlas
        Where the sources' tokens are.
    n_tokens
        Length of the prompt: the source is cut, or repeated from its start; None keeps its own.

    Raises
    ------
    UnknownNameError
        If the atlas lacks the best source.
    ShapeError
        If the ranking is empty.
    ValueError
        If ``n_tokens`` is no whole number of at least 1.

    Examples
    --------
    >>> atlas = Atlas.from_arrays({"mnli": [[1.0, 2.0], [3.0, 4.0]]})
    >>> initial_prompt(["mnli"], atlas, n_tokens=3)
    tensor([[1., 2.],
            [3., 4.],
            [1., 2.]], dtype=torch.float64)
    """
    if n_tokens is not None:
        n_tokens = check_whole(n_tokens, "n_tokens")
    # One name is a ranking of one; its letters are not names.
    names = [ranking] if isinstance(ranking, str) else list(getattr(ranking, "sources", ranking))
    if not names:
        raise ShapeError("the ranking has 0 sources, expected at least one")
    task = atlas[check_known(names[0], atlas.names, "task")]
    tokens = _tensor(task.tokens, task.dtype)
    places = torch.arange(len(tokens) if n_tokens is None else n_tokens) % len(tokens)
    return tokens[places]


def _tensor(tokens: Any, dtype: str) -> Any:
    found = torch.from_numpy(tokens.copy())
    return found.to(torch.bfloat16) if dtype == "bfloat16" else found
