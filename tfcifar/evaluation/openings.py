"""Opening the test split, on the record: the one way to its images for whatever judges a run."""

import hashlib
import json
from datetime import UTC, datetime

from pipelines.sources import Examples, Source
from pipelines.splits import open_test_split
from tfcifar.run_dir import RunDir, append_line, read_json


def model_digest(run_dir: RunDir) -> str:
    """The SHA-256 of model.keras, in hexadecimal digits: which model a prediction or an opening belongs to.

    Of an ensemble, that of ensemble.json, which names the models of its members by theirs.
    """
    model = run_dir.ensemble if run_dir.ensemble.is_file() else run_dir.model
    return hashlib.sha256(model.read_bytes()).hexdigest()


def judged_on(run_dir: RunDir) -> dict:
    """What tells the images of an evaluated run or ensemble from others: labels alone may be those of other images.

    Returns:
        `classes` (names) and the checksums of the `validation` and `test` images; None for what is not on record.
    """
    data = read_json(run_dir.environment)["data"]
    opened = run_dir.test_openings.read_text(encoding="utf-8").splitlines() if run_dir.test_openings.is_file() else []
    test = json.loads(opened[-1])["test"] if opened else data.get("test")  # an ensemble opens nothing itself
    return {"classes": data["class_names"], "validation": data.get("validation"), "test": test}


def open_test_on_record(run_dir: RunDir, source: Source, digest: str, views: str, purpose: str) -> tuple[Examples, str]:
    """The test split of `source` and its checksum; the opening becomes a line of the run's test_openings.jsonl.

    Args:
        digest: of the model that is to be judged, see `model_digest`.
        views: of test-time augmentation, of TTA_VIEWS.
        purpose: what for, "evaluation", "robustness", "uncertainty", "near-duplicates" or "export".
    """
    test, checksum = open_test_split(source)
    opening = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": digest,
        "test": checksum,
        "views": views,
        "purpose": purpose,
    }
    append_line(run_dir.test_openings, json.dumps(opening))
    return test, checksum
