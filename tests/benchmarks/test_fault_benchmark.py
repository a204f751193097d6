"""The fault table says what was seen; the kills compare what makes up a result, and nothing that merely tells time."""

import ast
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import determinism, faults
from benchmarks.fault_scenarios import SCENARIOS, fingerprint

PROJECT = Path(__file__).parents[2]


def test_there_are_twelve_faults_and_more_and_each_has_a_test():
    assert len(faults.FAULTS) >= 12
    for _, _, test in faults.FAULTS:
        file, _, name = test.partition("::")
        tree = ast.parse((PROJECT / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


def test_by_default_thirty_commands_and_more_are_killed_of_every_kind():
    args = faults.parse([])
    assert set(args.only) >= {"training", "evaluation", "tuning", "ablation", "ensemble", "export"}
    assert args.kills * len(SCENARIOS) >= 30


def test_figures_on_record_are_those_of_all_kinds(capsys):
    for options in (["--record", "--only", "training"], ["--output", "x.md", "--no-tests"]):
        with pytest.raises(SystemExit, match="2"):
            faults.parse(options)


ROWS = [
    {"name": "training", "kills": 5, "survived": 5, "moments": [0.5] * 5, "failures": []},
    {"name": "export", "kills": 5, "survived": 4, "moments": [0.5] * 5, "failures": ["run0/export/tiny.tflite"]},
]


def test_the_table_says_what_was_seen():
    tested = {test.partition("::")[2]: "passed" for _, _, test in faults.FAULTS}
    broken = faults.FAULTS[3][2].partition("::")[2]
    lines = faults.table(ROWS, tested | {broken: "failed"}).splitlines()
    assert "training | **5 of 5**" in lines[2]
    assert "export | **4 of 5**" in lines[3]
    assert "| **failed** |" in lines[4 + 3]
    assert len(lines) == 2 + 2 + len(faults.FAULTS)


def test_of_a_test_with_parameters_the_worst_counts():
    report = ElementTree.fromstring(
        '<s><testcase name="test_a[x]"/><testcase name="test_a[y]"><failure/></testcase>'
        '<testcase name="test_b[x]"><skipped/></testcase><testcase name="test_b[y]"/></s>'
    )
    assert faults.outcomes(report.iter("testcase")) == {"test_a": "failed", "test_b": "passed"}


@pytest.fixture
def result(tmp_path):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    np.savez(folder / "checkpoints" / "state-0001.npz", header=np.array("10 s"), weights=np.arange(3.0))
    (folder / "timing.json").write_text(json.dumps({"seconds": 3.0, "val_accuracy": 0.5}))
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    return folder


def test_times_make_no_difference(result):
    before = fingerprint(result)
    (result / "timing.json").write_text(json.dumps({"seconds": 4.0, "val_accuracy": 0.5}))
    np.savez(result / "checkpoints" / "state-0001.npz", header=np.array("20 s"), weights=np.arange(3.0))
    assert fingerprint(result) == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("checkpoints/state-0001.npz", lambda path: np.savez(path, weights=np.nextafter(np.arange(3.0), 9))),
        ("timing.json", lambda path: path.write_text(json.dumps({"seconds": 3.0, "val_accuracy": 0.51}))),
        ("history.csv", lambda path: path.write_text("epoch,loss\n1,0.50001\n")),
        ("history.csv", lambda path: path.unlink()),
        (".model.4242.tmp.keras", lambda path: path.touch()),
        (".lock", lambda path: path.touch()),
    ],
)
def test_a_bit_of_a_weight_a_row_a_missing_file_and_a_leftover_do(result, name, change):
    before = fingerprint(result)
    change(result / name)
    after = fingerprint(result)
    assert {each for each in before.keys() | after if before.get(each) != after.get(each)} == {name}


def test_a_child_that_has_ended_is_named_with_its_exit_code(monkeypatch):
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match=r"-m benchmarks.determinism .* ended with exit code 1"):
        determinism.measure("small_cnn", rounds=1, steps=1)


def test_the_cost_of_determinism_is_the_ratio_of_each_round():
    text = determinism.table({"small_cnn": {"plain": [1.0, 2.0, 4.0], "deterministic": [1.5, 2.2, 4.0]}})
    assert text.splitlines()[2] == "| small_cnn | 128 | 2.000 | 2.200 | **1.10** (1.00 to 1.50) |"
