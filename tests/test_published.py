"""Numbers of the reference code on released prompts, where these lie beside the project."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kinatlas import Atlas, TransferTable, evaluate, similarity_matrix
from kinatlas.errors import DegenerateRankingWarning
from test_evaluation_real import DATA, TASKS

pytestmark = pytest.mark.skipif(DATA is None, reason="no shared/data/prompt_transfer beside us")

# NDCG of RoBERTa-base and T5-base, percent-exponential gain, mean over targets.
UNCENTRED = [
    ("feature_mean", "source_to_target", 83.7, 85.7),
    ("mean_pairwise", "source_to_target", 76.8, 84.9),
    ("max_pairwise", "source_to_target", 81.7, 76.7),
    ("max_pairwise", "target_to_source", 76.0, 76.2),
    ("max_pairwise", "symmetric", 75.9, 76.3),
    ("flatten", "source_to_target", 71.5, 67.9),
    ("bigram", "source_to_target", 71.5, 67.9),
    ("unigram", "source_to_target", 49.2, 55.7),
]
MODELS = ("roberta_base", "t5_base")


def atlas(model: str) -> Atlas:
    with np.load(DATA / f"{model}_prompts.npz") as prompts:
        return Atlas.from_arrays({name: prompts[name] for name in TASKS}, space=model)


def ndcg(model: str, **options: object) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateRankingWarning)
        matrix = similarity_matrix(atlas(model), **options)
    transfer = TransferTable.from_wide(DATA / f"{model}_transfer.csv", baseline="random")
    return 100 * evaluate(matrix, transfer).summary()["ndcg"]


@pytest.mark.parametrize(("kernel", "direction", "roberta", "t5"), UNCENTRED)
def test_uncentred_kernels_score_as_the_reference_code(kernel, direction, roberta, t5):
    for model, expected in zip(MODELS, (roberta, t5), strict=True):
        assert ndcg(model, kernel=kernel, direction=direction) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("model", "expected"), [("roberta_base", 66.1), ("t5_base", 84.5)])
def test_centring_by_position_helps_one_backbone_and_harms_the_other(model, expected):
    found = ndcg(model, kernel="max_pairwise", center="positions")
    assert found == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("model", "center", "median"), [("roberta_base", None, 0.02), ("t5_base", "positions", 0.61)]
)
def test_auto_centres_the_backbone_that_gains_and_leaves_the_other(model, center, median):
    options = similarity_matrix(atlas(model), kernel="max_pairwise", center="auto").options
    assert options["center"] == center
    assert options["center_evidence"]["median_diagonal_fraction"] == pytest.approx(median)


def test_the_shared_initialisation_of_t5_is_warned_of():
    with pytest.warns(DegenerateRankingWarning, match="61.0%"):
        similarity_matrix(atlas("t5_base"), kernel="max_pairwise")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        similarity_matrix(atlas("roberta_base"), kernel="max_pairwise")
