"""Pictures of results. Every function returns matplotlib Axes and computes no new number."""

from kinatlas.plotting.evaluation import plot_evaluation
from kinatlas.plotting.icl import plot_decoupling_map, plot_loss_curves
from kinatlas.plotting.ranking import plot_ranking
from kinatlas.plotting.similarity import plot_similarity
from kinatlas.plotting.superposition import (
    plot_layer_sweep,
    plot_plane,
    plot_prompts,
    plot_shares,
    plot_simplex,
)

__all__ = [
    "plot_decoupling_map",
    "plot_evaluation",
    "plot_layer_sweep",
    "plot_loss_curves",
    "plot_plane",
    "plot_prompts",
    "plot_ranking",
    "plot_shares",
    "plot_similarity",
    "plot_simplex",
]
