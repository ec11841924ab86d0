"""Recommenders as a stranger uses them: odd arrays, odd settings, a frozen model trained on."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, SpaceError

torch = pytest.importorskip("torch")

from kinatlas.torch import MptRec, fit_recommender, freeze  # noqa: E402

RNG = np.random.default_rng(0)
CODES = np.stack([RNG.integers(0, 4, 300), RNG.integers(0, 6, 300)], axis=1)
LABELS = np.stack([CODES[:, 0] > 1, CODES[:, 1] % 2 == 1], axis=1)


def model(**options) -> MptRec:
    options = {"expert": (8, 4), "tower": (4,)} | options
    return MptRec({"device": 4, "hour": 6}, ["click", "buy"], **options)


def fit(to, codes=CODES, labels=LABELS, **options):
    return fit_recommender(to, codes, labels, **({"n_epochs": 2} | options))


def test_rows_given_backwards_or_in_foreign_byte_order_are_read_as_they_stand():
    wanted = model().predict_proba(CODES)
    np.testing.assert_array_equal(model().predict_proba(CODES[::-1]), wanted[::-1])
    np.testing.assert_array_equal(model().predict_proba(CODES.astype(">i8")), wanted)
    one, other = model(), model()
    fit(one, CODES[::-1], LABELS[::-1])
    fit(other, CODES[::-1].copy(), LABELS[::-1].copy())
    assert one.digest == other.digest


@pytest.mark.parametrize("codes", [CODES.astype(str), CODES.astype(object), None])
def test_codes_that_are_no_numbers_are_refused_by_name(codes):
    with pytest.raises(DTypeError, match=r"codes: are .*encode"):
        model().predict_proba(codes)
    with pytest.raises(DTypeError, match="training: codes"):
        fit(model(), codes)


def test_labels_and_dense_values_that_are_no_numbers_are_refused_by_name():
    with pytest.raises(DTypeError, match="training: labels"):
        fit(model(), labels=LABELS.astype(str))
    with pytest.raises(DTypeError, match="training: dense"):
        fit(model(n_dense=1), dense=np.full((300, 1), "warm"))


@pytest.mark.parametrize("codes", [5, [[1, 2], [3]]])
def test_codes_that_are_no_table_are_refused_by_shape(codes):
    with pytest.raises(ShapeError, match="codes"):
        model().predict_proba(codes)


@pytest.mark.parametrize("validation", [5, (CODES,), (CODES, LABELS, None, 3)])
def test_validation_rows_that_are_no_pair_are_refused(validation):
    with pytest.raises(ShapeError, match="validation"):
        fit(model(), validation=validation)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "embedding_decay"])
@pytest.mark.parametrize("rate", [-1.0, np.nan, np.inf, "fast"])
def test_a_rate_that_is_no_finite_number_is_refused_before_training(name, rate):
    start = model()
    before = start.digest
    with pytest.raises(ValueError, match=name):
        fit(start, **{name: rate})
    assert start.digest == before


def test_a_run_with_settings_of_numpy_resumes_from_its_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    one, other = model(), model()
    fit(one, checkpoint=path, batch_size=np.int64(64), learning_rate=np.float64(0.01))
    record = fit(other, checkpoint=path, batch_size=64, learning_rate=0.01)
    assert one.digest == other.digest
    assert len(record.epochs) == 2
    with pytest.raises(FormatError, match="fingerprint"):
        fit(model(seed=1), checkpoint=path, batch_size=64, learning_rate=0.01)


def test_a_frozen_recommender_refuses_to_be_trained_and_its_copy_does_not():
    frozen = model()
    proof = freeze(frozen, CODES[:9])
    with pytest.raises(SpaceError, match="frozen"):
        fit(frozen)
    proof.verify(frozen)
    fit(copy.deepcopy(frozen).requires_grad_(True))
    proof.verify(frozen)


def test_a_buffer_that_changes_what_codes_mean_breaks_the_proof_whatever_the_canary():
    frozen = model()
    proof = freeze(frozen, np.zeros((1, 2), int))
    frozen.inputs.sizes[1] = 3
    with pytest.raises(SpaceError, match="hash"):
        proof.verify(frozen)


def test_the_canary_batch_is_the_proofs_own():
    rows, frozen = CODES[:9].copy(), model()
    proof = freeze(frozen, rows)
    rows[:] = 0
    proof.verify(frozen)


def test_predicting_leaves_the_mode_of_every_part_as_it_was():
    start = model(dropout=(0.5, 0.5)).train()
    start.own[0].eval()
    modes = [part.training for part in start.modules()]
    start.predict_proba(CODES)
    start.features(CODES)
    assert [part.training for part in start.modules()] == modes


def test_a_training_that_fails_leaves_the_model_without_dropout():
    start = model(dropout=(0.5, 0.5))
    with pytest.raises(NonFiniteError):
        fit(start, learning_rate=1e30)
    assert not any(part.training for part in start.modules())
