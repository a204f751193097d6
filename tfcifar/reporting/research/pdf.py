"""A numbered document as a PDF of A4 pages, set in fonts that ship with matplotlib: the same on every machine."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib
from PIL import Image as Picture
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Image, KeepTogether, ListFlowable, SimpleDocTemplate, Spacer
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

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
from tfcifar.run_dir import write_whole

MARGIN = 2.1 * cm
WIDTH = A4[0] - 2 * MARGIN
HIGHEST_FIGURE = 0.42 * A4[1]
FONTS = {"": "STIXGeneral", "-bold": "STIXGeneralBol", "-italic": "STIXGeneralItalic", "-code": "DejaVuSansMono"}
BODY, BOLD, CODE = "paper", "paper-bold", "paper-code"
GREY, RULE = colors.HexColor("#555555"), colors.HexColor("#767676")
CELL_PADDING = 3  # points
MOST_ROWS_KEPT = 9  # a longer table may break across pages

TEXT = ParagraphStyle("text", fontName=BODY, fontSize=10, leading=12.6, alignment=TA_JUSTIFY, spaceAfter=5)
STYLES = {
    "title": ParagraphStyle("title", TEXT, fontName=BOLD, fontSize=17, leading=21, alignment=TA_CENTER, spaceAfter=4),
    "subtitle": ParagraphStyle("subtitle", TEXT, textColor=GREY, alignment=TA_CENTER, spaceAfter=14),
    "heading1": ParagraphStyle("heading1", TEXT, fontName=BOLD, fontSize=12.5, leading=15, spaceBefore=9),
    "heading2": ParagraphStyle("heading2", TEXT, fontName=BOLD, fontSize=10.5, leading=13, spaceBefore=5, spaceAfter=3),
    "caption": ParagraphStyle("caption", TEXT, fontSize=8.8, leading=10.8, spaceBefore=3, spaceAfter=3),
    "words": ParagraphStyle("words", TEXT, fontSize=8.2, leading=9.8, alignment=0, spaceAfter=0),
    "number": ParagraphStyle("number", TEXT, fontSize=8.2, leading=9.8, alignment=TA_RIGHT, spaceAfter=0),
    "code": ParagraphStyle("code", TEXT, fontName=CODE, fontSize=7, leading=9, alignment=0, leftIndent=8, spaceAfter=2),
    "reference": ParagraphStyle("reference", TEXT, fontSize=8.6, leading=10.4, alignment=0, leftIndent=18,
                                firstLineIndent=-18, spaceAfter=2),
}  # fmt: skip


def write_pdf(document: NumberedDocument, path: Path) -> int:
    """Write `document` to `path`; return the number of pages."""
    _register_fonts()
    story = [
        Text(escape(document.document.title), STYLES["title"]),
        Text(escape(document.document.subtitle), STYLES["subtitle"]),
    ]
    for block, number in document.blocks():
        if isinstance(block, Heading):
            words = f"{number}&nbsp;&nbsp;{_inline(document, block.text)}" if number else escape(block.text)
            story.append(Text(words, ParagraphStyle("kept", STYLES[f"heading{block.level}"], keepWithNext=True)))
        else:
            story += _flowables(document, block)
    story.append(Text("References", ParagraphStyle("kept", STYLES["heading1"], keepWithNext=True)))
    references = enumerate(document.references, start=1)
    story += [Text(f"[{number}] {escape(each)}", STYLES["reference"]) for number, each in references]

    def build(temporary: Path) -> None:
        template = SimpleDocTemplate(
            str(temporary),
            pagesize=A4,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=MARGIN,
            bottomMargin=MARGIN,
            title=document.document.title,
            invariant=1,  # no time of day in it: the same evidence gives the same file
        )
        template.build(story, onFirstPage=_page_number, onLaterPages=_page_number)
        pages.append(template.page)

    pages: list[int] = []
    write_whole(path, build)
    return pages[0]


def _register_fonts() -> None:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for suffix, file in FONTS.items():
        registerFont(TTFont(f"{BODY}{suffix}", folder / f"{file}.ttf"))
    registerFontFamily(BODY, normal=BODY, bold=BOLD, italic=f"{BODY}-italic", boldItalic=BOLD)


def _page_number(canvas: Canvas, template: SimpleDocTemplate) -> None:
    canvas.setFont(BODY, 8.5)
    canvas.setFillColor(GREY)
    canvas.drawCentredString(A4[0] / 2, 1.2 * cm, str(template.page))


def _flowables(document: NumberedDocument, block: Content) -> list:
    inline = partial(_inline, document)
    if isinstance(block, Paragraph):
        return [Text(inline(block.text), TEXT)]
    if isinstance(block, Bullets):
        items = [Text(inline(item), ParagraphStyle("item", TEXT, spaceAfter=2)) for item in block.items]
        return [ListFlowable(items, bulletType="bullet", start="•", leftIndent=12, bulletFontSize=8), Spacer(0, 4)]
    if isinstance(block, Code):
        return [Text(escape(line), STYLES["code"]) for line in block.lines] + [Spacer(0, 4)]
    caption = Text(f"<b>{document.label(block)}.</b> {inline(block.caption)}", STYLES["caption"])
    if isinstance(block, Table):
        shown = [Spacer(0, 4), caption, _grid(document, block), Spacer(0, 8)]
        return [KeepTogether(shown)] if len(block.rows) <= MOST_ROWS_KEPT else [CondPageBreak(4 * cm), *shown]
    if isinstance(block, Figure):
        return [KeepTogether([Spacer(0, 4), _picture(block), caption, Spacer(0, 6)])]
    raise TypeError(f"document: no way to show a {type(block).__name__}")


def _picture(figure: Figure) -> Image:
    with Picture.open(figure.path) as picture:
        width, height = picture.size
    shown = min(figure.width * WIDTH, HIGHEST_FIGURE * width / height)
    return Image(str(figure.path), shown, shown * height / width)


def _grid(document: NumberedDocument, table: Table) -> Grid:
    def cells(row: Sequence[str], bold: bool) -> list[Text]:
        return [
            Text(
                f"<b>{_inline(document, each)}</b>" if bold else _inline(document, each),
                STYLES["words" if i < table.text_columns else "number"],
            )
            for i, each in enumerate(row)
        ]

    grid = Grid([cells(table.columns, True), *(cells(row, False) for row in table.rows)], _widths(document, table),
                repeatRows=1, hAlign="LEFT")  # fmt: skip
    grid.setStyle(
        [
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("VALIGN", (0, 1), (-1, -1), "TOP"),
            ("LINEABOVE", (0, 0), (-1, 0), 0.8, RULE),
            ("LINEBELOW", (0, 0), (-1, 0), 0.5, RULE),
            ("LINEBELOW", (0, -1), (-1, -1), 0.8, RULE),
            ("LEFTPADDING", (0, 0), (-1, -1), CELL_PADDING),
            ("RIGHTPADDING", (0, 0), (-1, -1), CELL_PADDING),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ]
    )
    return grid


def _widths(document: NumberedDocument, table: Table) -> list[float]:
    """Of each column, in points: what its longest cell needs; where all need too much, the longest give way."""
    size = STYLES["words"].fontSize

    def width(text: str, font: str) -> float:
        plain = re.sub(r"\*\*|`", "", document.resolve(text))
        return stringWidth(plain, CODE if "`" in text else font, size) + 2 * CELL_PADDING + 1

    def of_column(i: int) -> float:
        head = width(table.columns[i], BOLD) if i < table.text_columns else _longest_word(table.columns[i], width)
        return max([head, *(width(row[i], BOLD if "**" in row[i] else BODY) for row in table.rows)])

    wished = [of_column(i) for i in range(len(table.columns))]
    limit = max(wished)
    while sum(min(each, limit) for each in wished) > WIDTH:
        limit *= 0.98
    return [min(each, limit) for each in wished]


def _longest_word(text: str, width: Callable[[str, str], float]) -> float:
    return max(width(word, BOLD) for word in text.split()) if text else 0


def _inline(document: NumberedDocument, text: str) -> str:
    """`text` in ReportLab's markup: its marks resolved, everything else as it is."""
    escaped = escape(document.resolve(text))
    escaped = re.sub(r"`([^`]+)`", rf'<font face="{CODE}" size="-1">\1</font>', escaped)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escaped)
