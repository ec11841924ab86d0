"""Rankings over seeds: what they carry, what they do not invent, and what changes no bit."""

import pickle

import numpy as np
import pytest
from scipy import stats

import kinatlas as ka
from kinatlas import Atlas, SimilarityMatrix, TransferTable, rank_sources, split_seeds
from kinatlas.errors import DTypeError, FormatError, NonFiniteError, ShapeError, UnknownNameError
from kinatlas.selection import NO_TRANSFER
from kinatlas.tasks import Provenance

NAMES = ("qnli", "mnli", "sst2", "cola", "qqp")


def noisy(n_seeds=4, noise=0.1, seed=0, names=NAMES, **known):
    rng = np.random.default_rng(seed)
    truth = np.linspace(1, 0, len(names))
    return {
        at: SimilarityMatrix(
            [truth + rng.normal() + noise * rng.normal(size=len(names))], ["rte"], names, "k",
            **known,
        )
        for at in range(n_seeds)
    }  # fmt: skip


def test_every_entry_carries_its_uncertainty():
    ranking = rank_sources(noisy(), "rte")
    for entry in ranking:
        assert entry.score_low < entry.score < entry.score_high
        assert 0 <= entry.rank_low <= entry.rank_high <= 4
        assert entry.p_top_1 <= entry.p_top_k + 1e-12
        assert entry.group
    assert sum(entry.p_top_1 for entry in ranking) == pytest.approx(1)
    assert sum(entry.p_top_k for entry in ranking) == pytest.approx(3)
    found = ranking.uncertainty
    np.testing.assert_allclose(found.beats + found.beats.T + np.eye(5), 1)
    assert found.p_beats("qnli", "qqp") > 0.9
    assert len(ranking.explain().splitlines()) == 5 + len(found.remarks)
    assert "p_top_1" in ranking.to_dict()
    assert "rank_low" in repr(ranking)


def test_one_matrix_says_that_nothing_is_known():
    matrix = noisy(1)[0]
    for given in (matrix, {0: matrix}):
        ranking = rank_sources(given, "rte")
        assert ranking.uncertainty is None
        assert ranking[0].rank_low is None
        assert ranking[0].p_top_1 is None
        assert "no seeds" in repr(ranking)
        assert "no seeds" in ranking.explain()


def test_one_source_with_seeds_is_not_said_to_have_none():
    ranking = rank_sources(noisy(3, names=("mnli",)), "rte")
    assert ranking.uncertainty is None
    for text in (ranking.explain(), repr(ranking), ranking._repr_html_()):
        assert "one source with 3 seeds" in text
        assert "no seeds" not in text


@pytest.mark.parametrize("n_seeds", [2, 3, 8])
def test_one_source_beats_no_transfer_with_the_probability_of_students_t(n_seeds):
    seeds = noisy(n_seeds, names=("mnli",), neutral=0.5)
    own = [matrix.values[0, 0] for matrix in seeds.values()]
    ranking = rank_sources(seeds, "rte", n_draws=20_000)
    wanted = 1 - stats.ttest_1samp(own, 0.5, alternative="greater").pvalue
    found = ranking.uncertainty.p_beats("mnli", "no transfer")
    assert abs(found - wanted) < 5 * (0.25 / 20_000) ** 0.5
    assert ranking.uncertainty.groups == (("mnli",),)
    assert {entry.source: entry.p_top_1 for entry in ranking}["mnli"] == pytest.approx(found)
    assert "probability" in ranking.explain()


def test_a_gain_of_rounding_alone_is_no_harm():
    table = TransferTable.from_arrays(
        ["t"] * 4, ["a", "a", "b", "b"], [0.3, 0.7, 0.5, 0.9],
        seeds=[0, 1, 0, 1], baseline=[0.1 + 0.2, 0.7, 0.1 + 0.2, 0.7],
    )  # fmt: skip
    effects = {entry.source: entry.effect for entry in rank_sources(table.to_matrix("gain"), "t")}
    assert effects == {"a": "none", "b": "help", "no transfer": "none"}
    seeds = {
        at: SimilarityMatrix([[gain, 1.0]], ["t"], ["a", "b"], "measured_gain", neutral=0.0)
        for at, gain in enumerate([0.1, 0.2, -0.3])
    }
    assert np.mean([0.1, 0.2, -0.3]) != 0
    effects = {entry.source: entry.effect for entry in rank_sources(seeds, "t")}
    assert effects["a"] == "none"


def test_the_mean_has_students_interval():
    seeds = noisy(3)
    ranking = rank_sources(seeds, "rte", confidence=0.9)
    for entry in ranking:
        own = [matrix.values[0, NAMES.index(entry.source)] for matrix in seeds.values()]
        wanted = stats.ttest_1samp(own, 0).confidence_interval(0.9)
        np.testing.assert_allclose([entry.score_low, entry.score_high], wanted, rtol=1e-8)
        assert entry.score == pytest.approx(np.mean(own), rel=1e-13)


def test_groups_are_tukeys_honest_differences():
    seeds = noisy(3, noise=0.3)
    found = rank_sources(seeds, "rte").uncertainty
    table = np.stack([matrix.values[0] for matrix in seeds.values()], axis=1)
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    deviation = np.sqrt((rest**2).sum() / (4 * 2) / 3)
    wanted = stats.studentized_range.ppf(0.95, 5, 8) * deviation
    assert found.least_difference == pytest.approx(wanted, rel=1e-6)
    scores = dict(zip(found.candidates, found.scores, strict=True))
    for a in NAMES:
        for b in NAMES:
            together = any(a in group and b in group for group in found.groups)
            assert together == (abs(scores[a] - scores[b]) <= wanted)


def test_identical_seeds_leave_no_doubt():
    matrix = noisy(1)[0]
    ranking = rank_sources({0: matrix, 1: matrix}, "rte")
    assert all(entry.rank_low == entry.rank_high == entry.rank for entry in ranking)
    assert ranking[0].p_top_1 == 1
    assert all(len(group) == 1 for group in ranking.uncertainty.groups)


def test_order_of_seeds_sources_and_threads_changes_no_bit():
    seeds = noisy(4)
    whole = rank_sources(seeds, "rte", rng=3)
    backwards = {key: seeds[key] for key in reversed(seeds)}
    moved = {key: own.select(sources=NAMES[::-1]) for key, own in seeds.items()}
    for other in (
        rank_sources(backwards, "rte", rng=3),
        rank_sources(moved, "rte", rng=3),
        rank_sources(seeds, "rte", rng=3, n_threads=1),
        rank_sources(seeds, "rte", rng=3, n_threads=8),
        rank_sources(seeds, "rte", rng=np.random.SeedSequence(3)),
    ):
        assert other == whole
        np.testing.assert_array_equal(other.uncertainty.beats, whole.uncertainty.beats)
    assert rank_sources(seeds, "rte", rng=4) != whole


def test_a_shift_of_one_seed_changes_no_chance():
    seeds = noisy(4)
    moved = dict(seeds)
    moved[2] = SimilarityMatrix(seeds[2].values + 1000, ["rte"], NAMES, "k")
    before, after = (rank_sources(own, "rte").uncertainty for own in (seeds, moved))
    np.testing.assert_allclose(after.places, before.places, atol=0.002)
    assert after.least_difference == pytest.approx(before.least_difference, rel=1e-6)


def test_no_transfer_is_ranked_with_the_error_of_the_level():
    gains = noisy(5, neutral=0.0)
    ranking = rank_sources(gains, "rte")
    found = ranking.uncertainty
    assert NO_TRANSFER in found.candidates
    assert len(ranking) == 6
    entry = next(entry for entry in ranking if entry.source == NO_TRANSFER)
    assert entry.group == ""
    assert entry.score_low == entry.score_high == 0.0
    # The common level moves by 1 from seed to seed, so help is not certain.
    assert 0.02 < found.p_beats("qnli", NO_TRANSFER) < 0.9999


def test_pairs_of_seeds_are_crossed_or_averaged_by_name():
    rng = np.random.default_rng(1)
    by_source, by_target = rng.normal(size=(3, 5)), 0.01 * rng.normal(size=(4, 5))
    grid = {
        (a, b): SimilarityMatrix([by_source[a] + by_target[b]], ["rte"], NAMES, "k")
        for a in range(3)
        for b in range(4)
    }
    found = {
        unit: rank_sources(grid, "rte", unit=unit).uncertainty
        for unit in ("auto", "seeds", "source_seeds", "target_seeds", "both_seeds")
    }
    assert found["auto"].unit == "both_seeds"
    assert found["auto"].n_seeds == 3
    assert found["source_seeds"].n_seeds == 3
    assert found["target_seeds"].n_seeds == 4
    # Twelve matrices are not twelve independent seeds: only three sources' seeds are.
    assert found["seeds"].seed_deviation < 0.7 * found["both_seeds"].seed_deviation
    assert found["source_seeds"].seed_deviation == pytest.approx(
        found["both_seeds"].seed_deviation, rel=0.01
    )
    del grid[0, 0]
    with pytest.raises(FormatError, match="every pair"):
        rank_sources(grid, "rte", unit="source_seeds")
    assert rank_sources(grid, "rte").uncertainty.unit == "seeds"


def test_a_source_without_every_seed_is_refused_or_listed():
    seeds = noisy(3)
    values = seeds[1].values.copy()
    values[0, 2] = np.nan
    seeds[1] = SimilarityMatrix(values, ["rte"], NAMES, "k")
    with pytest.raises(NonFiniteError, match="'sst2'"):
        rank_sources(seeds, "rte")
    ranking = rank_sources(seeds, "rte", nan_policy="omit")
    assert ranking.omitted == ("sst2",)
    assert len(ranking) == 4


def test_one_candidate_has_nothing_to_be_ranked_against():
    seeds = noisy(3, names=("mnli",))
    ranking = rank_sources(seeds, "rte")
    assert ranking.uncertainty is None
    assert len(ranking) == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda m: {}, ShapeError, "empty mapping"),
        (lambda m: {**m, 9: "matrix"}, DTypeError, "expected a SimilarityMatrix"),
        (lambda m: {**m, 9: m[0].select(sources=NAMES[:2])}, ShapeError, "different sources"),
        (lambda m: {**m, 9: SimilarityMatrix(m[0].values, ["rte"], NAMES, "other")}, FormatError,
         "different kernel"),
        (lambda m: [m[0]], DTypeError, "mapping of seed"),
    ],
)  # fmt: skip
def test_mappings_that_are_no_seeds_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        rank_sources(change(noisy(2)), "rte")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"confidence": 95}, ValueError),
        ({"n_draws": 10}, ValueError),
        ({"unit": "runs"}, UnknownNameError),
        ({"unit": "source_seeds"}, FormatError),
        ({"n_threads": 0}, ValueError),
    ],
)
def test_impossible_options_are_refused(options, error):
    with pytest.raises(error):
        rank_sources(noisy(2), "rte", **options)


def test_a_ranking_over_seeds_pickles():
    ranking = rank_sources(noisy(), "rte")
    again = pickle.loads(pickle.dumps(ranking))
    assert again == ranking
    assert again.uncertainty.groups == ranking.uncertainty.groups


def test_an_atlas_of_several_seeds_splits_into_one_a_seed():
    rng = np.random.default_rng(0)
    keys = {f"{task}-seed{seed}": seed for seed in (1, 0) for task in ("rte", "mnli", "qqp")}
    atlas = Atlas.from_arrays(
        {key: rng.normal(size=(3, 4)) for key in keys},
        provenance={key: Provenance(seed=seed) for key, seed in keys.items()},
    )
    parts = split_seeds(atlas)
    assert list(parts) == [0, 1]
    assert parts[0].names == ("rte", "mnli", "qqp")
    seeds = {seed: ka.similarity_matrix(part, kernel="flatten") for seed, part in parts.items()}
    assert rank_sources(seeds, "rte").uncertainty.n_seeds == 2
    named = split_seeds(atlas, name=lambda task: task.name[:2])
    assert named[1].names == ("rt", "mn", "qq")
    with pytest.raises(FormatError, match="would be called"):
        split_seeds(atlas, name=lambda task: "task")
    with pytest.raises(FormatError, match="name different tasks"):
        split_seeds(atlas.select(list(keys)[:5]))
    with pytest.raises(FormatError, match="no seed"):
        split_seeds(Atlas.from_arrays({"a": [[1.0]]}))
