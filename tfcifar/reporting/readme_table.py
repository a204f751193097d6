"""The README's tables: of results, made from results/summary.json, and of the models in zoo/."""

import re
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.reporting.results import PROJECT, RESULTS
from tfcifar.reporting.tables import TTA_IN_WORDS, VIEWS_OF_AIRBENCH, duration
from tfcifar.reporting.zoo_table import zoo_table
from tfcifar.run_dir import read_json, write_text

README = PROJECT / "README.md"
# What others have published for the like of it: CIFAR-10 test accuracy, with test-time augmentation where marked.
PUBLISHED = {
    "fast_94": "94.01% with TTA, [airbench94](https://arxiv.org/abs/2404.00498)",
    "fast_95": "95.01% with TTA, [airbench95](https://arxiv.org/abs/2404.00498)",
    "fast_96": "96.05% with TTA, [airbench96](https://arxiv.org/abs/2404.00498)",
    "level_3": "96.00%, [WRN-28-10](https://arxiv.org/abs/1605.07146), 36.5 M parameters",
    "level_4": "96.6%, [four WRN-28-10](https://github.com/google/uncertainty-baselines)",
    "residual_cnn": "93.57% (the best of five), [ResNet-110](https://arxiv.org/abs/1512.03385)",
}


def readme_table(summary: list[dict]) -> str:
    """The README's table of test accuracies in Markdown: the levels, then the other recipes.

    Plain accuracy and that with test-time augmentation (TTA) are apart.
    """
    of = {(each["name"], each["metric"]): each for each in summary}
    in_results = [each for each in summary if each["details"].startswith("results/")]  # the zoo has its own table
    shown = [each for each in in_results if each["metric"] == "test_accuracy"]
    lines = [
        "| result | test accuracy | with TTA | published | training | command |",
        "|---|---|---|---|---|---|",
    ]
    for each in sorted(shown, key=lambda each: not each["name"].startswith("level_")):
        name = each["name"]
        tta, pflop = of.get((name, "test_accuracy_tta")), of.get((name, "pflop"))
        with_tta = f"{_percent(tta)} ({tta['views']})" if tta else ""
        training = duration(each["seconds"]) + (f", {pflop['value']:.2g} PFLOP" if pflop else "")
        training += f", on {each['trained_on']}" if "trained_on" in each else ""
        n = f"n={each['n']}" + (f", {each['views']}" if "views" in each else "")
        lines.append(
            f"| [{name}]({each['details']}) | **{_percent(each)}** ({n}) | {with_tta} "
            f"| {PUBLISHED.get(name, '')} | {training} | `{_short(each['command'])}` |"
        )
    used = {each.get("views") for each in summary}
    notes = {views: f"`{views}`: {words}" for views, words in TTA_IN_WORDS.items()}
    published = "; ".join(notes[views] for views in VIEWS_OF_AIRBENCH)
    others = "".join(f" {notes[views]}." for views in notes if views in used and views not in VIEWS_OF_AIRBENCH)
    hardware = "; ".join(dict.fromkeys(each["hardware"] for each in shown))
    return "\n".join(
        [*lines, "", f"On {hardware}. TTA: test-time augmentation as in arXiv:2404.00498. {published}.{others}"]
    )


def _short(command: str) -> str:
    """Without the names of more than two runs; those are in the folder that the row links to."""
    return re.sub(r"( runs/\S+){3,}", " RUN_DIR...", command)


def _percent(entry: dict) -> str:
    spread = "" if entry["std"] is None else f" ± {100 * entry['std']:.2f}"
    return f"{100 * entry['value']:.2f}%{spread}"


def update_readme(readme: Path = README, results: Path = RESULTS, zoo: Path = PROJECT / "zoo") -> None:
    """Write both tables anew, each between its two marks: of results, and of the models in zoo/."""
    text, summary = readme.read_text(encoding="utf-8"), read_json(results / "summary.json")
    text = _between(text, "results", readme_table(summary), readme)
    write_text(readme, _between(text, "zoo", zoo_table(summary, zoo), readme))


def _between(text: str, name: str, table: str, file: Path) -> str:
    pattern = rf"(<!-- {name}: begin[^>]*-->\n).*?(<!-- {name}: end -->)"
    text, count = re.subn(pattern, lambda match: f"{match[1]}{table}\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise InputError(f"{file}: expected one pair of marks '<!-- {name}: begin -->' and '<!-- {name}: end -->'.")
    return text
