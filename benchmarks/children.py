"""Processes of a benchmark's own, which do as a line on their stdin says and answer with one."""

import subprocess
from contextlib import suppress


def ask(child: subprocess.Popen, line: object = "") -> str:
    """Send `line`, and wait for the answer. Raises RuntimeError where `child` has ended."""
    with suppress(BrokenPipeError):  # it has ended: said below
        print(line, file=child.stdin, flush=True)
    return answer_of(child)


def answer_of(child: subprocess.Popen) -> str:
    """The next line that `child` prints. Raises RuntimeError where it has ended."""
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"{' '.join(child.args)} ended with exit code {child.wait()}")
    return line
