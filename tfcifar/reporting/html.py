"""A report as one HTML file that opens anywhere: pictures inside, nothing loaded from elsewhere."""

import base64
import re
from pathlib import Path

from tfcifar.run_dir import write_text

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: .3em .8em; text-align: left; }
th { border-bottom: 2px solid #767676; }
img { max-width: 100%; height: auto; }
code, pre { background: #f4f4f4; border-radius: 3px; padding: .1em .3em; overflow-x: auto; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head>
<body>
{body}
</body>
</html>
"""


def write_html(report: Path) -> Path:
    """Write REPORT.html beside the Markdown file `report`; its PNGs, named relative to it, go into the file.

    Markup in the text is shown, not obeyed: a class of somebody's data set may be called anything.
    """
    import markdown

    text = report.read_text(encoding="utf-8")
    body = markdown.markdown(_escaped(text), extensions=["tables"])
    body = re.sub(r'src="([^":]+\.png)"', lambda match: f'src="{embedded(report.parent / match[1])}"', body)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    page = PAGE.format(title=_escaped(title[1] if title else report.stem), style=STYLE, body=body)
    target = report.with_suffix(".html")
    write_text(target, page)
    return target


def embedded(picture: Path) -> str:
    """A PNG as the address of itself."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
