"""The table, the figure and the record of an ablation."""

import shutil
from pathlib import Path

from tfcifar.environment import current_command, record_command
from tfcifar.evaluation.run_grid import GridRow
from tfcifar.evaluation.statistics import compare_over_seeds, mean_and_std
from tfcifar.reporting.comparisons import plot_differences
from tfcifar.reporting.results import RESULTS, command_without_output, environment_of, record_table
from tfcifar.run_dir import write_csv, write_text


def write_ablation(results: list[GridRow], output: Path) -> str:
    """Write ablation.md, ablation.csv and ablation.png into `output`; return the text of the table.

    The first row is the baseline of all differences.
    """
    rows = [_row(each, results[0]) for each in results]
    write_csv(output / "ablation.csv", rows)
    plot_differences(
        [(row["row"], row["difference"], row["low"], row["high"]) for row in rows[1:]],
        f"Difference from '{rows[0]['row']}', points of validation accuracy (n={rows[0]['n']} seeds)",
        output / "ablation.png",
    )
    lines = [
        "| row | validation accuracy | n | difference | 95% interval | | minutes a run |",
        "|---|--:|--:|--:|--:|---|--:|",
        *(_line(row) for row in rows),
    ]
    notes = (
        f"Differences are from '{rows[0]['row']}', in points, on the same {results[0].correct.shape[1]:,} validation "
        "images; the interval is a bootstrap over seeds and images, and a difference is significant where it leaves "
        "out 0. With this many rows, about one in twenty would be by chance alone."
    )
    record_command(output)
    text = "\n".join(lines) + f"\n\n{notes}\n"
    write_text(output / "ablation.md", f"# Ablation\n\n{text}\n![differences](ablation.png)\n")
    return text


def _row(each: GridRow, baseline: GridRow) -> dict:
    accuracies = each.correct.mean(1)
    mean, std = mean_and_std(list(accuracies))
    row = {
        "row": each.name,
        "n": len(accuracies),
        "validation_accuracy": round(mean, 5),
        "std": None if std is None else round(std, 5),
        "seconds": round(sum(each.seconds) / len(each.seconds), 1),
        **{f"seed_{seed}": round(float(value), 5) for seed, value in zip(each.seeds, accuracies, strict=True)},
    }
    if each is baseline:
        return row | {"difference": None, "low": None, "high": None, "verdict": ""}
    found = compare_over_seeds(each.correct, baseline.correct)
    low, high = found["interval95"]
    return row | {
        "difference": round(found["difference"], 5),
        "low": round(low, 5),
        "high": round(high, 5),
        "verdict": found["verdict"],
    }


def _line(row: dict) -> str:
    spread = "" if row["std"] is None else f" ± {100 * row['std']:.2f}"
    against = " | | "
    if row["difference"] is not None:
        against = (
            f"{100 * row['difference']:+.2f} | {100 * row['low']:+.2f} to {100 * row['high']:+.2f} | {row['verdict']}"
        )
    return (
        f"| {row['row']} | {100 * row['validation_accuracy']:.2f}%{spread} | {row['n']} | {against} "
        f"| {row['seconds'] / 60:.1f} |"
    )


def record_ablation(
    name: str, results: list[GridRow], output: Path, folder: Path = RESULTS, search_seconds: float = 0.0
) -> None:
    """Copy the table and the figure to results/NAME/ and put the number of rows on record.

    search_seconds: that the same command took before, to find the rows.
    """
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("ablation.md", "ablation.csv", "ablation.png"):
        shutil.copyfile(output / file, target / file)
    environment = environment_of([run_dir for each in results for run_dir in each.run_dirs])
    command = command_without_output(current_command())
    seconds = search_seconds + sum(sum(each.seconds) for each in results)
    record_table(name, "rows", len(results), len(results[0].seconds), command, seconds, environment, folder)
