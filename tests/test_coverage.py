"""Do intervals cover, are chances calibrated, do tests keep their level? Reduced simulations.

The full ones are in notebooks/studies/consistency_coverage. Bounds: the issue asks for 92 to 97 %
at 95 %; to that come four standard errors of the simulation itself.
"""

import numpy as np
import pytest

from kinatlas import SimilarityMatrix, TransferTable, _core, compare_methods, rank_sources
from kinatlas.consistency import noise_ceiling, seed_consistency

pytestmark = pytest.mark.slow


def margin(count, share=0.95):
    return 4 * (share * (1 - share) / count) ** 0.5


def simulated(n_tables, n_sources=12, n_seeds=3, spread=1.0, seed=0):
    """Rankings over seeds beside the true means they came from."""
    rng = np.random.default_rng(seed)
    names = tuple(f"s{at:02}" for at in range(n_sources))
    for number in range(n_tables):
        truth = spread * rng.normal(size=n_sources)
        cube = truth + 2 * rng.normal(size=(n_seeds, 1)) + rng.normal(size=(n_seeds, n_sources))
        seeds = {at: SimilarityMatrix([row], ["t"], names, "k") for at, row in enumerate(cube)}
        yield truth, rank_sources(seeds, "t", n_draws=500, rng=number).uncertainty


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_rank_and_score_intervals_cover_the_truth(n_seeds):
    ranks, scores = [], []
    for truth, found in simulated(200, n_seeds=n_seeds, spread=0.5, seed=n_seeds):
        places = {f"s{at:02}": int((truth > own).sum()) for at, own in enumerate(truth)}
        values = {f"s{at:02}": own for at, own in enumerate(truth)}
        for at, name in enumerate(found.candidates):
            low, high = found.rank_intervals[at]
            ranks.append(low <= places[name] <= high)
            low, high = found.score_intervals[at]
            scores.append(low <= values[name] <= high)
    # Sources of one table share their errors: 200 tables count, not 2400 sources.
    assert 0.92 - margin(200) < np.mean(ranks) < 0.97 + margin(200)
    assert 0.92 - margin(200) < np.mean(scores) < 0.97 + margin(200)


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_the_chance_to_be_the_best_is_calibrated(spread):
    claimed, happened = [], []
    for truth, found in simulated(200, spread=spread, seed=11):
        claimed.append(found.p_top.max())
        happened.append(found.candidates[int(found.p_top.argmax())] == f"s{truth.argmax():02}")
    claimed, happened = np.array(claimed), np.array(happened)
    error = (claimed * (1 - claimed)).sum() ** 0.5 / len(claimed)
    assert abs(claimed.mean() - happened.mean()) < 4 * error


def test_every_claim_to_be_the_best_is_kept_where_the_spread_is_unknown():
    rng, claimed, happened = np.random.default_rng(5), [], []
    for number in range(900):
        spread = 0.3 * 10 ** rng.random()
        for truth, found in simulated(1, n_seeds=3, spread=spread, seed=number):
            claimed.append(found.p_top.max())
            best = found.candidates[int(found.p_top.argmax())]
            happened.append(best == f"s{truth.argmax():02}")
    claimed, happened = np.array(claimed), np.array(happened)
    for low, high in ((0.0, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        own = (low < claimed) & (claimed <= high)
        assert own.sum() > 100
        share = claimed[own].mean()
        # The study with 4000 tables finds every such gap within 0.04 at three seeds.
        assert abs(share - happened[own].mean()) < 0.04 + margin(own.sum(), share)


def test_groups_split_equal_sources_no_more_often_than_they_may():
    split = [len(found.groups) > 1 for _, found in simulated(300, n_sources=6, spread=0.0)]
    assert np.mean(split) < 0.05 + margin(300, 0.05)
    assert np.mean(split) > 0.05 - margin(300, 0.05)


@pytest.mark.parametrize("n_targets", [8, 21])
def test_expanded_intervals_of_a_mean_cover_it(n_targets):
    rng, covered = np.random.default_rng(n_targets), []
    for number in range(400):
        cube = rng.normal(size=(n_targets, 1, 1)) + rng.normal(size=(n_targets, 1, 3))
        plan = ("targets", np.zeros(n_targets, dtype=np.int64), number)
        drawn = _core.resample_means(cube, plan, (0, 2000), 1)
        _, low, high = _core.mean_intervals(cube, drawn, [(0, -1)], "expanded", 0.95)[0]
        covered.append(low <= 0 <= high)
    assert 0.92 - margin(400) < np.mean(covered) < 0.97 + margin(400)


def runs_of(rng, n_targets, spread, n_seeds):
    """Twelve sources whose true scores differ by ``spread`` times the noise of a run."""
    truth = 50 + spread * rng.normal(size=(n_targets, 12, 1))
    scores = truth + rng.normal(size=(n_targets, 12, n_seeds))
    targets = tuple(f"t{at:04}" for at in range(n_targets))
    return TransferTable(scores, targets, tuple("abcdefghijkl"), range(n_seeds), units="percent")


def covering(find, name, rng, spread, n_seeds, count=200, n_targets=12):
    """Share of tables whose interval holds what 4000 targets say; beside that of percentiles."""
    truth = find(runs_of(rng, 4000, spread, n_seeds))[name]
    own, plain = [], []
    for number in range(count):
        found = find(runs_of(rng, n_targets, spread, n_seeds))
        at = found.names.index(name)
        own.append(found.columns["low"][at] <= truth <= found.columns["high"][at])
        cube = np.array(found.per_target[name])[:, None, None]
        plan = ("targets", np.zeros(n_targets, dtype=np.int64), number)
        drawn = _core.resample_means(cube, plan, (0, 1000), 1)
        _, low, high = _core.mean_intervals(cube, drawn, [(0, -1)], "expanded", 0.95)[0]
        plain.append(low <= truth <= high)
    return np.mean(own), np.mean(plain)


@pytest.mark.parametrize(("spread", "n_seeds"), [(0.5, 2), (1.0, 3), (4.0, 2)])
def test_intervals_of_a_share_cover_it_at_twelve_targets(spread, n_seeds):
    def find(table):
        return seed_consistency(table, n_replicates=100)

    own, _ = covering(find, "best_source", np.random.default_rng(n_seeds), spread, n_seeds)
    assert own > 0.92 - margin(200)


def test_percentiles_of_a_rare_agreement_do_not_cover_and_score_intervals_do():
    def find(table):
        return seed_consistency(table, n_replicates=100)

    own, plain = covering(find, "best_source", np.random.default_rng(0), 0.3, 2)
    assert plain < 0.85 < 0.92 - margin(200) < own


@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_intervals_of_a_noise_ceiling_cover_regret_at_twelve_targets(spread):
    def find(table):
        return noise_ceiling(table, gain="linear", k=3, n_replicates=100)

    own, plain = covering(find, "regret@3", np.random.default_rng(1), spread, 3)
    assert own > 0.92 - margin(200)
    assert own >= plain


def test_intervals_of_variance_components_cover_them():
    rng, covered = np.random.default_rng(0), []
    wanted = np.array([4.0, 1.0, 0.5, 0.5, 0.25])
    for number in range(400):
        shapes = ((10, 1, 1), (1, 12, 1), (10, 12, 1), (10, 1, 3), (10, 12, 3))
        parts = [rng.normal(size=shape) for shape in shapes]
        cube = sum(scale * part for scale, part in zip(wanted**0.5, parts, strict=True))
        _, _, drawn = _core.variance_components(cube, (number, 500), 1)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        covered.append((low <= wanted) & (wanted <= high))
    shares = np.mean(covered, axis=0)
    # Intervals whose pivots use several chi-squared draws are known to be a little conservative.
    assert (shares > 0.92 - margin(400)).all()
    assert (shares < 0.98 + margin(400)).all()


def test_exchangeable_methods_are_told_apart_at_the_nominal_rate_only():
    rng = np.random.default_rng(0)
    targets, sources = tuple(f"t{at}" for at in range(9)), tuple("abcdef")
    shown, against_chance, covered = [], [], []
    for _ in range(200):
        table = TransferTable(
            50 + rng.normal(size=(9, 6, 2)), targets, sources, (0, 1), units="percent"
        )
        methods = {
            name: SimilarityMatrix(rng.normal(size=(9, 6)), targets, sources, "k")
            for name in ("x", "y", "z")
        }
        found = compare_methods(methods, table, metric="spearman", correction="none",
                                n_replicates=100, n_permutations=199)  # fmt: skip
        pairs = found.pairs.columns
        shown += [p <= 0.05 for p in pairs["p_value"]]
        ends = zip(pairs["low"], pairs["high"], strict=True)
        covered += [low <= 0 <= high for low, high in ends]
        against_chance += [p <= 0.05 for p in found.rows["p_chance"][:3]]
    # 2^8 patterns: the level of a listed test is the largest multiple of 1/256 below 0.05.
    assert np.mean(shown) < 0.05 + margin(200, 0.05)
    assert np.mean(shown) > 12 / 256 - margin(200, 0.05)
    assert abs(np.mean(against_chance) - 0.05) < margin(600, 0.05)
    assert 0.92 - margin(200) < np.mean(covered) < 0.97 + margin(200)
