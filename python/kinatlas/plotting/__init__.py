"""Pictures of results. Every function returns matplotlib Axes and computes no new number."""

from kinatlas.plotting.behavior import plot_pareto
from kinatlas.plotting.decisions import plot_critical_difference, plot_gains, plot_risk_coverage
from kinatlas.plotting.evaluation import plot_evaluation
from kinatlas.plotting.icl import plot_decoupling_map, plot_loss_curves
from kinatlas.plotting.ranking import plot_ranking
from kinatlas.plotting.recommender import plot_source_evidence
from kinatlas.plotting.similarity import plot_similarity
from kinatlas.plotting.superposition import (
    plot_layer_sweep,
    plot_plane,
    plot_prompts,
    plot_shares,
    plot_simplex,
)
from kinatlas.plotting.trust import plot_rank_intervals, plot_seed_spread, plot_variance

__all__ = [
    "plot_critical_difference",
    "plot_decoupling_map",
    "plot_evaluation",
    "plot_gains",
    "plot_layer_sweep",
    "plot_loss_curves",
    "plot_pareto",
    "plot_plane",
    "plot_prompts",
    "plot_rank_intervals",
    "plot_ranking",
    "plot_risk_coverage",
    "plot_seed_spread",
    "plot_shares",
    "plot_similarity",
    "plot_simplex",
    "plot_source_evidence",
    "plot_variance",
]
