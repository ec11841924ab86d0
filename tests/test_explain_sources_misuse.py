"""Explaining a head with rows and labels that do not fit it."""

from __future__ import annotations

import numpy as np
import pytest

from heads import problem
from kinatlas.composition import PromptHead
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.selection import explain_sources

FEATURES, LABELS = problem(200)
HEAD = PromptHead(tower=(4,), epochs=1).fit(FEATURES, LABELS)


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (["yes"] * 200, DTypeError),
        (np.where(LABELS, 1, -1), DTypeError),
        (np.where(LABELS, np.nan, 1.0), NonFiniteError),
        (np.ones(200), ShapeError),
        (LABELS[:5], ShapeError),
    ],
)
def test_labels_that_are_not_of_both_kinds_explain_nothing(labels, error):
    with pytest.raises(error, match="labels"):
        explain_sources(HEAD, FEATURES, labels, target="new")


def test_an_array_is_explained_no_more_than_it_is_predicted():
    with pytest.raises(DTypeError, match="features: got ndarray"):
        explain_sources(HEAD, FEATURES.x, LABELS, target="new")
    with pytest.raises(DTypeError, match="background: got ndarray"):
        explain_sources(HEAD, FEATURES, LABELS, target="new", background=FEATURES.x)


@pytest.mark.parametrize("given", [{"task0": LABELS}, "abc", [[1], [1, 2]]])
def test_labels_of_sources_are_a_table_in_the_order_of_the_sources(given):
    with pytest.raises(DTypeError, match="source_labels"):
        explain_sources(HEAD, FEATURES, LABELS, target="new", source_labels=given)
