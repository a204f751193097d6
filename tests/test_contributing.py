"""The walk-throughs of CONTRIBUTING.md: each fits the code as it is, is short, and does what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DIFFS = re.findall(r"^```diff\n(.*?)^```$", (PROJECT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
MOST_LINES = 30


def added_lines(diff: str) -> list[tuple[str, str]]:
    """(file, line) of all that it adds."""
    files = re.split(r"^\+\+\+ b/(.*)\n", diff, flags=re.MULTILINE)[1:]
    return [
        (file, line)
        for file, text in zip(files[::2], files[1::2], strict=True)
        for line in re.findall(r"^\+(?!\+\+ )(.*)$", text, re.MULTILINE)
    ]


def test_there_are_four_and_none_takes_30_lines_besides_its_test():
    assert len(DIFFS) == 4
    for diff in DIFFS:
        code = [line for file, line in added_lines(diff) if not file.startswith("tests/")]
        assert 0 < len(code) < MOST_LINES, len(code)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git, which applies them")
def test_with_all_of_them_applied_their_tests_pass(tmp_path):
    for folder in ("pipelines", "tfcifar", "tuner", "export", "tests"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    # A repository around the copy, or a coverage measured around this test, has nothing to do with it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COV"))}
    environment["GIT_CEILING_DIRECTORIES"] = str(tmp_path.parent)
    for diff in DIFFS:
        applied = subprocess.run(
            ["git", "apply", "-"], input=diff, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert applied.returncode == 0, f"make this diff anew: it does not fit the code.\n{applied.stderr}\n{diff}"
    tests = [(file, line) for diff in DIFFS for file, line in added_lines(diff) if line.startswith("def test_")]
    assert len(tests) == len(DIFFS)
    names = [f"{file}::{re.match(r'def (test_[a-z0-9_]+)', line)[1]}" for file, line in tests]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *names],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert f"{len(names)} passed" in ran.stdout, ran.stdout + ran.stderr
