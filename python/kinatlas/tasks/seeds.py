"""One atlas of several seeds as one atlas a seed."""

from __future__ import annotations

import re
from collections.abc import Callable

from kinatlas.errors import FormatError
from kinatlas.tasks.atlas import Atlas
from kinatlas.tasks.task import Task

__all__ = ["split_seeds"]


def split_seeds(atlas: Atlas, *, name: Callable[[Task], str] | None = None) -> dict[int, Atlas]:
    """Return an atlas for every seed that the provenance of its tasks names.

    Names in an atlas are unique, so they usually end in the seed: an ending such as ``-seed42``,
    ``/seed42``, ``_s42`` or ``@42`` is taken off, so that the atlases name the same tasks. The
    result is what `rank_sources` and `evaluate` take after one matrix a seed:
    ``{seed: similarity_matrix(part, kernel=...) for seed, part in split_seeds(atlas).items()}``.

    Parameters
    ----------
    atlas
        Tasks whose ``provenance.seed`` is known.
    name
        What to call a task instead, given the task.

    Raises
    ------
    FormatError
        If a task has no seed, two tasks of a seed get one name, or seeds name different tasks.

    Examples
    --------
    >>> from kinatlas.tasks import Provenance
    >>> seeds = {f"{task}/seed{seed}": seed for task in ("rte", "mnli") for seed in (0, 1)}
    >>> atlas = Atlas.from_arrays(
    ...     {key: [[1.0, float(seed)]] for key, seed in seeds.items()},
    ...     provenance={key: Provenance(seed=seed) for key, seed in seeds.items()},
    ... )
    >>> {seed: part.names for seed, part in split_seeds(atlas).items()}
    {0: ('rte', 'mnli'), 1: ('rte', 'mnli')}
    """
    names: dict[int, dict[str, str]] = {}
    for task in atlas:
        seed = task.provenance.seed
        if seed is None:
            raise FormatError(
                f"task '{task.name}' has no seed in its provenance, so it belongs to no part; "
                "load it with a seed, or leave it out with atlas.select"
            )
        called = name(task) if name is not None else _without_seed(task.name, seed)
        own = names.setdefault(seed, {})
        if called in own.values():
            raise FormatError(
                f"two tasks of seed {seed} would be called '{called}'; tell them apart with name="
            )
        own[task.name] = called
    seeds = sorted(names)
    wanted = set(names[seeds[0]].values()) if seeds else set()
    for seed in seeds[1:]:
        odd = sorted(wanted ^ set(names[seed].values()))
        if odd:
            raise FormatError(
                f"seeds {seeds[0]} and {seed} name different tasks, for example '{odd[0]}'; seeds "
                "repeat the same tasks, so leave the others out or map the names with name="
            )
    return {seed: atlas.select(names[seed]).rename(names[seed]) for seed in seeds}


def _without_seed(name: str, seed: int) -> str:
    shorter = re.sub(rf"[-_/.@ ]+(?:seed|s)?[-_=]?{seed}$", "", name)
    return shorter or name
