"""The distances of Task2Vec as similarities: hand-worked values, twins, promises, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas._reference_embeddings import TASK2VEC_TWINS
from kinatlas.errors import DTypeError, ShapeError, SpaceError, UnknownNameError

KERNELS = ka.kernel_names("task2vec")
POSITIVE = st.lists(st.floats(1e-3, 1e3), min_size=4, max_size=4).map(np.array)


def options(kernel: str) -> dict[str, object]:
    extra = {"trivial": np.array([1.0, 2.0, 0.5, 1.0]), "alpha": 0.15}
    return {"normalize": None} | (extra if kernel == "task2vec_asymmetric" else {})


def twin(kernel: str, source: np.ndarray, target: np.ndarray) -> float:
    extra = {name: value for name, value in options(kernel).items() if name != "normalize"}
    return TASK2VEC_TWINS[kernel](source, target, **extra)


def test_every_kernel_has_a_twin() -> None:
    assert set(KERNELS) == set(TASK2VEC_TWINS)


def test_the_cosine_distance_is_nought_for_equal_and_one_for_disjoint_diagonals() -> None:
    cosine = {"kernel": "task2vec_cosine", "normalize": None}
    assert ka.token_similarity([1.0, 0.0], [1.0, 0.0], **cosine) == 1.0
    assert ka.token_similarity([1.0, 0.0], [0.0, 1.0], **cosine) == 0.0
    assert ka.token_similarity([0.0, 0.0], [0.0, 0.0], **cosine) == 0.0


def test_divergences_match_their_hand_worked_values() -> None:
    # Ratios of variances 2 and 1/2: (2 - 1 - ln 2) / 2 is the larger divergence.
    found = ka.token_similarity([1.0, 1.0], [2.0, 1.0], kernel="task2vec_kl", normalize=None)
    assert found == pytest.approx(-(1 - np.log(2)) / 2, abs=1e-15)
    found = ka.token_similarity([1.0, 1.0], [2.0, 1.0], kernel="task2vec_jsd", normalize=None)
    assert found == pytest.approx(np.log(8 / 9) / 8, abs=1e-15)


@pytest.mark.parametrize("kernel", KERNELS)
@given(source=POSITIVE, target=POSITIVE)
def test_a_kernel_agrees_with_its_twin(kernel: str, source: np.ndarray, target: np.ndarray) -> None:
    found = ka.token_similarity(source, target, kernel=kernel, **options(kernel))
    # Sums of four terms of size at most 1e6 / 2, each with a handful of roundings.
    assert found == pytest.approx(twin(kernel, source, target), rel=1e-13, abs=4e-10)


@pytest.mark.parametrize("kernel", KERNELS)
@given(rows=st.lists(POSITIVE, min_size=2, max_size=4))
def test_what_a_kernel_promises_holds(kernel: str, rows: list[np.ndarray]) -> None:
    atlas = ka.Atlas.from_arrays({f"t{index}": row for index, row in enumerate(rows)})
    values = ka.similarity_matrix(atlas, kernel=kernel, **options(kernel)).values
    if kernel == "task2vec_asymmetric":
        assert (values >= -1).all()
        assert (values <= 0.15).all()
        assert (np.diag(values) >= 0).all()
        return
    assert np.array_equal(values, values.T)
    best = 1.0 if kernel == "task2vec_cosine" else 0.0
    np.testing.assert_allclose(np.diag(values), best, atol=1e-14)
    assert (values <= best).all()


def test_the_asymmetric_score_is_nought_where_credit_pays_for_distance() -> None:
    trivial, source = np.array([1.0, 1.0]), np.array([3.0, 0.1])
    cosine = {"kernel": "task2vec_cosine", "normalize": None}
    asymmetric = {"kernel": "task2vec_asymmetric", "normalize": None, "trivial": trivial}
    credit = 1 - ka.token_similarity(source, trivial, **cosine)
    # Towards the trivial task itself the distance is the credit: alpha = 1 pays exactly.
    assert ka.token_similarity(source, trivial, **asymmetric, alpha=1.0) == 0.0
    # With itself: all credit, no distance. From the trivial task: all distance, no credit.
    found = ka.token_similarity(source, source, **asymmetric, alpha=0.3)
    assert found == pytest.approx(0.3 * credit, rel=1e-14)
    found = ka.token_similarity(trivial, source, **asymmetric, alpha=0.3)
    assert found == pytest.approx(-credit, rel=1e-14)
    assert ka.token_similarity(trivial, trivial, **asymmetric) == pytest.approx(0.0, abs=1e-15)


def test_a_matrix_has_sources_in_columns_and_records_its_options() -> None:
    atlas = ka.Atlas.from_arrays({"a": [1.0, 0.5], "b": [0.2, 2.0]}, space="net")
    matrix = ka.similarity_matrix(
        atlas, kernel="task2vec_asymmetric", normalize=None, trivial=[1.0, 1.0]
    )
    expected = TASK2VEC_TWINS["task2vec_asymmetric"](
        np.array([1.0, 0.5]), np.array([0.2, 2.0]), np.ones(2), 0.15
    )
    assert matrix.values[1, 0] == pytest.approx(expected, rel=1e-14)
    assert matrix.options["alpha"] == 0.15
    assert matrix.kernel == "task2vec_asymmetric"


def test_what_is_no_fisher_diagonal_is_refused() -> None:
    def attempt(source: object, target: object, **changed: object) -> None:
        given = {"kernel": "task2vec_cosine", "normalize": None} | changed
        ka.token_similarity(source, target, **given)

    with pytest.raises(ValueError, match="pass normalize=None"):
        attempt([1.0], [1.0], normalize="tokens")
    with pytest.raises(ValueError, match="center='features'"):
        attempt([1.0], [1.0], center="features")
    with pytest.raises(ShapeError, match="task 'target' has 2 tokens"):
        attempt([1.0], [[1.0], [2.0]])
    with pytest.raises(ValueError, match=r"task 'source', coordinate 1 is -2.0.*never negative"):
        attempt([1.0, -2.0], [1.0, 1.0])
    for kernel in ("task2vec_kl", "task2vec_jsd"):
        with pytest.raises(ValueError, match=r"task 'target', coordinate 0 is 0.0.*above 0"):
            attempt([1.0, 2.0], [0.0, 1.0], kernel=kernel)
    with pytest.raises(ValueError, match="random labels"):
        attempt([1.0], [1.0], kernel="task2vec_asymmetric")
    with pytest.raises(ValueError, match="exchange the two"):
        attempt([1.0], [1.0], kernel="task2vec_asymmetric", trivial=[1.0], direction="symmetric")
    with pytest.raises(ShapeError, match="the trivial task have dim 2"):
        attempt([1.0], [1.0], kernel="task2vec_asymmetric", trivial=[1.0, 2.0])
    with pytest.raises(ValueError, match="no such parameter"):
        attempt([1.0], [1.0], kernel="flatten", trivial=[1.0])
    with pytest.raises(ValueError, match="task2vec_asymmetric has"):
        attempt([1.0], [1.0], trivial=[1.0])
    with pytest.raises(SpaceError, match=r"'net'.*'other'"):
        attempt(ka.Task("a", [1.0], space="net"), ka.Task("b", [1.0], space="other"))
    with pytest.raises(DTypeError, match="expected an Atlas"):
        ka.similarity_matrix([1.0], kernel="task2vec_cosine", normalize=None)
    with pytest.raises(UnknownNameError):
        ka.kernel_names("fisher")
    with pytest.raises(ka.errors.NonFiniteError, match="left the range"):
        attempt([1e-300], [1e300], kernel="task2vec_kl")


def test_overlap_of_activated_neurons_is_a_cosine_of_noughts_and_ones() -> None:
    first, second = np.array([1.0, 1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
    overlap = ka.token_similarity(first, second, kernel="flatten")
    assert overlap == pytest.approx(2 / np.sqrt(3 * 2), rel=1e-15)
