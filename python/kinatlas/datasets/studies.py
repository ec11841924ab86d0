"""Real trained prompts with their measured transfer, and real answers, bundled as numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kinatlas._checks import check_choice
from kinatlas.evaluation import TransferTable
from kinatlas.tasks import Atlas, Provenance

if TYPE_CHECKING:
    from kinatlas.behavior import Responses, TextFeatures

__all__ = ["BehaviorStudy", "PromptStudy", "load_behavior_study", "load_minilm_prompts"]

_TWIN = "sent_movie_twin"
_CONTROLS = ("sent_tweet_permuted", "untrained_prompt")
_SCORES = {"zero_shot": "transfer_zero_shot.csv", "ridge": "transfer_ridge.csv"}


@dataclass(frozen=True)
class PromptStudy:
    """Soft prompts of many tasks and seeds on one frozen model, and what each brought each task.

    Attributes
    ----------
    atlases
        For every seed, the trained prompts of all tasks, tokens [16, 384] in float16.
    initial
        For every seed, the untrained prompt [16, 384] that all tasks of that seed started from.
    controls
        For every seed, prompts that should help nobody: one trained on permuted labels, and the
        untrained one.
    transfer
        Measured score in percent of every source's prompt on every target, by seed; the baseline
        is the untrained prompt of that seed. Beside the tasks its sources are the controls and
        ``no_prompt``, the model left alone.
    groups
        Group of every task: sentiment, topic or style.
    provenance
        How the numbers were made: script, packages with hashes, seeds, recipe, counts, licences.
    """

    atlases: Mapping[int, Atlas]
    initial: Mapping[int, Any]
    controls: Mapping[int, Atlas]
    transfer: TransferTable
    groups: Mapping[str, str]
    provenance: Mapping[str, Any]

    def __repr__(self) -> str:
        first = next(iter(self.atlases.values()))
        return (
            f"PromptStudy: {len(first)} tasks x {len(self.atlases)} seeds, "
            f"space {first.space!r}\n{self.transfer!r}"
        )


def load_minilm_prompts(
    *,
    score: Literal["zero_shot", "ridge"] = "zero_shot",
    twin: Literal["exclude", "include"] = "exclude",
) -> PromptStudy:
    """Return soft prompts of 12 text tasks on a frozen MiniLM-L3, with measured transfer, 3 seeds.

    Parameters
    ----------
    score
        How transfer was measured: ``zero_shot``, the source's prompt used unchanged with the
        target's label words; ``ridge``, a linear head on 8 examples a class under that prompt.
    twin
        Whether to include the second, disjoint half of ``sent_movie`` as a 13th task: a positive
        control that must find its other half.

    Raises
    ------
    UnknownNameError
        For any other word.

    References
    ----------
    Made by ``notebooks/studies/minilm_prompts``; its README has the design and what was found.

    Examples
    --------
    >>> study = load_minilm_prompts()
    >>> atlas = study.atlases[0]
    >>> len(atlas), atlas["bbc"].tokens.shape, study.transfer.seeds
    (12, (16, 384), (0, 1, 2))
    >>> study.groups["bbc"]
    'topic'
    """
    check_choice(score, tuple(_SCORES), "score")
    check_choice(twin, ("exclude", "include"), "twin")
    # Imported here, because it loads a dozen modules that `import kinatlas` does not need.
    from importlib.resources import as_file, files

    folder = files("kinatlas") / "data" / "minilm_prompts"
    with as_file(folder) as path:
        provenance = json.loads((path / "provenance.json").read_text(encoding="utf-8"))
        with (path / "tasks.csv").open(encoding="utf-8", newline="") as stream:
            groups = {row["task"]: row["group"] for row in csv.DictReader(stream)}
        with np.load(path / "prompts.npz", allow_pickle=False) as archive:
            prompts = {key: archive[key] for key in archive.files}
        transfer = TransferTable.from_csv(path / _SCORES[score], units="percent")
    seeds = sorted({int(key.rsplit("seed", 1)[1]) for key in prompts})
    tasks = [name for name in groups if name not in _CONTROLS]
    tasks = [name for name in tasks if twin == "include" or name != _TWIN]
    return PromptStudy(
        atlases={seed: _atlas(prompts, tasks, seed, provenance) for seed in seeds},
        initial={seed: prompts[f"untrained_prompt/seed{seed}"] for seed in seeds},
        controls={seed: _atlas(prompts, _CONTROLS, seed, provenance) for seed in seeds},
        transfer=transfer.select(
            targets=tasks,
            sources=[name for name in transfer.sources if name in tasks or name != _TWIN],
        ),
        groups={name: groups[name] for name in tasks},
        provenance=provenance,
    )


def _atlas(
    prompts: Mapping[str, Any], names: Iterable[str], seed: int, provenance: Mapping[str, Any]
) -> Atlas:
    names = list(names)
    origin = Provenance(
        base_model=provenance["backbone"].split(",")[0],
        method="PROMPT_TUNING",
        seed=seed,
        step=provenance["recipe"]["n_steps"],
    )
    return Atlas.from_arrays(
        {name: prompts[f"{name}/seed{seed}"] for name in names},
        space=f"{origin.base_model}|PROMPT_TUNING|dim=384",
        provenance=dict.fromkeys(names, origin),
    )


@dataclass(frozen=True)
class BehaviorStudy:
    """Answers of real black boxes to real texts, as numbers; texts are known by number only.

    Attributes
    ----------
    responses
        Answers "negative" or "positive" of every box to the probes.
    features
        Frozen features of the texts, by their names.
    embedded
        For every data set, names and gold labels of the texts that describe it.
    judged
        For every data set, answers of every box to other texts of it, and their gold labels.
    provenance
        How the numbers were made.
    """

    responses: Responses
    features: TextFeatures
    embedded: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    judged: Mapping[str, tuple[Responses, tuple[str, ...]]]
    provenance: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"BehaviorStudy: {self.responses!r}; data sets {', '.join(self.judged)}"


def load_behavior_study() -> BehaviorStudy:
    """Return word lists, rules, classifiers, and two prompted models, answering real snippets.

    The models are MiniLM under three pairs of label words and SmolLM2-135M under six prompts.

    References
    ----------
    Made by ``notebooks/studies/behavior_prompts``; texts and ratings by Hutto and Gilbert (2014).

    Examples
    --------
    >>> study = load_behavior_study()
    >>> study.responses.labels, sorted(study.judged)
    (('negative', 'positive'), ['amazon', 'movies'])
    """
    from importlib.resources import as_file, files

    from kinatlas.behavior import Responses, encoder_features

    with as_file(files("kinatlas") / "data" / "behavior") as folder:
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        with np.load(folder / "prompts.npz", allow_pickle=False) as archive:
            held = {key: archive[key] for key in archive.files}
    labels = ("negative", "positive")
    table, part = held["features"].astype(np.float64), held["part"]

    def named(rows: Any) -> list[str]:
        return [f"snippet {at}" for at in rows]

    def answered(rows: Any) -> Responses:
        shares = np.clip(held["positive"][:, rows].astype(np.float64), 1e-6, 1 - 1e-6)
        arrays = {
            str(name): np.stack([1 - own, own], axis=1)
            for name, own in zip(held["boxes"], shares, strict=True)
        }
        found = Responses.from_arrays(arrays, labels=labels, texts=named(rows))
        return replace(found, mass=held["mass"][:, rows, None].astype(np.float64))

    def gold(rows: Any) -> tuple[str, ...]:
        return tuple(labels[int(held["is_positive"][at])] for at in rows)

    rows = {name: np.flatnonzero(part == name) for name in dict.fromkeys(part.tolist())}
    sets = [name.split()[0] for name in rows if name.endswith(" judged")]
    features = encoder_features(
        lambda texts: table[[int(text.split()[1]) for text in texts]],
        named(rows["probes"]),
        name="tfidf-svd of snippets",
    )
    described = {name: rows[f"{name} embedded"] for name in sets}
    judged = {name: rows[f"{name} judged"] for name in sets}
    return BehaviorStudy(
        responses=answered(rows["probes"]),
        features=features,
        embedded={name: (tuple(named(own)), gold(own)) for name, own in described.items()},
        judged={name: (answered(own), gold(own)) for name, own in judged.items()},
        provenance=provenance,
    )
