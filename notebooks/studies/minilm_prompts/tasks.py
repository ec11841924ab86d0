"""The tasks of the study: what their classes are called and how their texts are split."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import corpora
import numpy as np
from corpora import Example, distinct, text_key

SPLIT_SEED = 0
N_TRAIN, N_TEST = 1000, 300
# Enough to draw 8 a class many times; every text here costs an encoding in every cell.
N_SUPPORT_PER_CLASS = 20
# A small class gives at most this share of itself to training, so that test texts remain.
MAX_TRAIN_SHARE = 0.6
PERMUTED = "_permuted"
SENTIMENT = {"positive": "positive, good", "negative": "negative, bad"}
Split = tuple[tuple[str, ...], np.ndarray]


@dataclass(frozen=True)
class TaskSpec:
    """Name, group and reader of a task, and the words that stand for each class."""

    name: str
    group: str
    loader: corpora.Loader
    words: dict[str, str]
    half: int | None = None  # twins take the even and the odd half of one corpus


@dataclass(frozen=True)
class Task:
    """Texts and class numbers of one task, cut into three disjoint parts."""

    name: str
    group: str
    label_texts: tuple[str, ...]
    train: Split
    support: Split
    test: Split
    n_pool: int


def _same(names: Sequence[str]) -> dict[str, str]:
    """Classes whose word is their own name."""
    return {name: name for name in names}


SPECS: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        TaskSpec("sent_tweet", "sentiment", corpora.sent_tweet, SENTIMENT),
        TaskSpec("sent_amazon", "sentiment", corpora.sent_amazon, SENTIMENT),
        TaskSpec("sent_movie", "sentiment", corpora.sent_movie, SENTIMENT, half=0),
        TaskSpec("sent_movie_twin", "sentiment", corpora.sent_movie, SENTIMENT, half=1),
        TaskSpec("sent_nyt", "sentiment", corpora.sent_nyt, SENTIMENT),
        TaskSpec(
            "sent_food",
            "sentiment",
            corpora.sent_food,
            {"great": "positive, good", "other": "negative, bad"},
        ),
        TaskSpec(
            "bbc",
            "topic",
            corpora.bbc,
            _same(("business", "entertainment", "politics", "sports")) | {"tech": "technology"},
        ),
        TaskSpec(
            "ng4",
            "topic",
            corpora.ng4,
            {
                "comp": "computers",
                "rec": "recreation, sports and cars",
                "sci": "science",
                "talk": "politics and religion",
            },
        ),
        TaskSpec("wn_noun8", "topic", corpora.wn_noun8, _same(list(corpora.NOUN_FILES.values()))),
        TaskSpec("wn_verb6", "topic", corpora.wn_verb6, _same(list(corpora.VERB_FILES.values()))),
        TaskSpec(
            "deb_section8",
            "topic",
            corpora.deb_section8,
            {
                "admin": "system administration",
                "fonts": "fonts",
                "games": "games",
                "graphics": "graphics",
                "math": "mathematics",
                "net": "network",
                "science": "science",
                "sound": "sound",
            },
        ),
        TaskSpec(
            "sarcasm",
            "style",
            corpora.sarcasm,
            {"serious": "serious news", "sarcastic": "sarcastic joke"},
        ),
        TaskSpec(
            "subj_plot", "style", corpora.subj_plot, {"plot": "plot summary", "opinion": "opinion"}
        ),
    )
}


def seed_of(name: str, *seeds: int) -> np.random.Generator:
    """A random generator that depends on a name and on seeds, and on nothing else."""
    return np.random.default_rng([*seeds, zlib.crc32(name.encode())])


def load_pools(cache: Path) -> dict[str, list[Example]]:
    """Distinct examples of every corpus, without the texts that occur in more than one of them.

    All corpora are read even for a reduced run, so that a task has the same texts in every run.
    """
    loaders = {spec.loader.__name__: spec.loader for spec in SPECS.values()}
    pools = {name: distinct(loader(cache)) for name, loader in loaders.items()}
    counts = Counter(text_key(text) for pool in pools.values() for text, _ in pool)
    return {
        name: [(text, label) for text, label in pool if counts[text_key(text)] == 1]
        for name, pool in pools.items()
    }


def make_task(name: str, pools: dict[str, list[Example]]) -> Task:
    """One task, or its control with shuffled training classes (`sent_tweet_permuted`)."""
    if name.endswith(PERMUTED):
        task = make_task(name.removesuffix(PERMUTED), pools)
        texts, labels = task.train
        shuffled = seed_of(name, SPLIT_SEED).permutation(labels)
        return replace(task, name=name, group="control", train=(texts, shuffled))
    spec = SPECS[name]
    pool = _half(spec, pools[spec.loader.__name__])
    by_class = {label: [text for text, own in pool if own == label] for label in spec.words}
    n_classes = len(by_class)
    smallest = min(len(texts) for texts in by_class.values())
    n_train = min(N_TRAIN // n_classes, int(MAX_TRAIN_SHARE * smallest))
    sizes = (n_train, N_SUPPORT_PER_CLASS, N_TEST // n_classes)
    if smallest < sum(sizes):
        raise RuntimeError(f"task {name!r}: smallest class has {smallest} texts, need {sum(sizes)}")
    rng = seed_of(name, SPLIT_SEED)
    parts: list[list[tuple[str, int]]] = [[], [], []]
    for number, candidates in enumerate(by_class.values()):
        order = rng.permutation(len(candidates))
        for part, start, size in zip(parts, np.cumsum((0, *sizes[:-1])), sizes, strict=True):
            part += [(candidates[i], number) for i in order[start : start + size]]
    train, support, test = (_split(part) for part in parts)
    words = tuple(spec.words.values())
    return Task(name, spec.group, words, train, support, test, len(pool))


def _half(spec: TaskSpec, pool: list[Example]) -> list[Example]:
    """All examples, or the half of a shuffled corpus that belongs to one of two twins."""
    if spec.half is None:
        return pool
    order = seed_of(spec.loader.__name__, SPLIT_SEED).permutation(len(pool))
    return [pool[i] for i in order[spec.half :: 2]]


def _split(part: list[tuple[str, int]]) -> Split:
    """Texts and class numbers of (text, class number) pairs."""
    return tuple(text for text, _ in part), np.array([label for _, label in part])


def load_tasks(names: Sequence[str], cache: Path) -> dict[str, Task]:
    """Tasks by name, after checking that no task trains on a text that another one tests.

    Raises RuntimeError when a test or support text of one task is a training text of any task.
    """
    pools = load_pools(cache)
    tasks = {name: make_task(name, pools) for name in names}
    trained = {
        text_key(text): task.name
        for task in tasks.values()
        if not task.name.endswith(PERMUTED)
        for text in task.train[0]
    }
    for task in tasks.values():
        for text in (*task.test[0], *task.support[0]):
            if text_key(text) in trained:
                source = trained[text_key(text)]
                raise RuntimeError(f"a held-out text of {task.name!r} is trained on by {source!r}")
    return tasks
