"""A population of real black boxes that answer "negative" or "positive" to a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

Box = Callable[[Sequence[str]], np.ndarray]
WORD = re.compile(r"[a-z']+")


def logistic(values: np.ndarray, scale: float) -> np.ndarray:
    """Chance of "positive" from a score."""
    return 1 / (1 + np.exp(-np.clip(values / scale, -12, 12)))


def scored(score: Callable[[str], float], scale: float) -> Box:
    """A box from a rule that gives a text a number."""
    return lambda texts: logistic(np.array([score(text) for text in texts]), scale)


def lexicon_boxes(words: dict[str, float]) -> dict[str, Box]:
    """Scorers by word list: the whole one, its halves, its strong words, with crude negation."""
    rng = np.random.default_rng(0)
    names = sorted(words)
    half = {name for name, side in zip(names, rng.random(len(names)) < 0.5, strict=True) if side}
    lists = {
        "lexicon": words,
        "lexicon half a": {w: v for w, v in words.items() if w in half},
        "lexicon half b": {w: v for w, v in words.items() if w not in half},
        "lexicon strong": {w: v for w, v in words.items() if abs(v) > 2},
        "lexicon signs": {w: float(np.sign(v)) for w, v in words.items()},
        "praise only": {w: v for w, v in words.items() if v > 0},
        "blame only": {w: v for w, v in words.items() if v < 0},
    }
    boxes = {
        name: scored(lambda t, own=own: sum(own.get(w, 0.0) for w in WORD.findall(t.lower())), 2.0)
        for name, own in lists.items()
    }

    def turned(text: str) -> float:
        found, sign = 0.0, 1.0
        for word in WORD.findall(text.lower()):
            found += sign * words.get(word, 0.0)
            sign = -1.0 if word in {"not", "no", "never", "hardly"} or "n't" in word else 1.0
        return found

    boxes["lexicon negation"] = scored(turned, 2.0)
    return boxes


def rule_boxes() -> dict[str, Box]:
    """Rules that know nothing of the task."""
    return {
        "length": scored(lambda t: len(t) - 100.0, 40.0),
        "exclamation": scored(lambda t: t.count("!") - t.count("?") - 0.2, 0.5),
        "digits": scored(lambda t: sum(c.isdigit() for c in t) - 0.5, 1.0),
        "first person": scored(lambda t: len(re.findall(r"\b(i|my|me)\b", t.lower())) - 0.5, 0.7),
        "capitals": scored(lambda t: sum(c.isupper() for c in t) - 3.0, 2.0),
    }


def trained_boxes(
    texts: Sequence[str], domains: Sequence[str], ratings: Sequence[float]
) -> dict[str, Box]:
    """Classifiers of polarity, of intensity and of the domain, by data, features and learner."""
    own_domains, values = np.array(domains), np.array(ratings)
    boxes: dict[str, Box] = {}
    learners = {
        "lr words": lambda: make_pipeline(
            TfidfVectorizer(min_df=2, ngram_range=(1, 2)), LogisticRegression(C=3.0, max_iter=500)
        ),
        "nb words": lambda: make_pipeline(CountVectorizer(min_df=2), MultinomialNB(alpha=1.0)),
        "lr letters": lambda: make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=5, max_features=20_000),
            LogisticRegression(C=3.0, max_iter=500),
        ),
    }
    tasks = {
        "polarity": (values > 0, abs(values) > 0.3),
        "intensity": (abs(values) > np.median(abs(values)), np.ones(len(values), dtype=bool)),
    }
    for task, (target, usable) in tasks.items():
        for domain in sorted(set(domains)):
            rows = np.flatnonzero(usable & (own_domains == domain))
            for learner, make in learners.items():
                model = make().fit([texts[at] for at in rows], target[rows])
                boxes[f"{task} {domain} {learner}"] = fitted(model)
    for domain in sorted(set(domains)):
        model = learners["lr words"]().fit(list(texts), own_domains == domain)
        boxes[f"domain {domain}"] = fitted(model)
    return boxes


def fitted(model: object) -> Box:
    """Chance of the second class by a fitted pipeline."""
    return lambda texts: model.predict_proba(list(texts))[:, 1]  # type: ignore[attr-defined]
