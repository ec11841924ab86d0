"""Folders that others have touched: what is not what it claims to be is computed again."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.distributed import BlockFolder, similarity_blocks
from kinatlas.errors import FormatError, ShapeError
from kinatlas.similarity import similarity_matrix
from strategies import gaussian_atlas

OPTIONS = {"kernel": "max_pairwise", "block_size": 2}


@pytest.fixture
def atlas() -> ka.Atlas:
    return gaussian_atlas(6, n_tokens=4, dim=6)


def whole(atlas: ka.Atlas) -> bytes:
    return similarity_matrix(atlas, kernel="max_pairwise").values.tobytes()


def resumed(atlas: ka.Atlas, path: object) -> bytes:
    return similarity_blocks(atlas, folder=path, resume=True, **OPTIONS).matrix().values.tobytes()


def test_a_block_under_the_name_of_another_is_computed_again(atlas, tmp_path):
    found = similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    first, second = sorted((tmp_path / "blocks").glob("*.npy"))[:2]
    for suffix in (".npy", ".json"):
        shutil.copy(first.with_suffix(suffix), second.with_suffix(suffix))
    with pytest.raises(FormatError, match=f"{second.stem} holds the scores of block {first.stem}"):
        found.matrix()
    assert resumed(atlas, tmp_path) == whole(atlas)


def saved(array: np.ndarray) -> bytes:
    contents = io.BytesIO()
    np.save(contents, array)
    return contents.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"no array at all",
        saved(np.zeros((2, 2), dtype=np.float32)),
        saved(np.zeros((2, 3))),
        saved(np.array([["a", "b"], ["c", "d"]])),
        saved(np.array([[None, None], [None, None]])),
    ],
)
def test_a_block_that_holds_no_scores_is_computed_again_though_its_hash_is_right(
    atlas, tmp_path, data
):
    found = similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    file = min((tmp_path / "blocks").glob("*.npy"))
    mark = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    mark["sha256"] = hashlib.sha256(data).hexdigest()
    file.write_bytes(data)
    file.with_suffix(".json").write_text(json.dumps(mark), encoding="utf-8")
    with pytest.raises(FormatError, match=f"block {file.stem}"):
        found.matrix()
    assert resumed(atlas, tmp_path) == whole(atlas)


def test_a_folder_whose_blocks_were_deleted_is_filled_again(atlas, tmp_path):
    similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    shutil.rmtree(tmp_path / "blocks")
    assert resumed(atlas, tmp_path) == whole(atlas)


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_inputs_of_an_earlier_job_are_verified_before_workers_open_them(atlas, tmp_path, damage):
    with ProcessPoolExecutor(1) as pool:
        similarity_blocks(atlas, folder=tmp_path, executor=pool, **OPTIONS)
        (file,) = (tmp_path / "inputs").iterdir()
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:-8])
        else:
            ka.save_atlas(gaussian_atlas(6, n_tokens=4, dim=6, seed=9), file)
        shutil.rmtree(tmp_path / "blocks")
        found = similarity_blocks(atlas, folder=tmp_path, executor=pool, resume=True, **OPTIONS)
    assert found.matrix().values.tobytes() == whole(atlas)
    assert ka.io.open_atlas(file) == atlas


def test_a_manifest_that_lacks_the_plan_is_named(tmp_path):
    text = {"identity": {"format": "kinatlas.blocks", "format_version": 1}, "recorded": {}}
    text |= {"sources": [], "targets": []}
    (tmp_path / "manifest.json").write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(FormatError, match=r"manifest\.json is damaged"):
        BlockFolder.open(tmp_path)


def test_a_plan_out_of_a_folder_says_that_it_cannot_compute(atlas, tmp_path):
    similarity_blocks(atlas, folder=tmp_path, **OPTIONS)
    plan = BlockFolder.open(tmp_path).plan
    with pytest.raises(ShapeError, match="does not keep the origin"):
        plan.compute(next(iter(plan)), atlas)


@pytest.mark.parametrize("retries", [-1, 1.5, "3", None])
def test_retries_are_a_whole_number(atlas, tmp_path, retries):
    with pytest.raises(ValueError, match="retries="):
        similarity_blocks(atlas, folder=tmp_path / "run", retries=retries, **OPTIONS)
    assert not (tmp_path / "run").exists()
