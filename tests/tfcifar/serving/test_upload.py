"""POST /predict: an image file in, classes out; whatever else is sent is a 4xx."""

import io
import struct
import weakref
import zlib

import numpy as np
import pytest
from PIL import Image

from pipelines.image_folder import read_image
from tests.tfcifar.serving import fake_models
from tests.tfcifar.serving.fake_models import SHAPE, FakeModel, channel_sums, left_half
from tfcifar.explain.overlay import overlay
from tfcifar.serving import tensors

GREENISH = np.full((40, 60, 3), (0, 200, 100), np.uint8)  # fits the model's 4 x 6 exactly: logits 0, 4.8, 2.4


def encoded(pixels=GREENISH, kind="PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def test_a_form_and_a_plain_body_give_the_most_probable_classes(client):
    image = encoded()
    answers = [
        client.post("/predict", files={"image": ("green.png", image, "image/png")}).json(),
        client.post("/predict", content=image, headers={"Content-Type": "image/png"}).json(),
    ]
    assert answers[0] == answers[1]
    assert answers[0]["image"] == {"height": 40, "width": 60}
    assert [each["name"] for each in answers[0]["classes"]] == ["green", "blue", "red"]
    expected = np.exp([4.8, 2.4, 0]) / np.exp([4.8, 2.4, 0]).sum()
    np.testing.assert_allclose([each["probability"] for each in answers[0]["classes"]], expected, rtol=1e-6)


def test_probabilities_are_calibrated_where_the_model_says_how_and_top_is_obeyed(start):
    client = start(("plain.onnx", "calibrated.onnx"))
    answer = client.post("/predict?model=calibrated&top=1&version=1", content=encoded()).json()
    assert (answer["model"], answer["version"], answer["calibrated"]) == ("calibrated", "1", True)
    ((probability),) = [each["probability"] for each in answer["classes"]]
    assert probability == pytest.approx(1 / (1 + np.exp(-1.2) + np.exp(-2.4)))  # logits over a temperature of 2
    assert client.post("/predict", content=encoded()).json()["calibrated"] is False


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "WEBP"])
def test_what_the_file_is_called_does_not_matter(client, kind):
    response = client.post("/predict", files={"image": ("x.exe", encoded(kind=kind), "application/x-dosexec")})
    assert response.json()["classes"][0]["name"] == "green"


def test_grey_of_16_bits_is_an_image(client):
    answer = client.post("/predict", content=encoded(np.full((40, 60), 65535, np.uint16))).json()
    np.testing.assert_allclose([each["probability"] for each in answer["classes"]], [1 / 3] * 3, rtol=1e-6)


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 20,000 x 20,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (head, data)
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        encoded()[:60],
        encoded(np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8), "JPEG")[:-300],
        encoded(kind="GIF"),
        bomb(),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "text", "truncated png", "truncated jpeg", "gif", "bomb", "postscript", "svg"],
)
@pytest.mark.parametrize("form", [True, False])
def test_what_is_no_good_image_is_refused(client, content, form):
    body = {"files": {"image": ("x.png", content)}} if form else {"content": content}
    response = client.post("/predict", **body)
    assert response.status_code == 400
    assert response.json()["error"]


def test_an_image_with_more_pixels_than_allowed_is_refused(start):
    client = start(max_pixels=2399)
    response = client.post("/predict", content=encoded())
    assert response.status_code == 400
    assert response.json()["error"] == "image: expected at most 2,399 pixels, received 60 x 40."


@pytest.mark.parametrize("query", ["top=0", "top=x", "top=99999999999999999999", "model=other", "version=9"])
def test_a_wrong_query_is_refused(client, query):
    response = client.post(f"/predict?{query}", content=encoded())
    assert response.status_code in (400, 404)
    assert response.json()["error"]


def test_a_form_without_or_with_several_files_is_refused(client):
    files = [("image", ("a.png", encoded())), ("image", ("b.png", encoded()))]
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    for response in (
        client.post("/predict", files=files),
        client.post("/predict", data={"image": "text"}, files={}),
        client.post("/predict", content=b"--x\r\nbroken", headers=boundary),
        client.post("/predict", content=b"x", headers={"Content-Type": "multipart/form-data"}),
    ):
        assert response.status_code == 400, response.text
        assert response.json()["error"]


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "utf-16", "none-such"])
def test_a_form_may_not_choose_by_which_python_codec_it_is_read(client, charset):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n' + encoded() + b"\r\n--x--\r\n"
    )
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    response = client.post("/predict", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert "charset" in response.json()["error"]
    kind = "Multipart/Form-Data; boundary=x; charset=UTF-8"
    assert client.post("/predict", content=body, headers={"Content-Type": kind}).status_code == 200


def test_a_large_form_needs_no_disk(start, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3)).astype(np.uint8)
    client = start(max_body=3_000_000)
    assert client.post("/predict", files={"image": ("x.png", encoded(noise))}).status_code == 200


def test_a_jpeg_of_scans_over_scans_is_refused_before_it_takes_minutes(client):
    image = encoded(kind="JPEG", progressive=True)
    scan = image[image.rindex(b"\xff\xda") : -2]
    assert client.post("/predict", content=image[:-2] + scan * 50 + image[-2:]).status_code == 200
    refused = client.post("/predict", content=image[:-2] + scan * 100 + image[-2:])
    assert refused.status_code == 400
    assert refused.json()["error"] == "image: expected a JPEG of at most 100 scans, received more."


def test_models_are_listed_with_what_a_picker_needs(client):
    (model,) = client.get("/models").json()["models"]
    assert (model["name"], model["version"], model["image_shape"]) == ("colours", "1", [4, 6, 3])
    assert model["class_names"] == ["red", "green", "blue"]
    assert model["card"] == {"name": "colours"}


def test_an_answer_says_how_unsure_it_is_and_whether_the_image_is_foreign(start):
    client = start(("plain.onnx", "bounded.onnx"))
    black = encoded(np.zeros((40, 60, 3), np.uint8))  # all logits 0: the energy is -log(3)
    unsure = client.post("/predict?model=bounded", content=black)
    assert unsure.json()["uncertainty"] == pytest.approx(1)
    assert unsure.json()["foreign"] is True
    assert unsure.headers["Server-Timing"].startswith("model;dur=")
    sure = client.post("/predict?model=bounded", content=encoded()).json()
    assert 0 < sure["uncertainty"] < 0.5
    assert sure["foreign"] is False
    assert client.post("/predict?model=plain", content=black).json()["foreign"] is None


def test_a_model_that_can_be_explained_gives_an_overlay_and_any_other_a_reason(start):
    client = start(("plain.onnx", "explained.onnx"))
    assert [model["explains"] for model in client.get("/models").json()["models"]] == [False, True]
    response = client.post("/explain?model=explained", content=encoded())
    assert response.headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as overlay:
        pixels = np.asarray(overlay).astype(int)
    assert pixels.shape == (320, 480, 3)  # the proportions of the model's 4 x 6
    assert pixels[:, :160].mean() > pixels[:, 320:].mean() + 50
    refused = client.post("/explain?model=plain", content=encoded())
    assert (refused.status_code, refused.json()["error"][:31]) == (400, "model: plain gives no gradients")
    assert client.post("/explain?model=explained", content=b"hello").status_code == 400


@pytest.mark.parametrize("route", ["predict", "explain"])
def test_a_picture_in_its_own_size_is_gone_before_the_model_and_the_explainer_work(start, monkeypatch, route):
    pictures, alive = [], []

    def read_and_watch(*given):
        picture = read_image(*given)
        pictures.append(weakref.ref(picture))
        return picture

    def look(work):
        alive.extend(reference() is not None for reference in pictures)
        return work

    monkeypatch.setattr(tensors, "read_image", read_and_watch)
    monkeypatch.setattr(FakeModel, "__call__", lambda _, images: look(channel_sums(images)))
    monkeypatch.setattr(fake_models, "left_half", lambda *given: look(left_half(*given)))
    client = start(("explained.onnx",))
    assert client.post(f"/{route}", content=encoded()).status_code == 200
    assert alive == [False] * {"predict": 1, "explain": 2}[route]


def test_an_overlay_made_by_the_server_is_that_of_the_whole_picture(start):
    picture = np.random.default_rng(0).integers(0, 256, (900, 700, 3)).astype(np.uint8)
    response = start(("explained.onnx",), max_body=3_000_000).post("/explain", content=encoded(picture))
    expected = overlay(picture, left_half(np.zeros((1, *SHAPE)), np.zeros(1))[0])
    with Image.open(io.BytesIO(response.content)) as received:
        assert np.array_equal(received, expected)
