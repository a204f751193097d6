"""A paper as data: headings, text, numbered tables and figures, references. `pages.py` and `pdf.py` make pages of it.

In a text, `**bold**` and `` `code` `` are marked as in Markdown, and `@table:KEY`, `@figure:KEY` and `@cite:KEY` become
"Table 3", "Figure 2" and "[5]": numbers are given when all is written, so that a text may point forwards.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tfcifar.reporting.research.references import REFERENCES

MARK = re.compile(r"@(table|figure|cite):([\w-]+)")


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 1  # 1: a section, 2: a part of one
    numbered: bool = True


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """rows: as many cells as `columns` in each. text_columns: how many of the first are words; the others are numbers.

    sources: the files that the numbers are read from.
    """

    key: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sources: tuple[Path, ...]
    text_columns: int = 1


@dataclass(frozen=True)
class Figure:
    """path: a PNG that shows no image of a data set. width: share of the text's width."""

    key: str
    caption: str
    path: Path
    sources: tuple[Path, ...]
    width: float = 1.0


Content = Paragraph | Bullets | Code | Table | Figure
Block = Heading | Content


@dataclass
class Document:
    title: str
    subtitle: str
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> None:
        self.blocks += blocks

    def numbered(self) -> "NumberedDocument":
        """With a number for each table, figure and reference, in the order of their first appearance.

        Raises:
            KeyError: a text points to a table, figure or reference that there is not.
        """
        numbers, counts = {}, {"table": 0, "figure": 0, "cite": 0}

        def count(kind: str, key: str) -> None:
            if (kind, key) not in numbers:
                counts[kind] += 1
                numbers[kind, key] = counts[kind]

        for block in self.blocks:
            if isinstance(block, Table | Figure):
                count(type(block).__name__.lower(), block.key)
            for text in texts_of(block):
                for kind, key in MARK.findall(text):
                    if kind == "cite":
                        count(kind, key)
        cited = [key for kind, key in numbers if kind == "cite"]
        return NumberedDocument(self, numbers, [REFERENCES[key] for key in cited])


@dataclass(frozen=True)
class NumberedDocument:
    """references: in the order of their numbers."""

    document: Document
    numbers: dict[tuple[str, str], int]
    references: list[str]

    def label(self, block: Table | Figure) -> str:
        """For example "Table 3"."""
        kind = type(block).__name__
        return f"{kind} {self.numbers[kind.lower(), block.key]}"

    def resolve(self, text: str) -> str:
        """`text` with its marks replaced by what they stand for."""

        def replace(match: re.Match) -> str:
            number = self.numbers[match[1], match[2]]
            return f"[{number}]" if match[1] == "cite" else f"{match[1].capitalize()} {number}"

        return MARK.sub(replace, text)

    def blocks(self) -> list[tuple[Block, str]]:
        """In their order, each heading with its number; "" for one without, and for all other blocks."""
        section = part = 0
        found = []
        for block in self.document.blocks:
            number = ""
            if isinstance(block, Heading) and block.numbered and block.level == 1:
                section, part = section + 1, 0
                number = f"{section}"
            elif isinstance(block, Heading) and block.numbered:
                part += 1
                number = f"{section}.{part}"
            found.append((block, number))
        return found

    def sources(self) -> list[tuple[str, tuple[Path, ...]]]:
        """Of each table and figure its label and the files behind it."""
        tables_and_figures = [block for block in self.document.blocks if isinstance(block, Table | Figure)]
        return [(self.label(block), block.sources) for block in tables_and_figures]


def texts_of(block: Block) -> list[str]:
    """What marks may stand in."""
    if isinstance(block, Paragraph):
        return [block.text]
    if isinstance(block, Bullets):
        return list(block.items)
    if isinstance(block, Table):
        return [block.caption, *(cell for row in block.rows for cell in row)]
    return [block.caption] if isinstance(block, Figure) else []
