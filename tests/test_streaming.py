"""Atlases larger than memory: opened in place, compared under ``max_memory``, the same bits."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas.errors import FormatError, NonFiniteError, SpaceError
from kinatlas.similarity import kernel_info, similarity_matrix
from kinatlas.tasks.mapping import files_of, is_mapped, let_go
from strategies import gaussian_atlas, ragged_atlas

pytestmark = pytest.mark.filterwarnings("ignore::kinatlas.errors.DegenerateRankingWarning")
RAGGED = [name for name in ka.kernel_names() if not kernel_info(name).needs_equal_length]
DTYPES = ["float16", ml_dtypes.bfloat16, "float32", "float64"]


def pair_of(atlas: ka.Atlas) -> int:
    """The least memory a plan takes: one target and one source."""
    return 2 * 3 * 8 * max(atlas.n_tokens) * atlas.dim


def opened(atlas: ka.Atlas, folder: Path) -> ka.Atlas:
    return ka.io.open_atlas(ka.save_atlas(atlas, folder / "atlas.safetensors"))


def known_of_blocks(matrix: ka.SimilarityMatrix) -> dict[str, object]:
    """What a comparison in blocks can tell: every block chooses by itself whether to screen."""
    return {key: found for key, found in matrix.diagnostics.items() if key != "method"}


@pytest.mark.parametrize("center", [None, "features", "positions"])
@pytest.mark.parametrize("kernel", ka.kernel_names())
def test_any_memory_gives_the_bits_of_the_whole_matrix(kernel, center, tmp_path):
    atlas = gaussian_atlas(7, n_tokens=5, dim=9, shared=0.5, dtype="float32")
    mapped = opened(atlas, tmp_path)
    whole = similarity_matrix(atlas, kernel=kernel, center=center, diagnostics=False)
    for pairs in (1, 2, 100):
        memory = pairs * pair_of(atlas)
        found = similarity_matrix(mapped, kernel=kernel, center=center, max_memory=memory)
        assert found.values.tobytes() == whole.values.tobytes()
        assert found.options == whole.options
        assert found.diagnostics == known_of_blocks(whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source", "symmetric"])
@pytest.mark.parametrize("kernel", RAGGED)
def test_ragged_sides_of_every_type_keep_their_bits(kernel, direction, dtype, tmp_path):
    rng = np.random.default_rng(3)
    sides = []
    for side, lengths in enumerate([(1, 9, 4, 17, 8), (3, 12, 1)]):
        tokens = {
            f"{side}{i}": rng.normal(size=(n, 33)).astype(dtype) for i, n in enumerate(lengths)
        }
        (tmp_path / str(side)).mkdir()
        sides.append(opened(ka.Atlas.from_arrays(tokens), tmp_path / str(side)))
    options = {"kernel": kernel, "direction": direction, "center": "features"}
    whole = similarity_matrix(*sides, **options, diagnostics=False)
    found = similarity_matrix(*sides, **options, max_memory=pair_of(sides[0]), n_threads=2)
    assert found.values.tobytes() == whole.values.tobytes()
    assert found.diagnostics == known_of_blocks(whole)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=7),
    pairs=st.integers(1, 40),
    center=st.sampled_from(["features", "positions"]),
    seed=st.integers(0, 99),
)
def test_an_origin_fitted_in_parts_is_the_same_origin(lengths, pairs, center, seed):
    atlas = ragged_atlas(seed, tuple(lengths))
    whole = similarity_matrix(atlas, kernel="mean_pairwise", center=center)
    memory = pairs * pair_of(atlas)
    found = similarity_matrix(atlas, kernel="mean_pairwise", center=center, max_memory=memory)
    assert found.values.tobytes() == whole.values.tobytes()


@pytest.mark.parametrize("precision", ["float32", "bf16", "float64"])
def test_every_precision_keeps_its_bits_and_its_bound(precision):
    atlas = gaussian_atlas(6, n_tokens=7, dim=40, dtype="float32")
    options = {"kernel": "max_pairwise", "precision": precision, "direction": "symmetric"}
    whole = similarity_matrix(atlas, **options, diagnostics=False)
    found = similarity_matrix(atlas, **options, max_memory=2 * pair_of(atlas))
    assert found.values.tobytes() == whole.values.tobytes()
    assert found.options == whole.options
    if precision != "float64":
        assert 0 < found.diagnostics["error_bound"] <= whole.diagnostics["error_bound"]
        assert found.diagnostics["simd"] == whole.diagnostics["simd"]


def test_too_little_memory_is_refused_with_what_is_needed():
    atlas = gaussian_atlas(3)
    for memory in (0, pair_of(atlas) - 1):
        with pytest.raises(ValueError, match=rf"needs {pair_of(atlas):,} bytes; allow more"):
            similarity_matrix(atlas, kernel="max_pairwise", max_memory=memory)
    for memory in (float("nan"), float("inf"), -1, "2GB"):
        with pytest.raises((ValueError, ka.errors.DTypeError), match="max_memory"):
            similarity_matrix(atlas, kernel="max_pairwise", max_memory=memory)


def test_what_does_not_fit_together_is_refused_as_ever():
    atlas, other = gaussian_atlas(3), ragged_atlas()
    with pytest.raises(SpaceError):
        similarity_matrix(atlas, other, kernel="max_pairwise", max_memory=1 << 30)
    with pytest.raises(ValueError, match="trivial"):
        similarity_matrix(atlas, kernel="flatten", trivial=[1.0], max_memory=1 << 30)
    with pytest.raises(ValueError, match="one token"):
        similarity_matrix(atlas, kernel="task2vec_cosine", normalize=None, max_memory=1 << 30)


@pytest.mark.parametrize("center", [None, "features", "positions"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_number_in_the_file_is_named(center, bad, tmp_path):
    atlas = gaussian_atlas(5, n_tokens=3, dim=4, dtype="float32")
    path = ka.save_atlas(atlas, tmp_path / "atlas.safetensors")
    # The last task, its token 1, its coordinate 2.
    place = (3 * 4 + 1) * 4 + 2 - 3 * 4 * 5
    with path.open("r+b") as file:
        file.seek(4 * place, os.SEEK_END)
        file.write(np.float32(bad).tobytes())
    words = "task 'task004': token 1, coordinate 2"
    mapped = ka.io.open_atlas(path)
    for memory in (1 << 20, None):
        with pytest.raises(NonFiniteError, match=words):
            similarity_matrix(mapped, kernel="max_pairwise", center=center, max_memory=memory)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_file_whose_numbers_start_anywhere_is_read_and_not_mapped(dtype, tmp_path):
    atlas = gaussian_atlas(3, dtype=dtype)
    path = Path(ka.save_atlas(atlas, tmp_path / "atlas.safetensors"))
    stored = path.read_bytes()
    size = int.from_bytes(stored[:8], "little")
    path.write_bytes(
        (size + 1).to_bytes(8, "little") + stored[8 : 8 + size] + b" " + stored[8 + size :]
    )
    assert ka.load_atlas(path) == atlas
    with pytest.raises(FormatError, match=r"start at byte \d+.*write the file again"):
        ka.io.open_atlas(path)


def test_progress_counts_every_pair_once(monkeypatch):
    from contextlib import nullcontext

    from kinatlas.similarity import streaming

    seen: list[int] = []
    monkeypatch.setattr(streaming, "bar", lambda *_: nullcontext(seen.append))
    atlas = gaussian_atlas(5, n_tokens=2, dim=4)
    similarity_matrix(atlas, kernel="chamfer", max_memory=2 * pair_of(atlas))
    assert seen == sorted(seen)
    assert seen[-1] == 25


def test_pages_that_are_let_go_come_back_unchanged(tmp_path):
    atlas = gaussian_atlas(4)
    mapped = opened(atlas, tmp_path)
    assert is_mapped(mapped._buffer)
    assert not is_mapped(atlas._buffer)
    before = mapped._buffer.tobytes()
    for rows in (slice(0, 1), slice(3, 17), slice(None)):
        let_go(mapped._buffer[rows])
    let_go(mapped._buffer[:, :2])
    let_go(np.empty((0, 3)))
    assert mapped._buffer.tobytes() == before
    private = np.memmap(tmp_path / "atlas.safetensors", dtype=np.uint8, mode="c")
    private[0] = 7
    private.flags.writeable = False
    let_go(private)
    assert private[0] == 7, "what was written into a private mapping was lost"
    files = files_of([mapped._buffer, private, mapped._buffer[3:]])
    assert [len(file) for file in files] == [len(private)]
    assert is_mapped(files[0])
    let_go(files[0])
    assert mapped._buffer.tobytes() == before


def _work(path: str) -> bytes:
    matrix = similarity_matrix(
        ka.io.open_atlas(path), kernel="max_pairwise", center="features", max_memory=1 << 20
    )
    return bytes(matrix.values.tobytes())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_started_after_use_compute_the_same(method, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    path = str(ka.save_atlas(gaussian_atlas(6, dtype="float32"), tmp_path / "atlas.safetensors"))
    mine = _work(path)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(_work, [path] * 3).get(120) == [mine] * 3


MEMORY = """
import sys
import numpy as np, kinatlas as ka

def status(word):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(word)) / 1024

ka.similarity_matrix(ka.Atlas.from_arrays({"a": np.ones((4, 8))}), kernel="max_pairwise")
kind, path = sys.argv[1:]
if kind == "W2":
    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((200, 100, 768), dtype=np.float32)
    origins = (ka.tasks.Provenance(),) * 200
    atlas = ka.Atlas(
        tuple(map(str, range(200))), "s", "float32", origins, tokens.reshape(-1, 768),
        np.arange(201) * 100,
    )
    options, targets = {"kernel": "max_pairwise"}, None
else:
    options = {"kernel": "mean_pairwise", "max_memory": 16 << 20, "center": kind}
    atlas = ka.io.open_atlas(path)
    targets = atlas.select(atlas.names[:2])
before = status("VmRSS")
matrix = ka.similarity_matrix(atlas, targets, **options)
print(status("VmHWM") - before - matrix.values.nbytes / 2**20)
"""


def grown(kind: str, path: Path) -> float:
    words = [sys.executable, "-c", MEMORY, kind, str(path)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/status")


@linux
@pytest.mark.parametrize("center", ["features", "positions"])
def test_a_mapped_atlas_takes_the_memory_it_may(center, tmp_path):
    """150 MB of tokens under 16 MB, which leaves room for what the allocator and Python keep."""
    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((500, 75, 1024), dtype=np.float32)
    atlas = ka.Atlas.from_arrays({f"t{i:03d}": task for i, task in enumerate(tokens)})
    path = ka.save_atlas(atlas, tmp_path / "atlas.safetensors")
    assert grown(center, path) < 48


@linux
@pytest.mark.slow
def test_two_hundred_prompts_need_less_than_64_mb_with_their_diagnostics(tmp_path):
    """200 x 200 prompts of 100 x 768, 61 MB of tokens: memory beyond them and the scores."""
    assert grown("W2", tmp_path) < 64
