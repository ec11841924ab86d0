"""Best partners behind a screen beside all products: same tokens, one thread, the same scores.

Methods take turns; processor time counts, the best of many rounds, for the machine may be shared.
Scores of ``screened`` are compared bit for bit before anything is timed, errors of ``approximate``
with float32. ``--prompts`` takes real ones: archives of arrays [n_tokens, dim] by task name.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

import kinatlas as ka
from kinatlas.similarity import nearest_sources

# Prompts a side, tokens, dim.
SHAPES = {
    "Gaussian 100 x 768": (60, 100, 768),
    "Gaussian 64 x 768": (80, 64, 768),
    "Gaussian 48 x 768": (100, 48, 768),
    "Gaussian 32 x 768": (150, 32, 768),
    "Gaussian 24 x 768": (180, 24, 768),
    "Gaussian 20 x 1024": (180, 20, 1024),
    "Gaussian 8 x 768": (400, 8, 768),
}
METHODS = ("exact", "screened", "approximate", "auto")


def atlas(prompts: np.ndarray) -> ka.Atlas:
    """Prompts [n_tasks, n_tokens, dim] by number."""
    return ka.Atlas.from_arrays(
        {f"task{number}": tokens for number, tokens in enumerate(prompts)}, space="bench"
    )


def gaussian(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Tokens of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def hidden(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Tokens with two coordinates far above the others and norms that vary, as hidden states."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=shape)
    tokens[..., [3, 60]] = 40.0 * (1 + 0.3 * rng.normal(size=(*shape[:-1], 2)))
    return (tokens * rng.lognormal(size=(*shape[:-1], 1))).astype(np.float32)


def workloads(archives: list[Path]) -> dict[str, tuple[ka.Atlas, ka.Atlas | None]]:
    """Sources and targets by name; None for the sources themselves."""
    found: dict[str, tuple[ka.Atlas, ka.Atlas | None]] = {}
    for name, shape in SHAPES.items():
        found[name] = atlas(gaussian(shape, 0)), atlas(gaussian(shape, 1))
    shape = SHAPES["Gaussian 100 x 768"]
    found["Gaussian 100 x 768, among themselves"] = atlas(gaussian(shape, 0)), None
    found["outliers 100 x 768"] = atlas(hidden(shape, 0)), atlas(hidden(shape, 1))
    heavy = np.random.default_rng(2).standard_t(2, size=(2, *shape)).astype(np.float32)
    found["heavy-tailed 100 x 768"] = atlas(heavy[0]), atlas(heavy[1])
    for path in archives:
        with np.load(path) as arrays:
            prompts = np.stack([arrays[name] for name in arrays.files])
        found[path.stem] = atlas(np.tile(prompts, (4, 1, 1))[:60]), atlas(prompts)
        found[f"{path.stem}, centred"] = tuple(
            atlas((side - prompts.mean(0)).astype(np.float32))
            for side in (np.tile(prompts, (4, 1, 1))[:60], prompts)
        )
    return found


def measured(sources: ka.Atlas, targets: ka.Atlas | None, rounds: int) -> dict[str, Any]:
    """Processor seconds of every method, the share recomputed and the largest error."""
    seconds: dict[str, float] = {}
    matrices: dict[str, ka.SimilarityMatrix] = {}
    for _ in range(rounds):
        for method in METHODS:
            start = time.process_time()
            matrices[method] = ka.similarity_matrix(
                sources, targets, kernel="max_pairwise", precision="float32", method=method,
                diagnostics=False, n_threads=1,
            )  # fmt: skip
            taken = time.process_time() - start
            seconds[method] = min(taken, seconds.get(method, taken))
    exact = matrices["exact"].values
    for method in ("screened", "auto"):
        assert matrices[method].values.tobytes() == exact.tobytes(), method
    return {
        "seconds": seconds,
        "recomputed": matrices["screened"].diagnostics["screen"]["recomputed_share"],
        "error": float(np.abs(matrices["approximate"].values - exact).max()),
        "auto": matrices["auto"].diagnostics["method"],
    }


def searched(archives: list[Path]) -> list[dict[str, Any]]:
    """Sources scored exactly when the three best are wanted, of all that there are."""
    found = []
    for path in archives:
        with np.load(path) as arrays:
            tasks = ka.Atlas.from_arrays({name: arrays[name] for name in arrays.files})
        for center in (None, "positions"):
            best = nearest_sources(tasks, tasks, kernel="max_pairwise", k=3, center=center)
            counts = {"scored": best.n_scored, "pairs": best.n_pairs}
            found.append({"workload": path.stem, "center": center} | counts)
    return found


def markdown(found: dict[str, Any]) -> str:
    """One row a workload."""
    lines = [
        f"# Screens on {found['machine']}",
        "",
        "| workload | exact ms | screened | approximate | auto | recomputed | largest error |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in found["rows"].items():
        exact = row["seconds"]["exact"]
        ratio = {method: exact / row["seconds"][method] for method in METHODS}
        lines.append(
            f"| {name} | {1e3 * exact:.1f} | {ratio['screened']:.2f} x | "
            f"{ratio['approximate']:.2f} x | {ratio['auto']:.2f} x ({row['auto']}) | "
            f"{row['recomputed']:.2%} | {row['error']:.0e} |"
        )
    for row in found["searched"]:
        lines.append(
            f"\nThree best of {row['workload']}, center={row['center']}: {row['scored']} of "
            f"{row['pairs']} pairs scored exactly."
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write ``similarity_screened.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompts", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    rows = {}
    for name, (sources, targets) in workloads(options.prompts).items():
        rows[name] = measured(sources, targets, options.rounds)
    machine = platform.processor() or platform.machine()
    found = {"machine": machine, "rows": rows, "searched": searched(options.prompts)}
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "similarity_screened.json"
    record.write_text(json.dumps(found, indent=1), encoding="utf-8")
    page = markdown(found)
    record.with_suffix(".md").write_text(page + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
