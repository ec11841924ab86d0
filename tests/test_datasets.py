"""The bundled study: complete, honest about its origin, and numbers only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.errors import UnknownNameError

DATA = Path(ka.__file__).parent / "data"


def test_every_task_has_a_prompt_and_a_run_on_every_other_task_in_every_seed() -> None:
    study = ka.datasets.load_minilm_prompts()
    assert set(study.atlases) == set(study.transfer.seeds) == {0, 1, 2}
    for atlas in study.atlases.values():
        assert atlas.names == study.transfer.targets
        assert set(atlas.n_tokens) == {16}
        assert atlas.dtype == "float16"
    assert study.transfer.n_missing == 0
    assert study.transfer.units == "percent"


def test_tasks_of_one_seed_start_from_one_prompt_and_leave_it() -> None:
    study = ka.datasets.load_minilm_prompts()
    for seed, atlas in study.atlases.items():
        start = study.initial[seed].astype(np.float64)
        for task in atlas:
            moved = np.linalg.norm(task.tokens.astype(np.float64) - start)
            assert 0.0 < moved < 3 * np.linalg.norm(start)


def test_the_twin_is_the_other_half_and_only_there_when_asked_for() -> None:
    assert "sent_movie_twin" not in ka.datasets.load_minilm_prompts().groups
    with_twin = ka.datasets.load_minilm_prompts(twin="include")
    gains = with_twin.transfer.to_matrix("gain")
    best = ka.rank_sources(
        gains.select(sources=list(with_twin.groups)), "sent_movie", no_transfer="exclude"
    )
    assert best[0].source == "sent_movie_twin"


def test_a_prompt_trained_on_permuted_labels_helps_nobody_on_average() -> None:
    for score in ("zero_shot", "ridge"):
        gains = ka.datasets.load_minilm_prompts(score=score).transfer.to_matrix("gain")
        assert gains.select(sources=["sent_tweet_permuted"]).values.mean() < 0


def test_the_provenance_names_script_packages_and_seeds() -> None:
    about = ka.datasets.load_minilm_prompts().provenance
    assert about["seeds"] == [0, 1, 2]
    assert all(len(package["sha256"]) == 64 for package in about["packages"])
    assert all(len(digest) == 64 for digest in about["script_sha256"].values())


def test_only_numbers_and_names_are_bundled() -> None:
    total = sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file())
    assert total < 2_500_000
    for table in (DATA / "minilm_prompts").glob("*.csv"):
        lines = table.read_text(encoding="utf-8").splitlines()
        longest = max(len(cell) for line in lines for cell in line.split(","))
        assert longest < 25, f"{table.name} holds something longer than a name"


def test_unknown_words_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="zero_shot, ridge"):
        ka.datasets.load_minilm_prompts(score="bleu")  # type: ignore[arg-type]
