"""Damaged and contradictory files: each a named error that says where, none a crash."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kinatlas as ka
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError

ADAPTERS = Path(__file__).parent / "fixtures" / "adapters"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FACTOR_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
FACTOR_B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ADAPTERS / "prompt_tuning" / "rte", tmp_path / "rte"))


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ADAPTERS / "lora" / "rte", tmp_path / "rte"))


def reconfigure(folder: Path, **values: object) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def with_header(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


TENSOR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "too few"),
        (b"\x00" * 7, "too few"),
        (struct.pack("<Q", 10**18) + b"{}", "header claims"),
        (with_header(b"no json"), "header is not valid"),
        (with_header(b"[1]"), "header is not valid"),
        (with_header({"prompt_embeddings": TENSOR}, b"\x00" * 3), "'prompt_embeddings' claims"),
        (with_header({"prompt_embeddings": TENSOR}, b"\x00" * 9), "not fully covered"),
        (
            with_header(
                b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
                b"\x00" * 8,
            ),
            "'a' appears more than once",
        ),
        (
            with_header(
                {"a": TENSOR, "b": {**TENSOR, "data_offsets": [2, 6]}},
                b"\x00" * 6,
            ),
            "`b`",
        ),
        (with_header({"a": {**TENSOR, "dtype": "Q7"}}, b"\x00" * 4), "'a'.*Q7"),
        (b"version https://git-lfs.example/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
    ],
)
def test_a_damaged_safetensors_file_is_named_with_its_fault(
    prompt: Path, data: bytes, words: str
) -> None:
    (prompt / WEIGHTS).write_bytes(data)
    with pytest.raises(FormatError, match=words) as caught:
        ka.load_atlas(prompt)
    assert str(prompt / WEIGHTS) in str(caught.value)


def test_every_truncation_of_a_file_is_refused(prompt: Path) -> None:
    whole = (prompt / WEIGHTS).read_bytes()
    for length in range(0, len(whole), 7):
        (prompt / WEIGHTS).write_bytes(whole[:length])
        with pytest.raises(FormatError):
            ka.load_atlas(prompt)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "neither 'peft_type'"),
        ('{"peft_type": 3}', "'peft_type' is 3, expected text"),
        ('{"peft_type": "PROMPT_TUNING"}', "'num_virtual_tokens' is missing"),
        ('{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": -1}', "expected a whole number"),
        ('{"peft_type": "LORA", "lora_alpha": 1}', "'r' is missing"),
        ('{"peft_type": "IA3"}', "no tensor ends with .ia3_l"),
        ('{"peft_type": "MULTITASK_PROMPT_TUNING"}', "no tensor 'prefix_task_cols'"),
    ],
)
def test_a_wrong_configuration_is_named_with_its_fault(
    prompt: Path, config: str, words: str
) -> None:
    (prompt / CONFIG).write_text(config)
    with pytest.raises(FormatError, match=words) as caught:
        ka.load_atlas(prompt)
    assert str(prompt) in str(caught.value)


def test_weights_without_their_configuration_are_refused(prompt: Path) -> None:
    (prompt / CONFIG).unlink()
    with pytest.raises(FormatError, match=f"there is no {CONFIG}"):
        ka.load_atlas(prompt)


def test_a_configuration_that_is_no_text_is_refused(prompt: Path) -> None:
    (prompt / CONFIG).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="UTF-8"):
        ka.load_atlas(prompt)


def test_a_configuration_without_weights_is_reported(prompt: Path) -> None:
    (prompt / WEIGHTS).unlink()
    with pytest.raises(FormatError, match="no weights beside it"):
        ka.load_atlas(prompt)


def test_a_prompt_of_another_length_than_stated_is_refused(prompt: Path) -> None:
    reconfigure(prompt, num_virtual_tokens=4)
    with pytest.raises(ShapeError, match=r"prompt_embeddings.*\[5, 16\].*4 virtual tokens"):
        ka.load_atlas(prompt)


def test_a_prompt_that_is_no_matrix_is_refused(prompt: Path) -> None:
    save_file({"prompt_embeddings": np.ones(5, dtype=np.float32)}, prompt / WEIGHTS)
    with pytest.raises(ShapeError, match="expected a matrix"):
        ka.load_atlas(prompt)


def test_whole_numbers_are_no_tokens(prompt: Path) -> None:
    save_file({"prompt_embeddings": np.ones((5, 16), dtype=np.int32)}, prompt / WEIGHTS)
    with pytest.raises(DTypeError, match="I32"):
        ka.load_atlas(prompt)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_number_is_named_by_task_row_and_column(prompt: Path, value: float) -> None:
    tokens = np.ones((5, 16), dtype=np.float32)
    tokens[3, 7] = value
    save_file({"prompt_embeddings": tokens}, prompt / WEIGHTS)
    with pytest.raises(NonFiniteError, match="'rte': token 3, coordinate 7"):
        ka.load_atlas(prompt)


def changed(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def test_a_factor_without_its_partner_is_refused(lora: Path) -> None:
    changed(lora, lambda tensors: tensors.pop(FACTOR_B))
    with pytest.raises(FormatError, match="only one of lora_A and lora_B"):
        ka.load_atlas(lora)


def test_factors_of_different_rank_are_refused(lora: Path) -> None:
    changed(lora, lambda tensors: tensors.update({FACTOR_B: np.ones((16, 5), np.float32)}))
    with pytest.raises(ShapeError, match=r"lora_B.*\[16, 5\]"):
        ka.load_atlas(lora)


def test_ungathered_shards_are_recognised(lora: Path) -> None:
    changed(lora, lambda tensors: tensors.update({FACTOR_A: np.ones(0, np.float32)}))
    with pytest.raises(ShapeError, match="sharded parameters gathered"):
        ka.load_atlas(lora)


def test_a_rank_that_contradicts_the_configuration_is_refused(lora: Path) -> None:
    reconfigure(lora, r=3)
    with pytest.raises(FormatError, match="rank 2 in the file but rank 3"):
        ka.load_atlas(lora)


def test_a_pattern_that_is_no_expression_is_refused(lora: Path) -> None:
    reconfigure(lora, rank_pattern={"q_proj(": 2})
    with pytest.raises(FormatError, match=r"rank_pattern.*'q_proj\('"):
        ka.load_atlas(lora)


def test_bad_factors_are_named_by_task_and_module(lora: Path) -> None:
    bad = np.ones((2, 16), np.float32)
    bad[1, 1] = np.nan
    changed(lora, lambda tensors: tensors.update({FACTOR_A: bad}))
    with pytest.raises(NonFiniteError, match=r"q_proj.*NaN"):
        ka.load_atlas(lora)


def test_options_that_change_the_product_are_left_out_with_their_reason(lora: Path) -> None:
    reconfigure(lora, kasa_config={"beta": 1.0})
    with pytest.raises(FormatError, match="'kasa_config' is set"):
        ka.load_atlas(lora)


def test_empty_and_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="the folder is empty"):
        ka.load_atlas(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ka.load_atlas(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="base="):
        ka.load_atlas(tmp_path, base=tmp_path)


def test_damaged_files_can_be_skipped_but_never_silently(prompt: Path) -> None:
    good = prompt.parent / "good"
    shutil.copytree(prompt, good)
    (prompt / WEIGHTS).write_bytes(b"broken")
    with pytest.warns(ka.errors.SkippedAdapterWarning, match="rte/adapter_model"):
        atlas = ka.load_atlas(prompt.parent, errors="skip")
    assert atlas.names == ("good",)
    assert "too few" in atlas.report.skipped[0].reason


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors"])
def test_random_bytes_under_any_known_ending_are_refused(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    for length in (0, 1, 8, 100):
        (tmp_path / name).write_bytes(rng.bytes(length))
        with pytest.raises(FormatError, match=name):
            ka.load_atlas(tmp_path)


def test_arrays_that_are_no_tokens_are_refused_by_name(tmp_path: Path) -> None:
    for bad, error in ((np.ones((2, 2), dtype=int), DTypeError), (np.ones((2, 2, 2)), ShapeError)):
        np.savez(tmp_path / "a.npz", prompt=bad)
        with pytest.raises(error, match=r"a\.npz, array 'prompt'"):
            ka.load_atlas(tmp_path)


def test_an_atlas_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    tokens = {"a": np.ones((1, 2), np.float32)}
    about = {"format": "kinatlas.atlas", "format_version": "2"}
    save_file(tokens, tmp_path / "a.safetensors", metadata=about)
    with pytest.raises(FormatError, match="upgrade kinatlas"):
        ka.load_atlas(tmp_path)
    save_file(tokens, tmp_path / "a.safetensors", metadata={**about, "format_version": "1"})
    with pytest.raises(FormatError, match="metadata of this atlas file are damaged"):
        ka.load_atlas(tmp_path)


def test_only_token_atlases_with_free_names_are_saved(tmp_path: Path) -> None:
    atlas = ka.Atlas.from_arrays({"__metadata__": [1.0]})
    with pytest.raises(FormatError, match="reserves this name"):
        ka.save_atlas(atlas, tmp_path / "a.safetensors")
    with pytest.raises(FormatError, match="end in"):
        ka.save_atlas(ka.Atlas.from_arrays({"a": [1.0]}), tmp_path / "a.npz")
    with pytest.raises(DTypeError, match="expected an Atlas"):
        ka.save_atlas({"a": [1.0]}, tmp_path / "a.safetensors")  # type: ignore[arg-type]


def test_broken_links_and_locked_folders_are_listed_and_stop_nothing(tmp_path, monkeypatch):
    np.save(tmp_path / "good.npy", np.ones((2, 3)))
    (tmp_path / "dangling.npy").symlink_to(tmp_path / "nowhere.npy")
    locked = tmp_path / "locked"
    locked.mkdir()
    listing = Path.iterdir

    def refusing(folder):
        if folder == locked:
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    report = ka.load_atlas(tmp_path).report
    reasons = {entry.file: entry.reason for entry in report.skipped}
    assert "broken link" in reasons["dangling.npy"]
    assert "Permission denied" in reasons["locked"]


def test_an_empty_path_is_not_the_current_folder():
    with pytest.raises(FileNotFoundError, match="path is empty"):
        ka.load_atlas("")
