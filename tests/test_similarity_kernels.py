"""Every kernel of the registry: its hand-worked value, its twin, its promises under attack."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kinatlas import kernel_names, token_similarity
from kinatlas._reference import TWINS, prepared, twin_similarity
from kinatlas.errors import ShapeError
from kinatlas.similarity import kernel_info
from strategies import numbers, pairs

EPSILON = np.finfo(np.float64).eps
DIRECTIONS = ("source_to_target", "target_to_source", "symmetric")
KERNELS = kernel_names()
ROOT_HALF = 0.5**0.5
ROOT_TWO = 2**0.5

# p = {e1, e2}, q = {e1, e1}; products [[1, 1], [0, 0]], distances [[0, 0], [r2, r2]].
# Source to target, target to source.
HAND_WORKED = {
    "feature_mean": (ROOT_HALF, ROOT_HALF),
    "mean_pairwise": (0.5, 0.5),
    "max_pairwise": (0.5, 1.0),
    "topk_mean": (0.5, 0.5),
    # Target to source, each e1 weighs 1 by e^10 and 0 by 1.
    "soft_max": (0.5, np.exp(10) / (np.exp(10) + 1)),
    "optimal_assignment": (0.5, 0.5),
    "chamfer": (1 / (1 + ROOT_TWO / 4), 1 / (1 + ROOT_TWO / 4)),
    "flatten": (0.5, 0.5),
    "bigram": (0.5, 0.5),
    "unigram": (1.0, 1.0),
    # q has no variance around its mean token.
    "linear_cka": (0.0, 0.0),
    "euclidean_concat": (1 / (1 + ROOT_TWO), 1 / (1 + ROOT_TWO)),
    "euclidean_average": (1 / (1 + ROOT_HALF), 1 / (1 + ROOT_HALF)),
}


def conditioning(kernel: str, tokens: np.ndarray) -> float:
    """Return how much of the tokens survives what the kernel subtracts or averages, at most 1."""
    size = np.abs(tokens).max()
    if kernel == "feature_mean":
        left = np.abs(tokens.mean(axis=0)).max()
    elif kernel == "unigram":
        left = np.abs(tokens.mean(axis=1)).max()
    elif kernel == "linear_cka":
        left = np.abs(tokens - tokens.mean(axis=0)).max()
    else:
        left = size
    return float(left / size) if size > 0 else 1.0


def tolerance(kernel: str, *prompts: np.ndarray) -> float:
    """Return the rounding of a handful of sums, divided by what cancellation leaves of them."""
    count = sum(prompt.size for prompt in prompts)
    # Squares of a cancelled difference lose twice as many digits; 10 is the softmax's 1 / T.
    condition = min(conditioning(kernel, prompt) for prompt in prompts) ** 2
    return 10 * count * EPSILON / max(condition, EPSILON)


def test_every_kernel_has_a_twin_and_a_hand_worked_value():
    assert set(KERNELS) == set(TWINS) == set(HAND_WORKED)
    assert len(KERNELS) == len(set(KERNELS))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_hand_worked_example_holds(kernel):
    source, target = np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]])
    forth, back = HAND_WORKED[kernel]
    expected = (forth, forth if kernel_info(kernel).symmetric else back)
    expected = dict(zip(DIRECTIONS, (*expected, sum(expected) / 2), strict=True))
    for direction, value in expected.items():
        found = token_similarity(source, target, kernel=kernel, direction=direction)
        assert found == pytest.approx(value, abs=4 * EPSILON), direction


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data(), direction=st.sampled_from(DIRECTIONS), raw=st.booleans())
def test_a_kernel_agrees_with_its_twin(kernel, data, direction, raw):
    info = kernel_info(kernel)
    source, target = data.draw(pairs(equal_lengths=info.needs_equal_length))
    parameters = {}
    if "k" in info.parameters:
        parameters["k"] = data.draw(st.integers(1, 7))
    if "temperature" in info.parameters:
        parameters["temperature"] = data.draw(st.floats(0.1, 10))
    normalize = None if raw else "tokens"
    ready = [prepared(tokens, normalize=normalize) for tokens in (source, target)]
    assume(min(conditioning(kernel, tokens) for tokens in ready) > 1e-3)
    expected = twin_similarity(kernel, *ready, direction, **parameters)
    found = token_similarity(
        source, target, kernel=kernel, direction=direction, normalize=normalize, **parameters
    )
    # Raw inner products of up to 6 coordinates of 4 reach 96.
    scale = 96 if raw else 1
    assert found == pytest.approx(expected, abs=scale * tolerance(kernel, *ready), rel=0)


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data())
def test_scores_of_unit_tokens_stay_in_the_promised_range(kernel, data):
    info = kernel_info(kernel)
    source, target = data.draw(pairs(equal_lengths=info.needs_equal_length))
    low, high = info.range
    score = token_similarity(source, target, kernel=kernel)
    assert low - 8 * EPSILON <= score <= high + 8 * EPSILON


@pytest.mark.parametrize("kernel", [k for k in KERNELS if kernel_info(k).symmetric])
@given(data=st.data())
def test_symmetric_kernels_give_the_same_in_every_direction(kernel, data):
    info = kernel_info(kernel)
    source, target = data.draw(pairs(equal_lengths=info.needs_equal_length))
    forth = token_similarity(source, target, kernel=kernel)
    back = token_similarity(target, source, kernel=kernel)
    assert forth == pytest.approx(back, abs=tolerance("mean", source, target), rel=0)
    for direction in DIRECTIONS:
        assert token_similarity(source, target, kernel=kernel, direction=direction) == forth


@pytest.mark.parametrize("kernel", [k for k in KERNELS if not kernel_info(k).symmetric])
def test_directed_kernels_depend_on_the_direction(kernel):
    source, target = np.eye(3), np.array([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0]])
    parameters = {"k": 1} if kernel == "topk_mean" else {}
    scores = [
        token_similarity(source, target, kernel=kernel, direction=direction, **parameters)
        for direction in DIRECTIONS
    ]
    assert scores[0] != pytest.approx(scores[1])
    assert scores[2] == pytest.approx((scores[0] + scores[1]) / 2, abs=EPSILON)
    swapped = token_similarity(target, source, kernel=kernel, **parameters)
    assert scores[1] == swapped


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data(), factor=st.floats(0.01, 100))
def test_scaling_whole_prompts_matters_only_where_it_may(kernel, data, factor):
    info = kernel_info(kernel)
    source, target = data.draw(pairs(equal_lengths=info.needs_equal_length))
    assume(min(conditioning(kernel, tokens) for tokens in (source, target)) > 1e-3)
    normalize = None if info.scale_free else "tokens"
    before = token_similarity(source, target, kernel=kernel, normalize=normalize)
    after = token_similarity(source * factor, target, kernel=kernel, normalize=normalize)
    ready = [prepared(tokens, normalize=normalize) for tokens in (source, target)]
    assume(min(conditioning(kernel, tokens) for tokens in ready) > 1e-3)
    assert before == pytest.approx(after, abs=tolerance(kernel, *ready), rel=0)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if not kernel_info(k).scale_free])
def test_kernels_without_that_promise_do_depend_on_scale(kernel):
    source, target = np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]])
    scores = {
        token_similarity(source * factor, target, kernel=kernel, normalize=None)
        for factor in (1, 3)
    }
    assert len(scores) == 2


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data())
def test_each_token_may_be_scaled_once_tokens_are_normalised(kernel, data):
    info = kernel_info(kernel)
    source, target = data.draw(pairs(equal_lengths=info.needs_equal_length))
    # Powers of two change no bit of a normalised token.
    factors = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=5, max_size=5)))
    scaled = source * 2.0 ** factors[: len(source), None]
    before = token_similarity(source, target, kernel=kernel)
    assert token_similarity(scaled, target, kernel=kernel) == before


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data())
def test_token_order_matters_only_where_it_may(kernel, data):
    info = kernel_info(kernel)
    source, target = data.draw(pairs(equal_lengths=info.needs_equal_length))
    order = data.draw(st.permutations(range(len(source))))
    if not info.order_free:
        # Moving both prompts alike leaves positions aligned; over unit tokens that is true even
        # for pairs of neighbours, unless one of four tokens is zero or stands alone.
        if kernel == "bigram":
            count = len(source) // 2 * 2
            assume(count and (source.any(axis=1) & target.any(axis=1)).all())
            source, target, order = source[:count], target[:count], range(count)[::-1]
        target = target[list(order)]
        before = token_similarity(source, target[np.argsort(order)], kernel=kernel)
    else:
        before = token_similarity(source, target, kernel=kernel)
    ready = [prepared(tokens) for tokens in (source, target)]
    assume(min(conditioning(kernel, tokens) for tokens in ready) > 1e-3)
    after = token_similarity(source[list(order)], target, kernel=kernel)
    assert before == pytest.approx(after, abs=tolerance(kernel, *ready), rel=0)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if not kernel_info(k).order_free])
def test_positional_kernels_do_depend_on_token_order(kernel):
    rng = np.random.default_rng(3)
    source, target = rng.normal(size=(2, 6, 4))
    before = token_similarity(source, target, kernel=kernel)
    assert before != pytest.approx(token_similarity(source[::-1], target, kernel=kernel))


@given(prompts=pairs())
def test_bigram_equals_flatten_over_unit_tokens(prompts):
    # An even number of tokens, none of them zero.
    doubled = (np.vstack([tokens, tokens]) for tokens in prompts)
    source, target = (np.where(one.any(axis=1, keepdims=True), one, 1.0) for one in doubled)
    flat, bigram = (token_similarity(source, target, kernel=k) for k in ("flatten", "bigram"))
    assert flat == pytest.approx(bigram, abs=tolerance("flatten", source, target), rel=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_zero_prompts_are_like_nothing_not_even_themselves(kernel):
    zero, other = np.zeros((3, 4)), np.random.default_rng(0).normal(size=(3, 4))
    for normalize in ("tokens", None):
        for source, target in ((zero, zero), (zero, other), (other, zero)):
            assert token_similarity(source, target, kernel=kernel, normalize=normalize) == 0.0


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_token_is_enough(kernel):
    token = np.array([[0.3, -0.4]])
    expected = 0.0 if kernel == "linear_cka" else 1.0
    assert token_similarity(token, token, kernel=kernel) == pytest.approx(expected, abs=4 * EPSILON)
    assert token_similarity(token[0], token, kernel=kernel) == pytest.approx(expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_unequal_lengths_are_compared_or_refused_by_name(kernel):
    source, target = np.eye(4), np.eye(4)[:2]
    if not kernel_info(kernel).needs_equal_length:
        token_similarity(source, target, kernel=kernel)
        return
    with pytest.raises(ShapeError, match=r"'source' has 4 tokens and target 'target' has 2"):
        token_similarity(source, target, kernel=kernel)


@given(vector=st.lists(numbers(), min_size=1, max_size=6), exponent=st.integers(-1000, 1000))
def test_huge_and_tiny_tokens_keep_their_direction(vector, exponent):
    token = np.array([vector])
    assume(token.any())
    scaled = np.ldexp(token, exponent)
    for kernel in ("max_pairwise", "feature_mean", "flatten", "mean_pairwise"):
        assert token_similarity(token, scaled, kernel=kernel) == pytest.approx(1, abs=20 * EPSILON)
