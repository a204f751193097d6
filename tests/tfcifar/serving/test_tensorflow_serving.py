"""TensorFlow Serving's REST API, spoken by hand."""

import base64
import io
import weakref

import numpy as np
import pytest
from PIL import Image

from pipelines.image_folder import fit_image
from tests.tfcifar.serving.fake_models import SHAPE, FakeModel, channel_sums
from tfcifar.serving import tensorflow_serving
from tfcifar.serving.tensors import image_from_file, read_json_object

URL = "/v1/models/colours"


def png(pixels) -> dict:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return {"b64": base64.b64encode(stream.getvalue()).decode()}


def test_status_and_metadata(client):
    available = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for url in (URL, f"{URL}/versions/1"):
        assert client.get(url).json() == {"model_version_status": [available]}
    for url in (f"{URL}/metadata", f"{URL}/versions/1/metadata"):
        answer = client.get(url).json()
        assert answer["model_spec"] == {"name": "colours", "signature_name": "", "version": "1"}
        signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
        sizes = [each["size"] for each in signature["inputs"]["images"]["tensor_shape"]["dim"]]
        assert sizes == ["-1", *map(str, SHAPE)]
        assert signature["inputs"]["images"]["dtype"] == "DT_UINT8"


@pytest.mark.parametrize(
    ("wrap", "key"),
    [
        (lambda images: {"instances": images.tolist()}, "predictions"),
        (lambda images: {"instances": [{"images": each} for each in images.tolist()]}, "predictions"),
        (lambda images: {"instances": [png(each) for each in images]}, "predictions"),
        (lambda images: {"instances": [{"images": png(each)} for each in images]}, "predictions"),
        (lambda images: {"instances": [png(images[0]), *images[1:].tolist()]}, "predictions"),
        (lambda images: {"inputs": images.tolist(), "signature_name": "serving_default"}, "outputs"),
        (lambda images: {"inputs": {"images": images.tolist()}}, "outputs"),
        (lambda images: {"inputs": {"images": [png(each) for each in images]}}, "outputs"),
    ],
)
@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_rows_and_columns_numbers_and_files_give_the_logits(client, images, wrap, key, version):
    answer = client.post(f"{URL}{version}:predict", json=wrap(images)).json()
    assert list(answer) == [key]
    assert np.array(answer[key], np.float32).tobytes() == channel_sums(images).tobytes()


def test_a_file_of_another_size_is_fitted_as_predict_does(client):
    picture = np.random.default_rng(1).integers(0, 256, (20, 50, 3)).astype(np.uint8)
    (logits,) = client.post(f"{URL}:predict", json={"instances": [png(picture)]}).json()["predictions"]
    assert logits == channel_sums(fit_image(picture, *SHAPE[:2])[None])[0].tolist()


def test_classify_gives_labels_and_probabilities_the_most_probable_first(client):
    image = np.zeros((1, *SHAPE), np.uint8)
    image[..., 1], image[..., 2] = 100, 50  # logits 0, 2.4, 1.2
    (result,) = client.post(f"{URL}:classify", json={"examples": [{"images": image[0].tolist()}]}).json()["result"]
    assert [label for label, _ in result] == ["green", "blue", "red"]
    expected = np.exp([2.4, 1.2, 0]) / np.exp([2.4, 1.2, 0]).sum()
    np.testing.assert_allclose([score for _, score in result], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("verb", "content"),
    [
        ("predict", {}),
        ("predict", {"instances": [], "inputs": []}),
        ("predict", {"instances": []}),
        ("predict", {"instances": 3}),
        ("predict", {"instances": {"b64": ""}}),
        ("predict", {"instances": [[1, 2]]}),
        ("predict", {"instances": [{}]}),
        ("predict", {"instances": [{"other": [1]}]}),
        ("predict", {"instances": [{"b64": "?"}]}),
        ("predict", {"instances": [{"b64": 3}]}),
        ("predict", {"instances": [{"b64": "aGVsbG8="}]}),
        ("predict", {"instances": [{"b64": "aGVsbG8="}] * 300}),
        ("predict", {"inputs": {"images": [], "more": []}}),
        ("predict", {"instances": [[0]], "signature_name": "train"}),
        ("predict", {"instances": [[0]], "signature_name": ["serving_default"]}),
        ("classify", {}),
        ("classify", {"examples": 3}),
        ("classify", {"examples": [{"images": [0]}], "context": {}}),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_reason(client, verb, content):
    response = client.post(f"{URL}:{verb}", json=content)
    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize("depth", [40, 80, 900])
def test_numbers_nested_too_deeply_are_refused(client, depth):
    content = f'{{"instances": {"[" * depth}1{"]" * depth}}}'
    assert client.post(f"{URL}:predict", content=content).status_code == 400


def test_other_models_versions_and_verbs_are_not_found(client):
    assert client.get("/v1/models/other").status_code == 404
    assert client.get(f"{URL}/versions/2").status_code == 404
    assert client.post(f"{URL}:regress", json={}).status_code == 405
    assert client.get(f"{URL}:predict").status_code == 404  # a name that would end in ":predict"


class Watched(list):
    """A list that a weak reference can follow."""


@pytest.mark.parametrize("files", [False, True])
@pytest.mark.parametrize(("verb", "key"), [("predict", "instances"), ("predict", "inputs"), ("classify", "examples")])
def test_the_json_is_gone_while_files_are_decoded_and_the_model_works(client, monkeypatch, images, verb, key, files):
    watched, alive = [], []

    def read_and_watch(body):
        content = {name: Watched(value) for name, value in read_json_object(body).items()}
        watched.extend(map(weakref.ref, content.values()))
        return content

    def look(work):
        alive.extend(reference() is not None for reference in watched)
        return work

    monkeypatch.setattr(tensorflow_serving, "read_json_object", read_and_watch)
    monkeypatch.setattr(tensorflow_serving, "image_from_file", lambda *given: look(image_from_file(*given)))
    monkeypatch.setattr(FakeModel, "__call__", lambda _, batch: look(channel_sums(batch)))
    value = [png(each) for each in images] if files else images.tolist()
    assert client.post(f"{URL}:{verb}", json={key: value, "junk": [[], []]}).status_code == 200
    assert alive == [False] * (8 if files else 2)
