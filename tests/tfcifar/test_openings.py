"""Each opening of the test split is on record, whoever else opens it meanwhile."""

import json
from concurrent.futures import ThreadPoolExecutor

from tfcifar.evaluation import openings
from tfcifar.run_dir import RunDir


def test_openings_at_the_same_time_are_all_on_record(tmp_path, monkeypatch):
    run_dir, purposes = RunDir(tmp_path / "run"), [f"purpose {number}" for number in range(100)]
    monkeypatch.setattr(openings, "open_test_split", lambda source: (None, "sha256:t"))

    def open_for(purpose):
        openings.open_test_on_record(run_dir, None, "digest", "none", purpose)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_for, purposes))
    found = [json.loads(line)["purpose"] for line in run_dir.test_openings.read_text().splitlines()]
    assert sorted(found) == sorted(purposes)
