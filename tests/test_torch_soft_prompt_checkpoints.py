"""A checkpoint of a soft prompt goes on with its own run alone, and a damaged one says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinatlas.errors import FormatError

torch = pytest.importorskip("torch", reason="torch is not installed: make test-torch installs it")
from torch import nn  # noqa: E402

from kinatlas.torch import fit_soft_prompt  # noqa: E402

torch.set_num_threads(1)


class Bag(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(9, 4)

    def get_input_embeddings(self) -> nn.Module:
        return self.words


def distance(model: nn.Module, embeddings: Any, mask: Any, batch: dict[str, Any]) -> Any:
    return (embeddings.mean(dim=1) - batch["goal"]).square().mean()


def fitted(path: Path, goal: float = 1.0, model_seed: int = 0, **settings: Any) -> np.ndarray:
    data = {"input_ids": torch.arange(8).reshape(4, 2), "goal": torch.full((4, 4), goal)}
    given = {"name": "rte", "space": "bag", "n_steps": 6, "batch_size": 2, "save_every": 2}
    task = fit_soft_prompt(
        Bag(model_seed), data, 2, loss=distance, checkpoint=path, **given | settings
    )
    return task.tokens


@pytest.mark.parametrize(
    "other", [{"goal": -1.0}, {"model_seed": 1}, {"name": "cb"}, {"space": "another"}]
)
def test_the_checkpoint_of_another_task_is_never_taken_for_this_ones(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    path = tmp_path / "run.pt"
    first = fitted(path)
    with pytest.raises(FormatError, match="belongs to a run with"):
        fitted(path, **other)
    np.testing.assert_array_equal(fitted(path), first)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_checkpoint_cut_short_is_an_error_that_names_the_file(
    tmp_path: Path, kept: float
) -> None:
    path = tmp_path / "run.pt"
    fitted(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(FormatError, match=r"run\.pt: .* damaged"):
        fitted(path)


def test_a_file_of_something_else_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    path.write_bytes(b"hello world")
    with pytest.raises(FormatError, match="no checkpoint of a soft prompt"):
        fitted(path)
    torch.save([1, 2], path)
    with pytest.raises(FormatError, match="no checkpoint of a soft prompt"):
        fitted(path)


def test_what_cannot_run_is_refused_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make it first"):
        fitted(tmp_path / "nowhere" / "run.pt")
    for argument in ("n_steps", "batch_size", "save_every"):
        for number in (0, 1.5):
            with pytest.raises(ValueError, match=f"{argument}={number}"):
                fitted(tmp_path / "run.pt", **{argument: number})
