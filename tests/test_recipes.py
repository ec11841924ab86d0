"""Recipes of the documentation for engines that are not ours: run as they stand there."""

from __future__ import annotations

import re
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.consistency import bootstrap_sources

PAGE = Path(__file__).resolve().parents[1] / "docs" / "outgrowing-one-machine.md"

# Engines warn about themselves; here only the scores matter.
pytestmark = pytest.mark.filterwarnings("ignore")


def recipe(mark: str) -> dict:
    """Names that the one block of the page that holds ``mark`` defines."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if mark in block]
    names: dict = {"ka": ka, "__name__": "recipe"}
    exec(compile(code, PAGE.name, "exec"), names)
    return names


@pytest.fixture
def atlas() -> ka.Atlas:
    rng = np.random.default_rng(0)
    tokens = {f"task{at}": rng.normal(size=(3 + at, 8)).astype(np.float32) for at in range(7)}
    return ka.Atlas.from_arrays(tokens)


def test_a_page_has_one_block_for_each_recipe():
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("class RayExecutor") == text.count("def compare_on_spark") == 1


def test_ray_computes_the_same_bits(atlas, tmp_path):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        with recipe("class RayExecutor")["RayExecutor"]() as pool:
            found = ka.distributed.similarity_blocks(
                atlas, folder=tmp_path, executor=pool, kernel="max_pairwise", block_size=3
            )
        expected = ka.similarity_matrix(atlas, kernel="max_pairwise")
        assert found.matrix().values.tobytes() == expected.values.tobytes()
        stored = ray.get(ray.put({name: atlas[name].tokens for name in atlas.names}))
        assert not stored["task0"].flags.writeable
        assert ka.Atlas.from_arrays(stored, space=atlas.space) == atlas
    finally:
        ray.shutdown()


def test_spark_computes_the_same_bits(atlas, tmp_path, monkeypatch):
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    # Its workers take the first python3 of the path, which may be another one.
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    path = str(ka.save_atlas(atlas, tmp_path / "atlas.safetensors"))
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for name in ("spark.driver.bindAddress", "spark.driver.host"):
        builder = builder.config(name, "127.0.0.1")
    spark = builder.getOrCreate()
    try:
        compare = recipe("def compare_on_spark")["compare_on_spark"]
        found = compare(spark, path, kernel="max_pairwise", block_size=3)
    finally:
        spark.stop()
    expected = ka.similarity_matrix(atlas, kernel="max_pairwise")
    assert found.values.tobytes() == expected.values.tobytes()
    assert found.sources == expected.sources


def test_bootstrap_replicates_of_several_processes_are_those_of_one():
    rng = np.random.default_rng(1)
    names = [f"task{at}" for at in range(6)]
    seeds = {
        seed: ka.SimilarityMatrix(rng.normal(size=(6, 6)), names, names, "gain", {})
        for seed in range(3)
    }
    whole = bootstrap_sources(seeds, rng=0, n_replicates=300)
    work = partial(_shard, seeds)
    with ProcessPoolExecutor(2) as pool:
        first, *others = pool.map(work, [range(100, 300), range(100)])
    merged = first.merged(*others)
    assert merged.to_dict() == whole.to_dict()


def _shard(seeds: dict, numbers: range):
    return bootstrap_sources(seeds, rng=0, replicates=numbers)
