"""Several workers: one of them is killed while all are busy."""

import os
import re
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.integration.live_server import LiveServer
from tests.tiny_models import write_onnx

SLOW = {"module": "tests.integration.slow_server"}
IMAGES = {"instances": [[[[0, 0, 0]] * 32] * 32]}


def post_image(server, **options):
    return requests.post(server.url("/v1/models/linear:predict"), json=IMAGES, **options)


def test_a_worker_killed_under_load_is_replaced_and_no_request_is_lost_silently(tmp_path):
    sent, stop = [], threading.Event()

    def workers():
        """All that have ever been ready."""
        return [line["process"] for line in live.lines() if line["event"] == "Application startup complete."]

    def ask():
        """What became of each request until `stop`: its status, or "cut" where the connection ended."""
        counts = Counter()
        while not stop.is_set():
            sent.append(None)
            try:
                counts[post_image(live, timeout=10).status_code] += 1
            except requests.Timeout:
                raise  # some are ConnectionErrors, too
            except requests.ConnectionError:
                counts["cut"] += 1
                cut.set()
        return counts

    options = ("--workers", 2, "--max-batch", 1)
    model = write_onnx(tmp_path / "linear.onnx")
    with LiveServer(tmp_path, model, *options, **SLOW, SECONDS="0.1") as live, ThreadPoolExecutor(4) as pool:
        live.wait_for(lambda: len(workers()) == 2)
        for _ in range(20):
            assert requests.post(live.url("/predict"), data=b"no image").status_code == 400
        cut, kills = threading.Event(), 0
        callers = [pool.submit(ask) for _ in range(4)]
        try:
            live.wait_for(lambda: len(sent) > 12)
            while not cut.is_set() and kills < 5:  # until it had something to do when it was killed
                os.kill(workers()[kills], signal.SIGKILL)
                kills += 1
                live.wait_for(lambda ready=2 + kills: len(workers()) == ready)
            live.wait_for(lambda: workers()[-1] in {line["process"] for line in live.lines() if "status" in line})
        finally:
            stop.set()
        counts = sum((caller.result() for caller in callers), Counter())
        assert set(counts) == {200, "cut"}
        assert counts["cut"] <= 4 * kills  # those that the worker was busy with
        assert counts.total() == len(sent)
        text = requests.get(live.url("/metrics")).text
        (answered,) = re.findall(r'tfcifar_requests_total{route="/v1/[^"]*:predict",status="200"} (\S+)', text)
        assert -4 * kills <= float(answered) - counts[200] <= counts["cut"]  # killed just before it counts, or sends
        assert 'tfcifar_requests_total{route="/predict",status="400"} 20.0' in text  # of all workers, the dead one too
        assert "tfcifar_requests_in_progress 1.0" in text
        assert [post_image(live).status_code for _ in range(20)] == [200] * 20
