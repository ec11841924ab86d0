"""Choose the texts, answer them with the population of boxes, and pack numbers for the package.

    python prepare.py CACHE_FOLDER texts     first: writes CACHE/texts.json
    python models.py CACHE_FOLDER            then: models and prompts
    python prepare.py CACHE_FOLDER pack      last: data/behavior/prompts.npz

256 probes of all four domains; for movies and amazon 300 labelled texts to embed the data set and
150 more for the truth. No text is kept, only 128 features of each and the answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "behavior_population"))
from boxes import lexicon_boxes, rule_boxes, trained_boxes
from texts import lexicon, read

from kinatlas.behavior import tfidf_features

OUT = Path("python/kinatlas/data/behavior/prompts.npz")
PROBES, EMBEDDED, JUDGED, N_FEATURES = 256, 300, 150, 128
SETS = ("movies", "amazon")


def chosen(cache: Path):
    """Texts in the order probes, then for each data set embedded and judged; their labels."""
    texts, domains, ratings = read(cache)
    part = np.random.default_rng(0).choice(3, len(texts), p=[0.4, 0.3, 0.3])
    rng = np.random.default_rng(3)
    rows = list(rng.permutation(np.flatnonzero(part == 1))[:PROBES])
    for name in SETS:
        usable = (part == 2) & (np.array(domains) == name) & (abs(np.array(ratings)) > 0.5)
        rows += list(rng.permutation(np.flatnonzero(usable))[: EMBEDDED + JUDGED])
    return texts, domains, ratings, part, np.array(rows)


def main() -> None:
    """Write the texts, or pack the numbers."""
    cache = Path(sys.argv[1])
    texts, domains, ratings, part, rows = chosen(cache)
    some = [texts[at] for at in rows]
    if sys.argv[2] == "texts":
        is_asked = [True] * PROBES + ([False] * EMBEDDED + [True] * JUDGED) * len(SETS)
        (cache / "texts.json").write_text(json.dumps([some, is_asked]))
        return
    train = np.flatnonzero(part == 0)
    boxes = lexicon_boxes(lexicon(cache)) | rule_boxes()
    boxes |= trained_boxes(*([own[at] for at in train] for own in (texts, domains, ratings)))
    answers = {name: np.stack([box(some), np.ones(len(some))], 1) for name, box in boxes.items()}
    answers |= {k: np.array(v) for k, v in json.loads((cache / "models.json").read_text()).items()}
    corpus = [texts[at] for at in np.flatnonzero(part == 1)]
    features = tfidf_features(corpus, N_FEATURES)(some)
    table = np.stack(list(answers.values()))
    np.savez_compressed(
        OUT,
        boxes=np.array(list(answers)),
        positive=table[..., 0].astype(np.float32),
        mass=table[..., 1].astype(np.float32),
        features=features.astype(np.float16),
        is_positive=np.array([ratings[at] > 0 for at in rows]),
        part=np.repeat(
            ["probes", *(f"{name} {use}" for name in SETS for use in ("embedded", "judged"))],
            [PROBES, *[EMBEDDED, JUDGED] * len(SETS)],
        ),
    )
    print(OUT, OUT.stat().st_size, table.shape)


if __name__ == "__main__":
    main()
