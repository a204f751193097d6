"""The fuzzer sends what its seed says, sees what a server does wrong, and keeps what shows it."""

import itertools
import os
import re
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from benchmarks import openapi_fuzz, serving_fuzz
from benchmarks.fuzz_answers import CLOSED, Answer, ask, fault_of, load, save
from benchmarks.hostile_http import Hostile
from benchmarks.hostile_requests import hostile_requests
from benchmarks.http_load import post
from benchmarks.serving_fuzz import is_flat, records, send_all
from pipelines.errors import InputError
from tests.integration.commands import error_lines, run
from tests.tiny_models import write_onnx

GOOD = Hostile("good", b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n", good=True)
JSON = {"content-type": "application/json"}
ERROR = b'{"error": "x", "request_id": "1"}'


@pytest.fixture
def port():
    """Of a server that answers with the status in the path; 0: not at all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status = int(self.path.strip("/").replace("good", "200"))
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            self.close_connection = True

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def get(status: int, kind: str = "JSON") -> Hostile:
    return Hostile(kind, f"GET /{status} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def test_a_seed_says_which_requests_and_all_kinds_come():
    first, again, other = (list(hostile_requests(seed, 200, (8, 8, 3))) for seed in (0, 0, 1))
    assert first == again != other
    counts = Counter(request.kind for request in first)
    assert len(counts) == 10
    assert min(counts.values()) > 5
    assert {request.kind for request in first if request.good} == {"good"}


@pytest.mark.parametrize(
    ("request_", "answer", "fault"),
    [
        (GOOD, Answer(200, {}, b""), None),
        (GOOD, Answer(400, JSON, ERROR), "status 400 for a good request"),
        (GOOD, Answer(CLOSED, {}, b""), "closed without an answer"),
        (get(1), Answer(400, JSON, ERROR), None),
        (get(1), Answer(400, JSON, b'{"detail": 1}'), "an error of another form"),
        (get(1), Answer(400, JSON, b""), None),  # of HEAD
        (get(1), Answer(400, {}, b"Traceback (most recent call last):"), "stack trace"),
        (get(1), Answer(500, JSON, ERROR), "status 500"),
        (get(1), Answer(503, JSON, ERROR), "status 503"),
        (get(1), Answer(503, JSON | {"retry-after": "1"}, ERROR), None),
        (get(1), Answer("silent", {}, b""), "silent"),
        (get(1), Answer(CLOSED, {}, b""), "closed without an answer"),
        (get(1, "headers"), Answer(CLOSED, {}, b""), None),
        (Hostile("JSON", b"", cut=True), Answer(CLOSED, {}, b""), None),
    ],
)
def test_what_is_a_fault(request_, answer, fault):
    found = fault_of(request_, answer)
    assert found is None if fault is None else fault in found


def test_answers_are_read_and_a_request_that_is_kept_can_be_sent_again(port, tmp_path):
    assert ask(port, get(418)).status == 418
    assert ask(port, get(0)).status == CLOSED
    for request in (get(404, "odd kind"), Hostile("framing", b"\xff\0", cut=True)):
        path = save(request, 7, tmp_path)
        assert path.name.startswith("00007-")
        assert (load(path).data, load(path).cut) == (request.data, request.cut)


def test_faults_are_named_with_their_files_and_the_others_counted(port, tmp_path):
    alive = SimpleNamespace(pid=os.getpid(), poll=lambda: None)
    report = send_all(port, alive, iter([get(404), get(500), GOOD] * 20), tmp_path)
    assert report.statuses["JSON"] == Counter({404: 20, 500: 20})
    assert (report.sent, len(report.faults)) == (60, 20)
    assert load(tmp_path / "00001-JSON.http").data == get(500).data
    assert report.faults[0] == f"{tmp_path / '00001-JSON.http'}: status 500: "
    assert "| JSON | 40 | 20 x 404, 20 x 500 |" in serving_fuzz.table(report)


def test_a_server_that_dies_ends_it_and_what_it_died_of_is_kept(port, tmp_path):
    looks = itertools.chain([None], itertools.repeat(-11))
    dead = SimpleNamespace(pid=os.getpid(), poll=lambda: next(looks), returncode=-11)
    report = send_all(port, dead, iter([get(404)] * 1000), tmp_path)
    assert report.sent == serving_fuzz.BATCH
    assert len(list(tmp_path.iterdir())) == serving_fuzz.BATCH
    assert "the server ended with -11" in report.faults[0]


def test_a_live_server_that_takes_no_connection_ends_it_and_its_requests_are_kept(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        unused = server.getsockname()[1]
    alive = SimpleNamespace(pid=os.getpid(), poll=lambda: None)
    report = send_all(unused, alive, iter([get(404)] * 3), tmp_path)
    assert (report.sent, len(list(tmp_path.iterdir()))) == (0, 3)
    assert "the server does not answer (" in report.faults[0]


def test_memory_is_flat_unless_its_least_grows_by_a_tenth():
    assert is_flat(([100, 100, 900], [900, 900, 105]))  # large images that overlap are no leak
    assert not is_flat(([100, 100, 900], [111, 111, 111]))


def test_memory_is_judged_once_the_server_is_warm(port, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.serving_load.Memory.stop", lambda memory: ([100] * 3, [120] * 3))
    alive = SimpleNamespace(pid=os.getpid(), poll=lambda: None)
    monkeypatch.setattr(serving_fuzz, "WARM", 64)
    assert send_all(port, alive, iter([get(404)] * 63), tmp_path).faults == []
    (fault,) = send_all(port, alive, iter([get(404)] * 64), tmp_path).faults
    assert fault.startswith("memory grew: ")


def test_the_log_is_searched_for_errors(tmp_path):
    log = tmp_path / "server.log"
    lines = ["INFO: a greeting", '{"level": "warning"}', '{"level": "error", "event": "x"}', "Traceback (most recent"]
    log.write_text("\n".join(lines))
    assert serving_fuzz.read_log(log) == [f"log: {line}" for line in lines[2:]]


def test_schemathesis_is_looked_for_and_its_requests_are_those_the_server_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert openapi_fuzz.find_schemathesis(None) is None
    with pytest.raises(InputError, match="no such file"):
        openapi_fuzz.find_schemathesis(tmp_path / "schemathesis")
    command = tmp_path / "schemathesis"
    command.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    command.chmod(0o755)
    assert openapi_fuzz.find_schemathesis(None) == command
    counted = iter([10, 35])
    monkeypatch.setattr(openapi_fuzz, "_requests_counted", lambda url: next(counted))
    found = openapi_fuzz.fuzz_description(command, 1234, seed=5)
    assert (found.requests, found.failed) == (24, True)
    assert "run http://127.0.0.1:1234/openapi.json --seed 5" in found.output


def test_a_live_server_stands_it_and_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(serving_fuzz, "find_schemathesis", lambda given: None)
    model = write_onnx(tmp_path / "model.onnx", (8, 8, 3))
    (line,) = error_lines(run("benchmarks.serving_fuzz", model, "--record", expect=2))
    assert "schemathesis is not installed" in line
    completed = run("benchmarks.serving_fuzz", model, "--requests", 150, "--keep", tmp_path / "kept")
    assert "NOTE: schemathesis is not installed" in completed.stdout
    assert completed.stdout.endswith("150 requests, 0 faults\n")
    assert re.search(r"\| good \| \d+ \| \d+ x 200 \|", completed.stdout)
    assert not (tmp_path / "kept").exists()
    kept = save(Hostile("JSON", post("/predict", b"no image", {})), 0, tmp_path)
    assert "status: 400" in run("benchmarks.serving_fuzz", model, "--replay", kept).stdout


def test_the_record_is_of_both_figures():
    found = {
        each["metric"]: (each["value"], each["unit"])
        for each in records(12_000, 0, {"command": "c", "commit": "d", "hardware": "x"}, 9)
    }
    assert found == {"fuzzed_requests": (12_000, "requests"), "fuzz_errors": (0, "errors")}
