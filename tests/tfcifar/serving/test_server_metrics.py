"""Metrics of several processes, some of which were killed."""

import os
import subprocess
import sys

from tests.integration.commands import PROJECT

# prometheus_client looks for the folder when it is imported.
PROGRAM = """
import shutil, sys
from pathlib import Path
from tfcifar.serving.metrics import Metrics
folder = Path(sys.argv[1])
metrics = Metrics(folder)
metrics.in_progress.inc(2)
metrics.requests.labels("/", "200").inc(3)
(own,) = folder.glob("gauge_livesum_*.db")
shutil.copy(own, own.with_name("gauge_livesum_1.db"))  # of a process that is there: the first of all
shutil.copy(own, own.with_name(f"gauge_livesum_{2**22 + 1}.db"))  # above all numbers that Linux gives
print(metrics.text().decode(), sorted(path.name for path in folder.glob("gauge*")))
"""


def test_what_a_killed_process_was_busy_with_no_longer_counts(tmp_path):
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    completed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=PROJECT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "\ntfcifar_requests_in_progress 4.0\n" in completed.stdout
    assert 'tfcifar_requests_total{route="/",status="200"} 3.0' in completed.stdout
    assert str(2**22 + 1) not in completed.stdout
