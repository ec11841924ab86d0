"""What was measured as JSON, as Markdown and as a roofline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Where labels stand beside their points, which lie close together.
PLACES = {"W1": (-18, -3), "W5": (-18, 4), "W6": (-18, -8), "W3": (5, -10)}


def markdown(found: dict[str, Any]) -> str:
    """One table per number of threads, slowest last."""
    lines = [f"# Token similarity on {found['machine']}", "", found["method"], ""]
    for run in found["runs"]:
        peak = run["peak"]
        ceilings = {
            "sustained": peak,
            "best half millisecond": run["best_peak"],
            "bf16 sustained": run["bf16_peak"],
        }
        known = [f"{label} {rate:.0f}" for label, rate in ceilings.items() if rate and rate == rate]
        lines += [
            f"## {run['threads']} thread(s), {run['simd']}, ceiling in GFLOP/s: "
            f"{', '.join(known) or 'unknown'}",
            "",
            "| workload | contender | best ms | GFLOP/s | share | times ours "
            "| GFLOP/s by CPU time | times ours | error |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in run["rows"]:
            share = f"{100 * row['share']:.0f} %" if row["share"] == row["share"] else ""
            lines.append(
                f"| {row['workload']} | {row['name']} | {1e3 * row['best']:.1f} | "
                f"{row['gflops']:.0f} | {share} | {row['ratio']:.2f} | "
                f"{row['busy_gflops']:.0f} | {row['busy_ratio']:.2f} | {row['error']:.0e} |"
            )
        lines.append("")
    return "\n".join(lines)


def write(found: dict[str, Any], folder: Path) -> None:
    """Write ``similarity.json``, ``.md`` and, with matplotlib, ``.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "similarity.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    (folder / "similarity.md").write_text(markdown(found), encoding="utf-8")
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    colors = {
        "kinatlas": "tab:red",
        "kinatlas as it comes": "tab:pink",
        "kinatlas bf16": "tab:orange",
        "best BLAS (torch, oneDNN)": "tab:blue",
        "torch bf16": "tab:cyan",
    }
    for run in found["runs"]:
        marker = "o" if run["threads"] == 1 else "s"
        if run["peak"] == run["peak"]:
            intensity = [0.5, run["peak"] / run["bandwidth"], 1e4]
            roof = [min(x * run["bandwidth"], run["peak"]) for x in intensity]
            axes.plot(intensity, roof, color="0.5", lw=1)
            axes.annotate(f"{run['threads']} thread(s)", (1e4, roof[-1]), ha="right", va="bottom")
        for row in run["rows"]:
            color = colors.get(row["name"], "0.75")
            front = 3 if row["name"] in colors else 2
            axes.plot(row["intensity"], row["gflops"], marker, color=color, ms=5, zorder=front)
            if row["name"] == "kinatlas":
                place = PLACES.get(row["workload"], (6, -3))
                axes.annotate(
                    row["workload"], (row["intensity"], row["gflops"]), place,
                    textcoords="offset points", fontsize=7,
                )  # fmt: skip
    axes.set(
        xscale="log", yscale="log",
        xlabel="FLOP per byte of tokens read once", ylabel="GFLOP/s",
        title="Ours red, screened where that pays pink, in bf16 orange;\n"
        "tuned BLAS blue, torch in bf16 cyan; others grey",
    )  # fmt: skip
    figure.savefig(folder / "similarity.png", dpi=150)
