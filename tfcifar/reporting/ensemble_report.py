"""The page of an ensemble: its votes side by side, its members and how they differ."""

from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tfcifar.ensemble.saved import Ensemble
from tfcifar.reporting.style import BLACK, BLUE, GREEN, LIGHT_GREY, ORANGE, new_figure
from tfcifar.reporting.tables import in_markdown
from tfcifar.run_dir import RunDir, write_text

MOST_MEMBERS_WITH_NUMBERS = 16  # beyond it, the numbers in the heat maps would run into each other


def write_ensemble_report(
    folder: RunDir, ensemble: Ensemble, rows: list[dict], members: list[dict], curve: list[dict], pairs: list[dict]
) -> str:
    """Write ensemble.md and the figures diversity.png and contributions.png; return its tables of votes.

    Args:
        rows: of `tfcifar.ensemble.judge.judge`.
        members, curve: of `contributions`; pairs: of `diversity`.
    """
    plot_diversity(pairs, [row["name"] for row in members], folder.figures / "diversity.png")
    plot_contributions(members, curve, folder.figures / "contributions.png")
    tables = votes_table(rows)
    parts = [
        f"# {folder.name}",
        f"{ensemble.combination.vote.capitalize()} vote of {', '.join(map(in_markdown, ensemble.members))}; "
        f"views: {ensemble.views}.",
        tables,
        "## Members",
        _members_table(members, ensemble),
        "![what each member adds](figures/contributions.png)",
        "![how differently the members judge](figures/diversity.png)",
    ]
    write_text(folder.path / "ensemble.md", "\n\n".join(parts) + "\n")
    return tables


def votes_table(rows: list[dict]) -> str:
    """Markdown: one table for each split, each combination against the best member."""
    parts = []
    for split, words in (("validation", "Validation (cross-validated where something is fitted)"), ("test", "Test")):
        of_split = [row for row in rows if row["split"] == split]
        lines = [
            f"{words}, {of_split[0]['n']:,} images:",
            "",
            "| | accuracy | 95% interval | NLL | Brier | ECE | difference | 95% interval | McNemar p | |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
            *(_line(row) for row in of_split),
        ]
        parts.append("\n".join(lines))
    note = (
        "Differences, in points of accuracy, are from the best member, chosen by validation accuracy; on the same "
        "images, with a paired bootstrap interval and McNemar's test."
    )
    return "\n\n".join([*parts, note])


def _line(row: dict) -> str:
    against = " | | | "
    if row["difference"] is not None:
        low, high = row["difference_low"], row["difference_high"]
        against = (
            f"{100 * row['difference']:+.2f} | {100 * low:+.2f} to {100 * high:+.2f} | {row['p_value']:.2g} "
            f"| {row['verdict']}"
        )
    return (
        f"| {in_markdown(row['name'])} | {row['accuracy']:.2%} | {row['low']:.2%} to {row['high']:.2%} "
        f"| {row['nll']:.4f} | {row['brier']:.4f} | {row['ece']:.4f} | {against} |"
    )


def _members_table(members: list[dict], ensemble: Ensemble) -> str:
    """Which of the runs are in the ensemble with which weight, and what the mean probability loses without each."""
    each = ensemble.combination
    counts_or_weights = each.weights if each.vote == "weighted" and each.weights is not None else each.counts
    weights = dict(zip(each.members, counts_or_weights, strict=True))
    lines = [
        "| member | accuracy | NLL | temperature | greedy picks | adds accuracy | lowers NLL by | weight |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in members:
        weight = weights.get(row["name"])
        weight = "not in it" if weight is None else f"{weight:.3g}" if each.vote != "stacked" else "by class"
        lines.append(
            f"| {in_markdown(row['name'])} | {row['accuracy']:.2%} | {row['nll']:.4f} | {row['temperature']:.2f} "
            f"| {row['picks']} | {100 * row['accuracy_gain']:+.2f} points | {row['nll_gain']:+.4f} | {weight} |"
        )
    note = (
        "On the validation split. What a member adds: the mean probability of all members against that of all others, "
        "each calibrated by its temperature."
    )
    return "\n".join([*lines, "", note])


def plot_contributions(members: list[dict], curve: list[dict], path: str | Path) -> None:
    """What each member adds to the mean probability of all, and what each greedy pick brings.

    Args:
        members, curve: of `tfcifar.ensemble.judge.contributions`.
        path: the PNG to write, 1440 pixels wide.
    """
    with new_figure(path, 12, 1.5 + 0.36 * max(len(members), len(curve), 4)) as figure:
        left, nll, accuracy = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
        gains = [row["nll_gain"] for row in members]
        left.barh(range(len(members)), gains, color=[GREEN if gain > 0 else ORANGE for gain in gains], height=0.6)
        left.axvline(0, color=BLACK, linewidth=1)
        left.set_yticks(range(len(members)), [row["name"] for row in members])
        left.set(title="What each adds to all others", xlabel="lower validation NLL (nats)")
        picks = range(len(curve))
        nll.plot([row["nll"] for row in curve], picks, "o-", color=BLUE)
        nll.set_yticks(picks, [f"+ {row['member']}" for row in curve])
        nll.set(title="NLL by greedy pick", xlabel="validation NLL (nats)")
        accuracy.plot([row["accuracy"] for row in curve], picks, "o-", color=BLUE)
        accuracy.set_yticks(picks, [""] * len(curve))
        accuracy.set(title="Accuracy by pick", xlabel="validation accuracy")
        accuracy.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        for ax, rows in ((left, members), (nll, curve), (accuracy, curve)):
            ax.set_ylim(len(rows) - 0.4, -0.6)
            ax.xaxis.set_major_locator(MaxNLocator(4 if ax is not accuracy else 3))
            ax.tick_params(axis="y", length=0)
        left.grid(axis="y", visible=False)


def plot_diversity(pairs: list[dict], names: list[str], path: str | Path) -> None:
    """Two heat maps of all pairs: disagreement, and Yule's Q.

    Args:
        pairs: rows of `tfcifar.ensemble.judge.diversity`.
        names: of the members, in order.
        path: the PNG to write.
    """
    place = {name: index for index, name in enumerate(names)}
    matrices = {key: np.full((len(names), len(names)), np.nan) for key in ("disagreement", "q")}
    for pair in pairs:
        for key, matrix in matrices.items():
            if pair[key] is not None:
                matrix[place[pair["a"]], place[pair["b"]]] = matrix[place[pair["b"]], place[pair["a"]]] = pair[key]
    titles = {
        "disagreement": "Images given different classes (%)",
        "q": "Yule's Q (1: right on the same images)",
    }
    size = max(4.2, 2.2 + 0.55 * len(names))
    with new_figure(path, 2.3 * size, size) as figure:
        for ax, (key, matrix) in zip(figure.subplots(1, 2), matrices.items(), strict=True):
            shown = 100 * matrix if key == "disagreement" else matrix
            sns.heatmap(
                shown,
                ax=ax,
                cmap="Blues" if key == "disagreement" else "Blues_r",  # dark: different
                annot=len(names) <= MOST_MEMBERS_WITH_NUMBERS,
                fmt=".1f" if key == "disagreement" else ".2f",
                square=True,
                linewidths=0.5,
                linecolor=LIGHT_GREY,
                xticklabels=names,
                yticklabels=names,
                cbar=False,
            )
            ax.set_title(titles[key])
            ax.grid(False)
            ax.set_facecolor("#F4F4F4")
            ax.tick_params(length=0, labelcolor=BLACK)
            ax.tick_params(axis="y", rotation=0)
            for label in ax.get_xticklabels():
                label.set(rotation=35, ha="right", va="top", rotation_mode="anchor")
