"""What the noise of the truth leaves to predict: what other seeds of the truth itself get."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import numpy as np

from kinatlas._seeds import Rng
from kinatlas.consistency.cubes import over_targets, seed_cube
from kinatlas.consistency.findings import Findings
from kinatlas.errors import DTypeError
from kinatlas.evaluation import Evaluation, TransferTable, evaluate
from kinatlas.similarity import SimilarityMatrix

__all__ = ["noise_ceiling"]


def noise_ceiling(
    transfer: TransferTable,
    *,
    gain: str = "exp2_percent",
    k: int | Iterable[int] = (1, 3),
    confidence: float = 0.95,
    n_replicates: int = 10_000,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Findings:
    """Return what training every source once more, with another seed, would get as a predictor.

    Every seed predicts every other one; ``value`` is the mean over such pairs, then over targets.
    ``others`` lets the mean of all other seeds predict a seed, ``all`` the mean of all seeds, the
    predicted one included. The ceiling lies between these two: a predictor that knew the true
    means exactly would do better than ``others``, whose own noise fades only with many seeds, and
    about never better than ``all``, which was shown part of the answer. ``chance`` is the exact
    level of a random order.

    Parameters
    ----------
    transfer
        Measured scores of two seeds or more.
    gain, k
        As in `evaluate`.
    confidence, n_replicates, rng, n_threads
        Expanded bootstrap percentiles over targets.

    Raises
    ------
    FormatError
        If there are fewer than two seeds.
    DTypeError, UnknownNameError, ValueError
        For anything but a table, an unknown gain, and a confidence outside 0 to 1.

    References
    ----------
    Lower and upper bound of a noise ceiling: Nili et al. (2014), PLoS Computational Biology 10.

    Examples
    --------
    >>> import kinatlas as ka
    >>> truth = ka.datasets.load_minilm_prompts().transfer
    >>> found = ka.consistency.noise_ceiling(truth, gain="linear", k=1, n_replicates=1000)
    >>> ndcg = {name: column[0] for name, column in found.columns.items()}
    >>> ndcg["chance"] < ndcg["value"] < ndcg["others"] < ndcg["all"] < 1
    True
    """
    if not isinstance(transfer, TransferTable):
        raise DTypeError(f"transfer: got {type(transfer).__name__}, expected a TransferTable")
    cube = seed_cube(transfer)
    layers = {
        seed: transfer.select(targets=cube.targets, sources=cube.sources, seeds=[seed])
        for seed in sorted(transfer.seeds, key=str)
    }
    matrices = {seed: layer.to_matrix() for seed, layer in layers.items()}
    pairs = [
        _evaluated(matrices[other], layers[seed], gain, k).target_numbers
        for seed, other in permutations(layers, 2)
    ]
    first = next(iter(layers))
    names = _evaluated(matrices[first], layers[first], gain, k).metrics
    others = []
    for seed in layers:
        rest = transfer.select(
            targets=cube.targets,
            sources=cube.sources,
            seeds=[other for other in layers if other != seed],
        )
        others.append(_evaluated(rest.to_matrix(), layers[seed], gain, k).target_numbers)
    whole = transfer.select(targets=cube.targets, sources=cube.sources).to_matrix()
    with_own = [_evaluated(whole, layer, gain, k).target_numbers for layer in layers.values()]
    by_pair, by_others, by_all = _mean(pairs), _mean(others), _mean(with_own)
    sampling = (confidence, n_replicates, rng, n_threads)
    # Regret and NDCG pile up at their best value; percentiles of a dozen such numbers are short.
    numbers = over_targets(by_pair[:, :, 0], *sampling, "skew")
    columns: dict[str, list[Any]] = {
        "metric": list(names),
        "value": numbers[:, 0].tolist(),
        "low": numbers[:, 1].tolist(),
        "high": numbers[:, 2].tolist(),
        "others": _mean(by_others[:, :, 0]).tolist(),
        "all": _mean(by_all[:, :, 0]).tolist(),
        "chance": _mean(by_pair[:, :, 1]).tolist(),
        "best": _mean(by_pair[:, :, 2]).tolist(),
    }
    sentences = [_sentence(row) for row in zip(*columns.values(), strict=True)]
    return Findings(
        title=f"Noise ceiling of {cube.n_seeds} seeds over {len(cube.targets)} targets, {gain}",
        columns=columns,
        sentences=tuple(sentences),
        per_target={"target": list(cube.targets)}
        | {name: by_pair[:, at, 0].tolist() for at, name in enumerate(names)},
        conventions={"gain": gain, "confidence": confidence, "n_seeds": cube.n_seeds},
    )


def _sentence(row: tuple[Any, ...]) -> str:
    name, value, low, high, rest, whole, chance, _ = row
    if np.isnan(value):
        return f"{name} has no value: no target has two seeds that define it."
    return (
        f"{name}: another seed of the truth gets {value:.3f} ({low:.3f} to {high:.3f}), a random "
        f"order {chance:.3f}; the most a predictor can reach lies between {rest:.3f} (the mean of "
        f"all other seeds) and {whole:.3f} (the mean of all seeds), and one beyond that fits noise."
    )


def _evaluated(matrix: SimilarityMatrix, layer: TransferTable, gain: Any, k: Any) -> Evaluation:
    return evaluate(matrix, layer, gain=gain, k=k, nan_policy="omit")


def _mean(found: Any) -> Any:
    stacked = np.asarray(found)
    known = (~np.isnan(stacked)).sum(axis=0)
    sums = np.nansum(stacked, axis=0)
    return np.divide(sums, known, out=np.full_like(sums, np.nan), where=known > 0)
