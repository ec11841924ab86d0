"""Similarities, surrogates and the numbers beside them, on boxes whose truth is known."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import kinatlas as ka
from kinatlas.behavior import (
    Responses,
    baseline_scores,
    builtin_bank,
    calls_needed,
    character_ngrams,
    embed_behavior,
    encoder_features,
    paired_similarity,
    prompt_bias,
    ridge_space,
    same_endpoint,
    surrogate_similarity,
    tfidf_features,
    variance_shares,
    with_baselines,
)
from kinatlas.errors import NonFiniteError, ShapeError, SpaceError, UnknownNameError

LABELS = ("neg", "pos")


def logistic(values: np.ndarray) -> np.ndarray:
    shares = 1 / (1 + np.exp(-values))
    return np.stack([1 - shares, shares], axis=-1)


def drawn(n_boxes: int, n_probes: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n_boxes, 3)) @ draw.normal(size=(3, n_probes))


def built(logits: np.ndarray, **options) -> Responses:
    return Responses.from_arrays(
        {f"box {at}": own for at, own in enumerate(logistic(logits))}, labels=LABELS, **options
    )


def test_a_shift_of_logits_changes_nothing_and_a_temperature_neither() -> None:
    logits = drawn(5, 200)
    shifts = np.random.default_rng(1).normal(size=(5, 1))
    scales = np.exp(np.random.default_rng(2).normal(0, 0.3, (5, 1)))
    plain = paired_similarity(built(logits), n_replicates=0).values
    moved = paired_similarity(built(scales * logits + shifts), n_replicates=0).values
    # Probabilities near 1 keep 1 - p to about 1e-13 of itself; logits stay within 20.
    np.testing.assert_allclose(moved, plain, atol=1e-9)


def test_the_order_of_probes_boxes_and_labels_changes_nothing() -> None:
    logits = drawn(4, 60)
    texts = [f"text {at}" for at in range(60)]
    order = np.random.default_rng(0).permutation(60)
    first = paired_similarity(built(logits, texts=texts), n_replicates=0).values
    second = paired_similarity(
        built(logits[::-1][:, order], texts=[texts[at] for at in order]), n_replicates=0
    ).values[::-1, ::-1]
    np.testing.assert_allclose(first, second, atol=1e-12)
    third = Responses.from_arrays(
        {f"box {at}": own[:, ::-1] for at, own in enumerate(logistic(logits))}, labels=LABELS[::-1]
    )
    np.testing.assert_allclose(paired_similarity(third, n_replicates=0).values, first, atol=1e-12)


def test_noise_attenuates_and_the_correction_finds_the_truth() -> None:
    logits = drawn(2, 1500, 3)
    logits[1] = 0.9 * logits[0] + 0.4 * logits[1]
    truth = paired_similarity(built(logits), link="probability", n_replicates=0).values[0, 1]
    draw = np.random.default_rng(0)
    shares = logistic(logits)[..., 1]
    found, corrected = [], []
    for number in range(4):
        labels = (draw.random((2, 1500, 4)) < shares[..., None]).astype(int)
        noisy = Responses.from_arrays(
            {f"box {at}": np.eye(2)[own] for at, own in enumerate(labels)},
            labels=LABELS, smoothing=0.5,
        )  # fmt: skip
        similarity = paired_similarity(noisy, link="probability", n_replicates=100, rng=number)
        found.append(similarity.values[0, 1])
        corrected.append(similarity.corrected[0, 1])
        assert (similarity.reliability < 0.95).all()
    assert np.mean(found) < truth - 0.05
    assert abs(np.mean(corrected) - truth) < 0.4 * abs(np.mean(found) - truth)


def test_intervals_of_replicated_answers_cover_their_mean() -> None:
    """What the same box and probes would show with new answers and new probes."""
    draw, inside = np.random.default_rng(4), []
    logits = drawn(3, 4000, 5)
    shares = logistic(logits)[..., 1]

    def asked(rows: np.ndarray) -> Responses:
        labels = (draw.random((3, len(rows), 3)) < shares[:, rows, None]).astype(int)
        return Responses.from_arrays(
            {str(at): np.eye(2)[own] for at, own in enumerate(labels)}, labels=LABELS, smoothing=0.5
        )

    wanted = np.mean(
        [paired_similarity(asked(np.arange(4000)), n_replicates=0).values for _ in range(3)], axis=0
    )
    upper = np.triu_indices(3, 1)
    for number in range(60):
        found = paired_similarity(
            asked(draw.choice(4000, 120)), n_replicates=150, rng=number, n_threads=1
        )
        inside.append(((found.low <= wanted) & (wanted <= found.high))[upper])
    # Answers are drawn a second time inside the bootstrap, so the intervals err to the wide side.
    assert 0.85 <= np.mean(inside) <= 0.99


def test_spaces_that_differ_refuse_to_meet() -> None:
    first = built(drawn(2, 30), texts=[f"a {at}" for at in range(30)])
    second = built(drawn(2, 30), texts=[f"b {at}" for at in range(30)])
    with pytest.raises(SpaceError):
        ka.similarity_matrix(embed_behavior(first), embed_behavior(second), kernel="flatten")
    raw, function = (
        embed_behavior(first, method="ridge", space=ridge_space(first, metric=m, n_features=8))
        for m in ("raw", "function")
    )
    with pytest.raises(SpaceError):
        ka.similarity_matrix(raw, function, kernel="flatten")
    other = Responses.from_arrays({"x": [[0.5, 0.5], [0.1, 0.9]]}, labels=["n", "y"])
    space = ridge_space(first, n_features=4)
    with pytest.raises(SpaceError, match="labels"):
        space.embed(other)


def test_a_data_set_ranks_the_box_that_knows_it_first() -> None:
    draw = np.random.default_rng(0)
    table = draw.normal(size=(900, 6))
    names = [f"row {at}" for at in range(900)]
    features = encoder_features(
        lambda texts: table[[int(text.split()[1]) for text in texts]], names, name="table"
    )
    weights = np.linalg.qr(draw.normal(size=(6, 4)))[0].T
    logits = 2 * weights @ table.T
    responses = built(logits[:, :300], texts=names[:300])
    space = ridge_space(responses, features=features)
    gold = ["pos" if value > 0 else "neg" for value in logits[2, 300:600]]
    task = space.embed_labels(names[300:600], gold, name="data")
    matrix = ka.similarity_matrix(
        space.embed(responses), ka.Atlas.from_tasks([task]), kernel="flatten", normalize=None
    )
    assert ka.rank_sources(matrix, "data")[0].source == "box 2"
    found = surrogate_similarity(responses, space)
    assert (found.reliability > 0.9).all()
    assert (found.low <= found.values).all()
    assert (found.values <= found.high).all()


def test_another_endpoint_is_told_from_the_same_one() -> None:
    draw = np.random.default_rng(0)
    shares = draw.uniform(0.1, 0.9, 150)

    def asked(p: np.ndarray) -> Responses:
        labels = (draw.random((150, 4)) < p[:, None]).astype(int)
        return Responses.from_arrays({"a": np.eye(2)[labels]}, labels=LABELS)

    same, other = asked(shares), asked(np.clip(shares + 0.3 * np.sign(0.5 - shares), 0, 1))
    assert same_endpoint(asked(shares), same).row("a")["p"] > 0.01
    assert same_endpoint(asked(shares), other).row("a")["p"] <= 0.001
    once = asked(shares).first(150)
    lonely = Responses(once.boxes, once.labels, once.bank, once.answers[:, :, :1],
                       once.mass[:, :, :1])  # fmt: skip
    assert np.isnan(same_endpoint(lonely, lonely).row("a")["p"])
    assert same_endpoint(lonely, lonely).row("a")["agreement"] == 1.0


def test_shares_of_variance_find_what_was_planted() -> None:
    draw, cells = np.random.default_rng(0), {}
    model, prompt = draw.normal(size=(4, 400)), draw.normal(size=(5, 400))
    lean = draw.normal(0, 2, 5)
    for m in range(4):
        for p in range(5):
            noise = 0.5 * draw.normal(size=400)
            cells[f"m{m} p{p}"] = logistic(model[m] + 0.5 * prompt[p] + lean[p] + noise)
    names = [name.split() for name in cells]
    found = variance_shares(
        Responses.from_arrays(cells, labels=LABELS), [n[0] for n in names], [n[1] for n in names]
    )
    shares = {name: found.row(name)["share"] for name in found.names}
    assert shares["prompt"] > 0.9
    # Planted variances 1, 1/4 and 1/4.
    assert shares["model_x_probe"] == pytest.approx(2 / 3, abs=0.05)
    assert shares["prompt_x_probe"] == pytest.approx(1 / 6, abs=0.05)
    assert shares["residual"] == pytest.approx(1 / 6, abs=0.05)
    with pytest.raises(ShapeError, match="absent"):
        variance_shares(
            Responses.from_arrays(dict(list(cells.items())[:-1]), labels=LABELS),
            [n[0] for n in names[:-1]], [n[1] for n in names[:-1]],
        )  # fmt: skip


def test_bias_and_sharpness_are_told_apart_from_behaviour() -> None:
    logits = drawn(1, 300)
    found = prompt_bias(built(np.concatenate([logits, 2 * logits + 1.0])))
    assert found.row("box 1")["sharpness"] == pytest.approx(2 * found.row("box 0")["sharpness"])
    gap = found.row("box 1")["bias pos"] - 2 * found.row("box 0")["bias pos"]
    assert gap == pytest.approx(0.5)


def test_baselines_know_nothing_and_labels_know_something() -> None:
    logits = 3 * drawn(6, 300)
    added = with_baselines(built(logits))
    values = paired_similarity(added, n_replicates=0)
    assert values.pair("box 0", "(constant)")["similarity"] == 0.0
    assert abs(values.pair("box 0", "(random)")["similarity"]) < 0.25
    truth = [LABELS[int(own > 0)] for own in logits[3]]
    table = baseline_scores(built(logits), truth, k=(64, 10_000))
    assert table.row("box 3")["all labels"] == 1.0
    assert "10000 labels" not in table.columns


def test_four_times_the_probes_halve_the_interval() -> None:
    logits = drawn(4, 2000)
    small = paired_similarity(built(logits[:, :400]), n_replicates=400)
    need = calls_needed(small, float((small.high - small.low)[0, 1]) / 4)
    assert need["widest"] >= need["median"]
    pair = calls_needed(small, float((small.high - small.low)[0, 1]) / 4, ["box 0", "box 1"])
    assert pair["median"] == pytest.approx(1600)


def test_free_text_is_spelling_only() -> None:
    vectors = character_ngrams(["the cat sat", "The  cat sat", "the cat sits", "zzz qqq", ""])
    assert vectors[0] @ vectors[1] == pytest.approx(1.0)
    assert vectors[0] @ vectors[2] > 0.4 > abs(vectors[0] @ vectors[3])
    assert not vectors[4].any()


def test_bad_responses_are_refused() -> None:
    with pytest.raises(NonFiniteError, match="sum to 1"):
        Responses.from_arrays({"a": [[0.5, 0.6]]}, labels=LABELS)
    with pytest.raises(NonFiniteError, match="finite"):
        Responses.from_arrays({"a": [[np.inf, 0.0]]}, labels=LABELS)
    with pytest.raises(ShapeError):
        Responses.from_arrays({}, labels=LABELS)
    with pytest.raises(ShapeError):
        Responses.from_arrays({"a": [[0.5, 0.5]], "b": [[0.5, 0.5]] * 2}, labels=LABELS)
    with pytest.raises(UnknownNameError, match="logit"):
        paired_similarity(built(drawn(2, 9)), link="logits", n_replicates=0)
    with pytest.raises(ValueError, match="above 0"):
        ridge_space(built(drawn(2, 9)), penalties=[0.0])


def test_results_survive_a_pickle() -> None:
    found = built(drawn(3, 40))
    again = pickle.loads(pickle.dumps(found))
    assert again.answers.tobytes() == found.answers.tobytes()
    similarity = paired_similarity(again, n_replicates=100)
    assert pickle.loads(pickle.dumps(similarity)).low.tobytes() == similarity.low.tobytes()


@pytest.mark.slow
def test_the_threads_of_a_blas_change_no_bit_of_a_surrogate() -> None:
    limits = pytest.importorskip("threadpoolctl").threadpool_limits
    bank = builtin_bank().first(1024)
    found = []
    for n_threads in (1, 2):
        with limits(n_threads, user_api="blas"):
            features = tfidf_features(bank.texts, 256)
            found.append((features(bank.texts[:50]).tobytes(), features.covariance.tobytes()))
    assert found[0] == found[1]
