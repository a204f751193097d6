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
from tfcifar.run_dir import read_json, write_text
from tfcifar.uncertainty import ENTROPY, MC_DROPOUT

NOTES = (
    "AURC: area under the risk-coverage curve, the error rate averaged over all shares of images that one may keep; "
    "excess: beyond an oracle that is least certain of exactly its errors (arXiv:1805.08206). Lower is better; "
    "AURC also falls with the error rate itself. Entropies and mutual information (BALD) are in nats."
)
THRESHOLD_NOTES = (
    "Coverage (share of images kept) and, behind it, the error rate among these. Empirical: the largest threshold that "
    "keeps the risk on the images that choose it. Guaranteed: one whose true risk is below the target with 95% "
    "confidence (SGR, arXiv:1705.08500)."
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
    parts = [f"{_what_was_judged(scores)}\n\n{measures_table(sources)}\n\n{NOTES}", *_findings(scores)]
    parts += ["![risk-coverage curves](risk_coverage.png)", "![error rate by tenth](deciles.png)"]
    parts += ["## Abstaining", *_thresholds(scores)]
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
        f"{ensemble['n']:,} {ensemble['split']} images; predictions ordered by predictive entropy.",
        _table_over_runs(rows),
        NOTES,
        "![risk-coverage curves of all](risk_coverage.png)",
        *_against_mc_dropout(ensemble),
        "## The ensemble",
        measures_table(ensemble["sources"]),
        "![risk-coverage curves of the ensemble](ensemble_risk_coverage.png)",
        "![error rate by tenth of the ensemble](ensemble_deciles.png)",
        *_thresholds(ensemble),
        "## Foreign images",
        _detection_over_runs(runs),
    ]
    _write(output / "report.md", f"Uncertainty of {len(runs)} runs", parts)
    return "\n\n".join(part for part in parts if not part.startswith("!["))


def measures_table(sources: dict[str, dict]) -> str:
    """A row for each source and measure of `score_sources`, in Markdown."""
    lines = [
        "| predictions | accuracy | measure | AURC | excess | errors, surest tenth | least sure tenth | rising |",
        "|---|--:|---|--:|--:|--:|--:|---|",
    ]
    for source, found in sources.items():
        for measure, each in found["measures"].items():
            lines.append(
                f"| {source} | {found['accuracy']:.2%} | {measure} | {each['aurc']:.3%} | {each['excess_aurc']:.3%} "
                f"| {each['deciles'][0]:.1%} | {each['deciles'][-1]:.1%} | {_rising(each)} |"
            )
    return "\n".join(lines)


def _rising(measure: dict) -> str:
    """Whether the error rate rises from tenth to tenth."""
    if measure["monotone"]:
        return "yes"
    fall = f"falls by {100 * measure['largest_fall']:.1f} points"
    return f"no, {fall}" if measure["significant_falls"] else f"but for chance: {fall}"


def detection_table(rows: list[dict]) -> str:
    """A row for each detector, a column for each kind of foreign images, in Markdown."""
    kinds = list(dict.fromkeys((row["images"], row["n"]) for row in rows))
    found = {(row["detector"], row["images"]): row for row in rows}
    lines = [
        "| detector | " + " | ".join(f"{in_markdown(kind)} (n={n:,})" for kind, n in kinds) + " |",
        "|---|" + "--:|" * len(kinds),
    ]
    for detector in dict.fromkeys(row["detector"] for row in rows):
        cells = [found[detector, kind] for kind, _ in kinds]
        lines.append(
            f"| {detector} | " + " | ".join(f"{cell['auroc']:.3f} ({cell['fpr95']:.1%})" for cell in cells) + " |"
        )
    return "\n".join(lines)


def _write(path: Path, title: str, parts: list[str]) -> None:
    write_text(path, "\n\n".join([f"# {title}", *parts]) + "\n")
    write_html(path)


def _what_was_judged(scores: dict) -> str:
    text = f"{scores['n']:,} {scores['split']} images of {scores['dataset']}."
    if scores["samples"]:
        rates = ", ".join(f"{rate:g} ({layer})" for layer, rate in scores["dropout"].items() if rate)
        text += f" MC dropout: {scores['samples']} passes with the rates {in_markdown(rates)}."
    return text


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


def _against_mc_dropout(ensemble: dict) -> list[str]:
    """Which of the ensemble and MC dropout separates errors better: a sentence for each measure, and a table."""
    rows = ensemble["against_mc_dropout"]
    if not rows:
        return []
    sentences = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        own = [row for row in rows if row["measure"] == measure]
        sure = [row for row in own if row["verdict"] == "significant"]
        better, worse = (sum(row["difference"] * sign < 0 for row in sure) for sign in (1, -1))
        sentences.append(
            f"- By {measure.replace('_', ' ')} the ensemble separates errors better than MC dropout of {better} of "
            f"{len(own)} runs, worse than that of {worse}; {len(own) - len(sure)} not told apart."
        )
    lines = ["| MC dropout of | measure | AURC | of the ensemble | ensemble better by | 95% interval | |"]
    lines += ["|---|---|--:|--:|--:|--:|---|"]
    for row in rows:
        low, high = sorted(-100 * end for end in row["interval95"])
        lines.append(
            f"| {in_markdown(row['run'])} | {row['measure']} | {row['other']:.3%} | {row['one']:.3%} "
            f"| {-100 * row['difference']:+.3f} points | {low:+.3f} to {high:+.3f} | {row['verdict']} |"
        )
    return ["## Ensemble or MC dropout", "\n".join(sentences), "\n".join(lines)]


def _thresholds(scores: dict) -> list[str]:
    origin = scores["threshold_from"]
    if origin is None:
        return ["No thresholds: a run was trained on the validation images, by which they are chosen."]
    first = next(iter(next(iter(scores["sources"].values()))["measures"].values()))["thresholds"]
    heads = [f"{row['target']:.0%} risk, {row['choice']}" for row in first]
    lines = [f"| predictions | measure | {' | '.join(heads)} |", "|---|---|" + "--:|" * len(heads)]
    for source, found in scores["sources"].items():
        for measure, each in found["measures"].items():
            cells = [_threshold_cell(row) for row in each["thresholds"]]
            lines.append(f"| {source} | {measure} | {' | '.join(cells)} |")
    judge = "the other half" if origin == "half of validation" else f"the {scores['split']} split"
    return ["\n".join(lines), f"Chosen by {origin}, judged by {judge}. {THRESHOLD_NOTES}"]


def _threshold_cell(row: dict) -> str:
    if row["risk"] is None:
        return "nothing kept"
    return f"{row['coverage']:.1%} ({row['risk']:.2%})"


def _table_over_runs(rows: list[tuple[str, str, dict]]) -> str:
    """A row for each run and source, by predictive entropy."""
    lines = [
        "| run | predictions | accuracy | AURC | excess | coverage at 1% risk | at 2% | least sure tenth | rising |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, source, scores in rows:
        found = scores["sources"][source]
        each = found["measures"][ENTROPY]
        empirical = [_threshold_cell(row) for row in each["thresholds"] if row["choice"] == "empirical"]
        cells = " | ".join(empirical or ["not chosen"] * 2)
        lines.append(
            f"| {in_markdown(name)} | {source} | {found['accuracy']:.2%} | {each['aurc']:.3%} "
            f"| {each['excess_aurc']:.3%} | {cells} | {each['deciles'][-1]:.1%} | {_rising(each)} |"
        )
    return "\n".join(lines)


def _detection_over_runs(runs: list[dict]) -> str:
    parts = [f"{in_markdown(run['run'])}:\n\n{detection_table(run['detection'])}" for run in runs]
    return "\n\n".join([*parts, FOREIGN_NOTES.format(fitted=runs[0]["fitted"])])
