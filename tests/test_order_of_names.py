"""Plans and probabilities do not depend on the order in which tasks are listed, to the bit."""

from __future__ import annotations

import numpy as np

from kinatlas import SimilarityMatrix, TransferTable
from kinatlas.evaluation import evaluate_abstention, plan_budget


def test_the_order_of_names_changes_no_bit():
    rng = np.random.default_rng(0)
    targets, sources = [f"t{at}" for at in range(9)], [f"s{at}" for at in range(6)]
    runs = 60 + rng.normal(size=(9, 6, 1))
    table = TransferTable(runs, tuple(targets), tuple(sources), (0,), np.full((9, 1), 60.0))
    scores = SimilarityMatrix(runs[:, :, 0] + rng.normal(size=(9, 6)), targets, sources, "k")
    gains = table.to_matrix("gain").values
    known = SimilarityMatrix(
        np.where(rng.random((9, 6)) < 0.5, gains, np.nan), targets, sources, "gain", neutral=0.0
    )
    plan = plan_budget(scores, known, budget=7).to_dict()
    chances = evaluate_abstention(scores, table)
    for _ in range(5):
        names = {
            "targets": list(rng.permutation(targets)),
            "sources": list(rng.permutation(sources)),
        }
        moved = scores.select(**names)
        assert plan_budget(moved, known.select(targets=targets[::-1]), budget=7).to_dict() == plan
        again = evaluate_abstention(moved, table)
        assert again.curve == chances.curve
        assert dict(zip(again.targets, again.probabilities, strict=True)) == dict(
            zip(chances.targets, chances.probabilities, strict=True)
        )
