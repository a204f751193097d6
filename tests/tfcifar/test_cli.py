"""What a user of the command line sees: instant help, one clear line for bad input, exit code 2."""

import errno
import os
import subprocess
import sys

import pytest

from pipelines.errors import InputError
from tests.integration.commands import PROJECT
from tfcifar import cli, train

HEAVY = {"tensorflow", "keras", "numpy"}


def imported_by(code: str) -> set[str]:
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('MODULES', *sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module",
    [
        "train",
        "evaluate",
        "predict",
        "report",
        "ablation",
        "architecture",
        "calibrate",
        "soup",
        "serve",
        "fewshot.benchmark",
    ]
    + [
        f"{package}.__main__"
        for package in ("data_quality", "ensemble", "explain", "fewshot", "ladder", "robustness", "uncertainty")
    ],
)
def test_help_imports_nothing_heavy(module):
    imported = imported_by(f"from tfcifar.{module} import main; main(['--help'])")
    assert f"tfcifar.{module}" in imported
    assert not imported & HEAVY


def test_an_unknown_model_is_refused_before_anything_heavy_is_imported():
    code = "from tfcifar import train, cli; cli.run(lambda: train.main(['--level', '1', '--model', 'vgg']))"
    assert not imported_by(code) & HEAVY


def refusal(capsys, *arguments: str) -> str:
    """What `tfcifar.train` writes to stderr, after a check that it is one error line and exit code 2."""
    with pytest.raises(SystemExit) as exit_:
        cli.run(lambda: train.main(list(arguments)))
    assert exit_.value.code == 2
    stderr = capsys.readouterr().err
    assert len([line for line in stderr.splitlines() if line.startswith("error:")]) == 1
    assert "Traceback" not in stderr
    return stderr


def test_bad_input_is_one_error_line_and_exit_code_2(capsys):
    def main():
        raise InputError("epochs: expected at least 1, received 0.")

    with pytest.raises(SystemExit) as exit_:
        cli.run(main)
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "error: epochs: expected at least 1, received 0.\n"


def test_an_interrupt_says_how_to_go_on_and_exits_with_130(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as exit_:
        cli.run(main)
    assert exit_.value.code == 130
    assert "--resume" in capsys.readouterr().err


def test_a_fault_of_the_program_is_not_hidden_as_bad_input():
    def main():
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        cli.run(main)


def test_an_unknown_model_is_answered_with_the_nearest(capsys):
    stderr = refusal(capsys, "--level", "1", "--model", "residul_cnn")
    assert "--model: no such name: residul_cnn. Did you mean residual_cnn?" in stderr


def test_an_unknown_recipe_is_answered_with_the_nearest(capsys):
    stderr = refusal(capsys, "--recipe", "level2", "--preset", "cpu")
    assert "no such name: level2. Did you mean level_2?" in stderr


def test_a_misspelt_field_is_answered_with_the_nearest(capsys):
    stderr = refusal(capsys, "--recipe", "smoke", "--preset", "cpu", "--set", "optimizer.learning_rte=0.1")
    assert "Did you mean optimizer.learning_rate?" in stderr


def test_weights_for_a_model_without_backbone_are_refused(capsys):
    assert "model.weights" in refusal(capsys, "--recipe", "smoke", "--preset", "cpu", "--weights", "imagenet")


def test_a_run_directory_takes_one_seed(capsys):
    with pytest.raises(SystemExit) as exit_:
        train.parse(["--recipe", "smoke", "--run-dir", "x", "--seed", "1", "2"])
    assert exit_.value.code == 2
    assert "--run-dir takes one --seed" in capsys.readouterr().err


def test_a_recipe_or_a_level_is_needed(capsys):
    with pytest.raises(SystemExit) as exit_:
        train.parse([])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "error: one of --level, --recipe is required; --help shows all options\n"


def test_level_4_names_the_command_that_combines_runs(capsys):
    with pytest.raises(SystemExit) as exit_:
        train.parse(["--level", "4"])
    assert exit_.value.code == 2
    assert "--level 4 combines trained runs: python -m tfcifar.ensemble RUN_DIR..." in capsys.readouterr().err


def test_only_without_a_folder_of_data_does_the_demo_fall_back_to_generated_images():
    from tfcifar.runs import recipe_from_arguments

    demo = ["--level", "2", "--preset", "demo"]
    assert recipe_from_arguments(train.parse(demo)).data.fallback == "synthetic"
    assert recipe_from_arguments(train.parse([*demo, "--data-dir", "mine"])).data.fallback is None


def test_a_missing_teacher_is_named_before_images_are_read(tmp_path, capsys):
    nowhere = ("--dataset", str(tmp_path / "no_images"), "--run-dir", str(tmp_path / "run"))
    stderr = refusal(capsys, "--level", "5", "--preset", "cpu", "--teacher", "runs/none", *nowhere)
    assert "received runs/none. tfcifar.ensemble makes an ensemble; --teacher names others" in stderr


def test_another_model_keeps_what_fits_it_of_the_recipe():
    from tfcifar.runs import recipe_from_arguments

    small = recipe_from_arguments(train.parse(["--level", "2", "--preset", "cpu", "--model", "small_cnn"]))
    assert (small.name, small.model.name) == ("level_2-cpu-small_cnn", "small_cnn")
    assert small.model.weights is None
    assert small.transfer.head_epochs == 0
    other = recipe_from_arguments(train.parse(["--level", "2", "--preset", "cpu", "--model", "resnet50"]))
    assert other.model.weights == "imagenet"
    assert other.transfer.head_epochs == 1
    attention = ["--recipe", "residual_cnn", "--preset", "cpu", "--model", "attention_cnn", "--attention", "cbam"]
    third = recipe_from_arguments(train.parse(attention))
    assert (third.name, third.model.attention) == ("residual_cnn-cpu-attention_cnn-cbam", "cbam")


@pytest.fixture
def recipes_run(monkeypatch):
    """The recipes that `tfcifar.train` would run."""
    from tfcifar import runs

    seen = []
    monkeypatch.setattr(runs, "run_recipe", lambda recipe, *args, **kwargs: seen.append(recipe))
    return seen


def test_each_seed_is_a_run_of_its_own(recipes_run):
    train.main(["--recipe", "smoke", "--preset", "cpu", "--seed", "3", "5"])
    assert [recipe.seed for recipe in recipes_run] == [3, 5]


def test_a_seed_set_as_a_field_is_used(recipes_run):
    train.main(["--recipe", "smoke", "--preset", "cpu", "--set", "seed=7"])
    assert recipes_run[0].seed == 7


def test_the_recipe_file_of_a_run_repeats_that_run(recipes_run, tmp_path, capsys):
    from tfcifar import recipes

    recipe = recipes.load("smoke", "cpu").replace(seed=4, deterministic=True)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    train.main(["--recipe", str(tmp_path / "recipe.json")])
    assert recipes_run == [recipe]
    assert "preset" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "said", "advice"),
    [
        (errno.ENOSPC, "written", "make room"),
        (errno.EROFS, "used", "name another"),
        (errno.EACCES, "used", "name another"),  # where nobody says what for, it may as well be to read
    ],
)
def test_a_disk_that_takes_or_gives_nothing_is_one_line(capsys, number, said, advice):
    def use():
        raise OSError(number, os.strerror(number), "runs/here")

    with pytest.raises(SystemExit, match="2"):
        cli.run(use)
    line = capsys.readouterr().err
    assert line.startswith(f"error: runs/here: cannot be {said} ({os.strerror(number)}).")
    assert advice in line
    assert line.count("\n") == 1


def test_a_full_disk_that_tensorflow_met_is_one_line(capsys):
    import tensorflow as tf

    def write():
        raise tf.errors.ResourceExhaustedError(None, None, "events.out.v2; No space left on device\n[Op:FlushWriter]")

    with pytest.raises(SystemExit, match="2"):
        cli.run(write)
    assert "cannot be written (events.out.v2; No space left on device)" in capsys.readouterr().err


def test_an_error_of_ours_is_not_hidden():
    def broken():
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output"):
        cli.run(broken)


def test_the_list_of_models_has_their_parameters_and_macs(monkeypatch, capsys):
    from tfcifar.models import MODELS

    monkeypatch.setattr(train, "MODELS", {"conv4": MODELS["conv4"]})
    train.main(["--model", "list"])
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines()][1:]
    kernels, norms, head = 3 * 9 * 32 + 3 * 32 * 9 * 32, 4 * 2 * 32, 2 * 2 * 32 * 10
    macs = (16 * 16 * 3 + (8 * 8 + 4 * 4 + 2 * 2) * 32) * 9 * 32 + head
    assert row[:3] == ["conv4", f"{kernels + norms + head + 10:,}", f"{macs:,}"]
