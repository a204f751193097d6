"""Run the real entry points in processes of their own, as a user does."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
# Two small epochs of the smoke recipe; --deterministic, since these tests compare runs.
SMOKE = ("tfcifar.train", "--recipe", "smoke", "--preset", "cpu", "--deterministic")


def start(module: str, *arguments, **environment) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=PROJECT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(module: str, *arguments, expect: int = 0, **environment) -> subprocess.CompletedProcess:
    """Run `python -m module arguments` and check its exit code."""
    process = start(module, *arguments, **environment)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == expect, f"exit code {process.returncode}, expected {expect}\n{stdout}\n{stderr}"
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def error_lines(completed: subprocess.CompletedProcess) -> list[str]:
    return [line for line in completed.stderr.splitlines() if line.startswith("error:")]
