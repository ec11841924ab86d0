"""What words, pooled tokens and hidden states refuse, instead of guessing or crashing."""

from __future__ import annotations

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.embeddings import embed_vocabulary, embed_words, pool_tokens
from kinatlas.errors import DTypeError, ShapeError

TEXTS = {"a": ["red cat", "blue dog"], "b": ["stocks fell"]}


@pytest.mark.parametrize(
    "wrong",
    [{"n_features": -1}, {"n_features": 1.5}, {"n_features": 2**31}, {"seed": -1}, {"seed": 2**32}],
)
def test_hashing_refuses_settings_out_of_range(wrong: dict[str, int]) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=next(iter(wrong))):
        embed_words(TEXTS, **wrong)


def test_no_features_are_an_error_and_not_the_end_of_the_process() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match="n_features=0"):
        embed_words(TEXTS, n_features=0)


def test_a_task_without_a_word_is_named_and_never_a_vector_of_zeros() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ShapeError, match=r"'b'.*no text holds a word"):
        embed_words({"a": ["red cat"], "b": ["!", "..."]})


def test_one_text_of_stop_words_is_not_taken_letter_by_letter() -> None:
    with pytest.raises(DTypeError, match="stop_words='the'"):
        embed_vocabulary(TEXTS, stop_words="the")


def test_weights_are_one_for_each_token_and_those_of_padding_do_not_count() -> None:
    states, mask = np.arange(12.0).reshape(2, 3, 2), np.array([[1, 1, 0], [1, 1, 1]])
    weights = np.array([[1.0, 3.0, np.nan], [1.0, 1.0, 2.0]])
    pooled = pool_tokens(states, mask, pool="weighted", weights=weights)
    np.testing.assert_allclose(pooled, [[1.5, 2.5], [8.5, 9.5]])
    for wrong in (weights[1], weights[:, :2]):
        with pytest.raises(ShapeError, match="weights have shape"):
            pool_tokens(states, mask, pool="weighted", weights=wrong)
    with pytest.raises(ValueError, match="finite"):
        pool_tokens(states, mask, pool="weighted", weights=np.where(mask > 0, np.inf, 0.0))


def test_complex_numbers_are_refused_and_not_cut() -> None:
    states = np.ones((2, 3, 2)) + 1j
    with pytest.raises(DTypeError, match="complex"):
        pool_tokens(states)
    with pytest.raises(DTypeError, match="complex"):
        ka.embed_states(states, name="a", space="gpt2")
