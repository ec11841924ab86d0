"""The tables of docs/recommenders.md out of ``results.json`` and ``sources.json``.

python notebooks/studies/recommender_new_task/table.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from kinatlas import _core

HERE = Path(__file__).parent
METHODS = ("prompt", "fixed", "task", "share", "frozen_bottom", "scratch")
COUNTS = ("300", "1000", "all")


def spread(values: list[float]) -> str:
    """Mean, and the half width of its Student interval over seeds."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = _core.student_quantile(0.975, len(values) - 1) * np.std(values, ddof=1)
    return f"{np.mean(values):.3f} ± {half / len(values) ** 0.5:.3f}"


def gain(cells: list[Any], rival: str) -> str:
    """Mean gain in points with its interval over seeds, and the verdicts of single seeds."""
    gains = [100 * cell["prompt"]["over"][rival]["auc"][0] for cell in cells]
    verdicts = [cell["prompt"]["over"][rival]["verdict"] for cell in cells]
    plus, minus = verdicts.count("transfer+"), verdicts.count("transfer-")
    half = 0.0
    if len(gains) > 1:
        half = _core.student_quantile(0.975, len(gains) - 1) * np.std(gains, ddof=1)
        half /= len(gains) ** 0.5
    return f"{np.mean(gains):+.1f} ± {half:.1f} ({plus} plus, {minus} minus of {len(gains)})"


def main() -> None:
    results = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    print("| data, labels |", " | ".join(METHODS), "| prompt over scratch |")
    print("|---|" + "---|" * (len(METHODS) + 1))
    for data in ("adult", "movielens"):
        for count in COUNTS:
            cells = [
                cell
                for key, cell in sorted(results.items())
                if key.startswith(data) and key.endswith(f"/{count}")
            ]
            if not cells:
                continue
            means = [spread([cell[name]["auc"] for cell in cells]) for name in METHODS]
            print(f"| {data}, {count} |", " | ".join(means), f"| {gain(cells, 'scratch')} |")
    path = HERE / "sources.json"
    if path.exists():
        runs = json.loads(path.read_text(encoding="utf-8"))
        for count in ("1000 labels", "18000 labels"):
            for method in [key for key in runs["0"][count] if not key.startswith("rises")]:
                named = [hit for run in runs.values() for hit in run[count][method]]
                low, high = _core.wilson(float(sum(named)), float(len(named)), 0.95)
                print(f"{count}, {method}: {sum(named)} of {len(named)} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
