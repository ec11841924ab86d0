"""When do task-specific prompts help? Linear attention, solved exactly.

Source: Chang, Li, Kara, Oymak, Roy-Chowdhury, "Provable Benefits of Task-Specific Prompts for
In-context Learning", AISTATS 2025; what goes beyond the paper is derived in docs/icl.md.
"""

from kinatlas.icl.curves import DecouplingMap, LossCurves, decoupling_map, loss_curves
from kinatlas.icl.descent import Training, fit_gd
from kinatlas.icl.estimation import MixtureEstimate, estimate_mixture
from kinatlas.icl.mixture import Mixture
from kinatlas.icl.optima import SETTINGS, Optimum, optimum
from kinatlas.icl.questions import (
    PromptAdvice,
    asymptotic_constant,
    decoupling_index,
    what_prompts_buy,
)
from kinatlas.icl.simulation import Simulation, simulate
from kinatlas.icl.transfer import preconditioner_atlas, prompt_atlas, transfer_losses
from kinatlas.icl.weights import AttentionWeights, attention_forward, weights

__all__ = [
    "SETTINGS",
    "AttentionWeights",
    "DecouplingMap",
    "LossCurves",
    "Mixture",
    "MixtureEstimate",
    "Optimum",
    "PromptAdvice",
    "Simulation",
    "Training",
    "asymptotic_constant",
    "attention_forward",
    "decoupling_index",
    "decoupling_map",
    "estimate_mixture",
    "fit_gd",
    "loss_curves",
    "optimum",
    "preconditioner_atlas",
    "prompt_atlas",
    "simulate",
    "transfer_losses",
    "weights",
    "what_prompts_buy",
]
