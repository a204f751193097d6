"""The tables, the figure and the record of the searches for an augmentation policy."""

import shutil
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from tfcifar.environment import record_command
from tfcifar.evaluation.statistics import mean_interval
from tfcifar.evaluation.t_tests import welch_interval
from tfcifar.reporting.ablation_report import record_ablation
from tfcifar.reporting.results import RESULTS
from tfcifar.reporting.style import new_figure
from tfcifar.run_dir import write_csv, write_text
from tuner.policy_conclusion import CONCLUSION
from tuner.policy_searches import SEARCHES, SITTINGS, Found, read_sittings

NAME = "augmentation_policy"
OVER_POLICIES = ("reinforce", "random")  # from the same choices: the one learns, the other shows what chance does


def write_searches(found: list[Found], output: Path) -> str:
    """Write searches.md and search.png into `output`, and trials.csv beside each search; return the table."""
    for each in found:
        write_csv(each.fragment.parent / "trials.csv", each.rows)
    plot_searches(found, output / "search.png")
    lines = [
        "| search | trials | failed | best | first third | last third | hours |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *map(_line, found),
        "",
        *(f"- {SEARCHES[each.search]}: {learning(_in_order(each))}" for each in found if each.search in OVER_POLICIES),
        *(f"- {SEARCHES[each.search]}: {sittings(read_sittings(each.fragment.parent))}" for each in found),
    ]
    notes = (
        "Validation accuracy of the trials that were completed, short trainings of a small network; thirds in their "
        "order, means with 95% intervals. The best of many trials is too good by what chance has added: only --compare "
        "tells what a policy is worth."
    )
    text = "\n".join(lines) + f"\n\n{notes}\n"
    record_command(output)
    policies = "\n\n".join(f"{SEARCHES[each.search]}: `{each.augment}`" for each in found)
    write_text(output / "searches.md", f"# Searches\n\n{text}\n![trials](search.png)\n\n{policies}\n")
    return text


def _line(each: Found) -> str:
    accuracies = _in_order(each)
    first, last = thirds(accuracies)
    failed = sum(row["val_accuracy"] is None for row in each.rows)
    return (
        f"| {SEARCHES[each.search]} | {len(each.rows)} | {failed} | {max(accuracies):.2%} | {_mean(first)} "
        f"| {_mean(last)} | {each.seconds / 3600:.2f} |"
    )


def _mean(accuracies: list[float]) -> str:
    if len(accuracies) < 2:
        return f"{np.mean(accuracies):.2%}"
    mean, half = mean_interval(accuracies)
    return f"{mean:.2%} ± {100 * half:.2f}"


def thirds(accuracies: list[float]) -> tuple[list[float], list[float]]:
    """The first and the last third, at least one each."""
    count = max(1, len(accuracies) // 3)
    return accuracies[:count], accuracies[-count:]


def learning(accuracies: list[float]) -> str:
    """Whether trials became better, in words: what learning does, and drawing at random does not."""
    first, last = thirds(accuracies)
    if len(first) < 2:
        return "too few trials to say whether they became better."
    low, high = welch_interval(last, first)
    said = "they became better" if low > 0 else "they became worse" if high < 0 else "no change is shown"
    change = 100 * (np.mean(last) - np.mean(first))
    return (
        f"{said} from the first to the last third of trials: {change:+.2f} points (95% interval {100 * low:+.2f} to "
        f"{100 * high:+.2f}, Welch)."
    )


def _in_order(each: Found) -> list[float]:
    """The accuracies of the completed trials, in the order in which they were started."""
    done = [row for row in each.rows if row["val_accuracy"] is not None]
    return [row["val_accuracy"] for row in sorted(done, key=lambda row: int(row["trial"]))]


def sittings(each: list[dict]) -> str:
    """How often a search was begun and gone on with, in words."""
    text = f"in {len(each)} sitting{'' if len(each) == 1 else 's'}"
    for later in each[1:]:
        trials = ", ".join(str(int(trial)) for trial in later["continued"])
        text += f"; resumed after {later['finished']} trials" + (f", trial {trials} continued" if trials else "")
    return f"{text}."


def plot_searches(found: list[Found], path: Path) -> None:
    """Validation accuracy of the trials in order, as dots, and the best so far, as lines.

    Args:
        path: the PNG to write, 1080 pixels wide.
    """
    with new_figure(path, 9, 4) as figure:
        ax = figure.subplots()
        for each in found:
            accuracies = 100 * np.array(_in_order(each))
            trials, best = np.arange(1, len(accuracies) + 1), np.maximum.accumulate(accuracies)
            (line,) = ax.plot(trials, best, drawstyle="steps-post", label=f"{SEARCHES[each.search]}, best so far")
            ax.plot(trials, accuracies, "o", color=line.get_color(), markersize=3.5, alpha=0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set(title="Trials of the searches", xlabel="trial", ylabel="validation accuracy (%)")
        figure.legend(loc="outside lower center", ncols=len(found))


def record_policies(found: list[Found], results: list, output: Path, compared: Path, folder: Path = RESULTS) -> None:
    """Copy tables, figures, policies and conclusion to results/augmentation_policy/; put the comparison on record."""
    record_ablation(NAME, results, compared, folder, search_seconds=sum(each.seconds for each in found))
    target = folder / NAME
    for file in ("searches.md", "search.png"):
        shutil.copyfile(output / file, target / file)
    shutil.copyfile(compared / CONCLUSION, target / CONCLUSION)
    for each in found:
        inside = target / each.search
        inside.mkdir(exist_ok=True)
        for file in ("policy.json", "policy.png", "trials.csv", SITTINGS):
            if (each.fragment.parent / file).is_file():  # RandAugment has no figure
                shutil.copyfile(each.fragment.parent / file, inside / file)
