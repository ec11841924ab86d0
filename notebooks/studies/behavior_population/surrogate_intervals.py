"""Do intervals of surrogate cosines cover? 41 real boxes, each with probes of its own.

    python surrogate_intervals.py CACHE_FOLDER [--draws 3]

Three things an interval could be meant to cover, all estimated on the same population:
the mean cosine over draws of as many probes; the cosine of surrogates fitted to all probes; and,
for the interval divided by the ceiling, the similarity of behaviour on texts held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from run import frozen, paired, population, responses, upper

from kinatlas.behavior import ridge_space, surrogate_similarity


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    answers, texts, part, _ = population(options.cache)
    probes, held_out = np.flatnonzero(part == 1), np.flatnonzero(part == 2)
    features, _ = frozen(texts, probes, 256)
    everything = responses(answers, texts, probes)
    truth = upper(paired(responses(answers, texts, held_out)).values)
    rng = np.random.default_rng(2)
    print("| probes | mean cosine | all probes | corrected, behaviour | half-width |\n"
          "|---|---|---|---|---|")  # fmt: skip
    for n in (64, 256, 1024):
        space = ridge_space(everything.take(rng.permutation(len(probes))[:n]), features=features)
        vectors = [own.vector for own in space.fit_responses(everything).values()]
        unit = np.stack([own / np.linalg.norm(own) for own in vectors])
        whole = upper(unit @ unit.T)
        draws = [everything.take(rng.permutation(len(probes))[:n]) for _ in range(24)]
        cosines = []
        for draw in draws:
            own = np.stack([one.vector for one in space.fit_responses(draw).values()])
            own /= np.linalg.norm(own, axis=1, keepdims=True)
            cosines.append(upper(own @ own.T))
        mean = np.mean(cosines, axis=0)
        inside, widths = [], []
        for number in range(options.draws):
            found = surrogate_similarity(draws[number], space, rng=number)
            low, high = upper(found.low), upper(found.high)
            top = upper(found.ceiling)
            rows = [(low <= own) & (own <= high) for own in (mean, whole)]
            known = np.isfinite(top)
            rows.append(((low / top <= truth) & (truth <= high / top))[known])
            inside.append([row.mean() for row in rows])
            widths.append((high - low).mean() / 2)
        shown = " | ".join(f"{value:.3f}" for value in np.mean(inside, axis=0))
        print(f"| {n} | {shown} | {np.mean(widths):.3f} |", flush=True)


if __name__ == "__main__":
    main()
