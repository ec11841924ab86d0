"""A screen changes no bit, whatever the tokens, or says what it may cost."""

from __future__ import annotations

import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinatlas import Atlas, _core, similarity_matrix, token_similarity
from kinatlas.errors import DegenerateRankingWarning, UnknownNameError
from strategies import gaussian_atlas

DIRECTIONS = ("source_to_target", "target_to_source", "symmetric")
PATHS = [name for _, names in _core._simd_paths() for name in names]
SHAPE = (60, 96)


def gaussian(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=SHAPE)


def clustered(rng: np.random.Generator) -> np.ndarray:
    """Three tokens and their neighbours, some 1e-3 away."""
    return rng.normal(size=(3, SHAPE[1]))[np.arange(SHAPE[0]) % 3] + 1e-3 * gaussian(rng)


def tied(rng: np.random.Generator) -> np.ndarray:
    """Every token several times, some zero, some negated."""
    tokens = gaussian(rng)[np.arange(SHAPE[0]) // 6]
    tokens[::10] = 0.0
    tokens[5::10] *= -1.0
    return tokens


def nearly_tied(rng: np.random.Generator) -> np.ndarray:
    """One token whose copies differ in the last digits of float32 alone."""
    return rng.normal(size=SHAPE[1]) * (1 + 3e-7 * rng.integers(-2, 3, SHAPE))


def denormal(rng: np.random.Generator) -> np.ndarray:
    """Coordinates far below what bfloat16 instructions keep, and tokens of nothing else."""
    tokens = gaussian(rng)
    tokens[:, ::2] *= 1e-39
    tokens[::7] = 1e-41
    return tokens


def huge(rng: np.random.Generator) -> np.ndarray:
    """Norms from 1e-14 to beyond what float32 may multiply."""
    return gaussian(rng) * 10.0 ** rng.integers(-14, 19, (SHAPE[0], 1))


def outliers(rng: np.random.Generator) -> np.ndarray:
    """Two coordinates far larger than the others, as in hidden states of language models."""
    tokens = gaussian(rng)
    tokens[:, [3, 60]] = 40.0 * (1 + 0.3 * rng.normal(size=(SHAPE[0], 2)))
    return tokens * rng.lognormal(size=(SHAPE[0], 1))


def heavy(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_t(2, size=SHAPE)


KINDS = (gaussian, clustered, tied, nearly_tied, denormal, huge, outliers, heavy)


def prompts(kind: object, seed: int, n_tasks: int = 7) -> Atlas:
    rng = np.random.default_rng(seed)
    tasks = {f"task{number}": kind(rng).astype(np.float32) for number in range(n_tasks)}
    return Atlas.from_arrays(tasks, space="s")


def both(*atlases: Atlas, **options: object) -> tuple[bytes, bytes, dict]:
    options = {"kernel": "max_pairwise", "precision": "float32", "diagnostics": False} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateRankingWarning)
        exact = similarity_matrix(*atlases, method="exact", **options)
        found = similarity_matrix(*atlases, method="screened", **options)
    assert exact.diagnostics["method"] == "exact"
    assert exact.options == found.options
    return exact.values.tobytes(), found.values.tobytes(), found.diagnostics["screen"]


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", request.param)
    return request.param


@pytest.mark.parametrize("kind", KINDS)
def test_no_bit_changes_on_a_million_pairs_of_tokens(path, kind):
    """8 kinds x 2 runs x 7 x 7 x 60 x 60 pairs a path, and as many back."""
    left, right = prompts(kind, 1), prompts(kind, 2)
    n_pairs = 0
    for direction, normalize in (("source_to_target", "tokens"), ("symmetric", None)):
        exact, found, screen = both(left, right, direction=direction, normalize=normalize)
        assert found == exact
        assert (screen["certified"], screen["simd"]) == (True, path)
        assert 0 < screen["n_recomputed"] <= screen["n_token_pairs"]
        n_pairs += screen["n_token_pairs"]
    assert n_pairs * len(KINDS) > 1e6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("center", [None, "features", "positions", "auto"])
def test_nor_does_it_under_any_centre_direction_or_number_of_threads(kind, center):
    atlas = prompts(kind, 3)
    for direction in DIRECTIONS:
        for normalize in ("tokens", None):
            options = {"direction": direction, "normalize": normalize, "center": center}
            seen = [both(atlas, n_threads=n_threads, **options) for n_threads in (1, 2, 5)]
            assert all(found == exact for exact, found, _ in seen)
            assert seen[0] == seen[1] == seen[2], "nor do the counts"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ragged_prompts_of_any_type_keep_their_bits(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    dim = data.draw(st.sampled_from([1, 2, 3, 5, 31, 32, 33, 64, 100, 513]))
    dtype = data.draw(st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16, np.float64]))
    lengths = st.lists(st.integers(1, 70), min_size=1, max_size=6)
    step = data.draw(st.sampled_from([0.0, 1e-6, 1e-2, 1.0]))

    def side() -> Atlas:
        tokens = [
            (rng.normal(size=dim) + step * rng.normal(size=(length, dim))).astype(dtype)
            for length in data.draw(lengths)
        ]
        return Atlas.from_arrays({f"t{n}": value for n, value in enumerate(tokens)}, space="s")

    atlases = (side(), side()) if data.draw(st.booleans()) else (side(),)
    exact, found, _ = both(
        *atlases,
        direction=data.draw(st.sampled_from(DIRECTIONS)),
        normalize=data.draw(st.sampled_from(["tokens", None])),
        n_threads=data.draw(st.sampled_from([1, 3])),
    )
    assert found == exact


def test_prompts_longer_than_a_unit_of_work_are_as_exact():
    rng = np.random.default_rng(0)
    tokens = {"long": rng.normal(size=(3000, 5)), "short": rng.normal(size=(3, 5))}
    atlas = Atlas.from_arrays({name: rows.astype(np.float32) for name, rows in tokens.items()})
    exact, found, _ = both(atlas, direction="symmetric")
    assert found == exact


def test_few_pairs_are_multiplied_again_unless_all_tokens_are_nearly_one():
    shares = {
        kind: both(prompts(kind, 1), prompts(kind, 2))[2]["recomputed_share"] for kind in KINDS
    }
    assert shares[gaussian] < 0.04
    assert shares[nearly_tied] > 0.9, "the plain tile took over"


@pytest.mark.parametrize("kind", [gaussian, heavy, outliers])
def test_an_approximation_is_within_the_error_it_states(kind):
    left, right = prompts(kind, 1), prompts(kind, 2)
    options = {"kernel": "max_pairwise", "precision": "float32", "diagnostics": False}
    exact = similarity_matrix(left, right, method="exact", **options)
    found = similarity_matrix(left, right, method="approximate", **options)
    misses = exact.values - found.values
    assert misses.min() >= 0, "a winner of the screen cannot be above the best"
    assert misses.max() <= found.diagnostics["error_bound"] < 0.02
    # A peer that forgets the scale of tokens takes the wrong partner for 57 % of such tokens.
    # Here they cost digits: two large coordinates share what rounding moves in one direction.
    assert misses.max() < (1e-3 if kind is outliers else 2e-4)
    assert found.options["method"] == "approximate"
    assert found.diagnostics["screen"]["certified"] is False


def test_auto_is_exact_and_leaves_short_prompts_to_the_tile():
    options = {"kernel": "max_pairwise", "diagnostics": False}
    for n_tokens, dim in ((100, 512), (100, 511), (24, 512), (8, 64)):
        atlas = gaussian_atlas(1200 // n_tokens, n_tokens, dim, dtype="float32")
        exact = similarity_matrix(atlas, method="exact", **options)
        found = similarity_matrix(atlas, **options)
        assert found.values.tobytes() == exact.values.tobytes()
        assert found.options == exact.options
        is_fast = _core._simd_paths()[2][0] == "amx"
        expected = "screened" if is_fast and (n_tokens, dim) == (100, 512) else "exact"
        assert found.diagnostics["method"] == expected


@pytest.mark.skipif("avx512vnni" not in PATHS, reason="no instructions for 8 bits")
@pytest.mark.parametrize(("n_tokens", "method"), [(300, "screened"), (200, "exact")])
def test_integer_screens_are_for_longer_prompts(monkeypatch, n_tokens, method):
    monkeypatch.setenv("KINATLAS_SIMD", "avx512vnni")
    atlas = gaussian_atlas(4, n_tokens, 512, dtype="float32")
    found = similarity_matrix(atlas, kernel="max_pairwise", diagnostics=False)
    exact = similarity_matrix(atlas, kernel="max_pairwise", method="exact", diagnostics=False)
    assert found.values.tobytes() == exact.values.tobytes()
    assert found.diagnostics["method"] == method
    if method == "screened":
        assert found.diagnostics["screen"]["simd"] == "avx512vnni"


@pytest.mark.skipif("avx512vnni" not in PATHS, reason="no instructions for 8 bits")
def test_tokens_too_wide_for_sums_of_32_bits_are_multiplied_in_full(monkeypatch):
    monkeypatch.setenv("KINATLAS_SIMD", "avx512vnni")
    for dim, method in ((2**17, "screened"), (2**17 + 1, "exact")):
        # Parallel tokens of equal numbers make the largest sum there is.
        rows = np.outer([1.0, -2.0, 3.0], np.ones(dim)).astype(np.float32)
        atlas = Atlas.from_arrays({"a": rows, "b": rows[1:]})
        found = similarity_matrix(atlas, kernel="max_pairwise", method="screened")
        exact = similarity_matrix(atlas, kernel="max_pairwise", method="exact")
        assert found.values.tobytes() == exact.values.tobytes()
        assert found.diagnostics["method"] == method
    near = similarity_matrix(atlas, kernel="max_pairwise", method="approximate")
    assert near.diagnostics["method"] == "exact"
    assert near.diagnostics["error_bound"] == exact.diagnostics["error_bound"]


def test_progress_counts_every_pair_once_with_a_screen():
    atlas = gaussian_atlas(4, 30, dtype="float32")
    for direction in DIRECTIONS:
        for targets in (None, atlas._packed):
            seen: list[int] = []
            options = ("max_pairwise", direction, "tokens", 3, 0.1, "float32", "screened")
            _core.compare_tokens(atlas._packed, targets, options, None, 2, seen.append, False)
            assert seen[-1] == 16


@pytest.mark.parametrize("method", ["screened", "approximate"])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": "soft_max", "precision": "float32"},
        {"kernel": "mean_pairwise"},
        {"kernel": "max_pairwise", "precision": "bf16"},
        {"kernel": "max_pairwise", "precision": "float64"},
    ],
)
def test_what_cannot_be_screened_is_refused_with_the_way_out(method, options):
    atlas = gaussian_atlas(2, dtype="float32")
    with pytest.raises(ValueError, match="precision='float32'"):
        similarity_matrix(atlas, method=method, **options)


def test_an_unknown_method_is_refused_and_one_pair_takes_all():
    with pytest.raises(UnknownNameError, match="method"):
        token_similarity([[1.0]], [[1.0]], kernel="max_pairwise", method="fast")
    for method in ("auto", "exact", "screened", "approximate"):
        options = {"kernel": "max_pairwise", "precision": "float32", "method": method}
        score = token_similarity([[3.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]], **options)
        assert score == pytest.approx(0.8, rel=1e-6)
