"""Many adapters: factors stay in their files, products are stacked, single precision on request."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas import LowRank, LowRankAtlas, _core
from kinatlas.errors import UnknownNameError
from kinatlas.similarity import module_similarity, similarity_matrix
from kinatlas.tasks.mapping import is_mapped

FIXTURES = Path(__file__).parent / "fixtures" / "adapters" / "lora"


def adapters(
    folder: Path,
    n_tasks: int,
    shape: tuple[int, int, int],
    dtype: str = "float16",
    n_layers: int = 2,
) -> Path:
    """PEFT folders of one module each layer."""
    rng, (rank, n_in, n_out) = np.random.default_rng(0), shape
    config = {"peft_type": "LORA", "base_model_name_or_path": "b", "r": rank, "lora_alpha": 8}
    for task in range(n_tasks):
        tensors = []
        for layer in range(n_layers):
            for factor, size in (("A", (rank, n_in)), ("B", (n_out, rank))):
                values = rng.standard_normal(size, dtype=np.float32).astype(dtype)
                name = f"base_model.model.layers.{layer}.q_proj.lora_{factor}.weight"
                flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
                tensors.append((name, dtype, list(size), flat))
        here = folder / f"task{task:03d}"
        here.mkdir(parents=True)
        (here / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        (here / "adapter_model.safetensors").write_bytes(_core.serialize_tensors(tensors, {}))
    return folder


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_factors_left_in_their_files_are_the_factors_that_were_read(dtype, tmp_path):
    folder = adapters(tmp_path / "a", 5, (3, 16, 8), dtype)
    read = ka.load_atlas(folder, kind="low_rank")
    mapped = ka.load_atlas(folder, kind="low_rank", mapped=True)
    assert mapped == read
    for update in mapped._updates:
        assert all(is_mapped(part.a) and is_mapped(part.b) for part in update.values())
        assert not any(part.a.flags.writeable for part in update.values())
    for kernel in ka.kernel_names("low_rank"):
        whole = similarity_matrix(read, kernel=kernel)
        assert similarity_matrix(mapped, kernel=kernel) == whole
        small = similarity_matrix(mapped, kernel=kernel, max_memory=1)
        assert small.values.tobytes() == whole.values.tobytes()
        assert small.options == whole.options


def test_real_adapters_are_the_same_mapped_or_read():
    read = ka.load_atlas(FIXTURES, kind="low_rank")
    mapped = ka.load_atlas(FIXTURES, kind="low_rank", mapped=True)
    assert mapped == read
    assert similarity_matrix(mapped, kernel="low_rank_cosine") == similarity_matrix(
        read, kernel="low_rank_cosine"
    )


def random_atlas(draw, n_tasks: int, seed: int) -> LowRankAtlas:
    rng = np.random.default_rng(seed)
    sizes = draw(
        st.lists(st.tuples(st.integers(1, 1100), st.integers(1, 40)), min_size=1, max_size=2)
    )
    updates = {}
    for task in range(n_tasks):
        rank = draw(st.integers(1, 40))
        magnitude = 10.0 ** draw(st.sampled_from([-30, -3, 0, 3, 15]))
        dtype = draw(st.sampled_from(["float32", "float64"]))
        updates[f"t{task}"] = {
            f"m{index}": LowRank(
                (magnitude * rng.standard_normal((rank, n_in))).astype(dtype),
                rng.standard_normal((n_out, rank)).astype(np.float16),
                scale=draw(st.sampled_from([1.0, -0.5])),
            )
            for index, (n_in, n_out) in enumerate(sizes)
        }
    return LowRankAtlas.from_factors(updates)


@settings(max_examples=40)
@given(data=st.data(), n_tasks=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_single_precision_stays_within_its_bound(data, n_tasks, seed):
    """(2 g + g^2) of the products of norms, g of 1024 columns and 2 roundings; see single.rs."""
    atlas = random_atlas(data.draw, n_tasks, seed)
    exact = similarity_matrix(atlas, kernel="low_rank_inner").values
    found = similarity_matrix(atlas, kernel="low_rank_inner", precision="float32")
    assert found.options["precision"] == "float32"
    unit = 1026 * 2.0**-24
    gamma = unit / (1 - unit)
    bound = np.zeros_like(exact)
    for module in atlas.modules:
        weights = np.array(
            [
                abs(update[module].scale)
                * np.linalg.norm(update[module].a.astype(float))
                * np.linalg.norm(update[module].b.astype(float))
                for update in atlas._updates
            ]
        )
        bound += (2 * gamma + gamma**2 + 1e-12) * np.outer(weights, weights)
    assert (np.abs(found.values - exact) <= bound).all()
    assert (found.values == found.values.T).all()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_company_order_threads_and_blocks_change_no_bit(precision):
    rng = np.random.default_rng(5)
    updates = {
        f"t{task:02d}": {
            module: LowRank(rng.normal(size=(rank, 50)), rng.normal(size=(31, rank)))
            for module in ("q", "v")[: 1 + task % 2]
        }
        for task in range(33)
        for rank in [1 + task % 17]
    }
    atlas = LowRankAtlas.from_factors(updates)
    options = {"kernel": "low_rank_cosine", "precision": precision}
    whole = similarity_matrix(atlas, **options)
    turned = atlas.select(tuple(reversed(atlas.names)))
    assert (similarity_matrix(turned, **options).values[::-1, ::-1] == whole.values).all()
    for n_threads in (1, 3):
        again = similarity_matrix(atlas, **options, n_threads=n_threads)
        assert again.values.tobytes() == whole.values.tobytes()
    part = similarity_matrix(atlas.select(["t05"]), atlas.select(["t05", "t20"]), **options)
    assert part.values.ravel().tolist() == [whole.row("t05")[5], whole.row("t20")[5]]
    small = similarity_matrix(atlas, **options, max_memory=1)
    assert small.values.tobytes() == whole.values.tobytes()
    assert (whole.values == whole.values.T).all()
    cubes = module_similarity(atlas, **options)
    assert set(cubes) == {"q", "v"}
    assert cubes["v"].options["precision"] == precision


def test_low_rank_updates_know_two_precisions():
    atlas = LowRankAtlas.from_factors({"a": {"q": ([[1.0]], [[1.0]])}})
    for precision in ("bf16", "float16"):
        with pytest.raises(UnknownNameError, match="precision"):
            similarity_matrix(atlas, kernel="low_rank_inner", precision=precision)
    with pytest.raises(UnknownNameError, match="precision"):
        _core.low_rank_matrix(atlas._aligned(("q",)), None, "low_rank_inner", precision="bf16")
    pair = {"q": LowRank([[1.0, 2.0]], [[3.0]])}
    options = {"kernel": "low_rank_inner", "precision": "float32"}
    assert ka.token_similarity(pair, pair, **options) == 45.0


MEMORY = """
import sys
import kinatlas as ka

def status(word):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(word)) / 1024

before = status("RssAnon"), status("VmRSS")
atlas = ka.load_atlas(sys.argv[1], kind="low_rank", mapped=True)
matrix = ka.similarity_matrix(atlas, kernel="low_rank_cosine", precision="float32")
print(status("RssAnon") - before[0], status("VmRSS") - before[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/status")
def test_memory_does_not_grow_with_the_adapters(tmp_path):
    """157 MB of adapters: kept beside their files are names, stacks, and what Python imported.

    While a module is read, the system may count much more of a file than was looked at.
    """
    folder = adapters(tmp_path / "a", 60, (16, 1024, 1024), n_layers=40)
    words = [sys.executable, "-c", MEMORY, str(folder)]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    anonymous, together = map(float, run.stdout.split())
    assert anonymous < 64
    assert together < 96
