"""Published transfer tables in their authors' layouts, written here as synthetic copies."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from kinatlas import SimilarityMatrix, TransferTable, evaluate
from kinatlas.errors import FormatError, UnknownNameError
from kinatlas.evaluation import read_taskweb

SEEDS = (10, 42)
EXTRAS = {"epoch": 3.0, "eval_loss": 0.9, "eval_runtime": 3.8, "eval_samples_per_second": 312.0}


def write(folder: Path, place: str, results: object) -> None:
    run = folder / place
    run.mkdir(parents=True)
    (run / "train_results.json").write_text('{"train_loss": 1.0}')
    if results is not None:
        (run / "eval_results.json").write_text(json.dumps(results))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two targets and sources, two settings in different units, one run not evaluated yet."""
    for seed in SEEDS:
        write(tmp_path, f"rte/roberta-e3-lr1e5-b16-s{seed}", {"eval_accuracy": 0.5, **EXTRAS})
        write(tmp_path, f"rte/mnli/roberta-e3-lr1e5-b16-s{seed}", {"eval_accuracy": 0.75, **EXTRAS})
        write(tmp_path, f"rte/stsb/roberta-e3-lr1e5-b16-s{seed}", {"eval_accuracy": 0.45, **EXTRAS})
        similarity = {"eval_pearson": 80.0, "eval_spearmanr": 82.0, "eval_average_metrics": 81.0}
        write(tmp_path, f"stsb/mnli/roberta-e3-lr3e5-b8-s{seed}", similarity)
        write(tmp_path, f"stsb/roberta-e3-lr3e5-b8-s{seed}", {**similarity, "eval_pearson": [70.0]})
        write(tmp_path, f"rte/mnli/t5b-lora-e20-lr3e3-b64-s{seed}", {"eval_accuracy": 66.0})
    write(tmp_path, "rte/mrpc/roberta-e3-lr1e5-b16-s10", None)
    (tmp_path / "README.md").write_text("not a run")
    return tmp_path


def test_folders_become_a_table_with_baseline_in_percent(results):
    table = read_taskweb(results, "roberta")
    assert (table.targets, table.sources, table.seeds) == (("rte", "stsb"), ("mnli", "stsb"), SEEDS)
    assert table.units == "percent"
    np.testing.assert_array_equal(table.scores[:, :, 0], [[75.0, 45.0], [81.0, np.nan]])
    np.testing.assert_array_equal(table.baseline, [[50.0, 50.0], [76.0, 76.0]])
    gains = table.to_matrix("gain")
    assert gains.row("rte").tolist() == [25.0, -5.0]


def test_another_setting_has_its_own_runs_and_no_baseline(results):
    table = read_taskweb(results, "t5b-lora")
    assert table.baseline is None
    assert table.scores.ravel().tolist() == [66.0, 66.0]


def test_metrics_are_chosen_by_target(results):
    table = read_taskweb(results, "roberta", metrics={"stsb": ["pearson"]})
    assert table.scores[1, 0, 0] == 80.0
    with pytest.raises(FormatError, match="'f1'"):
        read_taskweb(results, "roberta", metrics={"rte": ["f1"]})


def test_an_unknown_setting_lists_those_there_are(results):
    with pytest.raises(UnknownNameError, match="t5b-lora"):
        read_taskweb(results, "t5b-lorra")


def test_a_folder_without_runs_is_refused(tmp_path):
    (tmp_path / "rte" / "mnli").mkdir(parents=True)
    with pytest.raises(FormatError, match="holds no run"):
        read_taskweb(tmp_path, "roberta")
    write(tmp_path, "rte/mnli/roberta-e3-lr1e5-b16-s10", None)
    with pytest.raises(FormatError, match=r"holds eval_results\.json"):
        read_taskweb(tmp_path, "roberta")
    with pytest.raises(OSError, match="nowhere"):
        read_taskweb(tmp_path / "nowhere", "roberta")


BROKEN = [
    ([1], "not an object"),
    ({"eval_loss": 1.0}, "reports 'loss'"),
    ({"eval_accuracy": "high"}, "'high'"),
    ({"eval_accuracy": 75.0}, "target 'rte' mixes scores"),
    ({"eval_accuracy": 0.7, "eval_f1": 0.6}, "choose with metrics"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_broken_results_are_refused_by_path(results, content, message):
    write(results, "rte/qqp/roberta-e3-lr1e5-b16-s10", content)
    with pytest.raises(FormatError, match=message):
        read_taskweb(results, "roberta")


def test_text_that_is_no_json_and_a_run_that_exists_twice_are_refused(results):
    write(results, "rte/mnli/roberta-e9-lr1e5-b16-s10", {"eval_accuracy": 0.7})
    with pytest.raises(FormatError, match="exists twice"):
        read_taskweb(results, "roberta")
    path = results / "rte/mnli/t5b-lora-e20-lr3e3-b64-s10/eval_results.json"
    path.write_text("{")
    with pytest.raises(FormatError, match="is not JSON"):
        read_taskweb(results, "t5b-lora")


def test_units_by_hand_override_the_guess(results):
    write(results, "rte/qqp/roberta-e3-lr1e5-b16-s10", {"eval_accuracy": 75.0})
    table = read_taskweb(results, "roberta", units="percent")
    assert table.scores[0, table.sources.index("qqp"), 0] == 75.0


def test_the_matrix_csv_of_prompt_transfer_is_a_wide_table(tmp_path):
    path = tmp_path / "transfer.csv"
    path.write_text("target\\source,IMDB,MNLI,random\nIMDB,0.9,0.6,0.5\nMNLI,0.4,0.8,0.3\n")
    for table in (
        TransferTable.from_wide(path, baseline="random"),
        TransferTable.from_csv(path, baseline="random"),
    ):
        assert table.sources == ("IMDB", "MNLI")
        assert table.baseline.ravel().tolist() == [0.5, 0.3]
        assert table.to_matrix("gain").row("MNLI").tolist() == pytest.approx([0.1, 0.5])


def test_a_method_is_scored_on_a_table_of_full_size_in_seconds(tmp_path):
    tasks = [f"task{number}" for number in range(22)]
    for target in tasks:
        for source in tasks:
            if source != target:
                for seed in range(2):
                    accuracy = 0.5 + (37 * int(target[4:]) + 11 * int(source[4:]) + seed) % 97 / 400
                    place = f"{target}/{source}/t5s-e15-lr5e4-b64-s{seed}"
                    write(tmp_path, place, {"eval_accuracy": accuracy})
    start = time.perf_counter()
    table = read_taskweb(tmp_path, "t5s")
    rng = np.random.default_rng(0)
    matrix = SimilarityMatrix(rng.normal(size=(22, 22)), tasks, tasks, "random")
    result = evaluate(matrix, table)
    assert time.perf_counter() - start < 10
    assert result.conventions["n_runs_used"] == 22 * 21 * 2


def test_metrics_of_an_unknown_target_or_as_one_text_are_refused(results: Path) -> None:
    with pytest.raises(UnknownNameError, match="metrics: target 'rtee' is unknown"):
        read_taskweb(results, "roberta", metrics={"rtee": ["accuracy"]})
    for chosen in ("accuracy", []):
        with pytest.raises(
            FormatError, match=r"metrics of 'rte': got .*, expected a list of names"
        ):
            read_taskweb(results, "roberta", metrics={"rte": chosen})
