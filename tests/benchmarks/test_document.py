"""Sections of a document, and what benchmarks compute from their measurements."""

import pytest

from benchmarks.document import write_section
from benchmarks.step_profile import _flop, table


def test_a_section_is_replaced_and_others_stay(tmp_path):
    path = tmp_path / "doc.md"
    path.write_text("# Title\n")
    write_section(path, "one", "first")
    write_section(path, "two", "second")
    write_section(path, "one", r"new \1 text")  # a backslash is no reference to a group
    assert path.read_text() == (
        "# Title\n\n<!-- one: begin -->\nnew \\1 text\n<!-- one: end -->\n\n"
        "<!-- two: begin -->\nsecond\n<!-- two: end -->\n"
    )


@pytest.mark.parametrize(
    ("primitive", "shape", "flop"),
    [
        ("convolution", "mb500_ic24oc64_ih31oh31kh3sh1dh0ph1_iw31ow31kw3sw1dw0pw1", 2 * 500 * 24 * 64 * 31 * 31 * 9),
        ("matmul", "768x24500:24500x256", 2 * 768 * 24500 * 256),
        ("pooling", "mb500ic64_ih31oh15kh2sh2dh0ph0_iw31ow15kw2sw2dw0pw0", 0),
    ],
)
def test_flop_are_read_from_the_shapes_that_onednn_prints(primitive, shape, flop):
    assert _flop(primitive, shape) == flop


def test_ratios_are_to_the_first_variant_of_the_same_round():
    rows = table("variant", {"as it is": [1.0, 2.0], "slower": [1.5, 4.0]}).splitlines()
    assert rows[2] == "| as it is | 1500 | 1.00 (1.00 to 1.00) |"
    assert rows[3] == "| slower | 2750 | 1.75 (1.50 to 2.00) |"


def test_a_command_at_its_start_stays_indented(tmp_path):
    write_section(tmp_path / "page.md", "one", "\n    python -m command\n")
    assert "\n    python -m command\n<!--" in (tmp_path / "page.md").read_text()
