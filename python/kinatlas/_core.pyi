from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypedDict, final, type_check_only

import numpy as np
import numpy.typing as npt

__version__: str
is_debug_build: bool

# The packed buffer [n_total_tokens, dim] (uint16 holds bfloat16 bits) and offsets [n_tasks + 1].
_PackedTokens: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
_Progress: TypeAlias = Callable[[int], object]

def set_num_threads(n_threads: int | None = None) -> None: ...
def num_threads() -> int: ...
def first_nonfinite(tokens: _PackedTokens) -> tuple[int, int, int] | None: ...

# An array and the name of its number type; bfloat16 is uint16 bits.
_NamedArray: TypeAlias = tuple[npt.NDArray[Any], str]

@type_check_only
class AdapterPart(TypedDict):
    suffix: str | None
    method: str
    layout: str
    tokens: _NamedArray | None
    # module, A [rank, n_in], B [n_out, rank], scale, is_transposed
    factors: list[tuple[str, _NamedArray, _NamedArray, float, bool]] | None

@type_check_only
class AdapterReading(TypedDict):
    base_model: str | None
    parts: list[AdapterPart]
    skipped: list[tuple[str, str]]
    notes: list[str]
    reason: str | None

def read_adapter(
    path: str, config: str | None = None, base: Sequence[str] = ...
) -> AdapterReading: ...
def read_adapter_bytes(
    label: str, bytes: bytes, config: str | None = None, base: Sequence[str] = ...
) -> AdapterReading: ...

# Text pairs of the header; name, stored type and shape of every tensor.
def outline_tensors(path: str) -> tuple[dict[str, str], list[tuple[str, str, list[int]]]]: ...
def read_tensors(path: str, names: Sequence[str]) -> list[_NamedArray]: ...

# name, number type, shape and bytes of every tensor.
def serialize_tensors(
    tensors: Sequence[tuple[str, str, Sequence[int], npt.NDArray[np.uint8]]], texts: dict[str, str]
) -> bytes: ...
def average_ranks(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...

# Gain, units and cut-offs, by name.
_Conventions: TypeAlias = tuple[str, str, list[int]]
_Floats: TypeAlias = npt.NDArray[np.float64]
_Whole: TypeAlias = npt.NDArray[np.int64]

def gain_names() -> list[str]: ...
def undefined_reasons() -> list[str]: ...
def metric_names(conventions: _Conventions) -> list[str]: ...

# candidates: predicted and measured scores [n]; lists: offsets [n_lists + 1], baseline [n_lists];
# returns value, chance, best [n_lists, n_metrics, 3] and codes of reasons [n_lists, n_metrics].
def evaluate_lists(
    candidates: tuple[_Floats, _Floats], lists: tuple[_Whole, _Floats], conventions: _Conventions
) -> tuple[_Floats, npt.NDArray[np.uint8]]: ...

# returns [n_targets, n_metrics, 4] and [n_metrics, 4] (value, chance, best, corrected), [n_metrics].
def summarise_metrics(
    metrics: _Floats, targets: _Whole, n_targets: int
) -> tuple[_Floats, _Floats, _Whole]: ...
def seed_means(scores: _Floats, baseline: _Floats | None = None) -> _Floats: ...

# In-context learning. weights [n_tasks], means [n_tasks, dim], covariances [n_tasks, dim, dim],
# input covariances [1 or n_tasks, dim, dim], noise variances [1 or n_tasks].
_Mixture: TypeAlias = tuple[_Floats, _Floats, _Floats, _Floats, _Floats]
# W [dim, dim], scales [n_tasks], shifts and biases [n_tasks, dim].
_Predictor: TypeAlias = tuple[_Floats, _Floats, _Floats, _Floats]
# query, key, value [dim + 1, dim + 1], prompts and heads [n_tasks, dim + 1].
_Layer: TypeAlias = tuple[_Floats, _Floats, _Floats, _Floats, _Floats]

def icl_settings() -> list[str]: ...
def icl_check_mixture(mixture: _Mixture) -> None: ...
def icl_optimum(
    mixture: _Mixture, n_examples: int, setting: str, solver: str
) -> dict[str, Any]: ...
def icl_asymptotic_constant(mixture: _Mixture, setting: str) -> float: ...
def icl_transfer_losses(mixture: _Mixture, n_examples: int, predictor: _Predictor) -> _Floats: ...
def icl_simulate(
    mixture: _Mixture,
    predictor: _Predictor,
    n_examples: int,
    n_sequences: int,
    method: str,
    seed: int,
    n_threads: int | None = None,
) -> tuple[_Floats, _Floats, npt.NDArray[np.uint64]]: ...
def icl_attention_forward(
    weights: _Layer,
    inputs: _Floats,
    labels: _Floats,
    queries: _Floats,
    tasks: _Whole,
    n_threads: int | None = None,
) -> _Floats: ...
def icl_descend(
    mixture: _Mixture, n_examples: int, setting: str, start: _Predictor, n_steps: int
) -> tuple[_Predictor, _Floats]: ...

# schedule: steps, sequences of each task in a step, highest learning rate, sequences of the check.
def icl_train(
    mixture: _Mixture,
    n_examples: int,
    setting: str,
    start: _Layer,
    schedule: tuple[int, int, float, int],
    seed: int,
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> tuple[_Layer, _Floats, _Floats, _Floats]: ...

# data: inputs [n_rows, dim], labels [n_rows], offsets [n_sequences + 1], tasks [n_sequences];
# returns the parts of 1 + n_replicates mixtures, stacked.
def icl_estimate(
    data: tuple[_Floats, _Floats, _Whole, _Whole],
    n_tasks: int,
    sharing: tuple[bool, bool],
    n_replicates: int,
    seed: int,
    n_threads: int | None = None,
) -> _Mixture: ...

# Per task, per module: A [rank, n_in], B [n_out, rank] and the scale, or None.
_LowRankTasks: TypeAlias = list[list[tuple[npt.NDArray[Any], npt.NDArray[Any], float] | None]]

def low_rank_kernels() -> list[str]: ...

# Returns [n_targets, n_sources]; sources None means the targets, at half the cost.
def low_rank_matrix(
    targets: _LowRankTasks,
    sources: _LowRankTasks | None,
    kernel: str,
    n_threads: int | None = None,
    progress: _Progress | None = None,
    precision: str = "float64",
) -> npt.NDArray[np.float64]: ...

# Returns [n_modules, n_targets, n_sources].
def low_rank_modules(
    targets: _LowRankTasks,
    sources: _LowRankTasks | None,
    kernel: str,
    n_threads: int | None = None,
    progress: _Progress | None = None,
    precision: str = "float64",
) -> npt.NDArray[np.float64]: ...

# kernel, direction, normalize, k, temperature, precision, method.
_KernelOptions: TypeAlias = tuple[str, str, str | None, int, float, str, str]
# mean and median diagonal fraction, position share, number of pairs looked at.
_Alignment: TypeAlias = tuple[float | None, float | None, float | None, int]

# returns float64 [n_total_tokens * dim]
def centred_tokens(tokens: _PackedTokens, center: str | _Floats) -> _Floats: ...

# returns scores [n_targets * n_sources], (centred, reason, alignment) of center="auto", alignment,
# (bound on the error of every score, instructions used, screen) where products were float32; a
# screen: whether certified, instructions, pairs of tokens, those of them multiplied in float32.
def compare_tokens(
    sources: _PackedTokens,
    targets: _PackedTokens | None,
    options: _KernelOptions,
    center: str | _Floats | None = None,
    n_threads: int | None = None,
    progress: _Progress | None = None,
    inspects: bool = True,
) -> tuple[
    _Floats,
    tuple[bool, str, _Alignment] | None,
    _Alignment | None,
    tuple[float, str, tuple[bool, str, int, int] | None] | None,
]: ...

# returns GFLOP/s of fused multiply-adds by all threads together, None for the portable path.
def _fma_peak(
    rounds: int, n_threads: int | None = None, *, is_bf16: bool = False
) -> float | None: ...

# returns the instructions in use and all that this processor has, the fastest first.
def _simd_paths() -> tuple[tuple[str, list[str]], tuple[str, list[str]], tuple[str, list[str]]]: ...

# One block of a large comparison. Rows [n_rows * dim] of a frame and how many rows each averages.
_Frame: TypeAlias = tuple[_Floats, _Whole]

def fit_frame(sources: _PackedTokens, center: str | _Floats | None = None) -> _Frame: ...

# The sum of the tokens of every task [n_tasks * dim]; the mean token of such sums [n_tasks, dim].
def sum_tokens(sources: _PackedTokens) -> _Floats: ...
def mean_token(sums: _Floats, n_tokens: int) -> _Floats: ...
def decide_center(
    sources: _PackedTokens, targets: _PackedTokens | None = None
) -> tuple[bool, str, _Alignment]: ...

# returns scores [n_targets * n_sources], and their error bound and path for float32 and bf16;
# targets None means the sources, at half the cost
def block_scores(
    sources: _PackedTokens,
    targets: _PackedTokens | None,
    options: _KernelOptions,
    frame: _Frame,
    n_threads: int | None = None,
) -> tuple[_Floats, tuple[float, str] | None]: ...

# returns whether tokens are multiplied in float32
def multiplies_in_float32(
    sources: _PackedTokens, targets: _PackedTokens, options: _KernelOptions
) -> bool: ...

# number of features and seed; returns features [n_tasks * n_features]
def sketch_tokens(
    tokens: _PackedTokens,
    options: _KernelOptions,
    frame: _Frame,
    size: tuple[int, int],
    n_threads: int | None = None,
) -> npt.NDArray[np.float32]: ...

# returns places [n_queries * k], best first.
def largest_sketches(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    k: int,
    n_threads: int | None = None,
) -> npt.NDArray[np.int64]: ...
def sketch_updates(
    tasks: Sequence[Any], size: tuple[int, int], n_threads: int | None = None
) -> npt.NDArray[np.float32]: ...

# Of every row, without the target's own column: number of scores, the smallest, the largest.
_Spreads: TypeAlias = Sequence[tuple[int, float, float]]

def score_spreads(scores: _Floats, own: Sequence[int | None]) -> list[tuple[int, float, float]]: ...

# returns the saturation and the numbers of constant rows.
def score_saturation(
    spreads: _Spreads, range: tuple[float, float] | None = None
) -> tuple[float | None, list[int]]: ...
def kernels() -> list[dict[str, Any]]: ...

# Sums of squared gradients: parameters (name, size), examples of a shard, rows of an example.
@final
class FisherSums:
    def __new__(
        cls,
        parameters: Sequence[tuple[str, int]],
        shard_size: int,
        rows_per_example: int,
        square: str,
    ) -> FisherSums: ...
    # sums: name, whole shards, running shard; layout: shard_size, rows_per_example, square.
    @staticmethod
    def restored(
        sums: Sequence[tuple[str, _Floats, _Floats]],
        counts: Sequence[int],
        layout: tuple[int, int, str],
    ) -> FisherSums: ...
    def add(
        self,
        batch: Sequence[_PackedTokens],
        weights: _Floats | None = None,
        n_threads: int | None = None,
    ) -> None: ...
    def merge(self, later: FisherSums) -> None: ...
    # Examples in whole shards and in the running one.
    def counts(self) -> list[int]: ...
    def sums(self) -> list[tuple[str, _Floats, _Floats]]: ...
    def mean(self) -> list[_Floats]: ...

# head: name and noise variance; draws: labels per example and seed.
def fisher_of_head(
    features: _PackedTokens,
    outputs: _Floats,
    head: tuple[str, float],
    labels: _Floats | None = None,
    draws: tuple[int, int] | None = None,
    n_threads: int | None = None,
) -> _Floats: ...
def sketch_vector(values: _Floats, dim: int, seed: int) -> _Floats: ...
def task2vec_kernels() -> list[str]: ...

# trivial: Fisher diagonal [dim] of the trivial task and alpha; returns [n_targets * n_sources].
def task2vec_matrix(
    sources: _PackedTokens,
    targets: _PackedTokens | None,
    kernel: str,
    trivial: tuple[_Floats, float] | None = None,
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> _Floats: ...

# form: name, dim and seed of the projection; returns the numbers, names and sizes of the tensors,
# and a fingerprint of the base model.
def task_vector(
    base: str,
    tuned: str,
    form: tuple[str, int, int],
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> tuple[_Floats, list[tuple[str, int]], int]: ...

# returns [n_tensors * n_models * n_models] and the names of the tensors.
def task_vector_products(
    base: str,
    tuned: Sequence[str],
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> tuple[_Floats, list[str]]: ...

# Resampling. unit, stratum of every target [n_targets], seed of the streams.
_Plan: TypeAlias = tuple[str, _Whole, int]

# cube [n_targets, n_columns, n_seeds]; replicates of the range -> [n_replicates, n_columns].
def resample_means(
    cube: _Floats, plan: _Plan, range: tuple[int, int], n_threads: int | None
) -> _Floats: ...
def resample_indices(plan: _Plan, number: int, n_seeds: int) -> list[tuple[int, list[int]]]: ...

# contrasts: columns plus and minus (-1: none) -> estimate, low, high [n_contrasts, 3].
def mean_intervals(
    cube: _Floats,
    drawn: _Floats,
    contrasts: Sequence[tuple[int, int]],
    method: str,
    confidence: float,
) -> _Floats: ...

# Shares of places and of wins [n, n], first and last place of the interval, replicates counted.
def rank_shares(
    drawn: _Floats, confidence: float
) -> tuple[_Floats, _Floats, list[tuple[float, float]], int]: ...

# values [n_sources, n_first, n_second].
def seed_errors(values: _Floats, confidence: float) -> dict[str, Any]: ...

# error: variance and freedom; anchor: score, variance, freedom; streams: seed, first, end.
def rank_draws(
    means: _Floats,
    error: tuple[float, float],
    anchor: tuple[float, float, float] | None,
    streams: tuple[int, int, int],
    n_threads: int | None,
) -> _Floats: ...
def sign_flip(differences: _Floats, n_draws: int, seed: int) -> float: ...
def student_quantile(level: float, freedom: float) -> float: ...
def range_quantile(level: float, n: int, freedom: float) -> float: ...
def range_distribution(q: float, n: int, freedom: float) -> float: ...
def wilson(successes: float, n: float, confidence: float) -> tuple[float, float]: ...

# Comparing methods. candidates: scores, truth, source number; lists: offsets, baseline, target.
def permuted_metric(
    candidates: tuple[_Floats, _Floats, _Whole],
    lists: tuple[_Whole, _Floats, _Whole],
    conventions: _Conventions,
    metric: int,
    streams: tuple[int, int],
    n_threads: int | None,
) -> list[float]: ...
def adjusted_p_values(p_values: Sequence[float], method: str) -> list[float]: ...

# average ranks from 1, statistic, p-value, critical difference.
def friedman_test(
    scores: _Floats, confidence: float
) -> tuple[list[float], float, float, float]: ...

# Consistency. value and chance level; measure by name with persistence and k.
def agreement(
    first: _Floats, second: _Floats, measure: str, persistence: float, k: int
) -> tuple[float, float]: ...
def mean_agreement(
    table: _Floats, measure: str, persistence: float, k: int
) -> tuple[float, float]: ...
def concordance(table: _Floats) -> float: ...
def split_half(table: _Floats) -> tuple[float, float]: ...
def component_names() -> list[str]: ...

# estimates, degrees of freedom, draws [n_draws, 5]; streams: seed and number of draws.
def variance_components(
    cube: _Floats, streams: tuple[int, int], n_threads: int | None
) -> tuple[list[float], list[float], _Floats]: ...

# Inputs of one cell as packed tokens of one task, and one class number an example.
_TransferCell: TypeAlias = tuple[_PackedTokens, _Whole]

def transferability_methods() -> list[dict[str, Any]]: ...

# options: k, epsilon, temperature, covariance.
def transferability_scores(
    cells: Sequence[_TransferCell],
    method: str,
    options: tuple[int, float, float, str],
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> list[float]: ...

# Intercept and slope of the probability that a source helps.
def fit_help(scores: _Floats, helps: npt.NDArray[np.bool_]) -> tuple[float, float]: ...
def help_probability(intercept: float, slope: float, score: float) -> float: ...

# Risk [n], best risk [n]; area, its chance and its best level.
def coverage_curve(
    confidence: _Floats, losses: _Floats
) -> tuple[_Floats, _Floats, list[float]]: ...
def pick_diverse(scores: _Floats, closeness: _Floats, k: int, diversity: float) -> list[int]: ...

# predictors [n_predictors, n_targets, n_sources], truth [n_targets, n_sources] -> flat predictions.
def stack_predictors(predictors: _Floats, truth: _Floats) -> _Floats: ...

# Target numbers, source numbers and standardised scores of cells.
_GainCells: TypeAlias = tuple[_Whole, _Whole, _Floats]

# Mean, deviation and expected improvement of every wanted cell.
def forecast_gains(
    known: _GainCells, gains: _Floats, wanted: _GainCells, best: _Floats
) -> list[tuple[float, float, float]]: ...

# estimate, lower end, upper end.
_Three: TypeAlias = tuple[_Floats, _Floats, _Floats]

# names of prompt, condition, task and across statistics.
def superposition_names() -> list[list[str]]: ...
def superposition_conditions(mixture: _Floats) -> tuple[npt.NDArray[np.int64], list[int]]: ...

# returns numbers [n_prompts * 12] and shares [n_prompts * n_tasks].
def superposition_prompts(
    record: Any, coverage: tuple[float, bool], n_threads: int | None = None
) -> tuple[_Floats, _Floats]: ...

# returns conditions, across, mixture and the number of clusters of every stratum.
def superposition_analysis(
    record: Any,
    keep: npt.NDArray[np.bool_],
    options: Any,
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> tuple[_Three, _Three, _Floats, list[int]]: ...
def superposition_vote(
    lambdas: list[float], means: list[float], n_max: int, threshold: str
) -> tuple[float, float, float]: ...
def superposition_positions(
    indicators: _Floats, probabilities: _Floats, cluster: npt.NDArray[np.int64]
) -> tuple[_Floats, _Floats]: ...

# replicates: bootstrap, splits, confidence, seed.
def superposition_decomposition(
    pure: list[_Floats],
    mixture: _Floats,
    shares: list[float],
    replicates: tuple[int, int, float, int],
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> tuple[list[_Floats], float, float, float]: ...
def superposition_permutations(
    scores: _Floats, seed: int, n_threads: int | None = None
) -> tuple[float, float, int]: ...
def superposition_coordinates(
    states: _Floats, first: _Floats, second: _Floats
) -> tuple[_Floats, list[float]]: ...
def superposition_whitened(
    pure: list[_Floats], sets: list[_Floats], n_threads: int | None = None
) -> tuple[list[_Floats], float]: ...

# returns shrinkage, centre, projection and centroids.
def superposition_discriminant(
    pure: list[_Floats], n_threads: int | None = None
) -> tuple[float, _Floats, _Floats, _Floats]: ...
def superposition_placed(
    states: _Floats, plane: tuple[list[float], list[float], list[float]]
) -> tuple[_Floats, npt.NDArray[np.int64]]: ...

_Codec: TypeAlias = tuple[str, float, float, int]
_Draws: TypeAlias = tuple[npt.NDArray[np.int64], int, float, int, bool]

def behavior_coordinates(
    answers: npt.NDArray[np.float64], codec: _Codec
) -> npt.NDArray[np.float64]: ...
def behavior_paired(
    responses: npt.NDArray[np.float64],
    draws: _Draws,
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> npt.NDArray[np.float64]: ...
def behavior_nested(
    answers: npt.NDArray[np.float64],
    codec: _Codec,
    draws: _Draws,
    n_threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> npt.NDArray[np.float64]: ...
def behavior_split_half(
    answers: npt.NDArray[np.float64],
    codec: _Codec,
    halvings: tuple[int, int],
    n_threads: int | None = None,
) -> list[float]: ...
def behavior_alignment(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], is_ranked: bool
) -> float: ...
def behavior_drift(
    before: npt.NDArray[np.float64],
    after: npt.NDArray[np.float64],
    permutations: tuple[int, int],
    n_threads: int | None = None,
) -> tuple[float, float]: ...
def ridge_moments(
    features: npt.NDArray[np.float64], responses: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]: ...
def ridge_fit(
    moments: npt.NDArray[np.float64], n_features: int, penalty: float
) -> tuple[npt.NDArray[np.float64], float]: ...
def ridge_posterior(
    moments: npt.NDArray[np.float64], n_features: int, penalty: float, draws: tuple[int, int]
) -> npt.NDArray[np.float64]: ...
def ridge_left_out(
    features: npt.NDArray[np.float64],
    responses: npt.NDArray[np.float64],
    penalties: Sequence[float],
) -> npt.NDArray[np.float64]: ...
def symmetric_root(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
def behavior_shares(responses: npt.NDArray[np.float64]) -> tuple[list[str], list[float]]: ...

# dim, width, number of sources, tower, mode.
_HeadSizes: TypeAlias = tuple[int, int, int, list[int], str]
# tau, beta_kl, penalty on the tower's weights.
_HeadAims: TypeAlias = tuple[float, float, float]
_Singles: TypeAlias = npt.NDArray[np.float32]
_Labels: TypeAlias = npt.NDArray[np.bool_]
# sizes, aims, keys [n_sources * width] in the order of the head.
_Head: TypeAlias = tuple[_HeadSizes, _HeadAims, _Singles]
# x [n, dim], shared [n, width], own [n, n_own, width], expert of each source of the head.
_Rows: TypeAlias = tuple[_Singles, _Singles, _Singles, list[int]]

def head_tensors(sizes: _HeadSizes) -> list[tuple[str, list[int]]]: ...
def head_initial(sizes: _HeadSizes, seed: int) -> _Floats: ...

# pace: learning rate, rows of a batch, epochs, patience, seed.
# returns parameters, (loss, AUC, log-loss) of every epoch, number of the best.
def head_train(
    head: _Head,
    start: _Singles,
    table: tuple[_Rows, _Labels],
    validation: tuple[_Rows, _Labels] | None,
    pace: tuple[float, int, int, int, int],
    n_threads: int | None = None,
    progress: _Progress | None = None,
) -> tuple[_Singles, list[tuple[float, float, float]], int]: ...

# returns logits [n], weights [n * n_sources], gate [n * 2].
def head_answer(
    head: _Head, parameters: _Singles, table: _Rows, n_threads: int | None = None
) -> list[_Singles]: ...
def head_slopes(
    head: tuple[_HeadSizes, _HeadAims, _Floats],
    parameters: _Floats,
    table: tuple[tuple[_Floats, _Floats, _Floats, list[int]], _Labels],
) -> tuple[float, _Floats]: ...
def area_under_curve(scores: _Floats, labels: _Labels) -> float | None: ...

# numbers, sources, rows of weights, whether every row of weights has values of its own.
_Mixed: TypeAlias = tuple[_Floats, int, int, bool]

def mix_sources(values: _Mixed, weights: _Floats) -> _Floats: ...
def mix_slopes(values: _Mixed, upstream: _Floats) -> _Floats: ...
def attention_weights(queries: _Floats, keys: _Floats, dim: int, sharpness: float) -> _Floats: ...
def attention_slopes(
    weights: _Floats, flow: _Floats, keys: _Floats, dim: int, sharpness: float
) -> _Floats: ...
def hadamard_prompt(shared: _Floats, columns: _Floats, rows: _Floats, n_ranks: int) -> _Floats: ...
def hadamard_inner(
    first: tuple[_Floats, _Floats],
    second: tuple[_Floats, _Floats],
    n_ranks: int,
    shared: _Floats | None = None,
) -> float: ...
def hadamard_canonical(
    columns: _Floats, rows: _Floats, n_ranks: int
) -> tuple[_Floats, _Floats]: ...
