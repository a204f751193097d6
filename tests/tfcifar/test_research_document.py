"""A paper as data: numbers of tables, figures and references, and what becomes of markup in names."""

from pathlib import Path

import pytest

from tfcifar.reporting.research.document import Document, Figure, Heading, Paragraph, Table
from tfcifar.reporting.research.pages import write_page
from tfcifar.reporting.research.pdf import write_pdf
from tfcifar.reporting.style import new_figure


def table(key: str, cell: str = "1") -> Table:
    return Table(key, "Numbers.", ("name", "value"), (("a", cell),), (Path("runs/a/metrics.json"),))


def document(*blocks) -> Document:
    return Document("A title", "and more", list(blocks))


def test_tables_are_numbered_where_they_stand_and_references_where_they_are_first_cited():
    paper = document(
        Paragraph("See @table:late and @table:early, after @cite:guo2017 and @cite:he2016."),
        table("early", "@cite:gal2016"),
        Paragraph("Again @cite:guo2017."),
        table("late"),
    ).numbered()
    assert paper.resolve("@table:late, @table:early; @cite:gal2016@cite:guo2017") == "Table 2, Table 1; [3][1]"
    assert [each.partition(".")[0] for each in paper.references] == ["C", "K", "Y"]
    assert paper.sources() == [("Table 1", (Path("runs/a/metrics.json"),)), ("Table 2", (Path("runs/a/metrics.json"),))]


def test_sections_and_their_parts_are_counted_and_some_have_no_number():
    headings = Heading("Abstract", numbered=False), Heading("One"), Heading("Part", 2), Heading("Two"), Heading("P", 2)
    assert [number for _, number in document(*headings).numbered().blocks()] == ["", "1", "1.1", "2", "2.1"]


@pytest.mark.parametrize("text", ["@table:nowhere", "@cite:nobody1900"])
def test_a_text_that_points_to_nothing_is_an_error(text):
    with pytest.raises(KeyError):
        document(Paragraph(text)).numbered().resolve(text)


def test_markup_in_a_name_is_shown_and_not_obeyed(tmp_path):
    paper = document(Paragraph("`a<b>` & **bold**"), table("t", "<script>")).numbered()
    write_page(paper, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<code>a&lt;b&gt;</code> &amp; <b>bold</b>" in page
    assert "<td>&lt;script&gt;</td>" in page
    write_pdf(paper, tmp_path / "report.pdf")  # ReportLab stops at markup that it does not know


def test_both_forms_hold_their_figures_and_the_pdf_is_the_same_each_time(tmp_path):
    with new_figure(tmp_path / "figure.png", 3, 2) as figure:
        figure.subplots().plot([0, 1])
    line = Figure("f", "A line.", tmp_path / "figure.png", ())
    paper = document(line, *[table(str(i)) for i in range(40)]).numbered()
    write_page(paper, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert 'src="data:image/png;base64,' in page
    assert "figure.png" not in page
    assert write_pdf(paper, tmp_path / "one.pdf") == write_pdf(paper, tmp_path / "two.pdf") > 1
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
