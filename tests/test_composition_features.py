"""Cached features: what they accept, what they refuse, what they hand on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kinatlas.composition import Features
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, SpaceError, UnknownNameError


def fields(**changes) -> dict:
    rng = np.random.default_rng(0)
    plain = {
        "x": rng.normal(size=(4, 3)).astype("f"),
        "shared": rng.normal(size=(4, 2)).astype("f"),
        "own": rng.normal(size=(4, 2, 2)).astype("f"),
        "sources": ("click", "buy"),
        "keys": rng.normal(size=(2, 2)).astype("f"),
        "basis_key": "backbone",
    }
    return plain | changes


def test_arrays_are_single_precision_contiguous_and_read_only() -> None:
    given = fields(x=np.asfortranarray(np.ones((4, 3), np.float16)))
    features = Features(**given)
    for name in ("x", "shared", "own", "keys"):
        array = getattr(features, name)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert not array.flags.writeable
    assert given["shared"].flags.writeable
    assert (len(features), features.dim, features.width, features.n_sources) == (4, 3, 2, 2)


def test_rows_and_sources_are_taken_together() -> None:
    features = Features(**fields())
    for rows in ([2, 0], np.array([False, True, True, False]), slice(1, 3)):
        some = features.take(rows)
        for name in ("x", "shared", "own"):
            assert np.array_equal(getattr(some, name), getattr(features, name)[rows])
        assert some.basis_key == "backbone"
    turned = features.select(["buy", "click"])
    assert turned.sources == ("buy", "click")
    assert np.array_equal(turned.own, features.own[:, ::-1])
    assert np.array_equal(turned.keys, features.keys[::-1])
    assert features.without("buy").sources == ("click",)


def test_features_survive_a_pickle() -> None:
    features = Features(**fields())
    back = pickle.loads(pickle.dumps(features))
    assert back.sources == features.sources
    assert np.array_equal(back.own, features.own)
    assert not back.own.flags.writeable


def test_what_does_not_fit_is_refused() -> None:
    def bad(name: str, place: tuple[int, ...], value: float) -> np.ndarray:
        array = fields()[name].copy()
        array[place] = value
        return array

    for error, words, changes in [
        (ShapeError, "no source", {"sources": (), "own": np.ones((4, 0, 2), "f")}),
        (ShapeError, "own has shape", {"own": np.ones((4, 3, 2), "f")}),
        (ShapeError, "keys has shape", {"keys": np.ones((2, 5), "f")}),
        (ShapeError, "shared has shape", {"shared": np.ones((3, 2), "f")}),
        (ShapeError, "width 1", {"shared": np.ones((4, 1), "f")}),
        (ShapeError, "2 dimensions", {"x": np.ones(4, "f")}),
        (ShapeError, "at least one row", {"x": np.ones((0, 3), "f")}),
        (DTypeError, "float64", {"x": np.ones((4, 3))}),
        (DTypeError, "int64", {"keys": np.ones((2, 2), np.int64)}),
        (NonFiniteError, r"x holds nan at \[1, 2\]", {"x": bad("x", (1, 2), np.nan)}),
        (NonFiniteError, "own of source 'buy' holds inf", {"own": bad("own", (3, 1, 0), np.inf)}),
        (NonFiniteError, "keys of source 'click'", {"keys": bad("keys", (0, 0), np.nan)}),
        (UnknownNameError, "more than once", {"sources": ("buy", "buy")}),
        (SpaceError, "basis_key", {"basis_key": ""}),
    ]:
        with pytest.raises(error, match=words):
            Features(**fields(**changes))


def test_rows_and_sources_that_are_not_there_are_refused() -> None:
    features = Features(**fields())
    with pytest.raises(UnknownNameError, match="did you mean 'click'"):
        features.without("clik")
    with pytest.raises(ShapeError, match="at least one"):
        features.select([])
    with pytest.raises(ShapeError, match="no row"):
        features.take([])
    with pytest.raises(ShapeError, match="4 rows"):
        features.take([7])


def test_the_picture_of_features_is_escaped() -> None:
    features = Features(**fields(sources=("<b>", "buy")))
    assert "<b>" not in features._repr_html_()
    assert repr(features).startswith("Features: 4 rows, dim 3, width 2")
