"""The demo: real prompts in, tables, two pictures and one page out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kinatlas as ka
from kinatlas.cli.output import print_table
from kinatlas.datasets import PromptStudy
from kinatlas.errors import DegenerateRankingWarning

__all__ = ["run"]

_KERNELS = ("feature_mean", "mean_pairwise", "max_pairwise", "flatten")
# Every kernel twice: with the shared initial prompt left in, and as the diagnostics advise.
_METHODS: dict[str, tuple[str, str | None]] = {
    f"{kernel}{note}": (kernel, center)
    for center, note in ((None, ""), ("auto", ", center=auto"))
    for kernel in _KERNELS
}
_TARGETS = ("sent_amazon", "bbc")
_SHOWN_KERNEL = "max_pairwise"

_LUCK = (
    "Beating chance on all three seeds happens once in eight tries by luck alone, and the seeds "
    "share their tasks and test texts, so this is an indication and no proof."
)


def run(out: Path) -> None:
    """Run the demo and write ``similarity.png``, ``rankings.png`` and ``report.html``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run(Path(folder))  # doctest: +ELLIPSIS
    ...     sorted(path.name for path in Path(folder).iterdir())
    PromptStudy: 12 tasks x 3 seeds...
    ['rankings.png', 'report.html', 'similarity.png']
    """
    study = ka.datasets.load_minilm_prompts()
    print(str(study).splitlines()[0])
    seed = min(study.atlases)
    shown = ka.similarity_matrix(study.atlases[seed], kernel=_SHOWN_KERNEL, center="auto")
    centre = f"center: {shown.options['center_reason']}"
    print(centre)
    rankings = [ka.rank_sources(shown, target) for target in _TARGETS]
    measured = study.transfer.select(sources=shown.sources, seeds=[seed]).to_matrix()
    truths = [ka.rank_sources(measured, target) for target in _TARGETS]
    results = {label: _per_seed(study, *method) for label, method in _METHODS.items()}
    rows = _rows(study, results)

    for ranking, truth in zip(rankings, truths, strict=True):
        title = f"Sources for {ranking.target}, by {_SHOWN_KERNEL}, seed {seed}"
        print_table(_beside(ranking, truth), title)
    print_table(
        rows, "NDCG of the predicted order against measured transfer, with its exact chance level"
    )
    findings = _findings(results)
    print(findings)

    out.mkdir(parents=True, exist_ok=True)
    map_axes = ka.plotting.plot_similarity(shown, title=f"{_SHOWN_KERNEL}, seed {seed}")
    ranking_axes = _ranking_axes(rankings, truths)
    map_axes.figure.savefig(out / "similarity.png")
    ranking_axes.figure.savefig(out / "rankings.png")
    report = (
        ka.Report("What should these tasks transfer from?")
        .add_text("Data", _data(study))
        .add_figure("Similarity of all pairs", map_axes, centre)
        .add_figure("Two targets", ranking_axes, "Rank by measured transfer in brackets.")
    )
    for ranking, truth in zip(rankings, truths, strict=True):
        report = report.add_table(f"Sources for {ranking.target}", _beside(ranking, truth))
    report = report.add_table(
        "Four kernels against measured transfer, NDCG and its chance by seed", rows, findings
    )
    report = report.add_figure("NDCG of each seed beside its chance", _ndcg_axes(results))
    first = results[f"{_SHOWN_KERNEL}, center=auto"][seed]
    report = report.add_text(
        f"What the numbers of {_SHOWN_KERNEL} mean, seed {seed}",
        first.explain().replace("\n", "\n\n"),
    )
    prompts = {f"prompts, seed {number}": atlas for number, atlas in study.atlases.items()}
    report = report.add_record(
        inputs=prompts | {"transfer": study.transfer},
        conventions={name: first.conventions[name] for name in ("gain", "units", "ties", "self")},
        seeds=list(study.atlases),
    )
    print(f"wrote {out / 'similarity.png'}, {out / 'rankings.png'}")
    print(f"wrote {report.save(out / 'report.html')}")


def _per_seed(study: PromptStudy, kernel: str, center: str | None) -> dict[int, Any]:
    results = {}
    for seed, atlas in study.atlases.items():
        with warnings.catch_warnings():
            # The shared initialisation is left in on purpose here; the table shows what it costs.
            warnings.simplefilter("ignore", DegenerateRankingWarning)
            matrix = ka.similarity_matrix(atlas, kernel=kernel, center=center)
        results[seed] = ka.evaluate({seed: matrix}, study.transfer)
    return results


def _rows(study: PromptStudy, results: Mapping[str, Mapping[int, Any]]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {"method": list(results)}
    for seed in study.atlases:
        rows[f"seed {seed}"] = [found[seed].summary()["ndcg"] for found in results.values()]
        rows[f"chance {seed}"] = [
            found[seed].summary()["ndcg_chance"] for found in results.values()
        ]
    return rows


def _findings(results: Mapping[str, Mapping[int, Any]]) -> str:
    lines = []
    for method, per_seed in results.items():
        better = [result.summary()["ndcg_corrected"] > 0 for result in per_seed.values()]
        verdict = (
            f"above chance on all {len(better)} seeds"
            if all(better)
            else f"does NOT beat chance: above it on {sum(better)} of {len(better)} seeds"
        )
        lines.append(f"{method}: {verdict}.")
    return "\n\n".join(["\n".join(lines), _LUCK])


def _beside(ranking: Any, truth: Any) -> dict[str, list[Any]]:
    places = {entry.source: entry for entry in truth}
    return {
        "source": [entry.source for entry in ranking],
        "similarity": [entry.score for entry in ranking],
        "rank": [entry.rank for entry in ranking],
        "measured rank": [places[entry.source].rank for entry in ranking],
        "measured score": [places[entry.source].score for entry in ranking],
    }


def _ranking_axes(rankings: list[Any], truths: list[Any]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), dpi=150, layout="constrained")
    axes = figure.subplots(1, len(rankings))
    for ax, ranking, truth in zip(axes, rankings, truths, strict=True):
        ka.plotting.plot_ranking(ranking, measured=truth, ax=ax)
    return axes[0]


def _ndcg_axes(results: Mapping[str, Mapping[int, Any]]) -> Any:
    per_seed = {method: list(found.values()) for method, found in results.items()}
    return ka.plotting.plot_evaluation(per_seed, title="NDCG, gain 2^percent, one dot a seed")


def _data(study: PromptStudy) -> str:
    about = study.provenance
    return (
        f"Soft prompts of {len(study.groups)} text tasks on {about['backbone']}, "
        f"{len(study.atlases)} seeds, made on {about['date']} by {about['script']}. A source's "
        "prompt is used unchanged on the target; scores are zero-shot accuracy in percent. "
        "Only numbers are bundled, no text."
    )
