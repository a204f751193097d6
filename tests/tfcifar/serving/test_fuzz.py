"""Whatever is sent, the answer is a success or a 4xx with a reason; never a 5xx, never a stack trace."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tfcifar.serving.test_open_inference import as_json
from tests.tfcifar.serving.test_upload import encoded

SETTINGS = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
POSTS = ("/v2/models/colours/infer", "/v1/models/colours:predict", "/v1/models/colours:classify", "/predict")
HEADERS = st.dictionaries(
    st.sampled_from(["Inference-Header-Content-Length", "Content-Type", "X-Request-ID", "Authorization"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)


def check(response):
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert set(response.json()) == {"error", "request_id"}
        assert "Traceback" not in response.text


def paths_in(value, path=()):
    """The places of all values in a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths_in(child, (*path, key))


@pytest.mark.parametrize("url", POSTS)
@SETTINGS
@given(body=st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()), headers=HEADERS)
def test_any_bytes_and_any_json(client, url, body, headers):
    check(client.post(url, content=body, headers=headers))


@SETTINGS
@given(data=st.data())
def test_a_good_request_with_one_value_changed(client, images, data):
    image = images[0].tolist()
    good = [
        ("/v2/models/colours/infer", as_json(images[:1], id="1", parameters={"binary_data_output": True},
                                             outputs=[{"name": "logits", "parameters": {"binary_data": False}}])),
        ("/v1/models/colours:predict", {"instances": [{"images": image}], "signature_name": "serving_default"}),
        ("/v1/models/colours:predict", {"inputs": {"images": [{"b64": "aGVsbG8="}]}}),
        ("/v1/models/colours:classify", {"examples": [{"images": image}]}),
    ]  # fmt: skip
    url, content = copy.deepcopy(data.draw(st.sampled_from(good)))
    *parents, last = data.draw(st.sampled_from([path for path in paths_in(content) if path]))
    place = content
    for key in parents:
        place = place[key]
    place[last] = data.draw(ANY_JSON)
    check(client.post(url, content=json.dumps(content)))


@SETTINGS
@given(kind=st.sampled_from(["PNG", "JPEG", "BMP", "WEBP"]), data=st.data())
def test_an_image_with_bytes_changed_or_cut_off(client, kind, data):
    content = bytearray(encoded(kind=kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    check(client.post("/predict", content=bytes(content[:end])))
    check(client.post("/predict", files={"image": ("x.png", bytes(content))}))


PARTS = ["v1", "v2", "models", "colours", "versions", "1", "infer", "colours:predict", "static", "..", ".", ""]
PARTS += ["%2e%2e", "%2f", "%00", "%0d%0a", "é", "a" * 300]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
@SETTINGS
@given(parts=st.lists(st.sampled_from(PARTS), max_size=7))
def test_any_path(client, method, parts):
    assert client.request(method, "/" + "/".join(parts)).status_code < 500
