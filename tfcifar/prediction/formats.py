"""Rows of `classify` as text: a table for people, JSON lines and CSV for programs."""

import csv
import json
import sys
from collections.abc import Iterator

FORMATS = ("table", "json", "csv")


def print_rows(rows: Iterator[dict], form: str, names: list[str], title: str) -> None:
    """Print each row as it comes.

    Args:
        form: of FORMATS.
        names: of all images: the table is as wide as the longest.
        title: above the table.
    """
    {"table": _print_table, "json": _print_json, "csv": _print_csv}[form](rows, names, title)


def _print_table(rows: Iterator[dict], names: list[str], title: str) -> None:
    width = max(map(len, names))
    print(title)
    for row in rows:
        classes = "  ".join(f"{each['name']} {each['probability']:.1%}" for each in row["classes"])
        remarks = ["abstains"] * (row["answer"] is None) + ["unlike the model's own images"] * bool(row["foreign"])
        print(f"{row['image']:{width}}  {classes}{'   ' if remarks else ''}{', '.join(remarks)}", flush=True)


def _print_json(rows: Iterator[dict], names: list[str], title: str) -> None:
    for row in rows:
        print(json.dumps(row), flush=True)


def _print_csv(rows: Iterator[dict], names: list[str], title: str) -> None:
    writer = None
    for row in rows:
        classes = row.pop("classes")
        for place, each in enumerate(classes, 1):
            row |= {f"class_{place}": each["name"], f"probability_{place}": each["probability"]}
        if writer is None:
            writer = csv.DictWriter(sys.stdout, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        # As JSON has them, and nothing for what is not known.
        writer.writerow({key: str(value).lower() if isinstance(value, bool) else value for key, value in row.items()})
