"""TaskWeb's folders of results as a transfer table."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kinatlas._checks import check_choice, check_known, quoted
from kinatlas.errors import FormatError
from kinatlas.evaluation.transfer import TransferTable

__all__ = ["read_taskweb"]

_RUN = re.compile(r"(?P<setting>.+)-e[^-]+-lr[^-]+-b[^-]+-s(?P<seed>[^-]+)")
_RESULTS = "eval_results.json"
# What the authors' runs report per example; loss, counts, times and averages of these are not.
_METRICS = (
    *("accuracy", "f1", "matthews_correlation", "pearson", "spearmanr"),
    *("exact_match", "exact"),
)
_NO_SOURCE = ""


@dataclass(frozen=True)
class _Run:
    target: str
    source: str
    seed: str
    path: Path


def read_taskweb(
    folder: str | os.PathLike[str],
    setting: str,
    *,
    metrics: Mapping[str, Sequence[str]] | None = None,
    units: Literal["auto", "percent", "fraction"] = "auto",
) -> TransferTable:
    """Return the measured transfer of one setting from a local copy of TaskWeb's results.

    The folder holds ``target/source/setting-e..-lr..-b..-s<seed>/eval_results.json``, and runs
    without transfer one level up, ``target/setting-.../eval_results.json``: those become the
    baseline. A run whose file is not there is missing. The score of a run is the mean of its
    metrics, in percent.

    Parameters
    ----------
    folder
        The ``results`` folder of the authors' repository.
    setting
        Model and adaptation as the folders spell them: ``roberta``, ``t5b``, ``t5b-lora``, ...
    metrics
        For a target, the metrics to average, without ``eval_``. By default those present among
        accuracy, f1, matthews_correlation, pearson, spearmanr, exact_match and exact.
    units
        The files store percent for some models and fractions for others; ``auto`` decides for
        each target over all of its runs, and refuses a target that mixes both.

    Raises
    ------
    UnknownNameError
        If no run is of that setting, or ``metrics`` names a target that has no run; the message
        lists those there are.
    FormatError
        If a file is no such result, runs of one target report different metrics, a run exists
        twice, or a target mixes units.
    OSError
        If the folder cannot be read.

    References
    ----------
    Kim, Asai, Ilharco, Hajishirzi 2023 (arXiv 2305.13256), "TaskWeb".

    Examples
    --------
    >>> import pathlib, tempfile
    >>> results = pathlib.Path(tempfile.mkdtemp())
    >>> for place, accuracy in [("rte/mnli", 0.75), ("rte", 0.5)]:
    ...     run = results / place / "roberta-e3-lr1e5-b16-s42"
    ...     run.mkdir(parents=True)
    ...     _ = (run / "eval_results.json").write_text(f'{{"eval_accuracy": {accuracy}}}')
    >>> read_taskweb(results, "roberta")
    TransferTable [1 targets, 1 sources, 1 seed] in percent, 1 runs, 0 missing, with baseline
    target  source  seed    score  baseline
    rte     mnli      42  75.0000   50.0000
    """
    check_choice(units, ("auto", "percent", "fraction"), "units")
    runs = _of_setting(list(_runs(Path(folder))), setting, folder)
    for name, listed in (metrics or {}).items():
        check_known(name, sorted({run.target for run in runs}), "metrics: target")
        if isinstance(listed, str) or not listed:
            raise FormatError(f"metrics of '{name}': got {listed!r}, expected a list of names")
    read: dict[str, tuple[str, ...]] = {}
    scores = []
    for run in runs:
        chosen = tuple(metrics[run.target]) if metrics and run.target in metrics else None
        names, score = _score(run.path, chosen)
        if read.setdefault(run.target, names) != names:
            raise FormatError(
                f"'{run.path}' reports {quoted(names)}, other runs of target '{run.target}' "
                f"{quoted(read[run.target])}; choose with metrics={{'{run.target}': [...]}}"
            )
        scores.append(score)
    return _table(runs, _percent(runs, scores, units))


def _runs(folder: Path) -> Iterator[tuple[str, _Run]]:
    """Setting and run of every folder that is named like a run, in alphabetical order."""
    for target in sorted(place for place in folder.iterdir() if place.is_dir()):
        for inner in sorted(place for place in target.iterdir() if place.is_dir()):
            match = _RUN.fullmatch(inner.name)
            if match:
                yield match["setting"], _Run(target.name, _NO_SOURCE, match["seed"], inner)
                continue
            for place in sorted(inner.iterdir()):
                match = _RUN.fullmatch(place.name)
                if match and place.is_dir():
                    yield match["setting"], _Run(target.name, inner.name, match["seed"], place)


def _of_setting(
    found: list[tuple[str, _Run]], setting: str, folder: str | os.PathLike[str]
) -> list[_Run]:
    if not found:
        raise FormatError(
            f"'{os.fspath(folder)}' holds no run, expected folders "
            "target/source/setting-e3-lr1e5-b16-s42"
        )
    check_known(setting, sorted({name for name, _ in found}), "setting")
    runs = [run for name, run in found if name == setting]
    runs = [run for run in runs if (run.path / _RESULTS).exists()]
    if not any(run.source for run in runs):
        raise FormatError(f"no run of setting '{setting}' from a source holds {_RESULTS}")
    seen: dict[tuple[str, str, str], Path] = {}
    for run in runs:
        other = seen.setdefault((run.target, run.source, run.seed), run.path)
        if other != run.path:
            raise FormatError(
                f"one run exists twice, as '{other}' and '{run.path}': same target, source, "
                "setting and seed; keep one of the folders"
            )
    return runs


def _score(path: Path, chosen: tuple[str, ...] | None) -> tuple[tuple[str, ...], float]:
    """Return the names of the metrics of a run and their mean."""
    path = path / _RESULTS
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f"'{path}' is not JSON: {error}") from None
    if not isinstance(results, dict):
        raise FormatError(f"'{path}' is not an object of numbers by name")
    names = chosen or tuple(name for name in _METRICS if f"eval_{name}" in results)
    absent = [name for name in names if f"eval_{name}" not in results]
    if absent or not names:
        known = [key.removeprefix("eval_") for key in results if key.startswith("eval_")]
        raise FormatError(
            f"'{path}' reports {quoted(known)}, expected {quoted(absent or _METRICS)}; choose "
            "others with metrics={target: [...]}"
        )
    return names, float(np.mean([_number(results[f"eval_{name}"], path) for name in names]))


def _number(value: Any, path: Path) -> float:
    # Some runs wrote a list of the one number.
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"'{path}': a metric is {value!r}, expected a number")
    return float(value)


def _percent(runs: list[_Run], scores: list[float], units: str) -> list[float]:
    factors: dict[str, float] = {}
    for target in {run.target for run in runs}:
        own = [abs(score) for run, score in zip(runs, scores, strict=True) if run.target == target]
        is_large = any(score > 1 for score in own)
        if units == "auto" and is_large and any(0 < score <= 1 for score in own):
            raise FormatError(
                f"target '{target}' mixes scores within 0 and 1 with scores up to {max(own):g}; "
                "pass units='percent' (or 'fraction') if all are meant so"
            )
        is_percent = is_large if units == "auto" else units == "percent"
        factors[target] = 1.0 if is_percent else 100.0
    return [score * factors[run.target] for run, score in zip(runs, scores, strict=True)]


def _table(runs: list[_Run], scores: list[float]) -> TransferTable:
    baselines = {
        (run.target, run.seed): score
        for run, score in zip(runs, scores, strict=True)
        if run.source == _NO_SOURCE
    }
    rows = [(run, score) for run, score in zip(runs, scores, strict=True) if run.source]
    return TransferTable.from_arrays(
        targets=[run.target for run, _ in rows],
        sources=[run.source for run, _ in rows],
        scores=[score for _, score in rows],
        seeds=[run.seed for run, _ in rows],
        baseline=[baselines.get((run.target, run.seed), float("nan")) for run, _ in rows]
        if baselines
        else None,
        units="percent",
    )
