"""Similarity of low-rank updates: what the dense updates would give, from their factors alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinatlas as ka
from kinatlas import LowRank, LowRankAtlas, _core
from kinatlas.errors import DTypeError, NonFiniteError, ShapeError, UnknownNameError

ADAPTERS = Path(__file__).parent / "fixtures" / "adapters"
EPSILON = np.finfo(np.float64).eps


def scores(
    targets: LowRankAtlas,
    sources: LowRankAtlas | None = None,
    kernel: str = "low_rank_cosine",
    n_threads: int | None = None,
) -> np.ndarray:
    modules = tuple(sorted({*targets.modules, *(sources.modules if sources else ())}))
    rows = targets._aligned(modules)
    columns = None if sources is None else sources._aligned(modules)
    return _core.low_rank_matrix(rows, columns, kernel, n_threads)


def dense(atlas: LowRankAtlas, modules: tuple[str, ...]) -> np.ndarray:
    """Every update multiplied out and laid behind each other [n_tasks, n_numbers], float64."""
    rows = []
    for name in atlas.names:
        update = atlas[name]
        parts = []
        for module in modules:
            shape = next(atlas[task][module].shape for task in atlas if module in atlas[task])
            found = update.get(module)
            wide = (
                np.zeros(shape)
                if found is None
                else (found.scale * found.b.astype(np.float64) @ found.a.astype(np.float64))
            )
            parts.append(wide.ravel())
        rows.append(np.concatenate(parts))
    return np.array(rows)


@st.composite
def atlases(draw: st.DrawFn) -> LowRankAtlas:
    """Tasks of mixed ranks and number types, each adapting some of the modules."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(
        st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=3)
    )
    updates = {}
    for task in range(draw(st.integers(1, 5))):
        present = draw(st.sets(st.integers(0, len(sizes) - 1), min_size=1))
        dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
        updates[f"task{task}"] = {
            f"module{index}": LowRank(
                rng.standard_normal((rank, sizes[index][0])).astype(dtype),
                rng.standard_normal((sizes[index][1], rank)).astype(dtype),
                scale=draw(st.sampled_from([1.0, 0.5, 7 / 3, -2.0])),
            )
            for index in sorted(present)
            for rank in [draw(st.integers(1, 20))]
        }
    return LowRankAtlas.from_factors(updates)


def test_the_hand_worked_example() -> None:
    """B1 A1 = [[2, 0], [0, 0]] and B2 A2 = [[3, 3], [0, 0]], scaled by 1 and 2.

    Inner product 2 * 6 = 12; norms 2 and 2 * sqrt(18); cosine 12 / (4 sqrt(18)) = 1 / sqrt(2).
    """
    atlas = LowRankAtlas.from_factors(
        {
            "one": {"q": LowRank([[1.0, 0.0]], [[2.0], [0.0]])},
            "two": {"q": LowRank([[1.0, 1.0]], [[3.0], [0.0]], scale=2.0)},
        }
    )
    np.testing.assert_array_equal(scores(atlas, kernel="low_rank_inner"), [[4, 12], [12, 72]])
    np.testing.assert_allclose(scores(atlas)[0, 1], np.sqrt(0.5), rtol=2 * EPSILON)


@given(atlases())
def test_factors_give_what_the_dense_updates_give(atlas: LowRankAtlas) -> None:
    wide = dense(atlas, atlas.modules)
    inner = scores(atlas, kernel="low_rank_inner")
    norms = np.linalg.norm(wide, axis=1)
    # Rounding is bounded by the sums of absolute values, which factors do not cancel.
    weight = np.array(
        [
            sum(
                abs(update.scale)
                * np.linalg.norm(update.a.astype(float))
                * np.linalg.norm(update.b.astype(float))
                for update in atlas[name].values()
            )
            for name in atlas.names
        ]
    )
    bound = 1e-12 * np.outer(weight, weight)
    assert (np.abs(inner - wide @ wide.T) <= bound).all()
    cosine = wide @ wide.T / np.outer(norms, norms)
    assert (np.abs(scores(atlas) - cosine) <= 3 * bound / np.outer(norms, norms)).all()


def test_real_adapters_agree_with_the_dense_cosine_to_twelve_digits() -> None:
    atlas = ka.load_atlas(ADAPTERS / "lora", kind="low_rank")
    wide = dense(atlas, atlas.modules)
    norms = np.linalg.norm(wide, axis=1)
    np.testing.assert_allclose(
        scores(atlas), wide @ wide.T / np.outer(norms, norms), rtol=0, atol=1e-12
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_another_factorisation_of_the_same_update_changes_nothing(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((rank, 9)), rng.standard_normal((7, rank))
    # Orthogonal times positive diagonal: invertible with a condition number of at most 4.
    turn = np.linalg.qr(rng.standard_normal((rank, rank)))[0] * rng.uniform(0.5, 2.0, rank)
    other = LowRank(rng.standard_normal((3, 9)), rng.standard_normal((7, 3)))
    atlas = LowRankAtlas.from_factors(
        {
            "plain": {"q": LowRank(a, b)},
            "turned": {"q": LowRank(np.linalg.solve(turn, a), b @ turn)},
            "other": {"q": other},
        }
    )
    found = scores(atlas)
    # Condition of the update in its factors, times the condition of the turn, times rounding.
    condition = np.linalg.norm(a) * np.linalg.norm(b) / np.linalg.norm(b @ a)
    bound = 4 * 1e-13 * condition**2
    assert abs(found[0, 1] - 1.0) <= bound
    assert abs(found[2, 0] - found[2, 1]) <= bound


def test_concatenated_factors_would_have_given_another_answer() -> None:
    """The regression this kernel exists for: same update, opposite concatenated factors."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((4, 30)), rng.standard_normal((20, 4))
    atlas = LowRankAtlas.from_factors(
        {
            "plain": {"q": LowRank(a, b)},
            "mirrored": {"q": LowRank(-a, -b)},
        }
    )
    flat = [
        np.concatenate([u["q"].a.ravel(), u["q"].b.ravel()]) for u in map(atlas.__getitem__, atlas)
    ]
    assert flat[0] @ flat[1] < 0
    assert abs(scores(atlas)[0, 1] - 1.0) <= 4 * EPSILON


@given(atlases(), st.randoms())
def test_neither_threads_nor_order_change_a_bit(atlas: LowRankAtlas, random) -> None:  # type: ignore[no-untyped-def]
    plain = scores(atlas, n_threads=1)
    for n_threads in (2, 8):
        assert scores(atlas, n_threads=n_threads).tobytes() == plain.tobytes()
    assert plain.tobytes() == plain.T.tobytes()
    order = list(range(len(atlas)))
    random.shuffle(order)
    shuffled = atlas.select([atlas.names[index] for index in order])
    assert scores(shuffled).tobytes() == plain[np.ix_(order, order)].tobytes()
    assert scores(atlas, shuffled).tobytes() == plain[:, order].tobytes()


def test_more_tasks_than_one_block_are_compared_alike() -> None:
    rng = np.random.default_rng(0)
    updates = {
        f"task{index}": {"q": LowRank(rng.standard_normal((2, 5)), rng.standard_normal((4, 2)))}
        for index in range(150)
    }
    atlas = LowRankAtlas.from_factors(updates)
    whole = scores(atlas)
    picked = [0, 63, 64, 127, 128, 149]
    few = atlas.select([f"task{index}" for index in picked])
    assert scores(few).tobytes() == whole[np.ix_(picked, picked)].tobytes()
    assert scores(few, atlas).tobytes() == whole[picked].tobytes()
    wide = dense(atlas, ("q",))
    norms = np.linalg.norm(wide, axis=1)
    np.testing.assert_allclose(whole, wide @ wide.T / np.outer(norms, norms), rtol=0, atol=1e-12)


def test_progress_counts_every_cell_of_every_module() -> None:
    update = LowRank([[1.0]], [[1.0]])
    tasks = {f"task{index}": {"q": update, "v": update} for index in range(70)}
    atlas = LowRankAtlas.from_factors(tasks)
    rows = atlas._aligned(atlas.modules)
    for columns in (None, rows[:3]):
        seen: list[int] = []
        _core.low_rank_matrix(rows, columns, "low_rank_inner", None, seen.append)
        assert seen[-1] == 2 * 70 * (70 if columns is None else 3)


def test_modules_are_scored_one_by_one_and_add_up() -> None:
    atlas = ka.load_atlas(ADAPTERS / "lora", kind="low_rank")
    each = _core.low_rank_modules(atlas._aligned(atlas.modules), None, "low_rank_inner")
    assert each.shape == (4, 2, 2)
    summed = scores(atlas, kernel="low_rank_inner")
    np.testing.assert_allclose(each.sum(axis=0), summed, rtol=8 * EPSILON)
    for index, module in enumerate(atlas.modules):
        one = LowRankAtlas.from_factors({n: {module: atlas[n][module]} for n in atlas.names})
        np.testing.assert_array_equal(scores(one, kernel="low_rank_inner"), each[index])


def test_a_module_on_one_side_only_counts_as_zero() -> None:
    update = LowRank([[1.0, 0.0]], [[1.0], [0.0]])
    atlas = LowRankAtlas.from_factors({"one": {"q": update}, "both": {"q": update, "v": update}})
    np.testing.assert_allclose(scores(atlas)[0, 1], np.sqrt(0.5), rtol=2 * EPSILON)
    apart = LowRankAtlas.from_factors({"q": {"q": update}, "v": {"v": update}})
    np.testing.assert_array_equal(scores(apart), np.eye(2))


def test_a_zero_update_has_no_direction() -> None:
    zero, one = LowRank([[1.0]], [[0.0]]), LowRank([[1.0]], [[1.0]])
    atlas = LowRankAtlas.from_factors({"zero": {"q": zero}, "one": {"q": one}})
    np.testing.assert_array_equal(scores(atlas), [[0, 0], [0, 1]])


def test_scaling_an_update_changes_no_cosine_and_every_inner_product() -> None:
    atlas = ka.load_atlas(ADAPTERS / "lora", kind="low_rank")
    scaled = LowRankAtlas.from_factors(
        {
            name: {
                module: LowRank(update.a, update.b, scale=4 * update.scale)
                for module, update in atlas[name].items()
            }
            for name in atlas.names
        }
    )
    assert scores(scaled).tobytes() == scores(atlas).tobytes()
    np.testing.assert_array_equal(
        scores(scaled, kernel="low_rank_inner"), 16 * scores(atlas, kernel="low_rank_inner")
    )


def test_bad_factors_are_refused_with_task_and_module() -> None:
    good = LowRank(np.ones((1, 2)), np.ones((2, 1)))
    for factors, error, words in (
        ((np.ones((1, 2)), np.ones((2, 3))), ShapeError, "same rank"),
        ((np.ones((1, 2), dtype=int), np.ones((2, 1))), DTypeError, "int64"),
        ((np.full((1, 2), np.nan), np.ones((2, 1))), NonFiniteError, "factor A"),
        ((np.ones((1, 3)), np.ones((2, 1))), ShapeError, r"\(2, 2\) in task 'good'.*\(2, 3\)"),
    ):
        with pytest.raises(error, match=words) as caught:
            LowRankAtlas.from_factors({"good": {"q": good}, "bad": {"q": factors}})
        assert "bad" in str(caught.value)
        assert "'q'" in str(caught.value)
    with pytest.raises(ShapeError, match="at least one"):
        LowRankAtlas.from_factors({"empty": {}})
    with pytest.raises(ShapeError, match="at least one task"):
        LowRankAtlas.from_factors({})
    with pytest.raises(NonFiniteError, match="scale"):
        LowRank([[1.0]], [[1.0]], scale=np.inf)


def test_the_kernel_refuses_what_it_cannot_compare() -> None:
    update = (np.ones((1, 2)), np.ones((2, 1)), 1.0)
    wider = (np.ones((1, 3)), np.ones((2, 1)), 1.0)
    with pytest.raises(ShapeError, match="different sizes"):
        _core.low_rank_matrix([[update], [wider]], None, "low_rank_inner")
    with pytest.raises(ShapeError, match="different numbers of modules"):
        _core.low_rank_matrix([[update], []], None, "low_rank_inner")
    with pytest.raises(UnknownNameError, match="low_rank_cosine"):
        _core.low_rank_matrix([[update]], None, "feature_mean")
    huge = (np.full((1, 2), 1e200), np.full((2, 1), 1e200), 1.0)
    with pytest.raises(NonFiniteError, match="rescale"):
        _core.low_rank_matrix([[huge]], None, "low_rank_inner")
    assert _core.low_rank_matrix([], None, "low_rank_inner").shape == (0, 0)


def test_a_low_rank_atlas_pickles_selects_and_stays_as_it_is() -> None:
    atlas = ka.load_atlas(ADAPTERS / "lora", kind="low_rank")
    copy = pickle.loads(pickle.dumps(atlas))
    assert copy == atlas
    assert copy != atlas.select(["rte"])
    assert atlas.select(["rte", "mnli"]).names == ("rte", "mnli")
    assert "rte" in atlas
    with pytest.raises(UnknownNameError, match="did you mean 'rte'"):
        atlas["rtee"]
    with pytest.raises(ValueError, match="read-only"):
        next(iter(copy["rte"].values())).a[0, 0] = 1.0
    taken = atlas["rte"]
    taken.clear()
    assert len(atlas["rte"]) == 4


def test_a_long_low_rank_atlas_still_prints_on_one_screen() -> None:
    update = LowRank([[1.0]], [[1.0]])
    atlas = LowRankAtlas.from_factors({f"<b>{index}": {"q": update} for index in range(300)})
    assert len(repr(atlas).splitlines()) <= 24
    assert "288 more" in repr(atlas)
    assert "<b>" not in atlas._repr_html_()
