"""`python -m tuner.policy` with stand-ins for the trials, and one that trains, in this process."""

import csv
import json

import numpy as np
import pytest
from keras_tuner.engine.trial import Trial

from pipelines.policy_config import POLICY_OPERATIONS, parse_sub_policy
from pipelines.sources import Examples, Source
from pipelines.splits import make_splits
from tests.integration.commands import run
from tfcifar import recipes
from tfcifar.overrides import override
from tfcifar.recipe_json import load_json
from tfcifar.reporting import ablation_report
from tfcifar.run_dir import read_json
from tuner import trials
from tuner.controller import softmax
from tuner.policy_report import record_policies
from tuner.policy_searches import RANDAUGMENT_SETTINGS, compare_found, read_sittings, search_policy
from tuner.policy_space import policy_space, randaugment_space, values_of
from tuner.reinforce import make_policy_oracle

DEMO = ("--preset", "demo", "--sub-policies", 2)


def test_randaugment_has_as_many_settings_as_the_command_says():
    assert np.prod([len(list(each.values)) for each in randaugment_space().space]) == RANDAUGMENT_SETTINGS


@pytest.fixture
def children(monkeypatch):
    """In place of training: accuracy by the number of rotations; the recipes that were trained."""
    seen, interrupted_at = [], []

    def train(path, run_dir, log, strategy):
        recipe = load_json(path)
        seen.append(recipe)
        log.write_text("starting\n")
        if len(seen) in interrupted_at:
            raise KeyboardInterrupt
        run_dir.path.mkdir(parents=True, exist_ok=True)
        text = " ".join(recipe.augment.policy)
        accuracy = 0.5 + 0.05 * text.count("rotate") + 0.01 * recipe.augment.randaugment_layers + 1e-4 * len(text)
        run_dir.timing.write_text(json.dumps({"epochs": 1, "seconds": 1.0, "val_accuracy": accuracy}))
        return 0

    monkeypatch.setattr(trials, "train_in_child", train)
    return seen, interrupted_at


def accuracies(output, search):
    return [float(row["val_accuracy"]) for row in csv.DictReader((output / search / "trials.csv").open())]


def test_the_best_policies_are_joined_into_a_file_that_a_recipe_takes(tmp_path, children):
    seen, _ = children
    stdout = run("tuner.policy", *DEMO, "--trials", 5, "--best", 2, "--output", tmp_path).stdout
    assert len(seen) == 15  # three searches
    for search in ("reinforce", "random"):
        content = json.loads((tmp_path / search / "policy.json").read_text())
        best = [each["val_accuracy"] for each in content["found_by"]["joined"]]
        assert best == pytest.approx(sorted(accuracies(tmp_path, search))[:-3:-1])
        assert 2 < len(content["augment"]["policy"]) <= 4
        assert (tmp_path / search / "policy.png").is_file()
    content = json.loads((tmp_path / "randaugment" / "policy.json").read_text())
    assert set(content["augment"]) == {"randaugment_layers", "randaugment_magnitude"}
    assert "| learned policy | 5 | 0 |" in stdout
    # What is in the file is in the run's recipe, so that the run can be repeated without the file.
    fragment = tmp_path / "reinforce" / "policy.json"
    smoke = ("--recipe", "smoke", "--no-evaluate", "--run-dir", tmp_path / "run", "--set", "epochs=1",
             "--set", "model.widths=4", "--set", "batch_size=500", "--set", "schedule.warmup_epochs=0")  # fmt: skip
    run("tfcifar.train", *smoke, "--set", f"augment.policy={fragment}")
    recipe = load_json(tmp_path / "run" / "recipe.json")
    assert list(recipe.augment.policy) == json.loads(fragment.read_text())["augment"]["policy"]
    assert all(parse_sub_policy(text) for text in recipe.augment.policy)


def test_a_search_stopped_in_the_middle_of_a_trial_goes_on_with_it(tmp_path, children):
    seen, interrupted_at = children
    options = (*DEMO, "--searches", "reinforce", "--trials", 6)
    run("tuner.policy", *options, "--output", tmp_path / "whole")
    whole = [recipe.augment.policy for recipe in seen]
    seen.clear()
    interrupted_at.append(4)
    run("tuner.policy", *options, "--output", tmp_path / "stopped", expect=130)
    interrupted_at.clear()
    stdout = run("tuner.policy", *options, "--output", tmp_path / "stopped").stdout
    assert "- learned policy: in 2 sittings; resumed after 3 trials, trial 3 continued." in stdout
    again = run("tuner.policy", *options, "--output", tmp_path / "stopped").stdout
    assert "in 2 sittings;" in again  # with nothing left to do it is none
    first, second = read_sittings(tmp_path / "stopped" / "reinforce")
    assert (first["finished"], first["continued"]) == (0, [])
    assert second["time"] >= first["time"]
    policies = [recipe.augment.policy for recipe in seen]
    assert policies[:3] + policies[4:] == whole
    assert policies[3] == policies[4]
    other = run("tuner.policy", *options, "--sub-policies", 3, "--output", tmp_path / "stopped", expect=2).stderr
    assert "holds another search; different: sub_policies." in other


@pytest.mark.parametrize("preset", ["cpu", "demo"])
def test_nine_in_ten_images_that_judge_policies_took_no_part_in_choosing_them(preset):
    labels = np.arange(2000) % 10
    numbered = np.zeros((2000, 1, 1, 3), np.uint8)
    numbered[:, 0, 0, 0], numbered[:, 0, 0, 1] = np.divmod(np.arange(2000), 256)
    source = Source("numbers", tuple("0123456789"), (1, 1, 3), Examples(numbered, labels), None, lambda: None)
    chosen_by, judged_by = (
        {tuple(image) for image in make_splits(source, split_seed=seed).validation.images[:, 0, 0]}
        for seed in (recipes.load(name, preset).data.split_seed for name in ("policy_proxy", "policy_full"))
    )
    assert len(judged_by) == 200
    assert len(judged_by & chosen_by) < 0.15 * len(judged_by)


def test_more_trials_than_randaugment_has_settings_are_refused_and_so_many_are_all_different(tmp_path):
    stderr = run("tuner.policy", *DEMO, "--trials", 91, "--output", tmp_path, expect=2).stderr
    assert "--trials: expected at most 90 with randaugment, which has no more settings, received 91" in stderr
    oracle = make_policy_oracle("randaugment", 2, 90, 0)
    oracle._set_project_dir(str(tmp_path), "search")
    drawn = []
    for _ in range(90):
        trial = oracle.create_trial("tuner0")
        drawn.append(tuple(trial.hyperparameters.values.values()))
        oracle.ongoing_trials.clear()
    assert len(set(drawn)) == 90


def test_a_policy_that_makes_training_diverge_becomes_unlikely_and_one_that_was_killed_teaches_nothing():
    oracle = make_policy_oracle("reinforce", 1, 9, 0)
    values = values_of([(0, 0, 0), (0, 0, 0)])
    hyperparameters = policy_space(1)
    hyperparameters.values = values
    chances = {}
    for message in ("exit code 2: error: training diverged in epoch 1, step 3: loss nan", "exit code -9: epoch 1"):
        trial = Trial(hyperparameters, "0", "FAILED", message)
        oracle.trials, oracle.end_order = {"0": trial}, ["0"]
        chances[message] = softmax(oracle.controller().operation)[0]
    diverged, killed = chances.values()
    assert killed == pytest.approx(1 / len(POLICY_OPERATIONS))
    assert diverged < killed / 2


def test_a_real_trial_and_the_comparison_at_full_budget(tmp_path, monkeypatch):
    """Trials in processes of their own: tests/tuner/test_search.py."""

    def train(path, run_dir, log, strategy):
        run("tfcifar.train", "--recipe", path, "--run-dir", run_dir.path, "--no-evaluate")
        return 0

    monkeypatch.setattr(trials, "train_in_child", train)
    options = (*DEMO, "--searches", "reinforce", "--trials", 1, "--set", "model.widths=4")
    stdout = run("tuner.policy", *options, "--compare", 1, "--output", tmp_path).stdout
    assert "| learned policy |" in stdout
    assert "| no policy |" in stdout
    assert load_json(tmp_path / "compare" / "no_policy-seed1" / "recipe.json").augment.policy == ()
    learned = load_json(tmp_path / "compare" / "learned_policy-seed1" / "recipe.json").augment.policy
    assert list(learned) == json.loads((tmp_path / "reinforce" / "policy.json").read_text())["augment"]["policy"]
    assert not list(tmp_path.rglob("test_openings.jsonl"))
    # The same again trains nothing; what it gives goes on record.
    proxy, full = (override(recipes.load(name, "demo"), ["model.widths=4"]) for name in ("policy_proxy", "policy_full"))
    found = [search_policy("reinforce", proxy, 1, 2, 5, 0, tmp_path / "reinforce")]
    text, results = compare_found(found, full, [1], tmp_path / "compare")
    assert text in stdout
    command = "python -m tuner.policy --trials 1 --seed 4 --compare 1"
    monkeypatch.setattr(ablation_report, "current_command", lambda: f"{command} --output x --record")
    record_policies(found, results, tmp_path, tmp_path / "compare", tmp_path / "results")
    (entry,) = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert entry["command"] == command
    assert (entry["name"], entry["metric"], entry["value"], entry["n"]) == ("augmentation_policy", "rows", 2, 1)
    trained = [read_json(path)["seconds"] for path in tmp_path.rglob("timing.json")]
    assert len(trained) == 3  # the trial, and the two of the comparison
    assert entry["seconds"] == pytest.approx(sum(trained), abs=1)
    kept = {str(path.relative_to(tmp_path / "results")) for path in (tmp_path / "results").rglob("*.*")}
    assert "augmentation_policy/conclusion.md" in kept
    assert {"augmentation_policy/ablation.md", "augmentation_policy/reinforce/policy.png"} <= kept
