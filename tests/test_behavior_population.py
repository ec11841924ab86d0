"""What must hold on real boxes: answers to a few probes foresee behaviour elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import population
from kinatlas.behavior import (
    Responses,
    encoder_features,
    paired_similarity,
    ridge_space,
    surrogate_similarity,
)

TRAIN, PROBES = population.N_TRAIN, population.N_PROBES


def responses(rows: np.ndarray, boxes: dict | None = None) -> Responses:
    texts = [population.text_of(at) for at in rows]
    return Responses.from_arrays(
        population.shares(rows, boxes), labels=population.LABELS, texts=texts
    )


def cosines(rows: np.ndarray, **options) -> np.ndarray:
    return paired_similarity(responses(rows), n_replicates=0, **options).values


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return cosines(np.arange(TRAIN + PROBES, 1797))


def pairs(values: np.ndarray) -> np.ndarray:
    return values[np.triu_indices(len(values), 1)]


def test_the_population_is_large_and_varied(truth: np.ndarray) -> None:
    assert len(population.answers()) >= 40
    assert pairs(truth).std() > 0.2


@pytest.mark.parametrize(("n", "least"), [(256, 0.90), (1024, 0.95)])
def test_shared_probes_foresee_held_out_behaviour(n: int, least: float, truth) -> None:
    draw = np.random.default_rng(n)
    found = [
        spearmanr(pairs(cosines(TRAIN + draw.permutation(PROBES)[:n])), pairs(truth)).statistic
        for _ in range(3)
    ]
    assert min(found) >= least


@pytest.mark.parametrize(("n", "least"), [(256, 0.80), (512, 0.85)])
def test_disjoint_probes_foresee_it_through_a_surrogate(n: int, least: float, truth) -> None:
    draw = np.random.default_rng(n)
    order = TRAIN + draw.permutation(PROBES)
    features = encoder_features(
        population.encode, [population.text_of(at) for at in order], name="pixels"
    )
    halves = [responses(own) for own in (order[:n], order[512 : 512 + n])]
    space = ridge_space(halves[0], features=features)
    vectors = [np.stack([task.tokens[0] for task in space.embed(own)]) for own in halves]
    unit = [own / np.linalg.norm(own, axis=1, keepdims=True) for own in vectors]
    values = unit[0] @ unit[1].T
    assert spearmanr(pairs(values), pairs(truth)).statistic >= least


def test_twins_with_another_bias_and_temperature_are_found() -> None:
    draw = np.random.default_rng(5)
    rows, twins = TRAIN + draw.permutation(PROBES)[:256], {}
    for name, p in population.answers().items():
        moved = (np.log(p / (1 - p)) + draw.normal(0, 1.5)) * np.exp(draw.normal(0, 0.4))
        twins[f"twin {name}"] = 1 / (1 + np.exp(-moved))
    n = len(twins)
    both = responses(rows, population.answers() | twins)
    values = paired_similarity(both, n_replicates=0).values[:n, n:]
    assert (values.argmax(axis=1) == np.arange(n)).mean() >= 0.97


@pytest.mark.parametrize("interval", ["fisher_z", "percentile"])
def test_ninety_percent_intervals_cover_eighty_five_to_ninety_five(interval: str) -> None:
    draw = np.random.default_rng(11)
    everything = np.arange(TRAIN, 1797)
    boxes = dict(list(population.answers().items())[::2])
    wanted = pairs(paired_similarity(responses(everything, boxes), n_replicates=0).values)
    inside = []
    for number in range(24):
        # With replacement: the 1,497 images are then the whole population, not a finite one.
        rows = draw.choice(everything, 160)
        arrays = population.shares(rows, boxes)
        found = paired_similarity(
            Responses.from_arrays(arrays, labels=population.LABELS),
            n_replicates=300,
            interval=interval,
            rng=number,
        )
        inside.append((pairs(found.low) <= wanted) & (wanted <= pairs(found.high)))
    assert 0.85 <= np.mean(inside) <= 0.95


def test_intervals_of_surrogates_cover_the_mean_of_as_many_probes() -> None:
    draw, n = np.random.default_rng(17), 128
    pool = np.arange(TRAIN, TRAIN + PROBES)
    boxes = dict(list(population.answers().items())[::2])
    features = encoder_features(
        population.encode, [population.text_of(at) for at in pool], name="pixels"
    )
    drawn = [responses(draw.permutation(pool)[:n], boxes) for _ in range(30)]
    space = ridge_space(drawn[0], features=features)
    cosines = []
    for own in drawn:
        rows = np.stack([one.vector for one in space.fit_responses(own).values()])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        cosines.append(pairs(rows @ rows.T))
    wanted, inside = np.mean(cosines, axis=0), []
    for number, own in enumerate(drawn[:8]):
        found = surrogate_similarity(own, space, rng=number)
        inside.append((pairs(found.low) <= wanted) & (wanted <= pairs(found.high)))
    assert 0.85 <= np.mean(inside) <= 0.95
