"""Fisher diagonals: closed forms, streams, shards, what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas._reference_embeddings import batch_mean_fisher, fisher_of_head, fisher_of_rows
from kinatlas.embeddings import FisherAccumulator, embed_fisher
from kinatlas.errors import FormatError, NonFiniteError, ShapeError, SpaceError, UnknownNameError

ml_dtypes = pytest.importorskip("ml_dtypes")


def logistic(n: int = 200, n_features: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    x = generator.standard_normal((n, n_features))
    p = 1 / (1 + np.exp(-x @ generator.standard_normal(n_features)))
    return x, p, (generator.random(n) < p).astype(float)


def gradients(n: int = 150, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "conv": generator.standard_normal((n, 4, 3, 2)).astype(np.float32),
        "bias": generator.standard_normal((n, 4)).astype(np.float32),
    }


def fed(batch: int, rows: dict[str, np.ndarray], **settings: object) -> FisherAccumulator:
    fisher = FisherAccumulator(**settings)  # type: ignore[arg-type]
    n = len(next(iter(rows.values())))
    for start in range(0, n, batch):
        fisher.partial_fit({name: row[start : start + batch] for name, row in rows.items()})
    return fisher


def test_a_logistic_model_has_the_fisher_of_its_closed_form() -> None:
    x, p, y = logistic()
    # The Hessian of the log loss is X^T diag(p (1 - p)) X / n.
    hessian = np.diag(x.T @ (x * (p * (1 - p))[:, None])) / len(x)
    exact = embed_fisher(x, p, name="t", space="m", head="logistic").tokens[0]
    np.testing.assert_allclose(exact[:-1], hessian, rtol=1e-10, atol=0)
    # The same from gradients: both labels of every example, weighted by their probability.
    both = np.stack([x * (p - 1)[:, None], x * p[:, None]], axis=1).reshape(-1, x.shape[1])
    weights = np.stack([p, 1 - p], axis=1).ravel()
    fisher = FisherAccumulator(convention="exact", rows_per_example=2)
    found = fisher.partial_fit({"w": both}, weights=weights).diagonal()["w"]
    np.testing.assert_allclose(found, hessian, rtol=1e-10, atol=0)
    gold = embed_fisher(x, p, y, name="t", space="m", head="logistic", convention="gold").tokens[0]
    np.testing.assert_allclose(gold[:-1], np.mean((x * (p - y)[:, None]) ** 2, axis=0), rtol=1e-10)


@given(seed=st.integers(0, 1000), n=st.integers(1, 12), classes=st.integers(2, 5))
def test_a_softmax_head_agrees_with_its_twin(seed: int, n: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    x, logits = generator.standard_normal((n, 3)), generator.standard_normal((n, classes))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    exact = embed_fisher(x, p, name="t", space="m").tokens.reshape(4, classes)
    np.testing.assert_allclose(exact, fisher_of_head(x, p), rtol=1e-12)
    y = generator.integers(classes, size=n)
    gold = embed_fisher(x, p, y, name="t", space="m", convention="gold").tokens.reshape(4, classes)
    np.testing.assert_allclose(gold, fisher_of_head(x, p, np.eye(classes)[y]), rtol=1e-12)


def test_drawn_labels_repeat_and_tend_to_the_exact_expectation() -> None:
    x, p, _ = logistic()

    def drawn(seed: int, n_draws: int) -> np.ndarray:
        task = embed_fisher(
            x,
            p,
            name="t",
            space="m",
            head="logistic",
            convention="monte_carlo",
            n_draws=n_draws,
            seed=seed,
        )
        return task.tokens

    exact = embed_fisher(x, p, name="t", space="m", head="logistic").tokens
    assert np.array_equal(drawn(1, 10), drawn(1, 10))
    assert not np.array_equal(drawn(1, 10), drawn(2, 10))
    # v of one draw has variance p (1 - p) (1 - 2 p)^2; five standard errors over all examples.
    squares = np.concatenate([x**2, np.ones((len(x), 1))], axis=1)
    variance = p * (1 - p) * (1 - 2 * p) ** 2 / 4000
    error = np.sqrt((squares**2 * variance[:, None]).sum(axis=0)) / len(x)
    assert (np.abs(drawn(3, 4000) - exact)[0] <= 5 * error).all()


@pytest.mark.parametrize("batch", [8, 64])
def test_the_batch_size_changes_no_bit(batch: int) -> None:
    rows = gradients()
    one, many = fed(1, rows), fed(batch, rows)
    for name, values in one.diagonal().items():
        assert np.array_equal(values, many.diagonal()[name])
        np.testing.assert_allclose(values, fisher_of_rows(rows[name]), rtol=150 * 2.3e-16)
    tasks = [fisher.task("rte", space="net") for fisher in (one, many)]
    assert tasks[0] == tasks[1]


def test_the_published_square_of_a_batch_mean_depends_on_the_batch() -> None:
    rows = gradients()
    found = [fed(batch, rows, square="batch_mean") for batch in (1, 64)]
    batches = [rows["bias"][start : start + 64] for start in range(0, 150, 64)]
    np.testing.assert_allclose(found[1].diagonal()["bias"], batch_mean_fisher(batches), rtol=1e-12)
    assert np.array_equal(found[0].diagonal()["bias"], fed(1, rows).diagonal()["bias"])
    ratio = found[1].diagonal()["bias"].sum() / found[0].diagonal()["bias"].sum()
    assert ratio < 0.1
    task = found[1].task("t", space="m")
    assert "square=batch_mean" in task.space


@given(shard=st.integers(1, 70), n_threads=st.sampled_from([1, 2, 5]))
def test_shards_merged_in_order_give_the_bits_of_one_pass(shard: int, n_threads: int) -> None:
    rows = gradients()
    whole = fed(40, rows, shard_size=shard, n_threads=n_threads)
    merged = FisherAccumulator(shard_size=shard)
    for start in range(0, 150, shard):
        part = {name: row[start : start + shard] for name, row in rows.items()}
        merged.merge(fed(7, part, shard_size=shard))
    assert merged.n_examples == 150
    assert merged.task("t", space="m") == whole.task("t", space="m")


def test_a_crashed_run_resumes_from_its_last_whole_shard(tmp_path: Path) -> None:
    rows, path = gradients(), tmp_path / "sums.safetensors"
    first = FisherAccumulator(shard_size=32, checkpoint=path)
    for start in range(0, 80, 10):
        first.partial_fit({name: row[start : start + 10] for name, row in rows.items()})
    # The run ends here; the last whole shard was saved with the batch that filled it.
    again = FisherAccumulator.load(path, checkpoint=path)
    assert again.n_examples == 70
    rest = {name: row[again.n_examples :] for name, row in rows.items()}
    assert again.partial_fit(rest).task("t", space="m") == fed(9, rows, shard_size=32).task(
        "t", space="m"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["sums.safetensors"]


def test_an_accumulator_pickles_in_the_middle_of_a_shard() -> None:
    rows = gradients()
    part = fed(40, {name: row[:70] for name, row in rows.items()}, shard_size=32)
    again = pickle.loads(pickle.dumps(part))
    again.partial_fit({name: row[70:] for name, row in rows.items()})
    assert again.task("t", space="m") == fed(40, rows, shard_size=32).task("t", space="m")
    assert pickle.loads(pickle.dumps(FisherAccumulator())).n_examples == 0


def test_a_file_without_sums_is_refused(tmp_path: Path) -> None:
    atlas = ka.Atlas.from_arrays({"a": [1.0]})
    path = ka.save_atlas(atlas, tmp_path / "atlas.safetensors")
    with pytest.raises(FormatError, match="no Fisher sums"):
        FisherAccumulator.load(path)
    with pytest.raises(FormatError, match=r"end in \.safetensors"):
        FisherAccumulator.load(tmp_path / "x.npz")
    saved = fed(5, gradients()).save(tmp_path / "sums.safetensors")
    saved.write_bytes(saved.read_bytes()[:-9])
    with pytest.raises(FormatError, match="truncated"):
        FisherAccumulator.load(saved)


def test_reductions_take_means_and_spaces_tell_them_apart() -> None:
    rows = gradients()
    fisher = fed(50, rows)
    diagonal = fisher.diagonal()
    filters = fisher.task("t", space="net", reduce="filter")
    expected = np.concatenate([diagonal["conv"].mean(axis=(1, 2)), diagonal["bias"]])
    np.testing.assert_allclose(filters.tokens[0], expected, rtol=1e-14)
    layers = fisher.task("t", space="net", reduce="layer")
    np.testing.assert_allclose(
        layers.tokens[0], [diagonal["conv"].mean(), diagonal["bias"].mean()], rtol=1e-14
    )
    drawn = fed(50, rows, convention="monte_carlo").task("t", space="net", reduce="layer")
    with pytest.raises(SpaceError, match=r"convention=gold.*convention=monte_carlo"):
        ka.token_similarity(layers, drawn, kernel="flatten")


def test_a_projection_keeps_inner_products_within_its_bound() -> None:
    pairs = [fed(50, gradients(seed=seed)) for seed in (1, 2)]
    x, y = (fisher.task("t", space="m").tokens[0] for fisher in pairs)
    errors = []
    for seed in range(400):
        p, q = (fisher.task("t", space="m", dim=16, seed=seed).tokens[0] for fisher in pairs)
        errors.append(p @ q - x @ y)
    bound = 2 * (x @ x) * (y @ y) / 16
    # Two nearly parallel vectors reach the bound; the mean of 400 squares has an error of its own.
    squares = np.square(errors)
    assert squares.mean() <= bound + 5 * squares.std() / 20
    assert abs(np.mean(errors)) <= 5 * np.sqrt(bound / 400)


def test_every_number_type_gives_the_same_sums_for_numbers_they_share() -> None:
    values = (np.arange(30).reshape(5, 6) % 7 - 3).astype(np.float64)
    expected = fed(5, {"w": values}).diagonal()["w"]
    for dtype in (np.float16, ml_dtypes.bfloat16, np.float32):
        found = fed(2, {"w": values.astype(dtype)}).diagonal()["w"]
        np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_nan_gradient_names_its_parameter_and_leaves_no_trace() -> None:
    rows = gradients(20)
    fisher = fed(20, rows)
    broken = {name: row.copy() for name, row in rows.items()}
    broken["bias"][3, 2] = np.nan
    before = fisher.task("t", space="m")
    with pytest.raises(NonFiniteError, match=r"'bias': example 23 \(row 3.*coordinate 2"):
        fisher.partial_fit(broken)
    assert fisher.task("t", space="m") == before


def test_what_does_not_fit_the_first_batch_is_refused() -> None:
    fisher = fed(5, gradients(5))
    rows = gradients(4)
    with pytest.raises(ShapeError, match=r"'conv' has shape \(4, 6\).*had \(4, 3, 2\)"):
        fisher.partial_fit({"conv": rows["conv"].reshape(4, 4, 6), "bias": rows["bias"]})
    with pytest.raises(ShapeError, match=r"\['bias'\] are missing"):
        fisher.partial_fit({"conv": rows["conv"]})
    with pytest.raises(ShapeError, match=r"'bias' has 3 rows, that of 'conv' has 4"):
        fisher.partial_fit({"conv": rows["conv"], "bias": rows["bias"][:3]})
    with pytest.raises(ShapeError, match="at least one row"):
        fisher.partial_fit({"conv": rows["conv"][:0], "bias": rows["bias"][:0]})
    with pytest.raises(ShapeError, match="no parameter"):
        FisherAccumulator().partial_fit({})
    assert fisher.n_examples == 5


def test_an_accumulator_without_examples_has_nothing_to_say(tmp_path: Path) -> None:
    fisher = FisherAccumulator()
    for attempt in (fisher.diagonal, lambda: fisher.save(tmp_path / "x.safetensors")):
        with pytest.raises(ValueError, match="no example was accumulated"):
            attempt()
    with pytest.raises(ShapeError):
        embed_fisher(np.zeros((0, 3)), np.zeros((0, 2)), name="t", space="m")


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'gold'"):
        FisherAccumulator(convention="golt")
    with pytest.raises(ValueError, match="one gold label"):
        FisherAccumulator(rows_per_example=2)
    with pytest.raises(ValueError, match="give weights="):
        FisherAccumulator(convention="exact").partial_fit({"w": [[1.0]]})
    with pytest.raises(ValueError, match="convention='exact' alone"):
        FisherAccumulator().partial_fit({"w": [[1.0]]}, weights=[1.0])
    x, p, y = logistic(6)
    with pytest.raises(ValueError, match="logits"):
        embed_fisher(x, 10 * p, name="t", space="m", head="logistic")
    with pytest.raises(ValueError, match=r"sum to .*head='logistic'"):
        embed_fisher(x, np.full((6, 3), 0.5), name="t", space="m")
    with pytest.raises(ValueError, match="gold"):
        embed_fisher(x, p, y, name="t", space="m", head="logistic")
    with pytest.raises(ValueError, match="the head has 2"):
        embed_fisher(x, np.full((6, 2), 0.5), np.full(6, 2), name="t", space="m", convention="gold")
    x[1, 0] = np.nan
    with pytest.raises(NonFiniteError, match="features: example 1, column 0"):
        embed_fisher(x, p, name="t", space="m", head="logistic")
