"""What every request passes: ids, keys, bounds on bytes, numbers and seconds; what is logged and counted."""

import asyncio
import json
import logging
import threading
import time

import pytest

from tests.tfcifar.serving.test_open_inference import URL, as_json
from tfcifar.serving import gate
from tfcifar.serving.gate import digest_of
from tfcifar.serving.logs import JsonLines

KEY = "a-key-of-some-length"


@pytest.fixture
def log_lines():
    """What the server logs meanwhile, as the objects that its lines hold."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(JsonLines().format(record)))
    logger = logging.getLogger("tfcifar.serving")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)


def test_a_sane_request_id_is_kept_and_any_other_replaced(client, log_lines):
    assert client.get("/v2", headers={"X-Request-ID": "order-66.a:b"}).headers["X-Request-ID"] == "order-66.a:b"
    for bad in ("", "a b", "x" * 65, '"}\\', "é".encode("latin-1")):
        made = client.get("/v2", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert len(made) == 32
    assert log_lines[0]["request_id"] == "order-66.a:b"
    assert (log_lines[0]["method"], log_lines[0]["path"], log_lines[0]["status"]) == ("GET", "/v2", 200)


def test_errors_carry_the_request_id_and_unknown_paths_are_404(client):
    for url in ("/nothing", "/v2/models/x", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        response = client.get(url, headers={"X-Request-ID": "1"})
        assert response.status_code == 404
        assert response.json()["request_id"] == "1"
    assert client.delete("/predict").status_code == 405


def test_an_internal_error_tells_the_caller_nothing_and_the_log_everything(client, log_lines, monkeypatch):
    monkeypatch.setattr("tfcifar.serving.open_inference._metadata", lambda *_: 1 / 0)
    response = client.get("/v2/models/colours", headers={"X-Request-ID": "7"})
    assert response.status_code == 500
    assert response.json() == {"error": "internal error.", "request_id": "7"}
    (line,) = [line for line in log_lines if line["event"] == "internal error"]
    assert "ZeroDivisionError" in line["trace"]
    assert line["request_id"] == "7"


def test_with_keys_everything_but_health_and_pages_needs_one(start):
    client = start(keys=(digest_of("another-key-of-length"), digest_of(KEY)))
    for headers in ({}, {"X-API-Key": ""}, {"X-API-Key": KEY[:-1]}, {"Authorization": f"Basic {KEY}"}):
        response = client.get("/v2", headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert client.post("/predict", content=b"x" * 200_000).status_code == 401
    for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
        assert client.get("/v2", headers=headers).status_code == 200
    for url in ("/", "/docs", "/openapi.json", "/static/docs.css", "/v2/health/live", "/v2/health/ready"):
        assert client.get(url).status_code == 200
    for url in ("/metrics", "/models", "/static/../metrics", "/docs/"):
        assert client.get(url).status_code in (401, 404)


def test_a_body_over_the_limit_is_refused_announced_or_not(client):
    announced = client.post("/predict", content=b"x" * 100_001)
    chunked = client.post("/predict", content=iter([b"x" * 60_000] * 2))
    for response in (announced, chunked):
        assert response.status_code == 413
        assert "at most 100,000 bytes" in response.json()["error"]
    assert client.app.held == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Encoding": "gzip"}, 415), ({"Content-Length": "-1"}, 400), ({"Content-Length": "1e3"}, 400)],
)
def test_odd_bodies_are_refused(client, headers, status):
    assert client.post(URL, content=b"{}", headers=headers).status_code == status


def test_beyond_the_bound_requests_are_refused_with_429_while_probes_pass(start, fake, images):
    client = start(max_requests=2)
    fake.go.clear()
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(client.post(URL, json=as_json(images)).status_code))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while client.app.requests < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    refused = client.post(URL, json=as_json(images))
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert client.get("/v2/health/ready").status_code == 200
    fake.go.set()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    assert client.post(URL, json=as_json(images)).status_code == 200


def test_bodies_in_progress_may_not_take_more_memory_than_allowed(client, monkeypatch, images):
    monkeypatch.setattr(gate, "BODIES", 0.001)  # times 100,000 bytes
    response = client.post(URL, json=as_json(images))
    assert response.status_code == 429
    assert "memory" in response.json()["error"]


def test_bodies_that_are_announced_and_do_not_come_keep_nobody_out(client):
    statuses = []

    async def ask(receive, length):
        async def send(message):
            statuses.extend([message["status"]] if "status" in message else [])

        headers = [(b"content-length", str(length).encode())]
        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": headers}
        await client.app(scope, receive, send)

    async def main():
        slow = [asyncio.create_task(ask(lambda: asyncio.sleep(60), 100_000)) for _ in range(gate.BODIES + 1)]
        await asyncio.sleep(0.05)
        await ask(lambda: asyncio.sleep(0, {"type": "http.request", "body": b"no image"}), 8)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(main())
    assert statuses == [400]
    assert client.app.held == client.app.requests == 0


def test_a_model_that_takes_too_long_is_503(start, fake, images):
    client = start(timeout=0.1)
    fake.go.clear()
    response = client.post(URL, json=as_json(images))
    fake.go.set()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert client.app.requests == 0


def call(app, receive) -> list[dict]:
    """What is sent for POST /predict, without a client in between."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_that_does_not_come_is_408(start):
    sent = call(start(timeout=0.05).app, lambda: asyncio.sleep(60))
    assert sent[0]["status"] == 408


def test_a_client_that_leaves_is_no_error_of_the_server(client, log_lines):
    messages = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    call(client.app, receive)
    assert [(line["event"], line["status"]) for line in log_lines] == [("request", 499)]
    assert client.app.held == 0


def test_metrics_count_requests_by_route_and_images_by_model(client, images):
    client.post(URL, json=as_json(images))
    client.get("/v2/models/never-heard-of")
    client.get("/a/path/of/its/own")
    text = client.get("/metrics").text
    assert 'tfcifar_requests_total{route="/v2/models/{name}/infer",status="200"} 1.0' in text
    assert 'tfcifar_requests_total{route="/v2/models/{name}",status="404"} 1.0' in text
    assert 'tfcifar_requests_total{route="none",status="404"} 1.0' in text
    assert 'tfcifar_batch_images_sum{model="colours",version="1"} 3.0' in text
    assert 'tfcifar_queue_images{model="colours",version="1"} 0.0' in text
    assert "never-heard-of" not in text
    assert "own" not in text


def test_the_description_and_its_page_load_nothing_from_elsewhere(client):
    paths = client.get("/openapi.json").json()["paths"]
    page = client.get("/docs")
    assert {"/predict", "/v2/models/{name}/infer", "/v1/models/{name}:predict", "/metrics"} <= set(paths)
    for path in paths:
        assert path in page.text
    for text in (page.text, client.get("/").text):
        assert "//" not in text.replace("<!doctype html>", "")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
