"""How many seeds it takes to say something."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinatlas import _core
from kinatlas._checks import check_number
from kinatlas._seeds import check_sampling
from kinatlas.consistency.cubes import Floats, Seeds, seed_cube
from kinatlas.consistency.findings import Findings

__all__ = ["seeds_needed"]

# Beyond this nobody trains; the answer is then "not by more seeds".
_MOST = 10_000


def seeds_needed(seeds: Seeds, width: float | None = None, *, confidence: float = 0.95) -> Findings:
    """Return, target by target, how many seeds make differences between sources visible.

    ``seeds_for_width``: the fewest seeds for which the interval of the difference of two sources
    is expected to be no wider than ``width``. ``seeds_for_best``: the fewest for which an interval
    of the difference of the best two sources would leave 0 out, if the difference were the one
    observed. Both use Student's t with the seed variance that all sources of the target share:
    half width = t(n_seeds) x deviation x sqrt(2 / n_seeds). Missing (NaN) beyond 10 000, and where
    there is no difference to tell.

    Parameters
    ----------
    seeds
        A `TransferTable` with seeds, or a mapping of seed to matrix.
    width
        Wanted full width, in units of the scores; None takes half the spread of the sources.
    confidence
        Level of the intervals.

    Raises
    ------
    FormatError
        If there are fewer than two seeds.
    DTypeError, ValueError
        For anything but a table or a mapping, a width that is not positive, and a confidence
        outside 0 to 1.

    References
    ----------
    Sample sizes from interval widths: Kelley and Maxwell (2003).

    Examples
    --------
    >>> import kinatlas as ka
    >>> truth = ka.datasets.load_minilm_prompts().transfer
    >>> plan = ka.consistency.seeds_needed(truth, width=5.0)
    >>> min(plan.columns["seeds_for_width"]) >= 2
    True
    """
    check_sampling(confidence, 100)
    if width is not None:
        check_number(width, "width", "a positive number in units of the scores", _is_positive)
    cube = seed_cube(seeds)
    rows: list[list[Any]] = []
    for target, name in enumerate(cube.targets):
        table = cube.table(target)
        if min(table.shape) >= 2:
            row = [name, *_plan(table, width, confidence)]
            row[2] = cube.measured(target)[row[2]]
            rows.append(row)
    heads = ("target", "value", "best", "gap", "n_seeds", "seeds_for_width", "seeds_for_best")
    columns = {head: [row[at] for row in rows] for at, head in enumerate(heads)}
    wanted = "half the spread of the sources" if width is None else f"{width:g}"
    return Findings(
        title=f"Seeds needed for {cube.what}; value is the seed deviation of one source",
        columns=columns,
        sentences=tuple(_sentence(row, wanted, cube.units) for row in rows),
        remarks=(f"wanted width: {wanted}; all sources of a target share one seed deviation",),
        conventions={"confidence": confidence, "width": width},
    )


def _is_positive(number: float) -> bool:
    return 0 < number < float("inf")


def _plan(table: Floats, width: float | None, confidence: float) -> list[Any]:
    n_seeds, n_sources = table.shape
    errors = _core.seed_errors(np.ascontiguousarray(table.T)[:, :, np.newaxis], confidence)
    deviation = float((errors["variance"] * n_seeds) ** 0.5)
    means = np.sort(errors["means"])[::-1]
    gap = float(means[0] - means[1])
    wanted = float(means.std(ddof=1)) / 2 if width is None else width
    return [
        deviation,
        int(np.argmax(errors["means"])),
        gap,
        n_seeds,
        _fewest(deviation, wanted / 2, n_sources, confidence),
        _fewest(deviation, gap, n_sources, confidence),
    ]


def _fewest(deviation: float, half: float, n_sources: int, confidence: float) -> float:
    """Return the fewest seeds whose half width is at most ``half``; NaN beyond the most."""

    def is_enough(count: int) -> bool:
        reach = _core.student_quantile((1 + confidence) / 2, (n_sources - 1) * (count - 1))
        return bool(reach * deviation * (2 / count) ** 0.5 <= half)

    # No number of seeds tells apart what does not differ, noise or none.
    if half <= 0 or not is_enough(_MOST):
        return float("nan")
    low, high = 2, _MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return float(low)


def _sentence(row: list[Any], wanted: str, units: str) -> str:
    name, deviation, best, gap, n_seeds, for_width, for_best = row
    width = f"{for_width:.0f} seeds" if for_width == for_width else f"more than {_MOST} seeds"
    told = f"{for_best:.0f} seeds" if for_best == for_best else f"more than {_MOST} seeds"
    head = f"{name}: one run of a source moves by {deviation:.3g} {units} between seeds"
    if gap == 0:
        return f"{head}; the best two sources have the same mean over {n_seeds} seeds."
    return (
        f"{head}; differences as narrow as {wanted} need {width}, and telling '{best}' from the "
        f"next (gap {gap:.3g}) needs {told}, where {n_seeds} were run."
    )
