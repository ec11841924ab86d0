"""Files that are not adapter folders: arrays, atlas files, pickles, and folders of many kinds."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas.errors import FormatError, SpaceError, UnknownNameError
from kinatlas.tasks import Provenance

FIXTURES = Path(__file__).parent / "fixtures"
ADAPTERS = FIXTURES / "adapters"


def expected(row: str) -> dict[str, np.ndarray]:
    with np.load(FIXTURES / "expected" / f"{row}.npz") as archive:
        return {key.removeprefix("tokens."): archive[key] for key in archive}


@pytest.mark.parametrize(
    ("row", "names", "space"),
    [
        ("npz", {"mnli": "prompts/mnli", "rte": "prompts/rte"}, "unlabelled|dim=6"),
        ("npy", {"cola": "cola", "sst2": "sst2"}, "unlabelled|dim=6"),
        ("safetensors", {"mnli": "prompts/mnli", "rte": "prompts/rte"}, "tiny/t5|dim=6"),
        (
            "t5x",
            {"tokens": "boolq/numpy_checkpoints/checkpoint_1000"},
            "unlabelled|dim=8",
        ),
    ],
)
def test_plain_files_are_read_by_what_they_hold(
    row: str, names: dict[str, str], space: str
) -> None:
    atlas = ka.load_atlas(ADAPTERS / row)
    assert atlas.names == tuple(sorted(names.values()))
    assert atlas.space == space
    for key, name in names.items():
        np.testing.assert_array_equal(atlas[name].tokens.astype(np.float64), expected(row)[key])


def test_a_file_given_by_itself_needs_no_prefix() -> None:
    assert ka.load_atlas(ADAPTERS / "npz" / "prompts.npz").names == ("mnli", "rte")
    assert ka.load_atlas(ADAPTERS / "npy" / "cola.npy").names == ("cola",)
    weights = ADAPTERS / "prompt_tuning" / "rte" / "adapter_model.safetensors"
    assert ka.load_atlas(weights).names == ("rte",)


def test_the_step_in_a_path_is_never_guessed() -> None:
    assert ka.load_atlas(ADAPTERS / "t5x")[0].provenance.step is None


def test_pickles_are_refused_unless_asked_for() -> None:
    for row in ("pickled_prefix", "lora_pickle"):
        with pytest.raises(FormatError, match="allow_pickle=True"):
            ka.load_atlas(ADAPTERS / row)


def test_pickles_are_read_by_torch_when_allowed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    atlas = ka.load_atlas(ADAPTERS / "pickled_prefix", allow_pickle=True)
    assert atlas.names == ("copa",)
    np.testing.assert_array_equal(atlas[0].tokens, expected("pickled_prefix")["tokens"])
    update = ka.load_atlas(ADAPTERS / "lora_pickle", allow_pickle=True)["lora_pickle"]
    for key, change in expected("lora_pickle").items():
        if key != "skipped":
            dense = update[key.removeprefix("delta.")].dense()
            np.testing.assert_allclose(dense, change, rtol=0, atol=64 * 2**-52 * 10)
    torch.save({"run": os.system}, tmp_path / "evil.pt")
    with pytest.raises(FormatError, match="weights-only loader refuses"):
        ka.load_atlas(tmp_path, allow_pickle=True)


def test_a_pickle_is_not_even_opened_without_permission(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "prompt.pkl").write_bytes(pickle.dumps(Trap()))
    np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError):
        ka.load_atlas(tmp_path, errors="skip")
    assert not (tmp_path / "sprung").exists()


def test_several_spaces_are_listed_and_one_can_be_chosen(tmp_path: Path) -> None:
    shutil.copytree(ADAPTERS / "prompt_tuning", tmp_path / "prompts")
    shutil.copytree(ADAPTERS / "p_tuning", tmp_path / "other")
    with pytest.raises(SpaceError, match="space=") as caught:
        ka.load_atlas(tmp_path)
    chosen = "tiny/llama|PROMPT_TUNING|dim=16"
    assert chosen in str(caught.value)
    assert "tiny/llama|P_TUNING|dim=16" in str(caught.value)
    atlas = ka.load_atlas(tmp_path, space=chosen)
    assert atlas.names == ("prompts/mnli", "prompts/rte")
    assert [entry.task for entry in atlas.report.skipped] == ["other"]
    with pytest.raises(SpaceError, match="no task lives in space 'elsewhere'"):
        ka.load_atlas(tmp_path, space="elsewhere")


def test_tokens_and_updates_in_one_folder_are_told_apart_by_kind(tmp_path: Path) -> None:
    shutil.copytree(ADAPTERS / "prompt_tuning", tmp_path / "prompts")
    shutil.copytree(ADAPTERS / "lora", tmp_path / "lora")
    with pytest.raises(SpaceError, match="kind='tokens' or kind='low_rank'"):
        ka.load_atlas(tmp_path)
    assert ka.load_atlas(tmp_path, kind="tokens").names == ("prompts/mnli", "prompts/rte")
    assert ka.load_atlas(tmp_path, kind="low_rank").names == ("lora/mnli", "lora/rte")
    with pytest.raises(SpaceError, match="holds no low-rank updates"):
        ka.load_atlas(tmp_path / "prompts", kind="low_rank")
    with pytest.raises(UnknownNameError, match="kind='token'"):
        ka.load_atlas(tmp_path, kind="token")  # type: ignore[call-overload]


def test_files_without_a_base_model_take_the_space_the_caller_names() -> None:
    assert ka.load_atlas(ADAPTERS / "npy", space="t5-base").space == "t5-base"


def test_everything_below_the_path_is_in_the_report(tmp_path: Path) -> None:
    shutil.copytree(ADAPTERS / "prompt_tuning", tmp_path / "a" / "b")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "training_args.bin").write_bytes(b"\x80")
    (tmp_path / "model.safetensors").write_bytes(b"never opened")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.npy").write_bytes(b"never opened")
    report = ka.load_atlas(tmp_path).report
    assert [entry.task for entry in report.read] == ["a/b/mnli", "a/b/rte"]
    reasons = {entry.file: entry.reason for entry in report.skipped}
    assert set(reasons) == {"README.md", "training_args.bin", "model.safetensors"}
    assert all(reasons.values())
    assert len(report.to_dict()["file"]) == len(report) == 5
    assert "2 tasks read, 3 files skipped" in repr(report)


def test_a_link_back_to_a_folder_above_ends(tmp_path: Path) -> None:
    shutil.copytree(ADAPTERS / "prompt_tuning", tmp_path / "prompts")
    (tmp_path / "prompts" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert ka.load_atlas(tmp_path).names == ("prompts/mnli", "prompts/rte")


@given(
    tasks=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
        st.integers(1, 4),
        min_size=1,
        max_size=4,
    ),
    dtype=st.sampled_from(["float16", "float32", "float64", "bfloat16"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_saved_atlas_comes_back_equal_in_every_bit(
    tmp_path_factory: pytest.TempPathFactory, tasks: dict[str, int], dtype: str, seed: int
) -> None:
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    rng = np.random.default_rng(seed)
    arrays = {name: rng.standard_normal((rows, 3)).astype(kind) for name, rows in tasks.items()}
    origin = {name: Provenance("t5", "PROMPT_TUNING", seed, 7, "f", "00", ("n",)) for name in tasks}
    atlas = ka.Atlas.from_arrays(arrays, space="t5|x", provenance=origin)
    folder = tmp_path_factory.mktemp("atlas")
    first = ka.save_atlas(atlas, folder / "one.safetensors").read_bytes()
    assert ka.load_atlas(folder / "one.safetensors") == atlas
    assert ka.save_atlas(atlas, folder / "two.safetensors").read_bytes() == first
    assert sorted(path.name for path in folder.iterdir()) == ["one.safetensors", "two.safetensors"]


def test_other_tools_open_our_atlas_file(tmp_path: Path) -> None:
    from safetensors import safe_open

    atlas = ka.load_atlas(ADAPTERS / "prompt_tuning")
    path = ka.save_atlas(atlas, tmp_path / "glue.safetensors")
    with safe_open(path, framework="numpy") as file:
        assert set(file.keys()) == set(atlas.names)
        np.testing.assert_array_equal(file.get_tensor("rte"), atlas["rte"].tokens)
        metadata = file.metadata()
    assert metadata["format"] == "kinatlas.atlas"
    assert json.loads(metadata["names"]) == list(atlas.names)
    assert json.loads(metadata["provenance"])[0]["base_model"] == "tiny/llama"


def test_a_failed_save_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas = ka.Atlas.from_arrays({"a": [1.0]})
    path = ka.save_atlas(atlas, tmp_path / "a.safetensors")
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        ka.save_atlas(ka.Atlas.from_arrays({"b": [2.0]}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_untrained_half_would_have_made_strangers_alike(tmp_path: Path) -> None:
    """Two unrelated tasks, one initialisation seed: the rows nobody trained must not count."""
    from safetensors.numpy import load_file, save_file

    whole = {}
    for name, seed in (("one", 1), ("two", 2)):
        folder = shutil.copytree(ADAPTERS / "prompt_tuning_seq2seq", tmp_path / name)
        weights = folder / "adapter_model.safetensors"
        tokens = load_file(weights)["prompt_embeddings"]
        tokens[:5] = np.random.default_rng(seed).standard_normal((5, 16))
        save_file({"prompt_embeddings": tokens}, weights)
        whole[name] = tokens.astype(np.float64)
    atlas = ka.load_atlas(tmp_path)

    def cosine(one: np.ndarray, two: np.ndarray) -> float:
        return float(one.ravel() @ two.ravel() / np.linalg.norm(one) / np.linalg.norm(two))

    assert cosine(whole["one"], whole["two"]) > 0.1
    # Independent directions in 80 dimensions: four standard deviations of their cosine.
    assert abs(cosine(atlas["one"].tokens, atlas["two"].tokens)) < 4 / np.sqrt(80)


def test_an_array_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", prompt=np.ones((2, 3)))
    damaged = (tmp_path / "a.npz").read_bytes().replace(b"(2, 3)", b"(9,9) ")
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(FormatError, match=r"a\.npz"):
        ka.load_atlas(tmp_path)
