"""Where the pieces of a run live on disk, and how a run says what belongs to it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from train import Recipe

INITIAL = "untrained_prompt"
NO_PROMPT = "no_prompt"
Job = TypeVar("Job")


@dataclass(frozen=True)
class Plan:
    """What a run trains and measures, and the share of it that this process does."""

    recipe: Recipe
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[int, ...]
    share: tuple[int, int] = (0, 1)

    def shared(self, jobs: Sequence[Job]) -> list[Job]:
        """Every N-th job of the list, starting at this process's number."""
        index, count = self.share
        return list(jobs[index::count])

    def check(self, work: Path) -> None:
        """Write the recipe beside the pieces, or refuse a work folder made with another one."""
        path = work / "recipe.json"
        recipe = asdict(self.recipe)
        if not path.exists():
            write_json(path, recipe)
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != recipe:
            raise RuntimeError(f"{path} says {found}, this run wants {recipe}; use another --work")


def write_bytes(path: Path, blob: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(blob)
    part.replace(path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON whole or not at all."""
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON object file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def prompt_path(work: Path, source: str, seed: int) -> Path:
    """File of one prompt."""
    return work / "prompts" / source / f"seed{seed}.npy"


def cell_path(work: Path, target: str, source: str, seed: int) -> Path:
    """File of one measured cell."""
    return work / "cells" / target / source / f"seed{seed}.json"


def write_prompt(path: Path, prompt: np.ndarray) -> None:
    """Write one prompt [n_tokens, dim] whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as handle:
        np.save(handle, prompt)
    part.replace(path)


def read_prompt(work: Path, source: str, seed: int) -> np.ndarray:
    """One prompt [n_tokens, dim] in half precision, as trained."""
    prompt: np.ndarray = np.load(prompt_path(work, source, seed), allow_pickle=False)
    return prompt
