"""Task vectors from checkpoints: one file or shards, exact and projected, damaged files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import kinatlas as ka
from kinatlas.errors import FormatError, NonFiniteError, ShapeError, SpaceError

Model = dict[str, np.ndarray]


def model(seed: int, dtype: type = np.float32) -> Model:
    generator = np.random.default_rng(seed)
    shapes = {"embed.weight": (50, 8), "layer.0.weight": (8, 8), "layer.0.bias": (8,)}
    return {
        name: generator.standard_normal(shape).astype(dtype) for name, shape in shapes.items()
    } | {"position_ids": np.arange(4)}


def write(folder: Path, tensors: Model, n_shards: int = 1) -> Path:
    folder.mkdir()
    if n_shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    weight_map = {}
    for shard in range(n_shards):
        file = f"model-{shard + 1:05}-of-{n_shards:05}.safetensors"
        part = dict(list(tensors.items())[shard::n_shards])
        save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def flat(tuned: Model, base: Model) -> np.ndarray:
    names = sorted(name for name in base if base[name].dtype.kind == "f")
    return np.concatenate(
        [(tuned[name].astype(float) - base[name].astype(float)).ravel() for name in names]
    )


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {
        "base": write(tmp_path / "base", model(0)),
        "rte": write(tmp_path / "rte", model(1), n_shards=3),
        "cb": write(tmp_path / "cb", model(2, np.float16)),
    }


def test_a_flat_task_vector_is_the_difference_of_all_floating_tensors(
    folders: dict[str, Path],
) -> None:
    for name, tuned in (("rte", model(1)), ("cb", model(2, np.float16))):
        task = ka.embed_task_vector(folders["base"], folders[name], name=name, form="flat")
        assert np.array_equal(task.tokens[0], flat(tuned, model(0)))
    assert task.provenance.notes == ("n_tensors=3", "n_numbers=472")


def test_projections_are_the_same_for_any_threads_and_keep_inner_products(
    folders: dict[str, Path],
) -> None:
    vectors = [flat(model(seed), model(0)) for seed in (1, 2)]
    tuned = [folders["rte"], write(folders["rte"].parent / "other", model(2))]
    errors = []
    for seed in range(200):
        both = [
            ka.embed_task_vector(folders["base"], path, name="t", dim=32, seed=seed).tokens[0]
            for path in tuned
        ]
        errors.append(both[0] @ both[1] - vectors[0] @ vectors[1])
    bound = 2 * np.prod([vector @ vector for vector in vectors]) / 32
    assert np.mean(np.square(errors)) <= bound
    assert abs(np.mean(errors)) <= 5 * np.sqrt(bound / 200)
    one, many = (
        ka.embed_task_vector(*tuned, name="t", form="tensors", dim=16, n_threads=n) for n in (1, 3)
    )
    assert one == many
    assert one.tokens.shape == (3, 16)


def test_exact_similarity_over_all_tensors_and_for_each(folders: dict[str, Path]) -> None:
    tuned = {name: folders[name] for name in ("rte", "cb")}
    whole, each = ka.task_vector_similarity(folders["base"], tuned)
    rte, cb = flat(model(1), model(0)), flat(model(2, np.float16), model(0))
    expected = rte @ cb / np.sqrt((rte @ rte) * (cb @ cb))
    assert whole.values[0, 1] == pytest.approx(expected, rel=1e-13)
    assert list(each) == ["embed.weight", "layer.0.bias", "layer.0.weight"]
    inner, parts = ka.task_vector_similarity(folders["base"], tuned, kernel="task_vector_inner")
    assert inner.values[0, 1] == pytest.approx(rte @ cb, rel=1e-13)
    assert sum(part.values[0, 1] for part in parts.values()) == pytest.approx(rte @ cb, rel=1e-13)
    fused = ka.fuse_matrices(each)
    assert fused.targets == ("rte", "cb")


def test_task_vectors_of_different_base_models_never_meet(folders: dict[str, Path]) -> None:
    first = ka.embed_task_vector(folders["base"], folders["rte"], name="a", dim=8)
    second = ka.embed_task_vector(folders["cb"], folders["rte"], name="b", dim=8)
    with pytest.raises(SpaceError, match=r"base\|task_vector.*cb\|task_vector"):
        ka.token_similarity(first, second, kernel="flatten")


def test_an_unchanged_model_is_a_zero_vector(folders: dict[str, Path]) -> None:
    task = ka.embed_task_vector(folders["base"], folders["base"], name="none", dim=8)
    assert not task.tokens.any()
    whole, _ = ka.task_vector_similarity(folders["base"], {"none": folders["base"]})
    assert whole.values.tolist() == [[0.0]]


def test_damaged_and_mismatched_checkpoints_are_named(folders: dict[str, Path]) -> None:
    def refused(kind: type[Exception], match: str) -> None:
        with pytest.raises(kind, match=match):
            ka.embed_task_vector(folders["base"], folders["rte"], name="t")

    shards = sorted(folders["rte"].glob("*.safetensors"))
    whole = shards[0].read_bytes()
    shards[0].write_bytes(whole[:-5])
    refused(FormatError, r"model-00001.*tensor 'embed.weight' claims.*truncated")
    shards[0].unlink()
    refused(FormatError, "the shard model-00001-of-00003.safetensors .* is missing")
    shards[0].write_bytes(whole)
    (folders["rte"] / "model.safetensors.index.json").unlink()
    refused(FormatError, "neither model.safetensors nor an index")
    folders["rte"] = folders["rte"] / "nowhere"
    refused(OSError, "cannot read")

    wide = model(3) | {"layer.0.bias": np.zeros(9, np.float32)}
    folders["rte"] = write(folders["cb"].parent / "wide", wide)
    refused(ShapeError, r"'layer.0.bias' has shape \[8\].*\[9\]")
    extra = model(3) | {"head": np.zeros(2, np.float32)}
    folders["rte"] = write(folders["cb"].parent / "extra", extra)
    refused(FormatError, r"'head' is in .*extra and not in .*base")
    broken = model(3)
    broken["layer.0.weight"][2, 1] = np.inf
    folders["rte"] = write(folders["cb"].parent / "broken", broken)
    refused(NonFiniteError, "number 17 of tensor 'layer.0.weight'")


MEASURE = """
import resource, sys
import kinatlas as ka
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ka.embed_task_vector(sys.argv[1], sys.argv[2], name="t", dim=1024, n_threads=2)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_does_not_grow_with_the_checkpoint(tmp_path: Path) -> None:
    # 2 x 192 MiB, above the size from which files are mapped.
    for name in ("base", "tuned"):
        tensor = np.full((48, 1 << 20), len(name), np.float32)
        save_file({"weight": tensor}, tmp_path / f"{name}.safetensors")
        del tensor
    paths = [str(tmp_path / f"{name}.safetensors") for name in ("base", "tuned")]
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True
    )
    # Two threads with three buffers of 2^15 numbers each, and room for what the allocator keeps.
    assert int(run.stdout) < 32
