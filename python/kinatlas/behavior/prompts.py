"""What a prompt adds: variance shares, and bias and sharpness apart from behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas.behavior.responses import Responses
from kinatlas.behavior.tables import Table
from kinatlas.errors import ShapeError

__all__ = ["prompt_bias", "variance_shares"]

_WORDS = {
    "model": "models lean to different labels, whatever the prompt",
    "prompt": "prompts lean to different labels, whatever the model",
    "model_x_prompt": "which way a prompt leans depends on the model",
    "probe": "what all subjects agree on",
    "model_x_probe": "models behave differently under every prompt",
    "prompt_x_probe": "prompts change the behaviour of every model alike",
    "residual": "a prompt changes the behaviour of one model",
}
_BIAS = ("model", "prompt", "model_x_prompt")


def prompt_bias(responses: Responses) -> Table:
    """Return each box's bias, sharpness and label mass: what centring takes off or ignores.

    ``bias`` is the mean logit of each label over probes; ``sharpness`` the spread of its centred
    logits over the mean of all boxes (a temperature of 1/2 doubles it); ``mass`` the mean
    probability on any label word; ``failed`` the share of refusals and parse failures.

    Examples
    --------
    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> found = Responses.from_arrays({"a": shares, "b": shares}, labels=["pos", "neg"])
    >>> prompt_bias(found).row("a")["sharpness"]
    1.0
    """
    shared = responses.common()
    values = shared.coordinates()[..., : len(shared.labels)]
    means = values.mean(axis=1)
    spread = np.sqrt(((values - means[:, None]) ** 2).mean(axis=(1, 2)))
    typical = spread.mean()
    known = ~np.isnan(shared.mass)
    mass = np.where(known, shared.mass, 0).sum(axis=(1, 2)) / known.sum(axis=(1, 2))
    failed = (shared.mass == 0).sum(axis=(1, 2)) / known.sum(axis=(1, 2))
    columns: dict[str, list[Any]] = {"box": list(shared.boxes)}
    columns |= {f"bias {name}": means[:, at].tolist() for at, name in enumerate(shared.labels)}
    columns["sharpness"] = (spread / typical if typical > 0 else spread * np.nan).tolist()
    columns |= {"mass": mass.tolist(), "failed": failed.tolist()}
    return Table(f"Bias and sharpness over {len(shared.bank)} probes", columns)


def variance_shares(
    responses: Responses, models: Sequence[str], prompts: Sequence[str], *, link: str | None = None
) -> Table:
    """Return how much of the answers is due to the model, the prompt, the probe and their pairs.

    Two accounts: of the bias (means over probes) and of the behaviour (what is left). Estimates
    are unbiased, so a small one may be negative; shares count it as 0.

    Parameters
    ----------
    responses
        Every model with every prompt, each pair one box.
    models, prompts
        Model and prompt of each box, in the order of ``responses.boxes``.
    link
        Coordinates, as in `paired_similarity`.

    Raises
    ------
    ShapeError
        If the boxes are not a full crossing of at least two models and two prompts.

    References
    ----------
    Searle, Casella and McCulloch (1992), chapter 4.

    Examples
    --------
    >>> draw = np.random.default_rng(0).dirichlet([2, 2], (2, 50))
    >>> boxes = {f"m{m} p{p}": draw[m] for m in (0, 1) for p in (0, 1)}
    >>> found = variance_shares(Responses.from_arrays(boxes, labels=["n", "y"]),
    ...                         ["m0", "m0", "m1", "m1"], ["p0", "p1", "p0", "p1"])
    >>> found.row("prompt_x_probe")["share"] < 0.01
    True
    """
    shared = responses.common()
    rows, columns = sorted(set(models)), sorted(set(prompts))
    if len(models) != len(shared.boxes) or len(prompts) != len(shared.boxes):
        raise ShapeError(
            f"{len(shared.boxes)} boxes, {len(models)} models and {len(prompts)} prompts, "
            "expected one of each for every box"
        )
    cells = dict(zip(zip(models, prompts, strict=True), range(len(models)), strict=True))
    if len(cells) != len(models) or len(cells) != len(rows) * len(columns):
        absent = [(m, p) for m in rows for p in columns if (m, p) not in cells]
        raise ShapeError(f"every model needs every prompt once; absent: {absent[:5]}")
    values = shared.coordinates(link)
    crossed = np.stack([np.stack([values[cells[m, p]] for p in columns]) for m in rows])
    names, found = _core.behavior_shares(np.ascontiguousarray(crossed))
    sums = {
        is_bias: sum(max(v, 0.0) for n, v in zip(names, found, strict=True)
                     if (n in _BIAS) == is_bias)
        for is_bias in (True, False)
    }  # fmt: skip
    shares = [
        max(v, 0.0) / sums[n in _BIAS] if sums[n in _BIAS] > 0 else float("nan")
        for n, v in zip(names, found, strict=True)
    ]
    table: dict[str, list[Any]] = {
        "component": names,
        "of": ["bias" if name in _BIAS else "behaviour" for name in names],
        "variance": found,
        "share": shares,
        "meaning": [_WORDS[name] for name in names],
    }
    return Table(
        f"Variance of {len(rows)} models with {len(columns)} prompts on {len(shared.bank)} probes",
        table,
    )
