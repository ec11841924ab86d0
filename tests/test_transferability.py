"""Transferability scores: the contract, worked examples, bad input, and the matrix."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from kinatlas import rank_sources
from kinatlas.errors import (
    DTypeError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from kinatlas.selection import transferability_matrix
from kinatlas.transferability import (
    method_info,
    method_names,
    method_table,
    score,
    score_many,
)

ON_FEATURES = method_names("features")
IN_RUST = [name for name in ON_FEATURES if name != "nleep"]


def blobs(n: int = 24, dim: int = 5, n_classes: int = 3, seed: int = 0, apart: float = 1.5):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centres = rng.normal(size=(n_classes, dim)) * apart
    return centres[labels] + rng.normal(size=(n, dim)), labels


def test_the_table_lists_twelve_scores_with_what_they_need():
    assert method_names() == (
        *("logme", "h_score", "leep", "nleep", "nce", "trans_rate", "gbc", "parc"),
        *("sfda", "energy", "knn", "linear_probe"),
    )
    table = method_table()
    assert table.to_dict()["method"] == list(method_names())
    assert len(repr(table).splitlines()) < 24
    assert table._repr_html_().startswith("<table>")
    assert len(table.explain().splitlines()) == 12


def test_leep_of_a_worked_example():
    # p(y = 0 | z = 0) = 1.5 / 1.7 and so on; written out from the definition.
    theta = [[0.8, 0.2], [0.7, 0.3], [0.2, 0.8]]
    given = np.array([[1.5, 0.5], [0.2, 0.8]]) / [1.7, 1.3]
    expected = np.mean(
        [np.log(row @ given[label]) for row, label in zip(np.array(theta), [0, 0, 1], strict=True)]
    )
    assert score(theta, [0, 0, 1], method="leep") == pytest.approx(expected, abs=1e-15)


def test_nce_of_a_worked_example():
    # Source label a: two cats, one dog. Source label b: one dog.
    found = score(["a", "a", "a", "b"], ["cat", "cat", "dog", "dog"], method="nce")
    expected = (2 * math.log(2 / 3) + math.log(1 / 3)) / 4
    assert found == pytest.approx(expected, abs=1e-15)


def test_leep_of_certain_sources_is_nce():
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, 6, 40), rng.integers(0, 3, 40)
    found = score(np.eye(6)[source], target, method="leep")
    assert found == pytest.approx(score(source, target, method="nce"), abs=1e-14)


@pytest.mark.parametrize("method", [m for m in ON_FEATURES if m != "energy"])
def test_features_that_know_the_label_beat_noise(method):
    pytest.importorskip("sklearn")
    good, labels = blobs(n=60, apart=3.0)
    noise = np.random.default_rng(1).normal(size=good.shape) * good.std(axis=0) + good.mean(axis=0)
    assert score(good, labels, method=method) > score(noise, labels, method=method)


@pytest.mark.parametrize("method", IN_RUST)
@pytest.mark.parametrize(
    ("n", "dim", "n_classes"), [(12, 3, 12), (12, 3, 11), (4, 50, 2), (300, 2, 2), (2, 1, 2)]
)
def test_extreme_shapes_have_a_finite_score(method, n, dim, n_classes):
    features, labels = blobs(n, dim, n_classes)
    assert math.isfinite(score(features, labels, method=method))


@pytest.mark.parametrize("method", IN_RUST)
def test_duplicates_constant_columns_and_equal_examples_have_a_finite_score(method):
    features, labels = blobs()
    low, high = method_info(method).range
    for changed in (
        np.hstack([features, np.full((len(features), 3), 0.1)]),
        np.hstack([features, features]),
        np.full_like(features, 0.3),
        np.repeat(features[:1], len(features), axis=0),
    ):
        assert low <= score(changed, labels, method=method) <= high
    twice = score(np.vstack([features, features]), np.tile(labels, 2), method=method)
    assert math.isfinite(twice)


@pytest.mark.parametrize("method", IN_RUST)
@pytest.mark.parametrize("dtype", ["float16", "float32", ml_dtypes.bfloat16])
def test_a_narrow_number_scores_as_the_same_wide_number(method, dtype):
    features, labels = blobs()
    narrow = features.astype(dtype)
    wide = narrow.astype(np.float64)
    assert score(narrow, labels, method=method) == score(wide, labels, method=method)


@pytest.mark.parametrize("method", IN_RUST)
def test_layout_and_write_protection_change_no_bit(method):
    features, labels = blobs()
    expected = score(features, labels, method=method)
    frozen = features.copy()
    frozen.flags.writeable = False
    for changed in (
        np.asfortranarray(features),
        np.repeat(features, 2, axis=1)[:, ::2],
        features[::-1].copy()[::-1],
        frozen,
        features.tolist(),
    ):
        assert score(changed, labels, method=method) == expected
    assert score(features, tuple(labels.tolist()), method=method) == expected


@pytest.mark.parametrize("method", IN_RUST)
def test_threads_change_no_bit(method):
    cells = [blobs(n=20 + seed, seed=seed) for seed in range(7)]
    expected = score_many(cells, method=method, n_threads=1)
    for n_threads in (2, 8):
        assert score_many(cells, method=method, n_threads=n_threads) == expected
    assert [score(*cell, method=method) for cell in cells] == expected


BAD = [
    (([[0.0], [math.nan]], [0, 1]), {}, NonFiniteError, "features: row 1, column 0"),
    (([[0.0], [math.inf]], [0, 1]), {}, NonFiniteError, "features: row 1, column 0"),
    (([[0.0], [1.0], [2.0]], [0, 1]), {}, ShapeError, "got 3 rows and 2 labels"),
    (([[0.0], [1.0]], [0, 0]), {}, ShapeError, "all 2 labels are equal"),
    (([[0.0], [1.0]], [0.5, 1.0]), {}, DTypeError, "labels: are float64"),
    (([[0.0], [1.0]], [1, "1"]), {}, DTypeError, "labels: hold texts and 1"),
    (([[0.0], [1.0]], [[0], [1]]), {}, ShapeError, r"labels: got shape \(2, 1\)"),
    (([[0], [1]], [0, 1]), {}, DTypeError, "int64"),
    ((np.zeros(4), [0, 1, 0, 1]), {}, ShapeError, r"features: got shape \(4,\)"),
    ((np.zeros((2, 2, 2)), [0, 1]), {}, ShapeError, "features"),
    (([[1e120], [1.0]], [0, 1]), {}, ValueError, "divide them by a constant"),
    (([[0.0], [1.0]], [0, 1]), {"method": "magic"}, UnknownNameError, "method='magic'"),
    (([[0.0], [1.0]], [0, 1]), {"k": 3}, UnknownNameError, "'logme' has no option 'k'"),
    (([[0.0], [1.0]], [0, 1]), {"method": "knn", "k": 0}, ValueError, "k is 0"),
    (([[0.0], [1.0]], [0, 1]), {"method": "trans_rate", "epsilon": 0.0}, ValueError, "epsilon"),
    (
        ([[0.0], [1.0]], [0, 1]),
        {"method": "energy", "temperature": -1.0},
        ValueError,
        "temperature",
    ),
    (([[0.0], [1.0]], [0, 1]), {"method": "gbc", "covariance": "round"}, UnknownNameError, "round"),
    (([[0.2], [1.0]], [0, 1]), {"method": "leep"}, ValueError, "row 0 does not sum to 1"),
    (([[2.0, -1.0], [1.0, 0.0]], [0, 1]), {"method": "leep"}, ValueError, "negative number"),
    (([0.5, 1.0], [0, 1]), {"method": "nce"}, DTypeError, "source labels"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), BAD)
def test_bad_input_is_refused_by_name(arguments, options, error, message):
    with pytest.raises(error, match=message):
        score(*arguments, **options)


def test_a_matrix_ranks_sources_and_leaves_gaps_missing():
    good, labels = blobs(n=40, apart=4.0)
    noise = np.random.default_rng(0).normal(size=(40, 9))
    inputs = {"rte": {"noise": noise, "mnli": good}, "cb": {"mnli": good}}
    seen: list[int] = []
    matrix = transferability_matrix(
        inputs, {"rte": labels, "cb": labels}, method="h_score", progress=seen.append
    )
    assert rank_sources(matrix, "rte").sources == ("mnli", "noise")
    assert np.isnan(matrix.row("cb")[0])
    assert matrix.kernel == "h_score"
    assert seen[-1] == 3
    knn = transferability_matrix(inputs, {"rte": labels, "cb": labels}, method="knn", k=3)
    assert knn.options == {"needs": "features", "k": 3}


def test_a_matrix_says_which_source_and_target_are_wrong():
    inputs = {"rte": {"mnli": [[0.0], [math.nan]]}}
    with pytest.raises(NonFiniteError, match="features of source 'mnli' for target 'rte': row 1"):
        transferability_matrix(inputs, {"rte": [0, 1]})
    with pytest.raises(UnknownNameError, match="labels of target 'rte'"):
        transferability_matrix(inputs, {"cb": [0, 1]})
    with pytest.raises(ShapeError, match="no features at all"):
        transferability_matrix({}, {})
