"""Pictures of results. Every function returns matplotlib Axes and computes no new number."""

from kinatlas.plotting.evaluation import plot_evaluation
from kinatlas.plotting.icl import plot_decoupling_map, plot_loss_curves
from kinatlas.plotting.ranking import plot_ranking
from kinatlas.plotting.similarity import plot_similarity

__all__ = [
    "plot_decoupling_map",
    "plot_evaluation",
    "plot_loss_curves",
    "plot_ranking",
    "plot_similarity",
]
