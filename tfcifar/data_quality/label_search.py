"""From a recipe to a ranked list of labels that are likely wrong, as a table and on the page."""

from pathlib import Path

from tfcifar.data_quality.label_issues import LabelIssues, likeliest_confusions, rank_label_issues
from tfcifar.data_quality.out_of_fold import OutOfFold, predict_out_of_fold
from tfcifar.environment import record_command
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.recipe import Recipe
from tfcifar.reporting.findings_page import Finding, write_findings
from tfcifar.run_dir import write_csv, write_json

COLUMNS = ("rank", "image", "file", "given", "proposed", "probability_given", "probability_proposed", "quality", "fold")


def search_labels(recipe: Recipe, folds: int, output: Path, shown: int) -> list[str]:
    """Write label_issues.csv, labels.json, probabilities.npz and the page into `output`, with a run for each fold.

    Args:
        shown: how many issues the page shows; the table has all.

    Returns:
        What was found, as lines for the screen.

    Raises:
        InputError: see `predict_out_of_fold`.
    """
    predicted = predict_out_of_fold(recipe, folds, output)
    metrics = classification_metrics(predicted.logits, predicted.examples.labels, predicted.class_names)
    issues = rank_label_issues(predicted.examples.labels, predicted.probabilities)
    rows = issue_rows(predicted, issues)
    write_csv(output / "label_issues.csv", rows, COLUMNS)
    summary = {
        "dataset": predicted.source,
        "recipe": recipe.name,
        "folds": folds,
        "images": metrics["n"],
        "out_of_fold_accuracy": metrics["accuracy"],
        "issues": len(rows),
        "estimated_wrong_share": round(issues.estimated_share, 6),
        "likeliest_confusions": likeliest_confusions(issues.joint, predicted.class_names),
    }
    write_json(output / "labels.json", summary)
    record_command(output)
    lines = summary_lines(summary, shown)
    findings = [_finding(predicted, row) for row in rows[:shown]]
    write_findings(output, "labels", predicted.source, predicted.class_names, lines, findings)
    return lines


def issue_rows(predicted: OutOfFold, issues: LabelIssues) -> list[dict]:
    """Rows of label_issues.csv, the likeliest first; `image` counts from 0 in `training_pool`."""
    labels, probabilities, names = predicted.examples.labels, predicted.probabilities, predicted.class_names
    return [
        {
            "rank": rank,
            "image": int(image),
            "file": predicted.examples.file_of(image),
            "given": names[labels[image]],
            "proposed": names[proposed],
            "probability_given": round(float(probabilities[image, labels[image]]), 4),
            "probability_proposed": round(float(probabilities[image, proposed]), 4),
            "quality": round(float(quality), 4),
            "fold": int(predicted.fold[image]),
        }
        for rank, (image, proposed, quality) in enumerate(
            zip(issues.index, issues.proposed, issues.quality, strict=True), start=1
        )
    ]


def summary_lines(summary: dict, shown: int) -> list[str]:
    """What labels.json says, in sentences."""
    lines = [
        f"Labels: {summary['issues']:,} of {summary['images']:,} are likely wrong; confident learning estimates "
        f"{summary['estimated_wrong_share']:.2%}. {summary['folds']} models of {summary['recipe']}, each judging the "
        f"fold that it has not seen, agree with {summary['out_of_fold_accuracy']:.2%} of the labels. Look before you "
        "change any."
    ]
    if summary["likeliest_confusions"]:
        pairs = [
            f"{each['given']} that is {each['true']} ({each['share'] * summary['images']:.0f})"
            for each in summary["likeliest_confusions"][:5]
        ]
        lines.append(f"Labels, by class, estimated: {', '.join(pairs)}.")
    if summary["issues"] > shown:
        lines.append(f"Labels: the page shows the {shown} likeliest; label_issues.csv has all.")
    return lines


def _finding(predicted: OutOfFold, row: dict) -> Finding:
    place = row["file"] or f"training image {row['image']:,}"
    return Finding(
        kind="label",
        title=f"{row['given']} → {row['proposed']}",
        facts=f"given {row['given']}: {row['probability_given']:.1%}; proposed {row['proposed']}: "
        f"{row['probability_proposed']:.1%}",
        classes=(row["given"], row["proposed"]),
        differ=True,
        images=(predicted.examples.images[row["image"]],),
        captions=(f"#{row['rank']}, {place}",),
    )
