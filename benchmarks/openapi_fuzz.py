"""schemathesis (https://schemathesis.io) against the OpenAPI description of a running server.

It is not among the requirements: `pip install schemathesis`, also into an environment of its own.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import InputError

# Without these nearly all requests would ask for models that do not exist.
CONFIG = '[parameters]\n"path.name" = "model"\n"path.version" = "1"\n'
EXAMPLES = 50  # for each address and method
# A schema cannot say that bytes have to be an image of a kind, or that numbers have to fit a shape.
LEFT_OUT = "positive_data_acceptance"


@dataclass(frozen=True)
class Found:
    """requests: that the server has counted. output: of schemathesis. failed: it has found something."""

    requests: int
    output: str
    failed: bool


def find_schemathesis(given: Path | None) -> Path | None:
    """The command: `given`, or beside this Python, or on the PATH; None: there is none. Raises InputError."""
    if given is not None:
        if not given.is_file():
            raise InputError(f"--schemathesis: {given}: no such file.")
        return given.absolute()
    beside = Path(sys.executable).with_name("schemathesis")
    found = str(beside) if beside.is_file() else shutil.which("schemathesis")
    return Path(found) if found else None


def fuzz_description(command: Path, port: int, seed: int) -> Found:
    """Run schemathesis, in a process of its own, on all that /openapi.json describes."""
    url = f"http://127.0.0.1:{port}"
    before = _requests_counted(url)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "schemathesis.toml"
        config.write_text(CONFIG)
        options = ["--seed", seed, "--max-examples", EXAMPLES, "--exclude-checks", LEFT_OUT, "--continue-on-failure",
                   "--request-timeout", 60, "--warnings", "off"]  # fmt: skip
        completed = subprocess.run(
            [command, "--no-color", "--config-file", config, "run", f"{url}/openapi.json", *map(str, options)],
            cwd=folder,  # where it leaves what it remembers
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    counted = _requests_counted(url) - before - 1 if completed.returncode in (0, 1) else 0  # 1: the look before
    return Found(counted, completed.stdout, completed.returncode != 0)


def _requests_counted(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        text = response.read().decode()
    return sum(int(float(value)) for value in re.findall(r"^tfcifar_requests_total\{.*\} (\S+)$", text, re.MULTILINE))
