"""The page of findings: images inside, nothing from elsewhere, names of classes shown whatever they hold."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tfcifar.reporting.findings_page import LARGEST, Finding, write_findings

HOSTILE = ("<script>alert(1)</script>", "\"quoted\" & 'more'", "$title ${cards} &amp; two  words")


class Page(HTMLParser):
    """Its elements with their attributes, and its text by the element around it."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):  # they have no end
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text_of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def image(seed: int, height=32, width=32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def issue(given, proposed, seed=0, **changes) -> Finding:
    facts = {"kind": "label", "title": f"{given} → {proposed}", "facts": "97%", "classes": (given, proposed),
             "differ": True, "images": (image(seed),), "captions": (f"image of {given}",)}  # fmt: skip
    return Finding(**facts | changes)


def pair(one, other, seed=5) -> Finding:
    return Finding("test_train", f"{one} and {other}", "similarity 0.93", (one, other), one != other,
                   (image(seed), image(seed + 1)), ("test image 3", "training image 4"))  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The text of a page to which both commands have contributed."""
    output = tmp_path_factory.mktemp("quality")
    labels = [issue(HOSTILE[0], HOSTILE[1]), issue(HOSTILE[2], HOSTILE[0], 1)]
    write_findings(output, "labels", "my <b>data</b>", HOSTILE, ["2 of 9 labels, <i>perhaps</i>"], labels)
    page = write_findings(output, "duplicates", "my <b>data</b>", HOSTILE, ["one pair"], [pair(HOSTILE[1], HOSTILE[1])])
    return page.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(written):
    page = Page(written)
    sources = [value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href")]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|//\w+\.|@import|url\(", re.sub(r'src="[^"]*"', "", written))
    assert not page.all("link")


def test_names_of_classes_are_shown_and_not_obeyed(written):
    page = Page(written)
    assert len(page.all("script")) == 1  # the page's own
    assert page.text_of("h2") == [f"{HOSTILE[0]} → {HOSTILE[1]}", f"{HOSTILE[2]} → {HOSTILE[0]}",
                                  f"{HOSTILE[1]} and {HOSTILE[1]}"]  # fmt: skip
    assert page.text_of("option")[-3:] == list(HOSTILE)
    assert page.all("img")[0]["alt"] == f"image of {HOSTILE[0]}"
    assert "my <b>data</b>" in page.text_of("h1")[0]
    assert page.text_of("li") == ["2 of 9 labels, <i>perhaps</i>", "one pair"]


def test_cards_can_be_filtered_by_kind_class_and_difference(written):
    page = Page(written)
    cards = page.all("article")
    value = dict(zip(page.text_of("option"), [option["value"] for option in page.all("option")], strict=True))
    assert [card["data-kind"] for card in cards] == ["label", "label", "test_train"]
    assert [text for text, kind in value.items() if kind in ("label", "test_train", "train_train")] == [
        "labels that are likely wrong (2)", "test images with a near-duplicate in training (1)"
    ]  # fmt: skip
    numbers = [value[name] for name in HOSTILE]
    assert [set(card["data-classes"].split()) for card in cards] == [
        {numbers[0], numbers[1]}, {numbers[2], numbers[0]}, {numbers[1]}
    ]  # fmt: skip
    assert ["data-differ" in card for card in cards] == [True, True, False]


def test_each_control_has_a_name_and_cards_can_be_reached_by_keyboard(written):
    page = Page(written)
    assert page.text_of("label") == ["Kind", "Class", "only where labels differ"]
    assert all(card["tabindex"] == "-1" for card in page.all("article"))  # the script makes one of them a stop
    assert all(picture["alt"] for picture in page.all("img"))
    for key in ("ArrowRight", "ArrowLeft", "Home", "End", "Enter"):
        assert key in written


def test_it_says_that_it_must_not_be_published_and_fits_light_and_dark(written):
    assert "do not commit or publish it" in " ".join(written.split())
    assert "color-scheme: light dark" in written
    assert "prefers-color-scheme: dark" in written
    assert "image-rendering: pixelated" in written


def test_images_are_embedded_without_loss_unless_they_are_large(tmp_path):
    findings = [issue("a", "b"), issue("a", "b", images=(image(1, 100, 200),))]
    text = write_findings(tmp_path, "labels", "data", ("a", "b"), [], findings).read_text()
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(each["src"].partition(",")[2]))) for each in Page(text).all("img")
    ]
    np.testing.assert_array_equal(np.asarray(pictures[0]), image(0))
    assert pictures[1].size == (LARGEST, LARGEST // 2)
    assert Page(text).all("img")[1]["style"] == "--shape: 200 / 100"


def test_a_command_replaces_what_it_found_before(tmp_path):
    write_findings(tmp_path, "labels", "data", ("a", "b"), ["old"], [issue("a", "b")])
    text = write_findings(tmp_path, "labels", "data", ("a", "b"), ["new"], []).read_text()
    assert Page(text).text_of("li") == ["new"]
    assert not Page(text).all("article")
