"""Frozen features of texts: the coordinates a surrogate is written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._frames import require
from kinatlas.behavior.boxes import digest
from kinatlas.behavior.probes import probe_key
from kinatlas.behavior.responses import Floats
from kinatlas.errors import FormatError, NonFiniteError, ShapeError

__all__ = ["TextFeatures", "encoder_features", "tfidf_features"]


@dataclass(frozen=True, eq=False, repr=False)
class TextFeatures:
    """A map from texts to features [n_texts, n_features], with its mean and spread over a corpus.

    Examples
    --------
    >>> found = encoder_features(lambda texts: [[len(t), t.count("a")] for t in texts],
    ...                          ["a", "bb", "aba"], name="counts")
    >>> found(["aa"]), found.mean.shape
    (array([[2., 2.]]), (2,))
    """

    encode: Callable[[Sequence[str]], Any]
    id: str
    mean: Floats
    covariance: Floats

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return features [n_texts, n_features].

        Raises `ShapeError` or `NonFiniteError` if the encoder returns anything else.
        """
        return _checked(self.encode(list(texts)), len(texts), len(self.mean))

    @property
    def n_features(self) -> int:
        """Width."""
        return len(self.mean)

    @property
    def variance(self) -> float:
        """Mean variance of a feature: the unit of the penalty."""
        return float(np.trace(self.covariance)) / self.n_features

    @cached_property
    def root(self) -> Floats:
        """Symmetric root of the covariance: turns weights into functions of unit scale."""
        return _core.symmetric_root(np.ascontiguousarray(self.covariance))

    def __repr__(self) -> str:
        return f"TextFeatures {self.id}: {self.n_features} features"


def _checked(values: Any, n_texts: int, width: int | None) -> Floats:
    found = np.ascontiguousarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[0] != n_texts or (width or found.shape[1]) != found.shape[1]:
        raise ShapeError(
            f"the encoder returned shape {found.shape} for {n_texts} texts, expected "
            f"[n_texts, {width or 'n_features'}]"
        )
    if not np.isfinite(found).all():
        row = int(np.argwhere(~np.isfinite(found))[0, 0])
        raise NonFiniteError(f"the encoder returned NaN or infinity for text {row}")
    return found


def encoder_features(
    encode: Callable[[Sequence[str]], Any], texts: Sequence[str], *, name: str, version: str = "1"
) -> TextFeatures:
    """Return the features of your own encoder, frozen over a reference corpus.

    Parameters
    ----------
    encode
        Maps texts to vectors [n_texts, n_features], always the same.
    texts
        Corpus whose mean and covariance set origin and units, for example the probe bank.
    name, version
        What the space is named by: with another encoder choose another name.

    Raises
    ------
    ShapeError, NonFiniteError
        If the encoder does not return finite vectors of one width.
    FormatError
        If there are fewer than two texts, or they all look the same.

    Examples
    --------
    >>> encoder_features(lambda texts: [[float(len(t))] for t in texts], ["a", "bb"], name="len")
    TextFeatures len:1:...: 1 features
    """
    corpus = list(texts)
    values = _checked(encode(corpus), len(corpus), None)
    if len(corpus) < 2:
        raise FormatError("features need a corpus of at least two texts")
    mean = values.mean(axis=0)
    covariance = _core.ridge_moments(values - mean, np.zeros((len(corpus), 1)))[1:-1, 1:-1]
    covariance = covariance / (len(corpus) - 1)
    if not np.trace(covariance) > 0:
        raise FormatError("the encoder gives every text of the corpus the same features")
    mark = digest([name, version, sorted(map(probe_key, corpus))])[:12]
    return TextFeatures(encode, f"{name}:{version}:{mark}", mean, covariance)


def tfidf_features(texts: Sequence[str], n_features: int = 256) -> TextFeatures:
    """Return hashed TF-IDF of words and word pairs, reduced by SVD, frozen over a corpus.

    Parameters
    ----------
    texts
        Corpus, for example the probe bank or unlabelled texts of the target domain.
    n_features
        Width; less where the corpus is smaller.

    Raises
    ------
    MissingDependencyError
        Without scikit-learn (extra ``sklearn``).

    Examples
    --------
    >>> from kinatlas.behavior import builtin_bank
    >>> tfidf_features(builtin_bank().first(128).texts, 16).n_features
    16
    """
    text = require("sklearn.feature_extraction.text", "sklearn")
    require("sklearn.decomposition", "sklearn")
    from sklearn.decomposition import TruncatedSVD
    from sklearn.pipeline import make_pipeline

    corpus = list(texts)
    model = make_pipeline(
        text.HashingVectorizer(ngram_range=(1, 2), n_features=2**16, alternate_sign=False,
                               norm=None),
        text.TfidfTransformer(sublinear_tf=True),
        # Works on the smaller side: 64 texts take 0.1 s, not the 20 s of the randomised one.
        TruncatedSVD(min(n_features, len(corpus) - 1), algorithm="arpack", random_state=0),
    )  # fmt: skip
    # The order in which threads of a BLAS add up changes the last bits of the decomposition.
    limits = require("threadpoolctl", "sklearn").threadpool_limits
    with limits(1, user_api="blas"):
        model.fit(corpus)

    def transformed(some: Sequence[str]) -> Any:
        with limits(1, user_api="blas"):
            return model.transform(some)

    return encoder_features(
        transformed, corpus, name=f"tfidf-arpack-{min(n_features, len(corpus) - 1)}"
    )
