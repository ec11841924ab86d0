"""An atlas in a training loop: every task once, nothing padded, in any loader process."""

from __future__ import annotations

import os

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.errors import ShapeError, UnknownNameError
from strategies import ragged_atlas

torch = pytest.importorskip("torch")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_loader_gives_every_task_once_and_unpadded(tmp_path, n_workers):
    from torch.utils.data import DataLoader

    from kinatlas.torch import AtlasDataset, ragged_batch

    atlas = ragged_atlas()
    path = ka.save_atlas(atlas, tmp_path / "atlas.safetensors")
    options = {"multiprocessing_context": "fork"} if n_workers else {}
    loader = DataLoader(
        AtlasDataset(path), batch_size=2, collate_fn=ragged_batch, num_workers=n_workers, **options
    )
    seen = {}
    for batch in loader:
        bounds = batch["offsets"].tolist()
        for at, name in enumerate(batch["names"]):
            seen[name] = batch["tokens"][bounds[at] : bounds[at + 1]].numpy()
    assert set(seen) == set(atlas.names)
    for task in atlas:
        assert np.array_equal(seen[task.name], task.tokens)


def test_a_data_set_travels_as_the_path_of_its_file(tmp_path):
    from kinatlas.torch import AtlasDataset

    path = ka.save_atlas(ragged_atlas(), tmp_path / "atlas.safetensors")
    state = AtlasDataset(path).__getstate__()
    assert state == {"path": str(path), "atlas": None}
    again = AtlasDataset.__new__(AtlasDataset)
    again.__setstate__(state)
    assert [again[at]["name"] for at in range(len(again))] == list(ragged_atlas().names)


def test_a_relative_path_is_found_from_another_folder(tmp_path, monkeypatch):
    from kinatlas.torch import AtlasDataset

    ka.save_atlas(ragged_atlas(), tmp_path / "atlas.safetensors")
    monkeypatch.chdir(tmp_path)
    sent = AtlasDataset("atlas.safetensors").__getstate__()
    monkeypatch.chdir(tmp_path.parent)
    again = AtlasDataset.__new__(AtlasDataset)
    again.__setstate__(sent)
    assert again[0]["name"] == "task0"


@pytest.mark.parametrize("n_tokens", [0, -1, 1.5, "2", True])
def test_a_start_has_a_whole_number_of_tokens(n_tokens):
    from kinatlas.torch import initial_prompt

    with pytest.raises(ValueError, match="n_tokens="):
        initial_prompt(["task0"], ragged_atlas(), n_tokens=n_tokens)


def test_one_name_is_a_ranking():
    from kinatlas.torch import initial_prompt

    atlas = ragged_atlas()
    assert np.array_equal(initial_prompt("task2", atlas).numpy(), atlas["task2"].tokens)


def test_a_ranking_hands_over_its_best_source():
    from kinatlas.torch import initial_prompt

    atlas = ragged_atlas()
    ranking = ka.rank_sources(ka.similarity_matrix(atlas, kernel="max_pairwise"), "task0")
    best = atlas[ranking[0].source]
    start = initial_prompt(ranking, atlas)
    assert np.array_equal(start.numpy(), best.tokens)
    start += 1
    assert not np.array_equal(start.numpy(), atlas[ranking[0].source].tokens), "the atlas was lent"
    assert initial_prompt(ranking, atlas, n_tokens=40).shape == (40, 7)
    with pytest.raises(ShapeError, match="0 sources"):
        initial_prompt([], atlas)
    with pytest.raises(UnknownNameError, match="'nobody'"):
        initial_prompt(["nobody"], atlas)
