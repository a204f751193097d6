"""A numbered document as one HTML page: pictures inside, nothing loaded from elsewhere."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from tfcifar.reporting.html import embedded
from tfcifar.reporting.research.document import (
    Bullets,
    Code,
    Content,
    Figure,
    Heading,
    NumberedDocument,
    Paragraph,
    Table,
)
from tfcifar.run_dir import write_text

STYLE = """
body { font: 17px/1.55 Georgia, "Times New Roman", serif; color: #222; max-width: 46em; margin: 2.5em auto;
       padding: 0 1em; }
h1 { font-size: 1.75em; line-height: 1.25; margin-bottom: .2em; }
h2 { font-size: 1.3em; margin: 1.8em 0 .5em; border-bottom: 1px solid #ddd; padding-bottom: .2em; }
h3 { font-size: 1.07em; margin: 1.4em 0 .4em; }
.subtitle { color: #666; margin: 0 0 2em; }
nav { font-size: .92em; columns: 2; margin: 1em 0 2em; padding: .8em 1.2em; background: #f7f7f7; border-radius: 4px; }
nav a { color: inherit; text-decoration: none; display: block; }
nav a.part { padding-left: 1.6em; }
figure { margin: 1.6em 0; }
figcaption { font-size: .9em; line-height: 1.45; color: #444; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: .5em 0; font-size: .82em; width: 100%; font-family: system-ui, sans-serif; }
th, td { border-bottom: 1px solid #e2e2e2; padding: .28em .6em; text-align: right; vertical-align: top; }
th { border-bottom: 2px solid #767676; vertical-align: bottom; }
.words { text-align: left; }
img { max-width: 100%; height: auto; display: block; margin: .4em auto; }
code, pre { background: #f4f4f4; border-radius: 3px; font-size: .88em; }
code { padding: .1em .3em; }
pre { padding: .8em 1em; overflow-x: auto; white-space: pre-wrap; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head>
<body>
<h1>{title}</h1>
<p class="subtitle">{subtitle}</p>
{body}
</body>
</html>
"""


def write_page(document: NumberedDocument, path: Path) -> None:
    """Write `document` to `path`, an HTML file. Markup in its text is shown, not obeyed."""
    parts, contents = [], []
    for block, number in document.blocks():
        if isinstance(block, Heading):
            place = f"section-{number or block.text.lower().replace(' ', '-')}"
            words = f"{number} {_inline(document, block.text)}".strip()
            parts.append(f'<h{block.level + 1} id="{place}">{words}</h{block.level + 1}>')
            contents.append(f'<a href="#{place}"{" class=part" * (block.level > 1)}>{words}</a>')
        else:
            parts.append(_block(document, block))
    parts.append('<h2 id="references">References</h2>')
    parts.append("<ol>" + "".join(f"<li>{html.escape(each)}</li>" for each in document.references) + "</ol>")
    contents.append('<a href="#references">References</a>')
    body = f"<nav>{''.join(contents)}</nav>\n" + "\n".join(parts)
    title, subtitle = html.escape(document.document.title), html.escape(document.document.subtitle)
    write_text(path, PAGE.format(title=title, subtitle=subtitle, style=STYLE, body=body))


def _block(document: NumberedDocument, block: Content) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_inline(document, block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{_inline(document, item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Code):
        return f"<pre>{html.escape(chr(10).join(block.lines))}</pre>"
    caption = f"<figcaption><b>{document.label(block)}.</b> {_inline(document, block.caption)}</figcaption>"
    if isinstance(block, Table):
        return f'<figure>{caption}<div class="table">{_table(document, block)}</div></figure>'
    if isinstance(block, Figure):
        alternative = html.escape(re.sub(r"[*`]", "", document.resolve(block.caption)), quote=True)
        style = f' style="width: {block.width:.0%}"' if block.width < 1 else ""
        return f'<figure><img src="{embedded(block.path)}" alt="{alternative}"{style}>{caption}</figure>'
    raise TypeError(f"document: no way to show a {type(block).__name__}")


def _table(document: NumberedDocument, table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        marks = [' class="words"' if i < table.text_columns else "" for i in range(len(cells))]
        inner = [f"<{tag}{mark}>{_inline(document, each)}</{tag}>" for mark, each in zip(marks, cells, strict=True)]
        return f"<tr>{''.join(inner)}</tr>"

    return "<table>" + row(table.columns, "th") + "".join(row(cells, "td") for cells in table.rows) + "</table>"


def _inline(document: NumberedDocument, text: str) -> str:
    """`text` as HTML: its marks resolved, everything else as it is."""
    escaped = html.escape(document.resolve(text), quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escaped)
