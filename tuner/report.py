"""The table, the figure and the record of a search."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tfcifar.environment import current_command
from tfcifar.reporting.results import RESULTS, command_without_output, environment_of, record_table
from tfcifar.reporting.style import BLUE, GREY, ORANGE, log_scale, new_figure
from tfcifar.run_dir import RunDir, read_json, write_csv, write_text

if TYPE_CHECKING:
    from keras_tuner.engine.base_tuner import BaseTuner
    from keras_tuner.engine.trial import Trial

NAME = "tuner"
RESULT = ("trial", "status", "val_accuracy", "epochs", "seconds", "message")  # of a row; the rest: hyperparameters
SHOWN = 10  # of the best trials, on the screen
MOST_COLUMNS = 4  # of small figures


def write_search(tuner: "BaseTuner", output: Path) -> list[dict]:
    """Write trials.csv, trials.md and trials.png into `output`; return `trial_rows`."""
    names = _names(tuner)
    rows = trial_rows(tuner)
    write_csv(output / "trials.csv", rows)
    write_text(output / "trials.md", f"# Trials\n\n{trials_table(rows, len(rows))}\n\n![trials](trials.png)\n")
    plot_slices(rows, names, output / "trials.png")
    return rows


def trial_rows(tuner: "BaseTuner") -> list[dict]:
    """A row for each trial, the best first.

    A row holds trial, status, val_accuracy, epochs, seconds (of training), message (why it failed) and, with its own
    name, each hyperparameter; what a trial has not is None.
    """
    names = _names(tuner)
    return sorted(
        (_row(trial, names, Path(tuner.get_trial_dir(trial.trial_id))) for trial in tuner.oracle.trials.values()),
        key=lambda row: -1 if row["val_accuracy"] is None else row["val_accuracy"],
        reverse=True,
    )


def _names(tuner: "BaseTuner") -> list[str]:
    return list(dict.fromkeys(name for trial in tuner.oracle.trials.values() for name in _values(trial)))


def _values(trial: "Trial") -> dict:
    return {name: value for name, value in trial.hyperparameters.values.items() if not name.startswith("tuner/")}


def _row(trial: "Trial", names: list[str], folder: Path) -> dict:
    timing = RunDir(folder / "run").timing
    finished = read_json(timing) if timing.is_file() else {}
    reason = (trial.message or "").strip().splitlines()
    return {
        "trial": trial.trial_id,
        "status": trial.status,
        "val_accuracy": trial.score if trial.status == "COMPLETED" else None,
        "epochs": finished.get("epochs"),
        "seconds": finished.get("seconds"),
        "message": reason[-1] if reason else "",
        **{name: _values(trial).get(name) for name in names},
    }


def trials_table(rows: list[dict], count: int = SHOWN) -> str:
    """The best `count` of `rows` in Markdown, and how many there are in all."""
    names = [name for name in rows[0] if name not in RESULT]
    lines = [
        f"| trial | validation | epochs | seconds | {' | '.join(names)} |",
        "|" + "---|" * (4 + len(names)),
    ]
    for row in rows[:count]:
        accuracy = row["status"].lower() if row["val_accuracy"] is None else f"{row['val_accuracy']:.2%}"
        values = ["" if row[name] is None else f"{row[name]:.3g}" if isinstance(row[name], float) else str(row[name])
                  for name in names]  # fmt: skip
        lines.append(f"| {row['trial']} | {accuracy} | {row['epochs']} | {row['seconds']} | {' | '.join(values)} |")
    failed = [row for row in rows if row["val_accuracy"] is None]
    lines += ["", f"{len(rows)} trials, {len(failed)} of them failed."]
    lines += [f"- {row['trial']}: {row['message']}" for row in failed]
    return "\n".join(lines)


def plot_slices(rows: list[dict], names: list[str], path: Path) -> None:
    """Validation accuracy over each hyperparameter: one small figure each, the best trial marked.

    Args:
        rows: as `write_search` returns them, the best first.
        names: of the hyperparameters.
        path: the PNG to write, 1320 pixels wide.
    """
    done = [row for row in rows if row["val_accuracy"] is not None]
    columns = min(MOST_COLUMNS, len(names))
    lines = -(-len(names) // columns)
    with new_figure(path, 11, 0.5 + 2.3 * lines) as figure:
        axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for ax, name in zip(axes, names, strict=False):
            used = [row for row in done if row[name] is not None]
            x = [row[name] for row in used]
            choices = sorted(set(x), key=str) if any(isinstance(value, str) for value in x) else None
            places = [choices.index(value) for value in x] if choices else x
            y = [100 * row["val_accuracy"] for row in used]
            ax.scatter(places, y, s=22, color=BLUE, alpha=0.7)
            if used and used[0] is done[0]:
                ax.scatter(places[:1], y[:1], s=70, marker="*", color=ORANGE, zorder=3)
            if choices:
                ax.set_xticks(range(len(choices)), choices)
            elif x and name.endswith(("learning_rate", "weight_decay")):
                log_scale(ax, "x", x)
            ax.set_title(name, fontsize=9)
        for ax in axes[len(names) :]:
            ax.axis("off")
        figure.supylabel("validation accuracy (%)", fontsize=9, color=GREY)


def record_search(rows: list[dict], output: Path, compared: Path | None = None, folder: Path = RESULTS) -> None:
    """Copy the table, the figure and the winner to results/tuner/ and put the number of trials on record.

    compared: where winner and recipe have been compared; their table is copied too.
    """
    target = folder / NAME
    target.mkdir(parents=True, exist_ok=True)
    for name in ("trials.md", "trials.csv", "trials.png", "winner.json"):
        shutil.copyfile(output / name, target / name)
    if compared is None:
        (target / "comparison.md").unlink(missing_ok=True)  # of an earlier search
    else:
        table = (compared / "ablation.md").read_text(encoding="utf-8").replace("# Ablation", "# Winner and recipe", 1)
        write_text(target / "comparison.md", re.sub(r"!\[.*\n", "", table))
    trials = [RunDir(path.parent) for path in output.glob("trial_*/run/environment.json")]
    command = command_without_output(current_command())
    seconds = sum(row["seconds"] or 0 for row in rows)
    record_table(NAME, "trials", len(rows), 1, command, seconds, environment_of(trials), folder)
