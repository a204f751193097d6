"""Run the real entry points as a user does: in this process where that tells as much, else in one of their own."""

import contextlib
import importlib
import io
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tfcifar import cli

PROJECT = Path(__file__).parents[2]
# Two small epochs on generated images; and on smaller ones, where their size does not matter.
WHOLE_SMOKE = ("tfcifar.train", "--recipe", "smoke", "--preset", "cpu")
SMOKE = (*WHOLE_SMOKE, "--set", "data.image_size=12")


@dataclass(frozen=True)
class Completed:
    stdout: str
    stderr: str


def run(module: str, *arguments, expect: int = 0, **environment) -> Completed:
    """Run `python -m module arguments` in this process (TensorFlow starts once) and check its exit code."""
    stdout, stderr = io.StringIO(), io.StringIO()
    argv = [f"{module}.py", *map(str, arguments)]
    main = importlib.import_module(module).main
    code = 0
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            cli.run(lambda: main(argv[1:]))
        except SystemExit as end:
            code = end.code
    assert code == expect, f"exit code {code}, expected {expect}\n{stdout.getvalue()}\n{stderr.getvalue()}"
    return Completed(stdout.getvalue(), stderr.getvalue())


def start(module: str, *arguments, **environment) -> subprocess.Popen:
    """Start `python -m module arguments` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=PROJECT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def error_lines(completed: Completed) -> list[str]:
    return [line for line in completed.stderr.splitlines() if line.startswith("error:")]
