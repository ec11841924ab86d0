"""Every adapter layout that peft writes is read as peft itself uses it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kinatlas as ka

#: The committed fixtures, or those that `test_fixtures_peft` has just written.
FIXTURES = Path(os.environ.get("KINATLAS_FIXTURES", Path(__file__).parent / "fixtures"))
ADAPTERS = FIXTURES / "adapters"
BASE = FIXTURES / "base" / "bert"

TOKEN_ROWS = [
    ("prompt_tuning/mnli", "float32"),
    ("prompt_tuning/rte", "float32"),
    ("prompt_tuning_bf16", "bfloat16"),
    ("prompt_tuning_f16", "float16"),
    ("prompt_tuning_seq2seq", "float32"),
    ("p_tuning", "float32"),
    ("p_tuning_seq2seq", "float32"),
    ("prefix_tuning", "float32"),
    ("prefix_tuning_gqa", "float32"),
    ("prefix_tuning_projection", "float32"),
    ("prefix_tuning_seq2seq", "float32"),
    ("cartridge", "float32"),
    ("ia3/mnli", "float64"),
    ("ia3/rte", "float64"),
    ("vera", "float64"),
    ("vera_projection", "float64"),
    ("adapter_hub_prompt", "float32"),
]
LOW_RANK_ROWS = [
    "lora/mnli",
    "lora/rte",
    "lora_rslora",
    "lora_patterns",
    "lora_dora",
    "lora_bias",
    "lora_bias_all",
    "lora_embedding",
    "lora_fan_in_fan_out",
    "lora_head",
    "lora_conv",
    "lora_named",
    "lora_bf16",
    "lora_f16",
    "adalora",
    "adalora_masked",
    "adalora_pruned",
    "adapter_hub_lora",
    "adapter_hub_lora_old",
]


def expected(row: str) -> dict[str, np.ndarray]:
    with np.load(FIXTURES / "expected" / f"{row}.npz") as archive:
        return dict(archive)


def skipped_keys(atlas: ka.Atlas | ka.LowRankAtlas) -> set[str]:
    return {key for entry in atlas.report.read for key, _ in entry.skipped_tensors}


@pytest.mark.parametrize(("row", "dtype"), TOKEN_ROWS)
def test_token_methods_give_the_tokens_the_model_sees_in_their_stored_type(
    row: str, dtype: str
) -> None:
    atlas = ka.load_atlas(ADAPTERS / row)
    assert isinstance(atlas, ka.Atlas)
    assert len(atlas) == 1
    assert atlas.dtype == dtype
    answer = expected(row)
    np.testing.assert_array_equal(atlas[0].tokens.astype(np.float64), answer["tokens"])
    assert skipped_keys(atlas) == set(answer.get("skipped", []))


def test_context_aware_prompts_are_read_as_saved() -> None:
    # peft rescales the trained offset once more when it builds the prompt: one rounding of
    # float32 between the file and the answer, of numbers below 4.
    tokens = ka.load_atlas(ADAPTERS / "cpt")[0].tokens
    np.testing.assert_allclose(tokens, expected("cpt")["tokens"], rtol=0, atol=4 * 2**-24)


def test_multitask_prompts_give_the_effective_prompt_of_every_task() -> None:
    atlas = ka.load_atlas(ADAPTERS / "multitask_prompt_tuning")
    answer = expected("multitask_prompt_tuning")
    assert atlas.names == tuple(f"multitask_prompt_tuning/task{task}" for task in range(3))
    for task in range(3):
        # Two products and one sum of two terms in float64, of numbers below 4.
        np.testing.assert_allclose(
            atlas[task].tokens, answer[f"tokens.task{task}"], rtol=0, atol=64 * 2**-52
        )


def test_the_untrained_decoder_half_never_reaches_the_atlas() -> None:
    from safetensors.numpy import load_file

    saved = load_file(ADAPTERS / "prompt_tuning_seq2seq" / "adapter_model.safetensors")
    atlas = ka.load_atlas(ADAPTERS / "prompt_tuning_seq2seq")
    assert saved["prompt_embeddings"].shape == (10, 16)
    assert atlas[0].tokens.shape == (5, 16)
    assert any("decoder" in note for note in atlas.report.read[0].notes)


@pytest.mark.parametrize("row", LOW_RANK_ROWS)
def test_low_rank_methods_give_the_weight_change_that_peft_applies(row: str) -> None:
    atlas = ka.load_atlas(ADAPTERS / row)
    assert isinstance(atlas, ka.LowRankAtlas)
    answer = expected(row)
    changes = {
        key.removeprefix("delta."): value
        for key, value in answer.items()
        if key.startswith("delta.")
    }
    wanted = set(answer["skipped"].tolist())
    update = atlas[atlas.names[0]]
    assert set(update) == set(changes)
    for module, change in changes.items():
        dense = update[module].dense()
        flat = change if change.ndim == 2 else change.reshape(change.shape[0], -1)
        # Both sides multiply the same float32 factors in float64, in another order.
        bound = 64 * 2**-52 * max(1.0, np.abs(flat).max())
        np.testing.assert_allclose(dense, flat, rtol=0, atol=bound)
    biases = {key for key in skipped_keys(atlas) - wanted if key.endswith(".bias")}
    assert skipped_keys(atlas) - biases == wanted
    assert not biases or row == "lora_bias_all"


def test_each_low_rank_fixture_really_differs_from_the_plain_reading() -> None:
    """The traps are traps: ignoring scale, pattern or pruning would give another answer."""
    for row in ("lora_rslora", "lora_patterns", "adalora_pruned", "adapter_hub_lora"):
        atlas = ka.load_atlas(ADAPTERS / row)
        scales = {update.scale for update in atlas[atlas.names[0]].values()}
        assert 1.0 not in scales
    scales = [
        update.scale
        for update in ka.load_atlas(ADAPTERS / "lora_patterns")["lora_patterns"].values()
    ]
    assert sorted(scales) == sorted([7 / 5, 7 / 3, 11 / 3, 11 / 3])


@pytest.mark.parametrize("row", ["ln_tuning", "bitfit", "lora_bias_all"])
def test_retrained_weights_are_read_as_their_difference_to_the_base_model(row: str) -> None:
    atlas = ka.load_atlas(ADAPTERS / row, base=BASE, kind="tokens")
    answer = expected(row)
    np.testing.assert_array_equal(atlas[0].tokens, answer["tokens"])
    assert set(answer["skipped"]) <= skipped_keys(atlas)


def test_retrained_weights_without_the_base_model_are_refused_with_the_way_out() -> None:
    for row in ("ln_tuning", "bitfit"):
        with pytest.raises(ka.errors.FormatError, match="base="):
            ka.load_atlas(ADAPTERS / row)


def test_explicit_metadata_become_provenance() -> None:
    atlas = ka.load_atlas(ADAPTERS / "bitfit", base=BASE)
    assert atlas[0].provenance.seed == 3
    assert atlas[0].provenance.step is None
    atlas = ka.load_atlas(ADAPTERS / "prompt_tuning")
    origin = atlas["rte"].provenance
    assert (origin.base_model, origin.method) == ("tiny/llama", "PROMPT_TUNING")
    assert origin.file == "rte/adapter_model.safetensors"
    assert origin.file_hash is not None
    assert len(origin.file_hash) == 64
    assert atlas.space == "tiny/llama|PROMPT_TUNING|dim=16"


def test_a_bottleneck_adapter_is_left_out_with_its_reason() -> None:
    with pytest.raises(ka.errors.FormatError, match="bottleneck"):
        ka.load_atlas(ADAPTERS / "adapter_hub_bottleneck")
    report = ka.io.inspect_folder(ADAPTERS / "adapter_hub_bottleneck")
    assert "head" in (report.entries[1].reason or "")


def test_modules_of_both_libraries_meet_under_one_name(tmp_path: Path) -> None:
    shutil.copytree(ADAPTERS / "lora_head", tmp_path / "peft")
    shutil.copytree(ADAPTERS / "adapter_hub_lora" / "mrpc", tmp_path / "hub")
    atlas = ka.load_atlas(tmp_path)
    assert atlas.names == ("hub", "peft")
    assert set(atlas["hub"]) & set(atlas["peft"]) == {"bert.encoder.layer.0.attention.self.query"}


def test_an_unknown_method_is_left_out_and_warned_of(tmp_path: Path) -> None:
    shutil.copytree(ADAPTERS / "prompt_tuning", tmp_path / "prompts")
    shutil.copytree(ADAPTERS / "lora/rte", tmp_path / "loha")
    config = tmp_path / "loha" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "peft_type": "LOHA"}))
    with pytest.warns(ka.errors.SkippedAdapterWarning, match="LOHA"):
        atlas = ka.load_atlas(tmp_path)
    assert atlas.names == ("prompts/mnli", "prompts/rte")
    assert [entry.file for entry in atlas.report.skipped] == ["loha/adapter_model.safetensors"]


def test_reading_adapters_imports_neither_torch_nor_safetensors() -> None:
    program = (
        "import sys, kinatlas as ka\n"
        f"ka.load_atlas({str(ADAPTERS / 'prompt_tuning')!r})\n"
        "found = {'torch', 'safetensors', 'peft', 'transformers'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
