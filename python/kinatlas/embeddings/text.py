"""Texts as task embeddings: pooled vectors of any encoder, or words alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from kinatlas._checks import check_choice, check_whole
from kinatlas.embeddings.coordinates import real, space_of
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError
from kinatlas.interop import as_stored, widened
from kinatlas.tasks import Provenance, Task

__all__ = ["embed_text", "pool_tokens"]

_POOLS = ("mean", "cls", "last", "weighted")
_BATCH = 64

_Floats = npt.NDArray[np.float64]


def embed_text(
    texts: Any,
    encoder: Callable[[list[str]], Any] | None = None,
    *,
    name: str,
    space: str,
    batch_size: int = _BATCH,
) -> Task:
    """Return the mean vector of a data set's examples, as a task of one token [1, dim].

    Parameters
    ----------
    texts
        With an encoder: any iterable of texts, read once, ``batch_size`` at a time. Without one:
        vectors [n_examples, dim] the caller computed, or an iterable of such batches.
    encoder
        Turns a list of texts into vectors [n_texts, dim], for example
        ``SentenceTransformer(...).encode``, or `pool_tokens` around a token encoder.
    space
        The encoder; two encoders never meet.

    Raises
    ------
    ShapeError
        If there is no text, or the encoder returns another number of vectors or another width.
    DTypeError
        If a text is no text, or vectors are no floating-point numbers.
    NonFiniteError
        If a vector holds NaN or infinity; the message names the example.

    References
    ----------
    Vu et al. 2020 (TextEmb: unweighted mean over examples); Poth et al. 2021 (SEmb).

    Examples
    --------
    >>> def letters(texts):
    ...     return [[float(text.count("a")), float(len(text))] for text in texts]
    >>> embed_text(["a", "banana"], letters, name="fruit", space="letters").tokens
    array([[2. , 3.5]])
    >>> embed_text([[1.0, 0.0], [3.0, 0.0]], name="vectors", space="mine").tokens
    array([[2., 0.]])
    """
    size = check_whole(batch_size, "batch_size", 1)
    batches = _vectors(texts) if encoder is None else _encoded(texts, encoder, size)
    total: _Floats | None = None
    count = 0
    for vectors in batches:
        if total is None:
            total = np.zeros(vectors.shape[1])
        if vectors.shape[1] != len(total):
            raise ShapeError(
                f"example {count}: its vector has {vectors.shape[1]} numbers, those before "
                f"have {len(total)}"
            )
        if not np.isfinite(vectors).all():
            row, column = np.argwhere(~np.isfinite(vectors))[0]
            raise NonFiniteError(f"example {count + row}, coordinate {column} is NaN or infinite")
        # One by one, so that the batch size changes no bit.
        for vector in vectors:
            total += vector
        count += len(vectors)
    if total is None or count == 0:
        raise ShapeError(f"texts of task {name!r}: got none, expected at least one")
    origin = Provenance(base_model=space, method="TEXT", notes=(f"n_examples={count}",))
    where = space_of(space, "text", {}, len(total))
    return Task(name, (total / count)[np.newaxis, :], space=where, provenance=origin)


def _encoded(texts: Any, encoder: Callable[[list[str]], Any], batch_size: int) -> Iterable[_Floats]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        got = "one text" if isinstance(texts, str) else type(texts).__name__
        raise DTypeError(f"texts: got {got}, expected an iterable of texts")
    source = iter(texts)
    start = 0
    while batch := list(islice(source, batch_size)):
        for row, text in enumerate(batch):
            if not isinstance(text, str):
                raise DTypeError(
                    f"example {start + row}: got {type(text).__name__}, expected a text"
                )
        vectors = _wide(encoder(batch), f"encoder's answer to examples from {start}")
        if len(vectors) != len(batch):
            raise ShapeError(f"the encoder made {len(vectors)} vectors of {len(batch)} texts")
        yield vectors
        start += len(batch)


def _vectors(texts: Any) -> Iterable[_Floats]:
    if hasattr(texts, "shape") or isinstance(texts, (list, tuple)):
        yield _wide(texts, "texts")
        return
    if not isinstance(texts, Iterable):
        raise DTypeError(f"texts: got {type(texts).__name__}, expected vectors [n_examples, dim]")
    for batch in texts:
        yield _wide(batch, "batch of texts")


def _wide(values: Any, label: str) -> _Floats:
    if isinstance(values, (list, tuple)) and values and isinstance(values[0], str):
        raise DTypeError(f"{label}: got texts without an encoder; pass encoder=")
    stored, dtype = as_stored(values, label)
    return np.asarray(widened(stored, dtype), dtype=np.float64)


def pool_tokens(
    states: Any, mask: Any = None, *, pool: str = "mean", weights: Any = None
) -> _Floats:
    """Return one vector per text [n_texts, dim] from token states [n_texts, n_tokens, dim].

    Parameters
    ----------
    mask
        [n_texts, n_tokens], above 0 for tokens that count; None counts all.
    pool
        ``"mean"`` of the tokens that count; ``"cls"``, the first of them; ``"last"``, the last;
        ``"weighted"`` by ``weights`` [n_texts, n_tokens], such as inverse document frequencies.

    Raises
    ------
    ShapeError
        If the sizes do not fit together, or no token of a text counts.
    DTypeError, NonFiniteError
        If states are no real numbers, or a token that counts holds NaN or infinity.
    ValueError
        If weights are missing, not wanted, or sum to 0.
    UnknownNameError
        For an unknown pool.

    Examples
    --------
    >>> states = np.array([[[1.0], [3.0], [9.0]]])
    >>> pool_tokens(states, [[1, 1, 0]]), pool_tokens(states, pool="last")
    (array([[2.]]), array([[9.]]))
    """
    check_choice(pool, _POOLS, "pool")
    try:
        tokens: _Floats = np.asarray(real(states), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"states: cannot be read as numbers: {error}") from None
    kept = np.ones(tokens.shape[:2], dtype=bool) if mask is None else np.asarray(mask) > 0
    if tokens.ndim != 3 or kept.shape != tokens.shape[:2]:
        raise ShapeError(
            f"states have shape {tokens.shape}, mask {kept.shape}; expected [n_texts, n_tokens, "
            "dim] and [n_texts, n_tokens]"
        )
    if not kept.any(axis=1).all():
        raise ShapeError(f"text {int((~kept.any(axis=1)).argmax())} has no token that counts")
    if (weights is None) == (pool == "weighted"):
        raise ValueError(f"pool={pool!r}: weights go with pool='weighted' and with no other")
    if not np.isfinite(tokens[kept]).all():
        row = int((kept & ~np.isfinite(tokens).all(axis=2)).any(axis=1).argmax())
        raise NonFiniteError(f"text {row}: a token that counts holds NaN or infinity")
    rows = np.arange(len(tokens))
    if pool in ("cls", "last"):
        first, last = kept.argmax(axis=1), kept.shape[1] - 1 - kept[:, ::-1].argmax(axis=1)
        picked: _Floats = tokens[rows, first if pool == "cls" else last]
        return picked
    given = np.ones(kept.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != kept.shape:
        raise ShapeError(f"weights have shape {given.shape}, expected {kept.shape}, as the mask")
    # Padding may hold anything, NaN included.
    shares = np.where(kept, given, 0.0)
    if not ((shares >= 0) & (shares < np.inf)).all() or not (shares.sum(axis=1) > 0).all():
        raise ValueError("weights: expected finite numbers, none negative, no text all 0")
    shares = shares / shares.sum(axis=1, keepdims=True)
    pooled: _Floats = np.einsum("nt,ntd->nd", shares, np.where(kept[..., None], tokens, 0.0))
    return pooled
