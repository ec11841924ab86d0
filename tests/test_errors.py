"""Every error kind of the Rust half reaches Python as its own class."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas import _core, errors, num_threads, set_num_threads
from kinatlas.errors import DTypeError, KinAtlasError, ShapeError


def test_every_error_is_also_the_builtin_callers_expect() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        if name.endswith("Error"):
            assert issubclass(kind, KinAtlasError)
            if kind is not KinAtlasError:
                builtins = (ValueError, TypeError, KeyError, ImportError, OSError, RuntimeError)
                assert issubclass(kind, builtins), name


def test_rust_errors_arrive_as_their_python_class() -> None:
    offsets = np.array([0, 1], dtype=np.int64)
    with pytest.raises(DTypeError, match="int32"):
        _core.first_nonfinite((np.ones((1, 2), dtype=np.int32), offsets))
    with pytest.raises(ShapeError, match="expected 1 rows of 2"):
        _core.first_nonfinite((np.ones((2, 2)), offsets))


def test_an_unknown_name_is_shown_without_quotes_around_the_message() -> None:
    assert str(errors.UnknownNameError("task 'x' is unknown")) == "task 'x' is unknown"


def test_the_number_of_threads_can_be_fixed_and_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINATLAS_NUM_THREADS", "3")
    assert num_threads() == 3
    set_num_threads(2)
    assert num_threads() == 2
    set_num_threads(None)
    monkeypatch.setenv("KINATLAS_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="'many', expected a whole number"):
        num_threads()
    for wrong in (0, 10**6):
        with pytest.raises(ValueError, match=f"n_threads is {wrong}, expected .* 1 to 1024"):
            set_num_threads(wrong)
