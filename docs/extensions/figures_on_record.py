"""The directive `figures-on-record`: what results/summary.json holds under the names given, as a table."""

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tfcifar.reporting.tables import duration

SUMMARY = Path(__file__).parents[2] / "results" / "summary.json"
IN_WORDS = {  # in the order of the table; other metrics come behind these
    "test_accuracy": "test accuracy",
    "test_accuracy_tta": "the same with TTA",
    "train_seconds": "training time",
    "pflop": "compute of the training",
}


class FiguresOnRecord(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(SUMMARY))
        summary = json.loads(SUMMARY.read_text(encoding="utf-8"))
        lines = []
        for name in self.arguments[0].split():
            entries = [each for each in summary if each["name"] == name]
            if not entries:
                raise self.error(f"results/summary.json has nothing named {name}.")
            lines += figures(entries, "../" * (self.env.docname.count("/") + 1))
        table = nodes.container()
        self.state.nested_parse(StringList(lines, source=str(SUMMARY)), self.content_offset, table)
        return table.children


def figures(entries: list[dict], to_project: str) -> list[str]:
    """A Markdown table of the entries of one name, and what measured them."""
    entries = sorted(entries, key=lambda each: [*IN_WORDS, each["metric"]].index(each["metric"]))
    first = entries[0]
    trained = f", trained on {first['trained_on']}," if "trained_on" in first else ""
    return [
        "| figure | on record |",
        "|---|---|",
        *(f"| {IN_WORDS.get(each['metric'], each['metric'].replace('_', ' '))} | {value(each)} |" for each in entries),
        "",
        f"Measured by `{first['command']}` (n={first['n']}){trained} on {first['hardware']}; "
        f"[{first['details']}]({to_project}{first['details']}) has what is behind it.",
        "",
    ]


def value(entry: dict) -> str:
    number, std = entry["value"], entry["std"]
    if entry["unit"] == "fraction":
        return f"{number:.2%}" + (f" ± {100 * std:.2f}" if std else "")
    if entry["unit"] == "s":
        return duration(number)
    return f"{number:.2g} {entry['unit']}"


def setup(app) -> dict:
    app.add_directive("figures-on-record", FiguresOnRecord)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
