"""Files of a run appear whole or not at all."""

import os
import platform

import pytest

from pipelines.errors import InputError
from tfcifar.run_dir import (
    DamagedFileError,
    RunDir,
    append_line,
    read_history,
    read_json,
    write_csv,
    write_json,
    write_text,
    write_whole,
)


def test_a_written_file_is_the_only_one_there(tmp_path):
    write_text(tmp_path / "new" / "note.txt", "čau")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["note.txt"]
    assert (tmp_path / "new" / "note.txt").read_bytes() == "čau".encode()


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")

    def write_half(temporary):
        temporary.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, write_half)
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]
    assert path.read_text() == "old"


def test_the_temporary_file_keeps_the_suffix_and_the_folder(tmp_path):
    seen = []
    write_whole(tmp_path / "model.keras", lambda temporary: (seen.append(temporary), temporary.touch()))
    assert seen[0].suffix == ".keras"
    assert seen[0].parent == tmp_path


def test_json_goes_there_and_back(tmp_path):
    value = {"accuracy": 0.5, "names": ["a", "b"], "none": None}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value


def test_a_number_that_json_lacks_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_history_comes_back_with_whole_epochs_text_phases_and_exact_numbers(tmp_path):
    rows = [
        {"epoch": 1, "phase": "head", "learning_rate": 0.1 + 0.2, "val_accuracy": 1.0},
        {"epoch": 2, "phase": "fine-tune top 30%", "learning_rate": 1e-45, "val_accuracy": 0.0},
    ]
    write_csv(tmp_path / "history.csv", rows)
    back = read_history(tmp_path / "history.csv")
    assert back == rows
    assert [type(value) for value in back[0].values()] == [int, str, float, float]


def test_a_run_without_recipe_or_not_at_its_end_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"with recipe.json"):
        RunDir.existing(tmp_path)
    (tmp_path / "recipe.json").touch()
    with pytest.raises(InputError, match=r"not trained to its end; finish it with tfcifar.train --resume"):
        RunDir.existing(tmp_path)
    (tmp_path / "timing.json").touch()
    assert RunDir.existing(tmp_path).name == tmp_path.name


def test_a_full_disk_is_one_clear_error_and_leaves_the_old_file(tmp_path):
    """/dev/full answers every write as a full disk does."""
    path = tmp_path / "metrics.json"
    path.write_text("old")
    (tmp_path / f".metrics.{platform.node()}-{os.getpid()}.tmp.json").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"metrics.json: cannot be written \(No space left on device\).*make room"):
        write_text(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.json"]
    assert path.read_text() == "old"


def test_a_line_that_a_full_disk_does_not_take_is_one_clear_error(tmp_path):
    (tmp_path / "test_openings.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        append_line(tmp_path / "test_openings.jsonl", "{}")


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(File exists\). Expected a folder"):
        write_text(tmp_path / "file" / "note.txt", "x")


def test_what_has_to_survive_a_power_cut_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("on the disk"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("named"), replace(*paths)))
    write_whole(tmp_path / "model.keras", lambda path: path.write_text("weights"), durable=True)
    assert steps == ["on the disk", "named"]


@pytest.mark.parametrize("text", ['{"epochs": 1', "[" * 200_000], ids=["cut short", "nested without end"])
def test_a_damaged_json_is_named(tmp_path, text):
    (tmp_path / "timing.json").write_text(text)
    with pytest.raises(DamagedFileError, match=r"timing.json: incomplete or altered"):
        read_json(tmp_path / "timing.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"epoch,phase,loss\n1,train", b"epoch,phase,loss\n1,train,0.5,0.1\n", b"epoch,phase,loss\n1,train,0.x\n",
     b"epoch,phase,loss\n1,train,\xff\n", b'epoch,phase,loss\n1,"train,0.5\n'],
    ids=["empty", "cut short", "too long", "no number", "no text", "no end of quotes"],
)  # fmt: skip
def test_a_damaged_history_is_named(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"history.csv: incomplete or altered"):
        read_history(tmp_path / "history.csv")
