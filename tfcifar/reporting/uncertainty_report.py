"""Reports on uncertainty, of one run and of several, from their scores.json alone."""

from pathlib import Path

from tfcifar.reporting.html import write_html
from tfcifar.reporting.tables import in_markdown
from tfcifar.reporting.uncertainty_figures import (
    plot_all_risk_coverage,
    plot_deciles,
    plot_foreign,
    plot_risk_coverage,
)
from tfcifar.reporting.uncertainty_tables import (
    against_mc_dropout,
    detection_table,
    measures_table,
    table_over_runs,
    thresholds,
)
from tfcifar.run_dir import read_json, write_text
from tfcifar.uncertainty import ENTROPY, MC_DROPOUT

NOTES = (
    "AURC: area under the risk-coverage curve, the error rate averaged over all shares of images that one may keep; "
    "excess: beyond an oracle that is least certain of exactly its errors (arXiv:1805.08206). Lower is better; "
    "AURC also falls with the error rate itself. Entropies and mutual information (BALD) are in nats."
)
FOREIGN_NOTES = (
    "AUROC, and behind it the share of foreign images let in where 95% of the network's own are (FPR95). No detector "
    "has seen a foreign image; Mahalanobis and kNN know {fitted:,} training images."
)


def write_uncertainty(folder: Path) -> str:
    """Write report.md, report.html and figures into `folder`, which holds a scores.json; return the tables."""
    scores = read_json(folder / "scores.json")
    sources = scores["sources"]
    plot_risk_coverage(sources, folder / "risk_coverage.png")
    plot_deciles(sources, folder / "deciles.png")
    parts = [f"{scores['n']:,} {scores['split']} images of {scores['dataset']}; {_sampling(scores)}."]
    parts += [measures_table(sources), NOTES, *_findings(scores)]
    parts += ["![risk-coverage curves](risk_coverage.png)", "![error rate by tenth](deciles.png)"]
    parts += ["## Abstaining", *thresholds(scores)]
    plot_foreign(scores["histograms"], folder / "foreign.png")
    parts += [
        "## Foreign images",
        detection_table(scores["detection"]),
        FOREIGN_NOTES.format(fitted=scores["fitted"]),
        "![scores of own and foreign images](foreign.png)",
    ]
    _write(folder / "report.md", f"Uncertainty of {in_markdown(scores['run'])}", parts)
    return "\n\n".join(part for part in parts if not part.startswith("!["))


def write_uncertainty_comparison(folders: list[Path], output: Path) -> str:
    """Write report.md, report.html and figures of several runs and their ensemble into `output`; return the tables.

    Args:
        folders: of the runs, each with a scores.json.
        output: holds the ensemble's scores, ensemble.json.
    """
    runs, ensemble = [read_json(folder / "scores.json") for folder in folders], read_json(output / "ensemble.json")
    plot_risk_coverage(ensemble["sources"], output / "ensemble_risk_coverage.png")
    plot_deciles(ensemble["sources"], output / "ensemble_deciles.png")
    rows = [(run["run"], source, run) for run in runs for source in run["sources"]]
    rows += [(f"all {len(runs)} runs", source, ensemble) for source in ensemble["sources"]]
    curves = {f"{name}, {source}": scores["sources"][source]["measures"][ENTROPY] for name, source, scores in rows}
    plot_all_risk_coverage(curves, output / "risk_coverage.png")
    parts = [
        f"{ensemble['n']:,} {ensemble['split']} images of {runs[0]['dataset']}, ordered by predictive entropy.",
        "\n".join(f"- {in_markdown(run['run'])}: {_sampling(run)}" for run in runs),
        table_over_runs(rows),
        NOTES,
        "![risk-coverage curves of all](risk_coverage.png)",
        *against_mc_dropout(ensemble),
        "## The ensemble",
        measures_table(ensemble["sources"]),
        "![risk-coverage curves of the ensemble](ensemble_risk_coverage.png)",
        "![error rate by tenth of the ensemble](ensemble_deciles.png)",
        *thresholds(ensemble),
        "## Foreign images",
        _detection_over_runs(runs),
    ]
    _write(output / "report.md", f"Uncertainty of {len(runs)} runs", parts)
    return "\n\n".join(part for part in parts if not part.startswith("!["))


def _write(path: Path, title: str, parts: list[str]) -> None:
    write_text(path, "\n\n".join([f"# {title}", *parts]) + "\n")
    write_html(path)


def _sampling(scores: dict) -> str:
    """The passes with dropout and their rates; which of these the run was not trained with."""
    if not scores["samples"]:
        return "without MC dropout"
    rates = [
        f"{rate:g} in {in_markdown(layer)}{'' if scores['trained_dropout'][layer] else ' (trained at 0)'}"
        for layer, rate in scores["dropout"].items()
        if rate
    ]
    return f"MC dropout of {scores['samples']} passes at rate {', '.join(rates)}"


def _findings(scores: dict) -> list[str]:
    """Sentences that follow from the numbers."""
    parts = []
    if "against_single" in scores:
        parts.append(f"- {_better('MC dropout', 'the single pass', scores['against_single'])}")
        agreement = scores["sources"][MC_DROPOUT]["agreement"]
        if agreement is not None:
            parts.append(f"- BALD orders images as predictive entropy does with a rank correlation of {agreement:.2f}.")
    return ["\n".join(parts)] if parts else []


def _better(one: str, other: str, found: dict) -> str:
    """In words, what `compare_aurc` found of two sources ordered by predictive entropy."""
    low, high = (f"{100 * end:+.3f}" for end in found["interval95"])
    numbers = f"AURC {found['one']:.3%} and {found['other']:.3%}, 95% interval of the difference {low} to {high} points"
    if found["verdict"] != "significant":
        return f"{one} and {other}: which separates errors better, these images cannot show ({numbers})."
    better, worse = (one, other) if found["difference"] < 0 else (other, one)
    return f"{better} separates errors better than {worse} ({one} and {other}: {numbers})."


def _detection_over_runs(runs: list[dict]) -> str:
    parts = [f"{in_markdown(run['run'])}:\n\n{detection_table(run['detection'])}" for run in runs]
    return "\n\n".join([*parts, FOREIGN_NOTES.format(fitted=runs[0]["fitted"])])
