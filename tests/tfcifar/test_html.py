"""A report as one file: tables, pictures inside, markup of foreign names shown and not obeyed."""

import base64

import numpy as np
from PIL import Image

from tfcifar.reporting.html import write_html
from tfcifar.reporting.tables import in_markdown


def test_pictures_are_inside_and_nothing_is_loaded_from_elsewhere(tmp_path):
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "curves.png")
    (tmp_path / "report.md").write_text("# Title & more\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![curves](curves.png)\n")
    page = write_html(tmp_path / "report.md").read_text()
    assert "<td>2</td>" in page
    assert "<title>Title &amp; more</title>" in page
    assert base64.b64encode((tmp_path / "curves.png").read_bytes()).decode() in page
    assert "http" not in page
    assert 'src="curves.png"' not in page


def test_markup_in_the_name_of_a_class_is_shown(tmp_path):
    (tmp_path / "report.md").write_text("# Report\n\n- <script>alert(1)</script>: 3 mistakes\n")
    page = write_html(tmp_path / "report.md").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: 3 mistakes" in page


def test_a_name_with_characters_of_markdown_is_shown_as_it_is(tmp_path):
    name = "a|b *c* _d_ [e](f) `g` \\h"
    (tmp_path / "report.md").write_text(f"# R\n\n| class | n |\n|---|---|\n| {in_markdown(name)} | 1 |\n")
    assert f"<td>{name}</td>" in write_html(tmp_path / "report.md").read_text()
