"""A server in a process of its own, on a free port of this machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.integration.commands import PROJECT


class LiveServer:
    """`python -m tfcifar.serve ARGUMENTS`, or another module, as a context; ends with SIGTERM and exit code 0."""

    def __init__(self, folder: Path, *arguments, module: str = "tfcifar.serve", **environment):
        self.log = folder / "server.log"
        self.command = [sys.executable, "-m", module, *map(str, arguments), "--port", "0"]
        self.environment = os.environ | environment

    def __enter__(self) -> "LiveServer":
        with self.log.open("w") as log:  # a file: a full pipe would stop the server
            self.process = subprocess.Popen(
                self.command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT, env=self.environment
            )
        self.port = int(self.wait_for(lambda: re.search(r"^serving on http://\S+:(\d+)", self.text(), re.M))[1])
        self.wait_for(lambda: self.status("/v2/health/ready") == 200)
        return self

    def __exit__(self, kind, *_) -> None:
        code = self.stop()
        assert kind or code == 0, f"exit code {code}\n{self.text()}"

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def text(self) -> str:
        return self.log.read_text()

    def lines(self) -> list[dict]:
        """The JSON lines of its log."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def status(self, path: str) -> int | None:
        """Of a GET; None: nobody answers."""
        try:
            with urllib.request.urlopen(self.url(path), timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def wait_for(self, condition, seconds: float = 60.0):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := condition():
                return found
            assert self.process.poll() is None, f"the server has ended\n{self.text()}"
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s\n{self.text()}")
