"""Data sets as their words alone: the baselines every embedding must beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from kinatlas._checks import check_names, check_whole
from kinatlas._frames import require
from kinatlas.embeddings.coordinates import space_of
from kinatlas.errors import DTypeError, ShapeError
from kinatlas.tasks import Atlas, Provenance

__all__ = ["embed_vocabulary", "embed_words"]

_WORD = re.compile(r"[^\W_]+")
_HASHED = 1 << 18


def embed_words(
    texts: Mapping[str, Iterable[str]],
    *,
    dim: int = 64,
    n_features: int = _HASHED,
    seed: int = 0,
) -> Atlas:
    """Return data sets as vectors of their words, without any model: hashed TF-IDF, then SVD.

    The space belongs to these data sets together: frequencies and axes are fitted on all of them,
    so all tasks of one comparison go into one call.

    Parameters
    ----------
    texts
        ``{task: texts}``.
    dim
        Coordinates at most; no more than examples or hashed words allow.
    n_features, seed
        Of the hashing and of the SVD.

    Raises
    ------
    DTypeError
        If ``texts`` is no mapping, or the texts of a task are no list of texts.
    ShapeError
        If there is no task, or a task has no text or no word.
    ValueError
        For a ``dim``, ``n_features`` or ``seed`` out of range.
    MissingDependencyError
        If scikit-learn is not installed.

    References
    ----------
    Deerwester et al. 1990 (latent semantic analysis); Weinberger et al. 2009 (feature hashing).

    Examples
    --------
    >>> atlas = embed_words({"rte": ["a cat sat", "a dog ran"], "cb": ["the stock fell"]}, dim=2)
    >>> atlas.names, atlas.dim
    (('rte', 'cb'), 2)
    """
    names, all_texts = _listed(texts)
    check_whole(dim, "dim", 1)
    # 0 would end the process: the hash is divided by it.
    if check_whole(n_features, "n_features", 1) >= 2**31 or check_whole(seed, "seed", 0) >= 2**32:
        raise ValueError(f"n_features={n_features}, seed={seed}: expected below 2^31 and 2^32")
    extraction = require("sklearn.feature_extraction.text", "sklearn")
    hashing = extraction.HashingVectorizer(n_features=n_features, alternate_sign=False, norm=None)
    counts = hashing.transform([text for rows in all_texts for text in rows])
    bounds = np.cumsum([0, *(len(rows) for rows in all_texts)])
    for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True):
        if counts[start:end].nnz == 0:
            raise ShapeError(f"texts of task {name!r}: no text holds a word of two letters or more")
    weighted = extraction.TfidfTransformer().fit_transform(counts)
    used = np.flatnonzero(np.bincount(counts.indices, minlength=n_features))
    weighted = weighted[:, used]
    size = min(dim, weighted.shape[1], weighted.shape[0])
    if size < min(weighted.shape):
        decomposition = require("sklearn.decomposition", "sklearn")
        svd = decomposition.TruncatedSVD(size, algorithm="randomized", random_state=seed)
        vectors = svd.fit_transform(weighted)
    else:
        vectors = np.linalg.svd(weighted.toarray(), full_matrices=False)
        vectors = vectors[0] * vectors[1]
    arrays = {
        name: vectors[start:end].mean(axis=0)
        for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True)
    }
    layout = [sha256("\0".join(rows).encode()).hexdigest() for rows in all_texts]
    settings = {"dim": size, "n_features": n_features, "seed": seed}
    return _atlas(arrays, space_of("words", "tfidf", settings, layout), "TFIDF_SVD", all_texts)


def embed_vocabulary(
    texts: Mapping[str, Iterable[str]],
    *,
    n_words: int = 1000,
    stop_words: Iterable[str] = (),
    tokenizer: Callable[[str], Iterable[str]] | None = None,
) -> Atlas:
    """Return data sets as 0 and 1 over words: 1 for each task's ``n_words`` most frequent ones.

    ``token_similarity(..., kernel="flatten")`` is then the share of common words,
    |A and B| / sqrt(|A| |B|): the vocabulary overlap, for two vocabularies of equal size.

    Parameters
    ----------
    texts
        ``{task: texts}``; template words count too, so pass texts without their template.
    stop_words
        Words that do not count.
    tokenizer
        Turns a text into words; the default takes runs of letters and digits, lower-cased.

    Raises
    ------
    DTypeError
        If ``texts`` is no mapping, the texts of a task are no list of texts, or ``stop_words`` are
        one text.
    ShapeError
        If there is no task, or a task has no text or no word.

    References
    ----------
    Lin et al. 2024, vocabulary overlap, with the 1000 most frequent words.

    Examples
    --------
    >>> atlas = embed_vocabulary({"a": ["cat dog"], "b": ["dog bird"]})
    >>> import kinatlas as ka
    >>> ka.token_similarity(atlas["a"], atlas["b"], kernel="flatten").__round__(6)
    0.5
    """
    names, all_texts = _listed(texts)
    size = check_whole(n_words, "n_words", 1)
    if isinstance(stop_words, str):
        raise DTypeError(f"stop_words={stop_words!r}: got one text, expected several words")
    ignored = set(stop_words)
    chosen = {}
    for name, rows in zip(names, all_texts, strict=True):
        split = tokenizer or (lambda text: _WORD.findall(text.lower()))
        counts = Counter(word for text in rows for word in split(text) if word not in ignored)
        if not counts:
            raise ShapeError(f"texts of task {name!r}: no word is left")
        # Words of one frequency go in alphabetical order, not in that of their first use.
        ranked = sorted(counts, key=lambda word, counts=counts: (-counts[word], word))  # type: ignore[misc]
        chosen[name] = set(ranked[:size])
    vocabulary = sorted(set().union(*chosen.values()))
    arrays = {
        name: np.array([float(word in words) for word in vocabulary])
        for name, words in chosen.items()
    }
    space = space_of("words", "vocabulary", {"n_words": size}, vocabulary)
    return _atlas(arrays, space, "VOCABULARY", all_texts)


def _listed(texts: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], list[list[str]]]:
    if not isinstance(texts, Mapping):
        raise DTypeError(f"texts: got {type(texts).__name__}, expected a mapping of task to texts")
    names = check_names(texts, "task")
    if not names:
        raise ShapeError("texts: got no task, expected at least one")
    for name in names:
        if isinstance(texts[name], str) or not isinstance(texts[name], Iterable):
            got = type(texts[name]).__name__
            raise DTypeError(f"texts of task {name!r}: got {got}, expected a list of texts")
    rows = [list(texts[name]) for name in names]
    for name, found in zip(names, rows, strict=True):
        if not found or not all(isinstance(text, str) for text in found):
            raise ShapeError(f"texts of task {name!r}: expected at least one text, nothing else")
    return names, rows


def _atlas(arrays: dict[str, Any], space: str, method: str, texts: list[list[str]]) -> Atlas:
    origins = {
        name: Provenance(method=method, notes=(f"n_examples={len(rows)}",))
        for name, rows in zip(arrays, texts, strict=True)
    }
    return Atlas.from_arrays(arrays, space=space, provenance=origins)
