"""Pictures of results. Every function returns matplotlib Axes and computes no new number."""

from kinatlas.plotting.evaluation import plot_evaluation
from kinatlas.plotting.ranking import plot_ranking
from kinatlas.plotting.similarity import plot_similarity

__all__ = ["plot_evaluation", "plot_ranking", "plot_similarity"]
