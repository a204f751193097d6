"""A live server, called by the clients that people have, under load, and by those who mean no good."""

import shutil
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from export.runtimes import open_artifact
from tests.integration.commands import start
from tests.integration.live_server import LiveServer
from tests.tiny_models import write_int8_tflite, write_onnx

SHAPE = (32, 32, 3)
SLOW = {"module": "tests.integration.slow_server"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def artifacts(folder):
    return {"small": write_int8_tflite(folder / "small.tflite"), "linear": write_onnx(folder / "linear.onnx")}


@pytest.fixture(scope="module")
def server(folder, artifacts):
    with LiveServer(folder, *artifacts.values(), "--max-body", 1) as live:
        yield live


@pytest.fixture(scope="module")
def local(artifacts):
    return {name: open_artifact(path) for name, path in artifacts.items()}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)


def infer(client, name, images, binary=True):
    tensor = triton.InferInput("images", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    wanted = [triton.InferRequestedOutput("logits", binary_data=binary)]
    return client.infer(name, [tensor], outputs=wanted, request_id="7")


@pytest.mark.parametrize("name", ["small", "linear"])
def test_tritonclient_agrees_with_the_local_model_to_the_bit(server, local, images, name):
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name, "1")
    assert not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata(name)["inputs"][0]["shape"] == [-1, *SHAPE]
    expected = local[name](images)
    for binary in (True, False):
        result = infer(client, name, images, binary)
        assert result.get_response()["id"] == "7"
        assert result.as_numpy("logits").tobytes() == expected.tobytes()
    tensor = triton.InferInput("images", list(images.shape), "UINT8").set_data_from_numpy(images)
    assert client.infer(name, [tensor]).as_numpy("logits").tobytes() == expected.tobytes()  # with all its defaults
    with pytest.raises(InferenceServerException, match=r"shape: expected \[n, 32, 32, 3\]"):
        infer(client, name, images[:, :8])


@pytest.mark.parametrize("name", ["small", "linear"])
def test_a_tensorflow_serving_client_agrees_with_the_local_model_to_the_bit(server, local, images, name):
    url = server.url(f"/v1/models/{name}")
    assert requests.get(url).json()["model_version_status"][0]["state"] == "AVAILABLE"
    assert requests.get(f"{url}/metadata").json()["model_spec"]["name"] == name
    rows = requests.post(f"{url}:predict", json={"signature_name": "serving_default", "instances": images.tolist()})
    columns = requests.post(f"{url}/versions/1:predict", json={"inputs": {"images": images.tolist()}})
    for received in (rows.json()["predictions"], columns.json()["outputs"]):
        assert np.array(received, np.float32).tobytes() == local[name](images).tobytes()


def test_int8_answers_do_not_depend_on_who_else_is_asking(server, local):
    images = np.random.default_rng(1).integers(0, 256, (200, *SHAPE)).astype(np.uint8)
    expected = local["small"](images)

    def ask(client_number):
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        mine = range(client_number, 200, 8)
        return all(
            infer(client, "small", images[i : i + 1]).as_numpy("logits").tobytes() == expected[i].tobytes()
            for i in mine
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def exchange(server, data: bytes) -> bytes:
    """How the answer to raw bytes begins, on a connection of their own."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        return connection.recv(1000)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: a\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /static/..%2f..%2fapp.py HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /static/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/models/%2e%2e%2fsmall HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/models/\xff\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        bytes(range(256)) * 8,
    ],
)
def test_hostile_bytes_get_4xx_and_the_server_goes_on(server, data):
    answer = exchange(server, data)
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert server.status("/v2/health/live") == 200


def test_a_body_over_the_limit_is_answered_though_the_client_is_still_sending(server):
    assert requests.post(server.url("/predict"), data=b"x" * 1_500_000).status_code == 413


def test_the_log_is_json_lines_with_the_callers_request_id(server):
    requests.get(server.url("/v2"), headers={"X-Request-ID": "who-asks"})
    (line,) = server.wait_for(lambda: [line for line in server.lines() if line.get("request_id") == "who-asks"])
    assert (line["event"], line["status"], line["client"]) == ("request", 200, "127.0.0.1")


def post_image(server):
    return requests.post(server.url("/v1/models/linear:predict"), json={"instances": [np.zeros(SHAPE, int).tolist()]})


def test_a_server_that_is_told_to_stop_answers_what_it_has_accepted(tmp_path, artifacts):
    live = LiveServer(tmp_path, artifacts["linear"], "--max-batch", 1, **SLOW, SECONDS="0.3")
    with live, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(post_image, live) for _ in range(4)]
        live.wait_for(lambda: "tfcifar_requests_in_progress 5.0" in requests.get(live.url("/metrics")).text)  # and this
        assert live.stop() == 0
        assert [answer.result().status_code for answer in answers] == [200] * 4


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_stop_as_soon_as_it_says_where_it_is_stops(artifacts, workers):
    process = start("tfcifar.serve", artifacts["linear"], "--port", 0, "--workers", workers)
    with process.stdout:
        assert process.stdout.readline().startswith("serving on ")
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.stderr.close()


def test_beyond_its_bounds_a_server_says_429_and_nothing_else(tmp_path, artifacts):
    bounds = ("--max-requests", 4, "--max-batch", 1)
    with (
        LiveServer(tmp_path, artifacts["linear"], *bounds, **SLOW, SECONDS="0.05") as live,
        ThreadPoolExecutor(12) as pool,
    ):
        answers = list(pool.map(lambda _: post_image(live), range(60)))
        counts = Counter(answer.status_code for answer in answers)
        assert set(counts) == {200, 429}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
        assert post_image(live).status_code == 200


def test_a_new_version_takes_over_and_an_old_one_goes_without_a_failed_request(tmp_path, images):
    zoo = tmp_path / "zoo"
    old, new = write_onnx(zoo / "m" / "1" / "model.onnx"), write_onnx(tmp_path / "new.onnx", seed=1)
    expected = {"1": open_artifact(old)(images).tobytes(), "2": open_artifact(new)(images).tobytes()}
    stop, seen, wrong = threading.Event(), [], []

    def ask(live):
        client = triton.InferenceServerClient(f"127.0.0.1:{live.port}")
        while not stop.is_set():
            result = infer(client, "m", images)
            version = result.get_response()["model_version"]
            seen.append(version)
            if result.as_numpy("logits").tobytes() != expected[version]:
                wrong.append(version)

    with LiveServer(tmp_path, zoo, "--poll", 0.1) as live, ThreadPoolExecutor(3) as pool:
        try:
            callers = [pool.submit(ask, live) for _ in range(3)]
            live.wait_for(lambda: len(seen) > 20)
            shutil.copytree(new.parent / "zoo" / "m" / "1", zoo / "m" / "2", copy_function=lambda *_: None)
            shutil.copy(new, zoo / "m" / "2" / "model.onnx")
            live.wait_for(lambda: seen[-1] == "2")
            shutil.rmtree(zoo / "m" / "1")
            live.wait_for(lambda: live.status("/v2/models/m/versions/1") == 404)
            before = len(seen)
            live.wait_for(lambda: len(seen) > before + 20)
        finally:
            stop.set()
        for caller in callers:
            caller.result()  # raises what a request raised
    assert wrong == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_cannot_be_loaded_is_one_line_and_exit_code_2(tmp_path, workers):
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    process = start("tfcifar.serve", tmp_path / "broken.onnx", "--port", 0, "--workers", workers)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr.startswith("error: ")
    assert "cannot be loaded as an ONNX model" in stderr
    assert "Traceback" not in stderr
