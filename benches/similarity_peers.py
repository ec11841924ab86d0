"""What people use for token similarity, each as one function of two stacks of prompts.

Every contender takes ``sources [S, n, dim]`` and ``targets [T, m, dim]`` (or, for one query against
documents of any length, ``query [n, dim]``, ``rows [total, dim]`` and ``offsets [T + 1]``) in
float32 and returns the mean over source tokens of the best target token, ``[T, S]``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

Scores = np.ndarray
# Rows of a target block and of a source block, best of a grid for oneDNN and OpenBLAS.
TARGET_ROWS, SOURCE_ROWS = 6400, 800


def numpy_loop(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """One product and one maximum per pair."""
    return np.array([[(s @ t.T).max(1).mean() for s in sources] for t in targets])


def numpy_one_product(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """One product over everything, then maxima; the whole matrix of tokens in memory."""
    (n_s, n, dim), (n_t, m, _) = sources.shape, targets.shape
    products = targets.reshape(-1, dim) @ sources.reshape(-1, dim).T
    return products.reshape(n_t, m, n_s, n).max(1).mean(2)


def best_blas(sources: np.ndarray, targets: np.ndarray, dtype: str = "float32") -> Scores:
    """Blocks through oneDNN with targets laid token by token, so that maxima run over long rows."""
    import torch

    kind = getattr(torch, dtype)
    a, b = torch.from_numpy(sources).to(kind), torch.from_numpy(targets).to(kind)
    (n_s, n, dim), (n_t, m, _) = a.shape, b.shape
    found = torch.empty(n_t, n_s)
    step_t, step_s = max(1, TARGET_ROWS // m), max(1, SOURCE_ROWS // n)
    for t0 in range(0, n_t, step_t):
        block = b[t0 : t0 + step_t]
        k = len(block)
        laid = block.transpose(0, 1).reshape(m * k, dim)
        for s0 in range(0, n_s, step_s):
            part = a[s0 : s0 + step_s]
            scores = (laid @ part.reshape(-1, dim).T).view(m, k, len(part), n)
            found[t0 : t0 + k, s0 : s0 + len(part)] = scores.amax(0).float().mean(2)
    return found.numpy()


def torch_bf16(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """The same with tokens rounded to bfloat16: AMX where the processor has it."""
    return best_blas(sources, targets, "bfloat16")


def torch_einsum(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """The einsum of PyLate and ColPali: the four-dimensional matrix in memory."""
    import torch

    a, b = torch.from_numpy(sources), torch.from_numpy(targets)
    return torch.einsum("ash,bth->abst", a, b).max(-1).values.mean(-1).T.numpy()


def fast_maxsim(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """One call per query; it returns sums."""
    import fast_maxsim

    rows = [fast_maxsim.maxsim_scores(source, targets) for source in sources]
    return np.stack(rows, axis=1) / sources.shape[1]


def maxsim_cpu(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """The same by the package it was forked from."""
    import maxsim_cpu

    rows = [maxsim_cpu.maxsim_scores(source, targets) for source in sources]
    return np.stack(rows, axis=1) / sources.shape[1]


def faiss_knn(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """Exact search for the one nearest token, one target after the other."""
    import faiss

    (n_s, n, _dim), stacked = sources.shape, sources.reshape(-1, sources.shape[2])
    best = [
        faiss.knn(stacked, target, 1, metric=faiss.METRIC_INNER_PRODUCT)[0] for target in targets
    ]
    return np.stack(best).reshape(len(targets), n_s, n).mean(2)


def jax_einsum(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """One compiled einsum and its maximum."""
    return np.asarray(_jax_scores()(sources, targets))


@functools.cache
def _jax_scores() -> Callable[[np.ndarray, np.ndarray], object]:
    import jax

    return jax.jit(lambda a, b: jax.numpy.einsum("ash,bth->bast", a, b).max(-1).mean(-1))


def numkong_packed(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """Both sides packed once, one call per pair."""
    import numkong

    left, right = ([numkong.maxsim_pack(prompt) for prompt in side] for side in (sources, targets))
    sums = [[numkong.maxsim_packed(a, b) for a in left] for b in right]
    return 1 - np.array(sums) / sources.shape[1]


def sklearn_argmin(sources: np.ndarray, targets: np.ndarray) -> Scores:
    """Distances of unit tokens, one target after the other."""
    from sklearn.metrics import pairwise_distances_argmin_min

    (n_s, n, _dim), stacked = sources.shape, sources.reshape(-1, sources.shape[2])
    squared = [
        pairwise_distances_argmin_min(stacked, target, metric="sqeuclidean")[1]
        for target in targets
    ]
    return (1 - np.stack(squared) / 2).reshape(len(targets), n_s, n).mean(2)


def query_loop(query: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> Scores:
    """One product per document."""
    bounds = itertools.pairwise(offsets)
    return np.array([[(query @ rows[a:b].T).max(1).mean()] for a, b in bounds])


def query_reduceat(query: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> Scores:
    """Blocks of documents, maxima by ``reduceat``."""
    found, step = [], 50
    for start in range(0, len(offsets) - 1, step):
        bounds = offsets[start : start + step + 1]
        scores = rows[bounds[0] : bounds[-1]] @ query.T
        found.append(np.maximum.reduceat(scores, bounds[:-1] - bounds[0], axis=0).mean(1))
    return np.concatenate(found)[:, None]


def query_segments(query: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> Scores:
    """Blocks of documents through oneDNN, maxima by ``segment_reduce``."""
    import torch

    q, documents, found, step = torch.from_numpy(query), torch.from_numpy(rows), [], 50
    for start in range(0, len(offsets) - 1, step):
        bounds = offsets[start : start + step + 1]
        scores = documents[bounds[0] : bounds[-1]] @ q.T
        lengths = torch.from_numpy(np.diff(bounds))
        found.append(torch.segment_reduce(scores, "max", lengths=lengths).mean(1))
    return torch.cat(found).numpy()[:, None]


def query_padded(query: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> Scores:
    """Padded batches with a mask, as ColPali and PyLate do."""
    import torch

    q, found, step = torch.from_numpy(query), [], 64
    for start in range(0, len(offsets) - 1, step):
        bounds = offsets[start : start + step + 1]
        parts = [torch.from_numpy(rows[a:b]) for a, b in itertools.pairwise(bounds)]
        padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        lengths = torch.tensor([len(part) for part in parts])
        mask = torch.arange(padded.shape[1])[None] < lengths[:, None]
        scores = torch.einsum("sh,bth->bst", q, padded)
        scores = scores.masked_fill(~mask[:, None], float("-inf"))
        found.append(scores.max(-1).values.mean(-1))
    return torch.cat(found).numpy()[:, None]


def _variable(package: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Scores]:
    def run(query: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> Scores:
        module = __import__(package)
        bounds = itertools.pairwise(offsets)
        documents = [rows[a:b] for a, b in bounds]
        return np.asarray(module.maxsim_scores_variable(query, documents))[:, None] / len(query)

    return run


def _installed(
    peers: dict[str, tuple[str, Callable[..., Scores]]],
) -> dict[str, Callable[..., Scores]]:
    return {name: run for name, (module, run) in peers.items() if find_spec(module)}


STACKED = _installed(
    {
        "best BLAS (torch, oneDNN)": ("torch", best_blas),
        "torch bf16": ("torch", torch_bf16),
        "numpy one product": ("numpy", numpy_one_product),
        "numpy loop": ("numpy", numpy_loop),
        "torch einsum": ("torch", torch_einsum),
        "fast-maxsim": ("fast_maxsim", fast_maxsim),
        "maxsim-cpu": ("maxsim_cpu", maxsim_cpu),
        "faiss knn": ("faiss", faiss_knn),
        "jax einsum": ("jax", jax_einsum),
        "NumKong packed": ("numkong", numkong_packed),
        "scikit-learn argmin": ("sklearn", sklearn_argmin),
    }
)
# Those that write the scores of all tokens at once.
WHOLE = ("numpy one product", "torch einsum", "jax einsum")
ONE_QUERY = _installed(
    {
        "torch blocks + segment_reduce": ("torch", query_segments),
        "numpy blocks + reduceat": ("numpy", query_reduceat),
        "numpy loop": ("numpy", query_loop),
        "torch padded einsum": ("torch", query_padded),
        "fast-maxsim": ("fast_maxsim", _variable("fast_maxsim")),
        "maxsim-cpu": ("maxsim_cpu", _variable("maxsim_cpu")),
    }
)


def is_safe(name: str, n_source: int, n_target: int, dim: int) -> bool:
    """Whether a contender survives these shapes: maxsim-cpu 0.1.0 crashes beyond 64 cubed."""
    return name != "maxsim-cpu" or min(64, n_target) * n_source * dim <= 64**3
