"""Whether a process is there: one's own, one that has ended, and one that belongs to somebody else."""

import os
import subprocess
import sys

from pipelines.processes import is_running


def test_one_that_is_there_and_one_that_has_ended():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_running(os.getpid())
    assert not is_running(ended.pid)


def test_another_users_process_is_there_too(monkeypatch):
    def refuse(process, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_running(os.getpid())
