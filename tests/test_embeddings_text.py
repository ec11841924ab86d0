"""Texts and hidden states as embeddings: pooling, streams, words, layers, refusals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas.embeddings import embed_vocabulary, embed_words, pool_tokens
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, SpaceError, UnknownNameError
from kinatlas.similarity import data_size_similarity

CONTEXT = {
    "space": ["a rocket left the earth", "the moon and the rocket", "an orbit of the moon"],
    "flight": ["the rocket and the orbit", "earth to moon"],
    "food": ["bread with butter", "the soup was salty", "butter and salt in the soup"],
}


def letters(texts: list[str]) -> np.ndarray:
    return np.array([[text.count(letter) for letter in "aeo"] for text in texts], float)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_batch_size_changes_no_bit_of_a_mean(batch_size: int) -> None:
    texts = [f"{'a' * (n % 7)}{'e' * (n % 5)}" for n in range(99)]
    task = ka.embed_text(
        iter(texts), lambda batch: letters(batch) / 3, name="t", space="l", batch_size=batch_size
    )
    expected = np.zeros(3)
    for row in letters(texts) / 3:
        expected += row
    assert np.array_equal(task.tokens[0], expected / 99)
    assert task.provenance.notes == ("n_examples=99",)


def test_vectors_come_as_an_array_or_as_a_stream_of_batches() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)

    def stream() -> Iterator[np.ndarray]:
        yield vectors[:3]
        yield vectors[3:]

    one = ka.embed_text(vectors, name="t", space="e")
    assert one == ka.embed_text(stream(), name="t", space="e")
    assert one.tokens.tolist() == [[4.5, 5.5, 6.5]]
    other = ka.embed_text(vectors, name="u", space="another")
    with pytest.raises(SpaceError, match=r"e\|text.*another\|text"):
        ka.token_similarity(one, other, kernel="flatten")


def test_texts_that_cannot_be_embedded_are_refused_by_place() -> None:
    with pytest.raises(ShapeError, match="'t': got none"):
        ka.embed_text([], letters, name="t", space="l")
    with pytest.raises(DTypeError, match="example 1: got int"):
        ka.embed_text(["a", 3], letters, name="t", space="l")
    with pytest.raises(DTypeError, match="got one text"):
        ka.embed_text("abc", letters, name="t", space="l")
    with pytest.raises(DTypeError, match="pass encoder="):
        ka.embed_text(["abc"], name="t", space="l")
    with pytest.raises(ShapeError, match="made 1 vectors of 2 texts"):
        ka.embed_text(["a", "b"], lambda batch: letters(batch)[:1], name="t", space="l")
    with pytest.raises(ShapeError, match="example 1: its vector has 2 numbers"):
        ka.embed_text(iter([np.ones((1, 3)), np.ones((1, 2))]), name="t", space="l")
    with pytest.raises(NonFiniteError, match="example 1, coordinate 0"):
        ka.embed_text(iter([np.ones((1, 2)), np.array([[np.nan, 1.0]])]), name="t", space="l")


@given(
    kept=st.lists(
        st.lists(st.booleans(), min_size=4, max_size=4).filter(any), min_size=1, max_size=5
    )
)
def test_pooling_looks_at_nothing_the_mask_hides(kept: list[list[bool]]) -> None:
    mask = np.array(kept)
    states = np.random.default_rng(0).standard_normal((len(mask), 4, 2))
    hidden = np.where(mask[..., None], states, np.nan)
    for pool in ("mean", "cls", "last", "weighted"):
        weights = np.arange(1.0, 5.0) * np.ones((len(mask), 1)) if pool == "weighted" else None
        found = pool_tokens(hidden, mask, pool=pool, weights=weights)
        for row, (tokens, counts) in enumerate(zip(states, mask, strict=True)):
            rows = tokens[counts]
            expected = {
                "mean": rows.mean(axis=0),
                "cls": rows[0],
                "last": rows[-1],
                "weighted": np.average(rows, axis=0, weights=np.arange(1.0, 5.0)[counts]),
            }[pool]
            np.testing.assert_allclose(found[row], expected, rtol=1e-12)


def test_pooling_refuses_what_does_not_fit() -> None:
    states = np.ones((2, 3, 4))
    with pytest.raises(ShapeError, match="text 1 has no token"):
        pool_tokens(states, [[1, 1, 0], [0, 0, 0]])
    with pytest.raises(ShapeError, match="mask"):
        pool_tokens(states, [[1, 1], [1, 1]])
    with pytest.raises(ValueError, match="weights go with"):
        pool_tokens(states, weights=np.ones((2, 3)))
    with pytest.raises(ValueError, match="no text all 0"):
        pool_tokens(states, pool="weighted", weights=np.zeros((2, 3)))
    with pytest.raises(UnknownNameError):
        pool_tokens(states, pool="max")


def test_words_alone_bring_data_sets_of_one_subject_together() -> None:
    for atlas in (embed_words(CONTEXT, dim=4), embed_vocabulary(CONTEXT, stop_words={"the"})):
        matrix = ka.similarity_matrix(atlas, kernel="flatten")
        assert matrix.row("space")[1] > matrix.row("space")[2]
    again = embed_words(CONTEXT, dim=4)
    assert again == embed_words(CONTEXT, dim=4)
    changed = embed_words(CONTEXT | {"food": ["bread", "soup"]}, dim=4)
    with pytest.raises(SpaceError):
        ka.Atlas.stack([again, changed.rename(str.upper)])


def test_vocabulary_overlap_counts_the_most_frequent_words() -> None:
    texts = {"a": ["x x x y y z"], "b": ["x x w w v"]}
    atlas = embed_vocabulary(texts, n_words=2)
    # {x, y} and {w, x}.
    assert ka.token_similarity(atlas["a"], atlas["b"], kernel="flatten") == pytest.approx(0.5)
    custom = embed_vocabulary(texts, tokenizer=lambda text: text.split()[:1])
    assert custom.dim == 1
    for wrong in ({}, {"a": []}, {"a": ["x", 3]}):
        with pytest.raises(ShapeError):
            embed_vocabulary(wrong)
    with pytest.raises(ShapeError, match="no word is left"):
        embed_vocabulary({"a": ["x"]}, stop_words=["x"])
    with pytest.raises(ShapeError, match="no text holds a word"):
        embed_words({"a": ["!"]})


def test_the_size_of_a_data_set_ranks_sources_for_every_target_alike() -> None:
    matrix = data_size_similarity({"mnli": 393_000, "rte": 2_500, "cb": 250})
    ranking = ka.rank_sources(matrix, "rte")
    assert [entry.source for entry in ranking] == ["mnli", "cb"]
    with pytest.raises(ValueError, match="'cb' is 0"):
        data_size_similarity({"cb": 0})
    with pytest.raises(ShapeError):
        data_size_similarity({})


def states(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((6, 4, 3)).astype(np.float32)


def test_states_are_averaged_over_prompts_and_dummy_queries() -> None:
    found = ka.embed_states(states(), name="t", space="gpt2")
    np.testing.assert_allclose(found.tokens, states().astype(float).mean(axis=0), rtol=1e-14)
    nested = ka.embed_states(states().reshape(3, 2, 4, 3), name="t", space="gpt2")
    np.testing.assert_allclose(nested.tokens, found.tokens, rtol=1e-14)
    assert "n_prompts=6" in nested.provenance.notes


def test_the_best_layer_is_chosen_by_held_out_scores() -> None:
    trials = np.array([[0.1, 0.5, 0.9, 0.9], [0.2, 0.8, 0.5, 0.5]])
    best = ka.embed_states(states(), name="t", space="gpt2", layer="best", scores=trials)
    assert best.space == "gpt2|states(layer=2)"
    assert best.provenance.notes[1] == "held_out_score=0.7"
    third = ka.embed_states(states(), name="t", space="gpt2", layer=2)
    assert np.array_equal(best.tokens, third.tokens)
    other = ka.embed_states(states(), name="u", space="gpt2", layer=1)
    with pytest.raises(SpaceError, match=r"layer=2.*layer=1"):
        ka.token_similarity(third, other, kernel="flatten")


def test_contrast_with_zero_shot_cancels_what_the_query_says_alone() -> None:
    query = states(5)
    shift = np.ones((4, 3), np.float32)
    task = ka.embed_states(query + shift, zero_shot=query, name="t", space="gpt2")
    np.testing.assert_allclose(task.tokens, shift, atol=1e-6)
    assert task.space == "gpt2|states(layer=all, contrast=zero_shot)"


def test_states_that_do_not_fit_are_refused() -> None:
    def attempt(values: object, **options: object) -> None:
        ka.embed_states(values, name="t", space="gpt2", **options)  # type: ignore[arg-type]

    with pytest.raises(ShapeError, match="at least 3 axes"):
        attempt(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="none empty"):
        attempt(np.ones((0, 2, 3)))
    broken = states()
    broken[1, 0, 2] = np.inf
    with pytest.raises(NonFiniteError, match=r"\(1, 0, 2\)"):
        attempt(broken)
    with pytest.raises(ShapeError, match="zero_shot has shape"):
        attempt(states(), zero_shot=states()[:3])
    with pytest.raises(ShapeError, match="scores are of 3 layers"):
        attempt(states(), layer="best", scores=[1.0, 2.0, 3.0])
    for options in ({"layer": "best"}, {"scores": [1.0] * 4}, {"layer": 4}, {"layer": -1}):
        with pytest.raises(ValueError, match="layer="):
            attempt(states(), **options)
    with pytest.raises(UnknownNameError):
        attempt(states(), layer="last")
