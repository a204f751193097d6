"""The page at / in a real browser: upload, answer, overlay, errors, models, keyboard, phone."""

import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from export.card import write_card
from tests.integration.browser import Browser, find_chromium
from tests.integration.live_server import LiveServer
from tests.integration.made_up_runs import CLASSES, write_colour_run
from tests.tiny_models import write_onnx

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium: set CHROMIUM to its path, or put it on the PATH"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def server(folder):
    linear = write_onnx(folder / "linear.onnx", (8, 8, 3), num_classes=3)
    digest = hashlib.sha256(linear.read_bytes()).hexdigest()
    metrics = {"test": {"n": 2000, "accuracy": 0.875}}
    write_card(linear, {"file": linear.name, "sha256": digest, "bytes": 12_345, "metrics": metrics,
                        "class_names": CLASSES})  # fmt: skip
    with LiveServer(folder, write_colour_run(folder / "colours"), linear, "--max-body", 1) as live:
        yield live


@pytest.fixture(scope="module")
def running_browser(folder):
    with Browser(find_chromium(), folder / "profile") as browser:
        yield browser


@pytest.fixture
def page(running_browser, server):
    """The page, freshly loaded; in the end it has logged no error but the answers 4xx that a test provoked."""
    running_browser.problems.clear()
    running_browser.open(server.url("/"))
    running_browser.wait_for("document.querySelectorAll('#card dd').length")
    yield running_browser
    running_browser.evaluate("1")  # events that are on their way
    assert [each for each in running_browser.problems if "status of 4" not in str(each)] == []


def choose(page, path, colour):
    Image.new("RGB", (60, 40), colour).save(path)
    page.choose_file("#file", path)
    page.wait_for("document.querySelectorAll('#classes li').length")


def text(page, selector: str) -> str:
    return page.evaluate(f"document.querySelector('{selector}').textContent")


def shown(page, selector: str) -> bool:
    return page.evaluate(f"document.querySelector('{selector}').checkVisibility()")


def test_an_image_gets_its_classes_and_shows_where_the_model_looks(page, tmp_path):
    assert not shown(page, "#explain")
    choose(page, tmp_path / "blue.png", (0, 0, 255))
    assert text(page, "#answer") == "frog, 99.9%"
    assert text(page, "#classes li") == "frog99.9%"
    assert "in the model" in text(page, "#details")
    assert not shown(page, "#notice")
    page.evaluate("document.querySelector('#explain').click()")
    page.wait_for("document.querySelector('#overlay').naturalWidth === 320")
    assert not shown(page, "#preview")
    assert page.evaluate("document.querySelector('#overlay').alt") == "Grad-CAM for frog"
    page.evaluate("document.querySelector('#explain').click()")
    assert shown(page, "#preview")


def test_an_improbable_answer_may_be_none_of_the_classes(page, tmp_path):
    choose(page, tmp_path / "black.png", (0, 0, 0))
    assert shown(page, "#notice")
    notice = text(page, "#notice")
    assert "classes: it is unlike the images that the model knows, and no class" in notice


def test_a_bad_file_and_one_that_is_too_large_are_errors_and_the_page_goes_on(page, tmp_path):
    for name, content, message in (
        ("bad.png", b"no image", "image: cannot be read as an image (no PNG, JPEG, BMP or WEBP file)."),
        ("large.png", b"x" * 2**21, "body: expected at most 1,048,576 bytes, received more."),
    ):
        (tmp_path / name).write_bytes(content)
        page.choose_file("#file", tmp_path / name)
        page.wait_for(f"document.querySelector('#error').textContent === '{message}'")
        assert shown(page, "#error")
    choose(page, tmp_path / "blue.png", (0, 0, 255))
    assert not shown(page, "#error")


def test_another_model_answers_for_the_same_image_and_shows_its_card(page, tmp_path):
    choose(page, tmp_path / "blue.png", (0, 0, 255))
    before = text(page, "#answer")
    page.evaluate("(model => { model.value = 1; model.dispatchEvent(new Event('change')) })"
                  "(document.querySelector('#model'))")  # fmt: skip
    page.wait_for(f"/%/.test(document.querySelector('#answer').textContent) && "
                  f"document.querySelector('#answer').textContent !== '{before}'")  # fmt: skip
    assert not shown(page, "#explain")  # an ONNX file gives no gradients
    assert "87.5% of 2,000 test images" in text(page, "#card")
    assert "12.3 kB" in text(page, "#card")


def test_where_the_server_wants_a_key_the_page_asks_for_it(running_browser, folder, tmp_path, server):
    (tmp_path / "keys.txt").write_text("0123456789abcdef\n")
    page = running_browser
    with LiveServer(tmp_path, folder / "linear.onnx", "--api-key-file", tmp_path / "keys.txt") as live:
        page.open(live.url("/"))
        page.wait_for("document.querySelector('#key-form').checkVisibility()")
        assert "API key: expected a valid one" in text(page, "#error")
        page.evaluate("document.querySelector('#key').value = '0123456789abcdef'")
        page.evaluate("document.querySelector('#key-form button').click()")
        page.wait_for("document.querySelectorAll('#card dd').length")
        assert not shown(page, "#error")
        assert not shown(page, "#key-form")
        choose(page, tmp_path / "blue.png", (0, 0, 255))
        page.open("about:blank")


def test_a_page_that_was_open_before_a_new_version_asks_that_one(running_browser, folder, tmp_path, server):
    page, zoo = running_browser, tmp_path / "zoo"
    for name, version in (("a", 1), ("m", 1)):
        (zoo / name / str(version)).mkdir(parents=True)
        shutil.copy(folder / "linear.onnx", zoo / name / str(version))
    with LiveServer(tmp_path, zoo, "--poll", 0.1) as live:
        page.open(live.url("/"))
        page.wait_for("document.querySelectorAll('#model option').length === 2")
        page.evaluate("document.querySelector('#model').value = 1")
        (zoo / "m" / "1").rename(zoo / "m" / "2")
        live.wait_for(lambda: (live.status("/v2/models/m/versions/1"), live.status("/v2/models/m")) == (404, 200))
        choose(page, tmp_path / "blue.png", (0, 0, 255))
        assert not shown(page, "#error")
        assert page.evaluate("document.querySelector('#model').selectedOptions[0].textContent") == "m"
        page.open("about:blank")


def test_a_drawing_is_classified_by_keyboard_alone(page):
    for _ in range(20):
        page.press("Tab")
        if page.evaluate("document.activeElement.parentElement.id") == "samples":
            break
    page.press("Enter")
    page.wait_for("document.querySelectorAll('#classes li').length")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_pasted_and_a_dropped_image_and_one_from_the_camera_are_taken(page):
    make = "const c = new OffscreenCanvas(9, 9); c.getContext('2d').fillRect(0, 0, 9, 9); "
    make += "const d = new DataTransfer(); d.items.add(new File([await c.convertToBlob()], 'x.png')); "
    for event in ("new ClipboardEvent('paste', {clipboardData: d})", "new DragEvent('drop', {dataTransfer: d})"):
        page.evaluate("document.querySelector('#classes').replaceChildren()")
        page.evaluate(f"(async () => {{ {make} document.dispatchEvent({event}); }})()")
        page.wait_for("document.querySelectorAll('#classes li').length")
    page.evaluate("document.querySelector('#camera').click()")  # the browser's own test picture, green
    page.wait_for("document.querySelector('#video').videoWidth && !document.querySelector('#shoot').hidden")
    page.evaluate("document.querySelector('#shoot').click()")
    page.wait_for("document.querySelector('#answer').textContent.startsWith('dog')")
    assert not shown(page, "#video")


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_in_light_and_dark(page, server, dark):
    page.open(server.url("/"), width=360, height=740, dark=dark)
    page.wait_for("document.querySelectorAll('#card dd').length")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    brightness = [np.mean([int(each) for each in colour[4:-1].split(",")]) for colour in colours]
    assert (brightness[0] > brightness[1]) == dark
