"""Sections of a Markdown file, each written by the benchmark that measured it, and how they write figures."""

import re
import statistics
from pathlib import Path

from tfcifar.run_dir import write_text


def write_section(path: Path, name: str, text: str) -> None:
    """Put `text` between the marks of `name` in `path`; a new section goes to the end of the file."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = text.strip("\n").rstrip()  # the spaces before a command make it code
    section = f"{begin}\n{content}\n{end}\n"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}\n", re.DOTALL)
    if pattern.search(before):
        write_text(path, pattern.sub(lambda _: section, before, count=1))
    else:
        write_text(path, f"{before.rstrip()}\n\n{section}".lstrip())


def spread(values: list[float], form: str = ".2f") -> str:
    """Their median, with the smallest and the largest; for example "1.03 (0.98 to 1.10)"."""
    median, low, high = (format(each, form) for each in (statistics.median(values), min(values), max(values)))
    return f"{median} ({low} to {high})"
