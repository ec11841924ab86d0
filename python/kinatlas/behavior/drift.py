"""Is this the same endpoint as last week?"""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_n_threads
from kinatlas._seeds import Rng, seed_of
from kinatlas.behavior.responses import Responses
from kinatlas.behavior.tables import Table
from kinatlas.errors import ShapeError, SpaceError

__all__ = ["same_endpoint"]


def same_endpoint(
    before: Responses,
    after: Responses,
    *,
    n_permutations: int = 1999,
    rng: Rng = 0,
    n_threads: int | None = None,
) -> Table:
    """Return, for every box in both, whether its answers changed between two times.

    ``p`` is the permutation p-value of the maximum mean discrepancy between the answers of both
    times, permuted within probes; small means another endpoint. It needs two answers a probe on
    each side, and is NaN below. ``agreement`` is the share of probes all of whose answers of both
    times are equal, ``flips`` the share whose most likely label differs.

    Parameters
    ----------
    before, after
        Responses with the same labels; probes both times answered are used.
    n_permutations, rng, n_threads
        Of the test.

    Raises
    ------
    SpaceError
        If labels or kinds differ.
    ShapeError
        If no box is in both, or no probe was answered both times.

    References
    ----------
    Gretton et al. (2012); Gao et al. (2024), "Model equality testing".

    Examples
    --------
    >>> draw = np.random.default_rng(0).integers(0, 2, (2, 64, 4))
    >>> first, second = (Responses.from_arrays({"a": np.eye(2)[own]}, labels=["no", "yes"])
    ...                  for own in draw)
    >>> same_endpoint(first, second).row("a")["p"] > 0.01
    True
    """
    if (before.labels, before.kind, before.encoder) != (after.labels, after.kind, after.encoder):
        raise SpaceError(
            f"before answers {before.kind} {before.labels}, after {after.kind} {after.labels}; "
            "only answers of one kind can be told apart"
        )
    names = [name for name in before.boxes if name in after.boxes]
    if not names:
        raise ShapeError(f"no box is in both: {before.boxes[:5]} and {after.boxes[:5]}")
    threads, seed = check_n_threads(n_threads), seed_of(rng)
    rows = [_compared(name, before, after, (n_permutations, seed), threads) for name in names]
    columns: dict[str, list[Any]] = {"box": names}
    for name in ("n_probes", "mmd2", "p", "agreement", "flips"):
        columns[name] = [row[name] for row in rows]
    return Table(
        "Answers before and after",
        columns,
        ("p: chance of so large a difference if nothing changed; test several boxes at p / n",),
        {"n_permutations": n_permutations},
    )


def _compared(
    name: str, before: Responses, after: Responses, permutations: tuple[int, int],
    threads: int | None,
) -> dict[str, Any]:  # fmt: skip
    first, second = before.select([name]), after.select([name])
    places = {key: at for at, key in enumerate(second.bank.keys)}
    pairs = [
        (at, places[key])
        for at, key in enumerate(first.bank.keys)
        if key in places
        and not np.isnan(first.answers[0, at, :, 0]).any()
        and not np.isnan(second.answers[0, places[key], :, 0]).any()
    ]
    if not pairs:
        raise ShapeError(f"box {name!r}: no probe has all its answers at both times")
    a, b = first.take([x for x, _ in pairs]), second.take([y for _, y in pairs])
    x, y = (_with_mass(own) for own in (a, b))
    statistic = p = float("nan")
    if min(x.shape[1], y.shape[1]) >= 2:
        statistic, p = _core.behavior_drift(x, y, permutations, threads)
    both = np.concatenate([x, y], axis=1)
    is_equal = (abs(both - both[:, :1]) < 1e-12).all(axis=(1, 2))
    flips = x.mean(axis=1).argmax(axis=1) != y.mean(axis=1).argmax(axis=1)
    return {"n_probes": len(pairs), "mmd2": statistic, "p": p, "agreement": float(is_equal.mean()),
            "flips": float(flips.mean())}  # fmt: skip


def _with_mass(responses: Responses) -> Any:
    """Answers with a failure as a class of its own, so that new refusals count as change."""
    answers, mass = responses.answers[0], responses.mass[0][..., None]
    if responses.kind == "labels":
        return np.ascontiguousarray(np.concatenate([answers * mass, 1 - mass], axis=2))
    return np.ascontiguousarray(np.concatenate([answers, 1 - mass], axis=2))
