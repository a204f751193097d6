"""The Open Inference Protocol, spoken by hand: what goes over the wire, and what is refused."""

import json
import tracemalloc

import numpy as np
import pytest

from tests.tfcifar.serving.fake_models import SHAPE, channel_sums

URL = "/v2/models/colours/infer"


def tensor(images, **more):
    return {"name": "images", "datatype": "UINT8", "shape": list(images.shape), **more}


def as_json(images, **more):
    return {"inputs": [tensor(images, data=images.tolist())], **more}


def post_binary(client, images, length=None, size=None, **more):
    raw = images.tobytes()
    size = len(raw) if size is None else size
    head = json.dumps({"inputs": [tensor(images, parameters={"binary_data_size": size})], **more}).encode()
    length = len(head) if length is None else length
    return client.post(URL, content=head + raw, headers={"Inference-Header-Content-Length": str(length)})


def test_metadata_and_health(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/colours/ready").status_code == 200
    assert client.get("/v2/models/colours/versions/1").json() == {
        "name": "colours",
        "versions": ["1"],
        "platform": "fake",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, *SHAPE]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}],
    }


def test_json_in_and_out_nested_or_flat(client, images):
    for data in (images.tolist(), images.ravel().tolist()):
        answer = client.post(URL, json={"id": "7", "inputs": [tensor(images, data=data)]}).json()
        assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "colours", "1")
        (output,) = answer["outputs"]
        assert (output["name"], output["datatype"], output["shape"]) == ("logits", "FP32", [3, 3])
        received = np.array(output["data"], np.float32).reshape(output["shape"])
        assert received.tobytes() == channel_sums(images).tobytes()


def test_binary_in_and_out(client, images):
    response = post_binary(client, images, parameters={"binary_data_output": True})
    length = int(response.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(response.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 36}
    assert "data" not in output
    assert response.content[length:] == channel_sums(images).tobytes()


@pytest.mark.parametrize("binary", [True, False])
def test_an_output_says_how_it_wants_to_be_sent(client, images, binary):
    outputs = [{"name": "logits", "parameters": {"binary_data": binary}}]
    response = post_binary(client, images, outputs=outputs, parameters={"binary_data_output": not binary})
    assert ("Inference-Header-Content-Length" in response.headers) == binary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatype": "FP32"}, "UINT8"),
        ({"name": "x"}, "images"),
        ({"shape": [3, 4, 6]}, "shape: expected [n, 4, 6, 3]"),
        ({"shape": [-3, 4, 6, 3]}, "shape: expected a list of whole numbers"),
        ({"shape": [True, 4, 6, 3]}, "shape: expected a list of whole numbers"),
        ({"shape": [0, 4, 6, 3], "data": []}, "shape: expected 1 to 256 images"),
        ({"shape": [2, 4, 6, 3]}, "data: expected 144 numbers"),
        ({"shape": [10**6, 4, 6, 3]}, "shape: expected 1 to 256 images"),
        ({"shape": []}, "shape"),
        ({"shape": "all"}, "shape"),
        ({"data": None}, "data: expected 216 numbers"),
        ({"data": [1, [2]]}, "data: expected 216 numbers"),
        ({"data": [[1] * 72, [1] * 72, [2]]}, "data: expected numbers nested as [n, 4, 6, 3]"),
        ({"data": [256] * 216}, "data: expected whole numbers 0..255"),
        ({"data": [-1] * 216}, "data: expected whole numbers 0..255"),
        ({"data": [0.5] * 216}, "data: expected whole numbers 0..255"),
        ({"data": [10**30] * 216}, "data: expected whole numbers 0..255"),
        ({"data": ["a"] * 216}, "data: expected whole numbers 0..255"),
        ({"parameters": {"binary_data_size": 5}}, "binary_data_size: expected 0"),
        ({"parameters": []}, "parameters"),
    ],
)
def test_a_wrong_tensor_is_refused_with_what_was_expected(client, images, change, message):
    response = client.post(URL, json={"inputs": [tensor(images, data=images.tolist()) | change]})
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_a_text_among_numbers_does_not_make_each_of_them_as_long(client):
    numbers = [1] * (256 * 4 * 6 * 3 - 1) + ["a" * 10_000]  # 700 MB as texts of one length
    content = {"name": "images", "shape": [256, 4, 6, 3], "datatype": "UINT8", "data": numbers}
    tracemalloc.start()
    response = client.post(URL, json={"inputs": [content]})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert response.status_code == 400
    assert "whole numbers" in response.json()["error"]
    assert peak < 20_000_000  # bytes


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"inputs": []},
        {"inputs": {}},
        {"inputs": [1]},
        {"inputs": [{}, {}]},
        [],
        3,
        None,
        {"inputs": [{}], "parameters": 3},
    ],
)
def test_a_body_of_another_form_is_refused(client, content):
    assert client.post(URL, json=content).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 50_000, b'{"inputs": NaN}'])
def test_a_body_that_is_no_json_is_refused(client, body):
    assert client.post(URL, content=body).status_code == 400


@pytest.mark.parametrize("outputs", [[{"name": "x"}], [{"name": "logits", "parameters": {"classification": 2}}], [3]])
def test_outputs_that_there_are_not_are_refused(client, images, outputs):
    assert client.post(URL, json=as_json(images, outputs=outputs)).status_code == 400


WRONG_LENGTHS = [(-1, None), ("x", None), (10**6, None), (10**30, None), (0, None)]
WRONG_SIZES = [(None, 5), (None, -1), (None, 10**12), (None, "216"), (None, True)]


@pytest.mark.parametrize(("length", "size"), WRONG_LENGTHS + WRONG_SIZES)
def test_lengths_that_do_not_fit_the_bytes_are_refused(client, images, length, size):
    assert post_binary(client, images, length, size).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["nothing", "colours/versions/2", "colours/versions/x", "..%2f..%2fetc%2fpasswd", "%00", "colours/versions/1e0"],
)
def test_names_only_look_up_what_is_loaded(client, images, path):
    for url in (f"/v2/models/{path}", f"/v2/models/{path}/ready"):
        assert client.get(url).status_code == 404
    assert client.post(f"/v2/models/{path}/infer", json=as_json(images)).status_code == 404
