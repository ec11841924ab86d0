"""Transferability scores against their NumPy twins, SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas import _reference_transferability as twins
from kinatlas.transferability import score


def first_seen(labels: np.ndarray) -> np.ndarray:
    order = list(dict.fromkeys(labels.tolist()))
    return np.array([order.index(label) for label in labels.tolist()])


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, dim] and labels [n]: wide and tall, with duplicates now and then."""
    n, dim = draw(st.integers(3, 13)), draw(st.integers(1, 15))
    n_classes = draw(st.integers(2, min(n, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.permutation(
        np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    )
    apart = draw(st.sampled_from([0.0, 1.0, 3.0]))
    features = rng.normal(size=(n, dim)) + apart * rng.normal(size=(n_classes, dim))[labels]
    if draw(st.booleans()):
        features = np.round(features)
    return features, first_seen(labels)


# logme: the twin solves systems whose condition reaches 1e12 at the smallest ratio, so 1e-16 of
# rounding becomes 1e-4 of the residual at worst; off that edge it agrees to 1e-9. trans_rate: the
# twin's determinant of I + Z'Z / (n 1e-4) has condition 1e6 at most, 1e-16 * 1e6 a logarithm.
TOLERANCE = {"logme": 1e-4, "trans_rate": 1e-9}


@pytest.mark.parametrize("method", sorted(twins.TWINS))
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_scores_agree_with_their_twins(method, problem):
    features, labels = problem
    expected = twins.TWINS[method](features, labels)
    found = score(features, labels, method=method)
    assert found == pytest.approx(
        expected, rel=TOLERANCE.get(method, 1e-10), abs=TOLERANCE.get(method, 1e-10)
    )


@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_overlaps_agree_with_gaussians_of_full_covariance(covariance, problem):
    features, labels = problem
    expected = twins.gbc(features, labels, covariance)
    found = score(features, labels, method="gbc", covariance=covariance)
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-14)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_sources=st.integers(1, 9))
def test_predictions_agree_with_their_twins(seed, n_sources):
    rng = np.random.default_rng(seed)
    labels = first_seen(np.concatenate([[0, 1], rng.integers(0, 4, 15)]))
    theta = rng.dirichlet(np.full(n_sources, 0.3), size=17)
    assert score(theta, labels, method="leep") == pytest.approx(
        twins.leep(theta, labels), abs=1e-13
    )
    sources = theta.argmax(axis=1)
    assert score(sources, labels, method="nce") == pytest.approx(
        twins.nce(sources, labels), abs=1e-13
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n", "dim"), [(30, 4), (12, 20)])
def test_logme_is_the_evidence_at_its_maximum_over_both_precisions(seed, n, dim):
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, dim))
    labels = first_seen((features[:, 0] + rng.normal(size=n) > 0).astype(int))
    total = 0.0
    for c in (0, 1):
        target = (labels == c).astype(float)

        def loss(logs: np.ndarray, target: np.ndarray = target) -> float:
            return -twins.log_evidence(features, target, *np.exp(logs))

        bounds = [(-12, 20), (-12, 20)]
        starts = [(0, 0), (5, 0), (0, 5), (-3, 2)]
        runs = [optimize.minimize(loss, s, bounds=bounds, method="L-BFGS-B") for s in starts]
        total -= min(run.fun for run in runs)
    # L-BFGS stops at relative changes of 1e-9 and may stop short of the maximum, never beyond it.
    found = score(features, labels, method="logme")
    assert found == pytest.approx(total / 2 / n, abs=1e-5)
    assert found >= total / 2 / n - 1e-12


def test_a_perfect_linear_fit_has_a_finite_evidence_above_any_noisy_one():
    labels = np.arange(20) % 2
    exact = np.stack([labels, 1 - labels], axis=1).astype(float)
    noisy = exact + 1e-3 * np.random.default_rng(0).normal(size=exact.shape)
    assert np.isfinite(score(exact, labels, method="logme"))
    assert score(exact, labels, method="logme") > score(noisy, labels, method="logme")


@pytest.mark.parametrize(("n", "dim"), [(40, 6), (15, 30)])
def test_h_score_agrees_with_the_shrunk_covariance_of_scikit_learn(n, dim):
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(n)
    labels = np.arange(n) % 3
    features = rng.normal(size=(n, dim)) + rng.normal(size=(3, dim))[labels]
    shrunk = covariance.LedoitWolf().fit(features)
    centred = features - features.mean(axis=0)
    means = np.stack([centred[labels == c].mean(axis=0) for c in labels])
    between = (1 - shrunk.shrinkage_) * means.T @ means / n
    expected = np.trace(np.linalg.inv(shrunk.covariance_) @ between)
    assert score(features, labels, method="h_score") == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbours_agree_with_scikit_learn_where_no_vote_can_tie(k):
    neighbors = pytest.importorskip("sklearn.neighbors")
    selection = pytest.importorskip("sklearn.model_selection")
    features, labels = np.random.default_rng(k).normal(size=(40, 3)), np.arange(40) % 2
    features[:, 0] += labels
    model = neighbors.KNeighborsClassifier(n_neighbors=k)
    expected = selection.cross_val_score(model, features, labels, cv=selection.LeaveOneOut()).mean()
    assert score(features, labels, method="knn", k=k) == pytest.approx(expected, abs=1e-15)


def test_the_linear_probe_agrees_with_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    selection = pytest.importorskip("sklearn.model_selection")
    rng = np.random.default_rng(3)
    labels = np.arange(45) % 3
    features = rng.normal(size=(45, 7)) + 0.8 * rng.normal(size=(3, 7))[labels]
    largest = np.linalg.norm(features - features.mean(axis=0), 2) ** 2
    alphas = largest * 10.0 ** np.arange(6, -7, -1) / 45
    model = linear.RidgeClassifierCV(alphas=alphas).fit(features, labels)
    fixed = linear.RidgeClassifier(alpha=model.alpha_)
    expected = selection.cross_val_score(fixed, features, labels, cv=selection.LeaveOneOut()).mean()
    assert score(features, labels, method="linear_probe") == pytest.approx(expected, abs=1e-15)


def test_parc_agrees_with_the_spearman_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    features, labels = rng.normal(size=(18, 6)), rng.integers(0, 3, 18)
    below = np.tril_indices(18, -1)
    close = np.corrcoef(features)[below]
    same = np.corrcoef(np.eye(3)[labels])[below].round(12)
    expected = stats.spearmanr(close, same).statistic
    assert score(features, labels, method="parc") == pytest.approx(expected, abs=1e-12)


def test_nleep_is_leep_of_a_gaussian_mixture():
    decomposition = pytest.importorskip("sklearn.decomposition")
    mixture = pytest.importorskip("sklearn.mixture")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = rng.normal(size=(60, 8)) + 4 * rng.normal(size=(2, 8))[labels]
    reduced = decomposition.PCA(n_components=0.8, svd_solver="full").fit_transform(features)
    seed = int(np.random.default_rng(7).integers(2**31))
    model = mixture.GaussianMixture(
        4, random_state=seed, reg_covar=1e-6 * reduced.var(axis=0).mean()
    )
    theta = model.fit(reduced).predict_proba(reduced)
    found = score(features, labels, method="nleep", n_components=4, rng=7)
    assert found == pytest.approx(twins.leep(theta, labels), abs=1e-12)
    with pytest.raises(ValueError, match=r"variance_kept is 1\.5"):
        score(features, labels, method="nleep", variance_kept=1.5)
