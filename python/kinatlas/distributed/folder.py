"""Blocks as files: written whole, checked by hash, recomputed when they are not what they claim.

```text
DIR/manifest.json          what is compared: options, hashes of the inputs, release
DIR/blocks/NAME.npy        scores [n_rows, n_cols] of one block
DIR/blocks/NAME.json       its name, its SHA-256 and its plan, written after it
DIR/inputs/HASH.safetensors  atlases that had no file of their own
```
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas import _core
from kinatlas.distributed.export import write_npy, write_parquet
from kinatlas.errors import FormatError
from kinatlas.io.atomic import write_whole
from kinatlas.similarity import Block, BlockPlan, SimilarityMatrix, merge_blocks
from kinatlas.similarity.options import Options

__all__ = ["BlockFolder"]

_FORMAT, _VERSION = "kinatlas.blocks", 1


@dataclass(frozen=True, eq=False)
class BlockFolder:
    """A comparison on disk; made by `similarity_blocks`, opened again with ``BlockFolder.open``.

    Examples
    --------
    >>> import tempfile
    >>> import kinatlas as ka
    >>> atlas = ka.Atlas.from_arrays({"mnli": [[1.0, 0.0]], "rte": [[0.0, 1.0]]})
    >>> with tempfile.TemporaryDirectory() as path:
    ...     _ = ka.distributed.similarity_blocks(atlas, folder=path, kernel="max_pairwise")
    ...     folder = BlockFolder.open(path)
    ...     print(folder)
    ...     folder.matrix().values
    BlockFolder: 1 of 1 blocks of 2 targets x 2 sources, kernel 'max_pairwise'
    array([[1., 0.],
           [0., 1.]])
    """

    path: Path
    plan: BlockPlan
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    identity: str

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> BlockFolder:
        """Return the comparison that a folder holds.

        Raises
        ------
        FormatError
            If there is no manifest, or it is damaged, or of a newer release.
        """
        path = Path(path)
        stored = _manifest(path)
        if stored is None:
            raise FormatError(f"{path}: no manifest.json, so no folder of blocks")
        try:
            plan = _plan(stored)
        except (KeyError, TypeError, IndexError) as error:
            raise _damaged(path, error) from None
        names = tuple(stored["sources"]), tuple(stored["targets"])
        return cls(path, plan, *names, _digest(stored["identity"]))

    @classmethod
    def create(
        cls,
        path: Path,
        plan: BlockPlan,
        names: tuple[tuple[str, ...], tuple[str, ...]],
        inputs: dict[str, str],
        *,
        resume: bool,
    ) -> BlockFolder:
        """Return a new folder, or with ``resume`` one that holds the same comparison.

        Raises
        ------
        FormatError
            If the folder holds blocks and ``resume`` is False, or blocks of another comparison;
            the message names what differs.
        """
        identity = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "kinatlas": _core.__version__,
            "plan": plan.identity(),
            "inputs": inputs,
        }
        stored = _manifest(path)
        if stored is not None and not resume:
            raise FormatError(
                f"{path}: the folder holds a comparison already; pass resume=True to finish it, or "
                "choose an empty folder"
            )
        if stored is not None:
            _check_same(path, stored["identity"], identity)
        else:
            recorded = plan.recorded | ({} if plan.modules is None else {"modules": plan.modules})
            texts: dict[str, Any] = {"identity": identity, "recorded": recorded}
            texts |= {"sources": names[0], "targets": names[1]}
            write_whole(path / "manifest.json", json.dumps(texts, indent=1).encode())
        # Also where it was emptied by hand, to have everything computed again.
        (path / "blocks").mkdir(exist_ok=True)
        return cls(path, plan, *names, _digest(identity))

    def write(self, block: Block, scores: npt.NDArray[np.float64]) -> None:
        """Keep one block; a block that is written twice is the same file twice.

        Raises
        ------
        OSError
            If it cannot be written; nothing is left of it.
        """
        contents = io.BytesIO()
        np.save(contents, np.ascontiguousarray(scores, dtype="<f8"), allow_pickle=False)
        data = contents.getvalue()
        # The mark comes last: a block without one was never finished.
        write_whole(self._file(block, "npy"), data)
        digest = hashlib.sha256(data).hexdigest()
        mark = {"identity": self.identity, "block": block.name, "sha256": digest}
        write_whole(self._file(block, "json"), json.dumps(mark).encode())

    def read(self, block: Block) -> npt.NDArray[np.float64]:
        """Return the scores [n_rows, n_cols] of a block after checking its hash.

        Raises
        ------
        FormatError
            If the block is missing, damaged, or belongs to another comparison.
        """
        try:
            mark = json.loads(self._file(block, "json").read_bytes())
            data = self._file(block, "npy").read_bytes()
            claimed, belongs, name = mark["sha256"], mark["identity"], mark["block"]
        except FileNotFoundError:
            raise FormatError(f"block {block.name} is missing") from None
        except (ValueError, KeyError, TypeError):
            raise FormatError(f"block {block.name}: its mark is damaged") from None
        if belongs != self.identity:
            raise FormatError(f"block {block.name} belongs to another comparison")
        if name != block.name:
            raise FormatError(f"block {block.name} holds the scores of block {name}")
        if hashlib.sha256(data).hexdigest() != claimed:
            raise FormatError(f"block {block.name} is damaged: its SHA-256 is not {claimed}")
        return _scores(block, data)

    def missing(self) -> Iterator[tuple[Block, str]]:
        """Give every block that has to be computed, with the reason; the others were verified."""
        for block in self.plan:
            try:
                self.read(block)
            except FormatError as reason:
                yield block, str(reason)

    def matrix(self) -> SimilarityMatrix:
        """Return all scores as one matrix in memory.

        Raises
        ------
        FormatError
            If a block is missing or damaged; `similarity_blocks` with ``resume=True`` repairs it.
        """
        parts = ((block, self.read(block)) for block in self.plan)
        return merge_blocks(self.plan, parts, self.sources, self.targets)

    def bands(self) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        """Give the scores [n_rows, n_sources] of some targets at a time, and where they start."""
        top, parts = 0, list[npt.NDArray[np.float64]]()
        for block in self.plan:
            if block.rows[0] != top:
                yield top, np.concatenate(parts, axis=1)
                top, parts = block.rows[0], []
            parts.append(self.read(block))
        yield top, np.concatenate(parts, axis=1)

    def to_npy(self, path: str | os.PathLike[str]) -> Path:
        """Write scores [n_targets, n_sources] to one ``.npy`` file that can be memory-mapped."""
        shape = (self.plan.n_targets, self.plan.n_sources)
        return write_npy(Path(path), shape, self.bands())

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write a tidy table (target, source, score) to Parquet, some targets a row group.

        Raises `MissingDependencyError` without pyarrow.
        """
        return write_parquet(Path(path), self.targets, self.sources, self.bands())

    def __repr__(self) -> str:
        n_done = sum(self._file(block, "json").exists() for block in self.plan)
        return (
            f"BlockFolder: {n_done} of {len(self.plan)} blocks of {self.plan.n_targets} targets x "
            f"{self.plan.n_sources} sources, kernel {self.plan.kernel!r}"
        )

    def _file(self, block: Block, suffix: str) -> Path:
        return self.path / "blocks" / f"{block.name}.{suffix}"


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        stored: dict[str, Any] = json.loads((path / "manifest.json").read_bytes())
        identity = stored["identity"]
        if identity["format"] != _FORMAT or identity["format_version"] > _VERSION:
            raise ValueError(f"format {identity['format']} {identity['format_version']}")
        for key in ("recorded", "sources", "targets"):
            stored[key]
        return stored
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> FormatError:
    return FormatError(
        f"{path}/manifest.json is damaged or of a newer release ({error!r}); choose another folder"
    )


def _plan(stored: dict[str, Any]) -> BlockPlan:
    plan, record = stored["identity"]["plan"], stored["recorded"]
    height, width = plan["block_shape"][:2]
    return BlockPlan(
        plan["kernel"],
        _options(plan["kernel"], record),
        record,
        None,
        None if record.get("modules") is None else tuple(record["modules"]),
        len(stored["targets"]),
        len(stored["sources"]),
        (height, width),
    )


def _scores(block: Block, data: bytes) -> npt.NDArray[np.float64]:
    try:
        scores: npt.NDArray[np.float64] = np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise FormatError(f"block {block.name} is no array of numbers ({error})") from None
    if scores.dtype != np.float64 or scores.shape != block.shape:
        raise FormatError(f"block {block.name} holds {scores.dtype} {scores.shape}")
    return scores


def _check_same(path: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    before, now = _flat(stored), _flat(wanted)
    differing = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if differing:
        key = differing[0]
        raise FormatError(
            f"{path}: the folder holds another comparison: {key} is {before.get(key)!r} there, "
            f"{now.get(key)!r} here ({len(differing)} differences); choose another folder"
        )


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in nested.items():
        inner = isinstance(value, dict)
        found |= _flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return found


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _options(kernel: str, record: dict[str, Any]) -> Options | None:
    if kernel in _core.low_rank_kernels():
        return None
    parameters = (record.get("k"), record.get("temperature"))
    return Options.checked(kernel, record["direction"], record["normalize"], None, *parameters)
