"""What a hurried user hands in by mistake: each construction says what it got and wanted."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import kinatlas as ka
from kinatlas.embeddings import embed_vocabulary, embed_words, pool_tokens
from kinatlas.errors import DTypeError, FormatError, NonFiniteError


def ones(n: int) -> dict[str, np.ndarray]:
    return {"w": np.ones((n, 2), np.float32)}


def test_an_accumulator_is_not_appended_to_itself_or_to_something_else() -> None:
    fisher = ka.FisherAccumulator(shard_size=2).partial_fit(ones(2))
    with pytest.raises(ValueError, match="cannot be appended to itself"):
        fisher.merge(fisher)
    with pytest.raises(DTypeError, match="got int, expected a FisherAccumulator"):
        fisher.merge(3)  # type: ignore[arg-type]
    assert fisher.n_examples == 2


def test_several_shards_at_once_are_refused_with_the_way_out() -> None:
    first, second = (ka.FisherAccumulator(shard_size=2).partial_fit(ones(4)) for _ in range(2))
    message = r"holds 4 examples, the second 4.*would round otherwise.*for each shard, in order"
    with pytest.raises(ValueError, match=message):
        first.merge(second)
    assert first.n_examples == 4


def test_a_checkpoint_without_a_folder_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*make it first"):
        ka.FisherAccumulator(checkpoint=tmp_path / "no" / "sums.safetensors")


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
def test_small_batches_give_the_bits_of_one_batch_even_when_looked_at(n_rows: int) -> None:
    gradients = np.random.default_rng(0).standard_normal((30, 9000)).astype(np.float32)
    whole = ka.FisherAccumulator(shard_size=7).partial_fit({"w": gradients})
    parts = ka.FisherAccumulator(shard_size=7)
    for start in range(0, 30, n_rows):
        parts.partial_fit({"w": gradients[start : start + n_rows]})
        parts.diagonal()
    assert np.array_equal(whole.diagonal()["w"], parts.diagonal()["w"])
    bad = gradients[:1].copy()
    bad[0, -1] = np.nan
    with pytest.raises(NonFiniteError, match=r"'w': example 30 .*coordinate 8999"):
        parts.partial_fit({"w": bad})
    assert np.array_equal(whole.diagonal()["w"], parts.diagonal()["w"])


@pytest.mark.parametrize("embed", [embed_words, embed_vocabulary])
def test_one_text_is_no_list_of_texts(embed) -> None:
    with pytest.raises(DTypeError, match="task 'a': got str, expected a list of texts"):
        embed({"a": "a cat sat"})
    with pytest.raises(DTypeError, match="task 'a': got NoneType"):
        embed({"a": None})
    with pytest.raises(DTypeError, match="got list, expected a mapping"):
        embed(["a cat sat"])


def test_missing_texts_and_odd_states_are_refused() -> None:
    with pytest.raises(DTypeError, match="got NoneType, expected an iterable of texts"):
        ka.embed_text(None, lambda batch: batch, name="a", space="s")
    with pytest.raises(DTypeError, match="got NoneType, expected vectors"):
        ka.embed_text(None, name="a", space="s")
    for layer in (1.0, None, True, -1):
        with pytest.raises(ValueError, match="expected 0 to 1, 'all' or 'best'"):
            ka.embed_states(np.ones((2, 2, 3)), name="a", space="s", layer=layer)  # type: ignore[arg-type]


def test_pooling_refuses_what_counts_and_is_no_number() -> None:
    states = np.ones((2, 2, 3))
    states[1, 1] = np.nan
    with pytest.raises(NonFiniteError, match="text 1: a token that counts"):
        pool_tokens(states)
    assert np.isfinite(pool_tokens(states, [[1, 1], [1, 0]])).all()
    with pytest.raises(DTypeError, match="cannot be read as numbers"):
        pool_tokens("ab")


def test_task_vectors_show_a_bar_when_asked_and_refuse_anything_else(
    tmp_path: Path, capsys
) -> None:
    for name in ("base", "tuned"):
        save_file({"w": np.ones((3, 3), np.float32)}, tmp_path / f"{name}.safetensors")
    base, tuned = tmp_path / "base.safetensors", tmp_path / "tuned.safetensors"
    with warnings.catch_warnings():
        # tqdm asks for ipywidgets in notebooks only.
        warnings.simplefilter("ignore")
        ka.embed_task_vector(base, tuned, name="t", dim=4, progress=True)
        ka.task_vector_similarity(base, {"t": tuned}, progress=True)
    assert capsys.readouterr().err.count("9.00number") == 2
    with pytest.raises(DTypeError, match=r"progress: got .*expected None, True"):
        ka.embed_task_vector(base, tuned, name="t", progress=print)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="got list, expected a mapping"):
        ka.task_vector_similarity(base, [tuned])  # type: ignore[arg-type]


def test_sums_of_many_shards_that_overflow_are_an_error_and_not_infinity() -> None:
    fisher = ka.FisherAccumulator(shard_size=1).partial_fit({"w": np.full((9, 1), 1.3e154)})
    with pytest.raises(NonFiniteError, match="'w': the sum of squares leaves the range"):
        fisher.diagonal()


@pytest.mark.parametrize(
    "damage",
    [
        {"counts": [-1, 2]},
        {"counts": [1]},
        {"counts": "ab"},
        {"counts": [10**30, 2]},
        {"shapes": [["w", [7]]]},
        {"shapes": [["w", "x"]]},
        {"settings": {"shard_size": "16"}},
    ],
)
def test_saved_sums_that_contradict_themselves_are_damaged(
    tmp_path: Path, damage: dict[str, object]
) -> None:
    path = ka.FisherAccumulator().partial_fit(ones(3)).save(tmp_path / "sums.safetensors")
    with safe_open(path, "np") as file:
        texts, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    about = json.loads(texts["about"])
    if "settings" in damage:
        damage = {"settings": about["settings"] | damage["settings"]}  # type: ignore[operator]
    save_file(tensors, path, texts | {"about": json.dumps(about | damage)})
    with pytest.raises(FormatError, match=r"sums\.safetensors: .*damaged"):
        ka.FisherAccumulator.load(path)
