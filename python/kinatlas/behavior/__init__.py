"""Black boxes compared by what they answer.

Any model, or a language model with its prompt, is a function from texts to answers. Here it is
asked (`ask`) the probes of a bank, every answer kept in a `Ledger`; answers become `Responses`, and
those a similarity with intervals, or tasks that rank like any other. See docs/behavior.md.
"""

from __future__ import annotations

from kinatlas.behavior.accounts import Accounts, accounts, dry_run
from kinatlas.behavior.aligned import alignment
from kinatlas.behavior.asking import ask
from kinatlas.behavior.baselines import baseline_scores, pareto_front, with_baselines
from kinatlas.behavior.boxes import (
    Answer,
    BlackBox,
    CallableBox,
    Price,
    fingerprint,
)
from kinatlas.behavior.budget import Budget
from kinatlas.behavior.codecs import character_ngrams
from kinatlas.behavior.drift import same_endpoint
from kinatlas.behavior.embed import embed_behavior, surrogate_similarity
from kinatlas.behavior.endpoint import Endpoint
from kinatlas.behavior.estimators import EstimatorBox
from kinatlas.behavior.features import TextFeatures, encoder_features, tfidf_features
from kinatlas.behavior.ledger import Ledger
from kinatlas.behavior.merging import merge_ledgers
from kinatlas.behavior.negation import negated
from kinatlas.behavior.paired import (
    BehaviorSimilarity,
    calls_needed,
    paired_similarity,
)
from kinatlas.behavior.probes import ProbeBank, builtin_bank
from kinatlas.behavior.prompted import PromptedModel
from kinatlas.behavior.prompts import prompt_bias, variance_shares
from kinatlas.behavior.reading import read_ledger
from kinatlas.behavior.responses import Responses
from kinatlas.behavior.surrogates import RidgeSpace, Surrogate, ridge_space
from kinatlas.behavior.tables import Table

__all__ = [
    "Accounts",
    "Answer",
    "BehaviorSimilarity",
    "BlackBox",
    "Budget",
    "CallableBox",
    "Endpoint",
    "EstimatorBox",
    "Ledger",
    "Price",
    "ProbeBank",
    "PromptedModel",
    "Responses",
    "RidgeSpace",
    "Surrogate",
    "Table",
    "TextFeatures",
    "accounts",
    "alignment",
    "ask",
    "baseline_scores",
    "builtin_bank",
    "calls_needed",
    "character_ngrams",
    "dry_run",
    "embed_behavior",
    "encoder_features",
    "fingerprint",
    "merge_ledgers",
    "negated",
    "paired_similarity",
    "pareto_front",
    "prompt_bias",
    "read_ledger",
    "ridge_space",
    "same_endpoint",
    "surrogate_similarity",
    "tfidf_features",
    "variance_shares",
    "with_baselines",
]
