"""scikit-learn: its own checks on our estimator, and our matrices in its estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import AgglomerativeClustering, SpectralClustering
from sklearn.manifold import TSNE
from sklearn.metrics import make_scorer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import kinatlas as ka
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, SpaceError, UnknownNameError
from kinatlas.sklearn import (
    TaskEmbedder,
    ndcg_of_sources,
    precomputed_affinity,
    precomputed_distance,
    regret_at_k,
)
from strategies import ragged_atlas


@pytest.mark.filterwarnings("default")
def test_the_embedder_passes_every_check_of_scikit_learn():
    results = check_estimator(TaskEmbedder(), on_skip=None)
    passed = [result["check_name"] for result in results if result["status"] == "passed"]
    # A silent skip would shorten this list: scikit-learn 1.9 runs 46 for this estimator.
    assert len(passed) >= 40, sorted(passed)
    assert {result["status"] for result in results} <= {"passed", "skipped"}


def test_an_atlas_and_its_flat_rows_embed_alike_and_give_feature_mean():
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(6, 3, 5))
    atlas = ka.Atlas.from_arrays({f"t{n}": tokens[n] for n in range(6)})
    flat = TaskEmbedder(3, center=None).fit_transform(tokens.reshape(6, 15))
    assert np.array_equal(flat, TaskEmbedder(center=None).fit_transform(atlas))
    expected = ka.similarity_matrix(atlas, kernel="feature_mean", normalize=None).values
    # Both are f64 dot products of 5 unit coordinates: a few units in the last place.
    np.testing.assert_allclose(flat @ flat.T, expected, rtol=0, atol=32 * np.finfo(float).eps)


def test_output_can_be_a_data_frame_of_either_kind():
    rows = np.random.default_rng(1).normal(size=(4, 6))
    for kind in ("pandas", "polars"):
        frame = TaskEmbedder(2).set_output(transform=kind).fit_transform(rows)
        assert list(frame.columns) == ["taskembedder0", "taskembedder1", "taskembedder2"]


def test_an_atlas_of_another_space_or_width_is_not_embedded():
    def atlas(dim: int, space: str) -> ka.Atlas:
        return ka.Atlas.from_arrays({"a": np.eye(2, dim), "b": np.ones((1, dim))}, space=space)

    fitted = TaskEmbedder().fit(atlas(4, "t5"))
    for dim in (1, 5):
        with pytest.raises(
            ShapeError, match=f"fitted tasks have dim 4, these tasks have dim {dim}"
        ):
            fitted.transform(atlas(dim, "t5"))
    with pytest.raises(SpaceError, match="fitted tasks live in space 't5', these tasks in 'bert'"):
        fitted.transform(atlas(4, "bert"))
    assert TaskEmbedder().fit(np.ones((3, 4))).transform(atlas(4, "bert")).shape == (2, 4)


def test_fitting_again_forgets_the_columns_of_the_last_time():
    rows = pd.DataFrame(np.eye(3), columns=["x", "y", "z"])
    embedder = TaskEmbedder().fit(rows).fit(ka.Atlas.from_arrays({"a": [[1.0, 2.0]]}))
    assert not hasattr(embedder, "feature_names_in_")
    assert embedder.n_features_in_ == 2


@pytest.mark.parametrize("n_tokens", [0, -1, 1.5, "3", None, True])
def test_tokens_are_counted_in_whole_numbers(n_tokens):
    for data in (np.ones((3, 6)), ragged_atlas()):
        with pytest.raises(ValueError, match="n_tokens="):
            TaskEmbedder(n_tokens).fit(data)


def test_wrong_words_and_widths_are_refused():
    rows = np.ones((3, 5))
    with pytest.raises(ValueError, match="expected a multiple of n_tokens=2"):
        TaskEmbedder(2).fit(rows)
    with pytest.raises(UnknownNameError, match="normalize='token'"):
        TaskEmbedder(normalize="token").fit(rows)


def clustered() -> tuple[ka.Atlas, np.ndarray]:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], 5)
    centres = 3 * rng.normal(size=(3, 4, 8))
    tokens = centres[labels] + rng.normal(size=(15, 4, 8))
    return ka.Atlas.from_arrays({f"t{n}": tokens[n] for n in range(15)}), labels


def test_matrices_drop_into_clustering_neighbours_and_maps():
    atlas, labels = clustered()
    matrix = ka.similarity_matrix(atlas, kernel="feature_mean", direction="symmetric")
    distance = precomputed_distance(matrix)
    assert np.array_equal(distance, distance.T)
    assert not np.diag(distance).any()
    assert (distance >= 0).all()
    found = AgglomerativeClustering(3, metric="precomputed", linkage="average").fit(distance)
    assert len({(int(a), int(b)) for a, b in zip(labels, found.labels_, strict=True)}) == 3
    spectral = SpectralClustering(3, affinity="precomputed", random_state=0)
    parts = spectral.fit_predict(precomputed_affinity(matrix))
    assert len({(int(a), int(b)) for a, b in zip(labels, parts, strict=True)}) == 3
    nearest = KNeighborsClassifier(1, metric="precomputed").fit(distance, labels)
    assert (nearest.predict(distance) == labels).all()
    places = TSNE(metric="precomputed", init="random", perplexity=4).fit_transform(distance)
    assert places.shape == (15, 2)
    pipeline = make_pipeline(TaskEmbedder(), KNeighborsClassifier(1))
    assert pipeline.fit(atlas, labels).score(atlas, labels) == 1.0


def test_a_matrix_that_is_not_square_or_has_gaps_is_refused():
    matrix = ka.similarity_matrix(ragged_atlas(), kernel="max_pairwise")
    with pytest.raises(ShapeError, match="5 sources"):
        precomputed_distance(matrix.select(targets=["task0"]))
    gap = ka.SimilarityMatrix([[1.0, np.nan], [0.0, 1.0]], ["a", "b"], ["a", "b"], "flatten")
    with pytest.raises(NonFiniteError, match="missing"):
        precomputed_affinity(gap)
    with pytest.raises(DTypeError, match="expected a SimilarityMatrix"):
        precomputed_distance(np.eye(2))


class Constant(BaseEstimator):
    """Predicts the scores it was made with."""

    def __init__(self, scores=None) -> None:
        self.scores = scores

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.scores


def test_regret_and_ndcg_are_scorers_with_the_numbers_of_evaluate():
    rng = np.random.default_rng(3)
    truth, scores = 50 + 40 * rng.random((4, 6)), rng.random((4, 6))
    by_hand = [
        100 * (row.max() - max(row[np.argsort(-guess)[:2]])) / row.max()
        for row, guess in zip(truth, scores, strict=True)
    ]
    assert regret_at_k(truth, scores, k=2) == pytest.approx(np.mean(by_hand), rel=1e-12)
    assert ndcg_of_sources(truth, truth) == 1.0
    scorer = make_scorer(regret_at_k, greater_is_better=False, k=2)
    value = scorer(Constant(scores).fit(None, None), np.zeros((4, 1)), truth)
    assert value == -regret_at_k(truth, scores, k=2)
    with pytest.raises(ShapeError, match=r"y_score \(4, 5\)"):
        regret_at_k(truth, scores[:, :5])
