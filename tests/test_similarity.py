"""similarity_matrix and token_similarity: what they return, record, refuse and warn of."""

from __future__ import annotations

import pickle
import warnings

import ml_dtypes
import numpy as np
import pytest

import kinatlas as ka
from kinatlas import Atlas, Task, similarity_matrix, token_similarity
from kinatlas.errors import (
    DegenerateRankingWarning,
    DTypeError,
    NonFiniteError,
    ShapeError,
    SpaceError,
    UnknownNameError,
)
from kinatlas.similarity import kernel_info
from strategies import gaussian_atlas, ragged_atlas


def test_rows_are_targets_and_columns_are_sources():
    sources = Atlas.from_arrays({"a": np.eye(2), "b": [[1.0, 0.0]]})
    targets = Atlas.from_arrays({"t": [[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]})
    matrix = similarity_matrix(sources, targets, kernel="max_pairwise", direction="symmetric")
    assert (matrix.targets, matrix.sources) == (("t",), ("a", "b"))
    # Source to target 1 and 1; target to source (1 + 1 + 0) / 3 and (1 + 0 + 0) / 3.
    np.testing.assert_allclose(matrix.values, [[5 / 6, 4 / 6]], rtol=1e-15)


def test_the_result_records_what_was_asked():
    matrix = similarity_matrix(
        ragged_atlas(), kernel="topk_mean", direction="symmetric", normalize=None, k=2
    )
    assert matrix.kernel == "topk_mean"
    assert matrix.options == {
        "direction": "symmetric",
        "normalize": None,
        "center": None,
        "k": 2,
        "dtype": "float64",
        "precision": "float64",
    }
    assert pickle.loads(pickle.dumps(matrix)) == matrix


def test_parameters_of_other_kernels_are_not_recorded():
    options = similarity_matrix(ragged_atlas(), kernel="soft_max").options
    assert options["temperature"] == 0.1
    assert "k" not in options


def test_targets_default_to_the_sources():
    atlas = ragged_atlas()
    alone = similarity_matrix(atlas, kernel="soft_max")
    both = similarity_matrix(atlas, atlas, kernel="soft_max")
    assert alone == both


def test_tasks_arrays_and_lists_are_compared_alike():
    values = [[0.5, 1.0], [2.0, -1.0]]
    for source in (Task("s", values), np.array(values), values, np.float32(values)):
        assert token_similarity(source, values, kernel="flatten") == 1.0


def test_two_spaces_never_meet():
    here, there = Task("s", np.eye(2), space="t5"), Task("t", np.eye(2), space="roberta")
    with pytest.raises(SpaceError, match=r"'t5'.*'roberta'"):
        token_similarity(here, there, kernel="flatten")
    with pytest.raises(SpaceError, match=r"'t5'.*'roberta'"):
        similarity_matrix(Atlas.from_tasks([here]), Atlas.from_tasks([there]), kernel="flatten")


def test_two_widths_never_meet():
    with pytest.raises(ShapeError, match=r"dim 2.*dim 3"):
        token_similarity(np.eye(2), np.eye(3), kernel="max_pairwise")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"kernel": "max_pairwse"}, "did you mean 'max_pairwise'.*feature_mean"),
        ({"kernel": None}, "kernel=None"),
        ({"direction": "source_to_targets"}, "did you mean 'source_to_target'"),
        ({"normalize": "token"}, "did you mean 'tokens'"),
        ({"center": "position"}, "did you mean 'positions'.*auto"),
    ],
)
def test_unknown_words_are_answered_with_the_known_ones(options, hint):
    with pytest.raises(UnknownNameError, match=hint):
        similarity_matrix(ragged_atlas(), **({"kernel": "max_pairwise"} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 2.5}, "k=2.5"),
        ({"k": True}, "k=True"),
        ({"k": "many"}, "k='many'"),
        ({"temperature": 0.1}, "'topk_mean' has no parameter temperature; soft_max has"),
    ],
)
def test_parameters_out_of_range_or_place_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        similarity_matrix(ragged_atlas(), kernel="topk_mean", **options)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValueError, match="expected a number above 0"):
        similarity_matrix(ragged_atlas(), kernel="soft_max", temperature=temperature)


@pytest.mark.parametrize("bad", [np.ones((2, 2), dtype=int), [[True, False]], [["a"]]])
def test_only_floating_point_tokens_are_compared(bad):
    with pytest.raises(DTypeError):
        token_similarity(bad, np.eye(2), kernel="flatten")


def test_a_dictionary_is_answered_with_the_way_to_an_atlas():
    with pytest.raises(DTypeError, match=r"sources: got dict.*Atlas\.from_arrays"):
        similarity_matrix({"a": np.eye(2)}, kernel="flatten")


def test_zero_threads_are_refused():
    with pytest.raises(ValueError, match="n_threads=0: expected a whole number"):
        similarity_matrix(ragged_atlas(), kernel="max_pairwise", n_threads=0)


def test_progress_counts_every_pair(capsys):
    with warnings.catch_warnings():
        # tqdm asks for ipywidgets in notebooks only.
        warnings.simplefilter("ignore")
        matrix = similarity_matrix(ragged_atlas(), kernel="max_pairwise", progress=True)
    assert "25/25" in capsys.readouterr().err
    assert matrix == similarity_matrix(ragged_atlas(), kernel="max_pairwise")


def test_all_zero_tasks_warn_that_their_order_means_nothing():
    arrays = {"a": np.eye(2), "b": np.ones((2, 2)), "zero": np.zeros((2, 2))}
    with pytest.warns(DegenerateRankingWarning, match="all sources of 'zero'"):
        matrix = similarity_matrix(Atlas.from_arrays(arrays), kernel="feature_mean")
    assert matrix.diagnostics["constant_targets"] == ["zero"]
    assert not matrix.row("zero").any()


def test_equal_sources_warn_for_every_kernel():
    tokens = np.random.default_rng(0).normal(size=(4, 3))
    sources = Atlas.from_arrays({"a": tokens, "b": tokens, "c": tokens})
    targets = Atlas.from_arrays({"t": np.random.default_rng(1).normal(size=(4, 3))})
    for kernel in ka.kernel_names():
        with pytest.warns(DegenerateRankingWarning, match="equal scores"):
            matrix = similarity_matrix(sources, targets, kernel=kernel, center=np.zeros(3))
        assert matrix.diagnostics["saturation"] == 1.0


def test_saturation_is_what_the_foreign_scores_leave_of_the_range():
    arrays = {"a": [[1.0, 0.0]], "b": [[0.8, 0.6]], "c": [[-1.0, 0.0]]}
    matrix = similarity_matrix(Atlas.from_arrays(arrays), kernel="mean_pairwise")
    # Spreads without the task itself: a 0.8 to -1, b 0.8 to -0.8, c -0.8 to -1; 2 is the range.
    assert matrix.diagnostics["saturation"] == pytest.approx(1 - (1.8 + 1.6 + 0.2) / 3 / 2)


def test_a_shared_initialisation_is_warned_of_unless_it_is_centred():
    atlas = gaussian_atlas(6, shared=2.0)
    with pytest.warns(DegenerateRankingWarning, match=r"share an initialisation.*center='auto'"):
        matrix = similarity_matrix(atlas, kernel="max_pairwise")
    assert matrix.diagnostics["diagonal_fraction"] > 0.9
    assert similarity_matrix(atlas, kernel="max_pairwise", center="auto").options["center"]
    similarity_matrix(gaussian_atlas(6), kernel="max_pairwise")


def test_diagnostics_of_positions_belong_to_kernels_they_touch():
    for kernel in ka.kernel_names():
        info = kernel_info(kernel)
        found = similarity_matrix(gaussian_atlas(3), kernel=kernel).diagnostics
        expected = info.seeks_partners or info.needs_equal_length
        assert ("diagonal_fraction" in found) == expected


def test_bfloat16_tasks_are_compared_as_stored():
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(ml_dtypes.bfloat16)
    other = np.random.default_rng(1).normal(size=(5, 8))
    exact = token_similarity(values.astype(np.float64), other, kernel="max_pairwise")
    assert token_similarity(values, other, kernel="max_pairwise") == exact


def test_a_center_of_nan_is_refused():
    with pytest.raises(NonFiniteError, match="center holds NaN"):
        similarity_matrix(gaussian_atlas(3), kernel="flatten", center=np.full(16, np.nan))
