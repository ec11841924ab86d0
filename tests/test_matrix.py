"""SimilarityMatrix: names, immutability, exports and what it refuses."""

import pickle

import numpy as np
import pytest

from kinatlas.errors import FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.similarity import SimilarityMatrix


def small(**options: object) -> SimilarityMatrix:
    return SimilarityMatrix(
        [[1.0, 0.2, np.nan], [0.3, 1.0, 0.4]],
        targets=["rte", "mnli"],
        sources=["rte", "mnli", "<b>"],
        kernel="feature_mean",
        options=options,
        diagnostics={"diagonal_fraction": 0.5},
    )


def test_scores_are_a_read_only_copy():
    values = np.array([[1.0, 2.0]], dtype=np.float32)
    matrix = SimilarityMatrix(values, ["t"], ["a", "b"], "k")
    values[0, 0] = 9.0
    assert matrix.values[0, 0] == 1.0
    assert matrix.values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        matrix.values[0, 0] = 9.0


def test_a_pickle_is_equal_and_still_read_only():
    matrix = small(direction="symmetric")
    back = pickle.loads(pickle.dumps(matrix))
    assert back == matrix
    assert not back.values.flags.writeable


def test_matrices_with_other_options_are_not_equal():
    assert small(direction="symmetric") != small(direction="source_to_target")
    assert small() != "something else"


def test_selection_keeps_the_order_asked_for():
    part = small().select(sources=["mnli", "rte"], targets=["mnli"])
    assert part.values.tolist() == [[1.0, 0.3]]
    assert part.diagnostics is None
    assert small().select().diagnostics == {"diagonal_fraction": 0.5}


def test_row_gives_the_scores_of_one_target():
    assert small().row("mnli").tolist() == [0.3, 1.0, 0.4]
    with pytest.raises(UnknownNameError, match="did you mean 'mnli'"):
        small().row("mnl")


@pytest.mark.parametrize("values", [[1.0, 2.0], [[1.0]], [[1.0, 2.0], [3.0, 4.0]]])
def test_values_of_another_shape_are_refused(values):
    with pytest.raises(ShapeError, match=r"expected \[n_targets, n_sources\] = \(1, 2\)"):
        SimilarityMatrix(values, ["t"], ["a", "b"], "k")


def test_an_empty_matrix_is_refused():
    with pytest.raises(ShapeError, match="at least one target"):
        SimilarityMatrix(np.zeros((0, 1)), [], ["a"], "k")


def test_infinite_scores_are_named_by_source_and_target():
    with pytest.raises(NonFiniteError, match="source 'b' for target 't' is -inf"):
        SimilarityMatrix([[0.0, -np.inf]], ["t"], ["a", "b"], "k")
    with pytest.raises(NonFiniteError, match="neutral"):
        SimilarityMatrix([[0.0]], ["t"], ["a"], "k", neutral=float("nan"))


@pytest.mark.parametrize("sources", [["a", "a"], ["a", ""], ["a", 3], "ab"])
def test_bad_names_are_refused(sources):
    with pytest.raises(UnknownNameError, match="source"):
        SimilarityMatrix([[0.0, 1.0]], ["t"], sources, "k")


def test_text_is_no_score():
    with pytest.raises(FormatError, match="not numbers"):
        SimilarityMatrix([["x"]], ["t"], ["a"], "k")


def test_data_frames_hold_the_same_scores():
    matrix = small().select(sources=["rte", "mnli"])
    assert matrix.to_pandas().loc["mnli", "rte"] == 0.3
    assert matrix.to_polars()["rte"].to_list() == [1.0, 0.3]
    assert matrix.to_arrow()["target"].to_pylist() == ["rte", "mnli"]
    for frame in (matrix.to_polars(layout="long"), matrix.to_arrow(layout="long")):
        assert frame.shape == (4, 3)
    assert matrix.to_pandas(layout="long")["score"].tolist() == [1.0, 0.2, 0.3, 1.0]


def test_a_source_named_target_cannot_hide_the_target_column():
    matrix = SimilarityMatrix([[0.5]], ["rte"], ["target"], "k")
    assert matrix.to_pandas().columns.tolist() == ["target"]
    assert "0.5000" in repr(matrix)
    with pytest.raises(FormatError, match="layout='long'"):
        matrix.to_polars()
    with pytest.raises(UnknownNameError, match="layout='tall' is unknown"):
        matrix.to_polars(layout="tall")  # type: ignore[arg-type]


def test_a_large_matrix_prints_on_one_screen():
    names = [f"task{number:04d}" for number in range(300)]
    matrix = SimilarityMatrix(np.eye(300), names, names, "flatten")
    lines = repr(matrix).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "300 targets" in lines[0]
    assert len(matrix._repr_html_()) < 20_000


def test_names_are_escaped_in_html():
    assert "<b>" not in small()._repr_html_()
    assert "&lt;b&gt;" in small()._repr_html_()
