"""How useful a source looks for a target's labels before anything is trained.

One contract: ``score(inputs, labels, method=...)`` is one number, higher is better. Inputs are
features of the target's examples under the source, or the source's own predictions on them.
"""

from __future__ import annotations

from kinatlas.transferability.methods import (
    MethodInfo,
    MethodTable,
    method_info,
    method_names,
    method_table,
)
from kinatlas.transferability.score import score, score_many

__all__ = [
    "MethodInfo",
    "MethodTable",
    "method_info",
    "method_names",
    "method_table",
    "score",
    "score_many",
]
