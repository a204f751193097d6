"""What `tfcifar.uncertainty` has scored, as tables and sentences in Markdown."""

from tfcifar.reporting.tables import in_markdown
from tfcifar.uncertainty import ENTROPY

THRESHOLD_NOTES = (
    "Coverage (share of images kept) and, behind it, the error rate among these. Empirical: the largest threshold that "
    "keeps the risk on the images that choose it. Guaranteed: one whose true risk is below the target with 95% "
    "confidence (SGR, arXiv:1705.08500)."
)


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


def table_over_runs(rows: list[tuple[str, str, dict]]) -> str:
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


def _rising(measure: dict) -> str:
    """Whether the error rate rises from tenth to tenth."""
    if measure["monotone"]:
        return "yes"
    fall = f"falls by {100 * measure['largest_fall']:.1f} points"
    return f"no, {fall}" if measure["significant_falls"] else f"but for chance: {fall}"


def thresholds(scores: dict) -> list[str]:
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


def against_mc_dropout(ensemble: dict) -> list[str]:
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
