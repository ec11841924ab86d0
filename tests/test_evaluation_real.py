"""Real prompts and their measured transfer, where they lie beside the project."""

import os
from pathlib import Path

import numpy as np
import pytest

from kinatlas.evaluation import TransferTable, evaluate
from kinatlas.similarity import SimilarityMatrix

TASKS = [
    "IMDB",
    "SST2",
    "laptop",
    "restaurant",
    "movierationales",
    "tweetevalsentiment",
    "MNLI",
    "QNLI",
    "snli",
    "ethicsdeontology",
    "ethicsjustice",
    "QQP",
    "MRPC",
]


def data() -> Path | None:
    """Find the folder: named by the environment, or shared/ beside the checkout."""
    named = os.environ.get("KINATLAS_SHARED_DATA")
    roots = [Path(named)] if named else [p / "shared/data" for p in Path(__file__).parents[2:5]]
    found = (root / "prompt_transfer" for root in roots)
    return next((folder for folder in found if folder.is_dir()), None)


DATA = data()
pytestmark = pytest.mark.skipif(DATA is None, reason="no shared/data/prompt_transfer beside us")


def unit_tokens(model: str) -> list[np.ndarray]:
    with np.load(DATA / f"{model}_prompts.npz") as prompts:
        tokens = [prompts[name].astype(np.float64) for name in TASKS]
    return [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in tokens]


def scored(kernel: str, source: np.ndarray, target: np.ndarray) -> float:
    if kernel == "feature_mean":
        a, b = source.mean(axis=0), target.mean(axis=0)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    product = source @ target.T
    return float(product.mean() if kernel == "mean_pairwise" else product.max(axis=1).mean())


@pytest.mark.parametrize(
    ("model", "kernel", "ndcg", "chance"),
    [
        ("roberta_base", "feature_mean", 83.7, 45.9),
        ("roberta_base", "mean_pairwise", 76.8, 45.9),
        ("roberta_base", "max_pairwise", 81.7, 45.9),
        ("t5_base", "feature_mean", 85.7, 49.5),
        ("t5_base", "mean_pairwise", 84.9, 49.5),
        ("t5_base", "max_pairwise", 76.7, 49.5),
    ],
)
def test_ndcg_of_released_prompts_is_the_published_protocol(model, kernel, ndcg, chance):
    tokens = unit_tokens(model)
    values = [[scored(kernel, source, target) for source in tokens] for target in tokens]
    matrix = SimilarityMatrix(values, TASKS, TASKS, kernel)
    table = TransferTable.from_wide(DATA / f"{model}_transfer.csv", baseline="random")
    numbers = evaluate(matrix, table).summary()
    assert 100 * numbers["ndcg"] == pytest.approx(ndcg, abs=0.05)
    assert 100 * numbers["ndcg_chance"] == pytest.approx(chance, abs=0.05)


@pytest.mark.parametrize(("model", "n_tasks"), [("roberta_base", 14), ("t5_base", 17)])
def test_released_tables_load_with_their_baseline(model, n_tasks):
    table = TransferTable.from_wide(DATA / f"{model}_transfer.csv", baseline="random")
    assert table.scores.shape == (n_tasks, n_tasks, 1)
    assert table.units == "fraction"
    assert table.n_missing == 0
    assert "random" not in table.sources
