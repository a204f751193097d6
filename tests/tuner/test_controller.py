"""REINFORCE: its gradient, what it learns, and that nothing is lost when a search stops."""

import numpy as np
import pytest

from pipelines.policy_config import POLICY_OPERATIONS, parse_sub_policy
from tests.integration.commands import error_lines, run
from tuner.chief import VARIABLES
from tuner.controller import Controller, controller_after, softmax
from tuner.policy_space import decisions_of, policy_of, policy_space, values_of
from tuner.reinforce import ENTROPY, LEARNING_RATE, ReinforceOracle

ROTATE = POLICY_OPERATIONS.index("rotate")
DECISIONS = [(3, 1, 4), (7, 0, 9), (3, 2, 4)]


def test_gradients_are_those_of_the_objective():
    controller = Controller(learning_rate=0.1, entropy=0.3)
    random = np.random.RandomState(0)
    for table in controller.tables:
        table += random.normal(0, 0.5, table.shape)
    found = controller.gradients(DECISIONS, advantage=-1.7)
    h = 1e-5
    for table, gradient in zip(controller.tables, found, strict=True):
        for place in np.ndindex(table.shape):
            table[place] += h
            above = controller.objective(DECISIONS, -1.7)
            table[place] -= 2 * h
            below = controller.objective(DECISIONS, -1.7)
            table[place] += h
            assert gradient[place] == pytest.approx((above - below) / (2 * h), abs=1e-7)


def test_the_baseline_is_a_moving_average_and_an_average_reward_teaches_nothing():
    controller = Controller(learning_rate=0.5, entropy=0.0)
    controller.update(DECISIONS, 0.8)
    assert controller.baseline == 0.8
    assert not any(table.any() for table in controller.tables)
    controller.update(DECISIONS, 0.9)
    assert controller.baseline == pytest.approx(0.9 * 0.8 + 0.1 * 0.9)
    assert softmax(controller.operation)[3] > 1 / 14 > softmax(controller.operation)[5]
    controller.update([(5, 0, 0)], 0.1)
    assert softmax(controller.operation)[5] < 1 / 14


def test_sixty_trials_find_what_is_rewarded():
    """A reward for each rotation, with noise as large as the reward of one."""
    random, controller = np.random.RandomState(0), Controller(LEARNING_RATE, ENTROPY)
    for _ in range(60):
        decisions = controller.sample(random, 10)
        controller.update(decisions, 0.01 * sum(each[0] == ROTATE for each in decisions) + random.normal(0, 0.01))
    chances = softmax(controller.operation)
    assert chances.argmax() == ROTATE
    assert chances[ROTATE] > 3 / 14


def test_the_bonus_pulls_towards_equal_chances():
    controller = Controller(learning_rate=1.0, entropy=1.0)
    controller.operation += np.eye(14)[ROTATE] * 2
    before = softmax(controller.operation)[ROTATE]
    for _ in range(20):
        controller.update([(ROTATE, 0, 0)], 0.5)  # no advantage
    assert softmax(controller.operation)[ROTATE] < before - 0.1


def test_hyperparameters_decisions_and_text_are_the_same_policy():
    values = values_of([*DECISIONS, (0, 4, 0)])
    assert decisions_of(values) == [*DECISIONS, (0, 4, 0)]
    assert policy_of(values) == ("shear_x:0.4:15 rotate:0.2:30", "shear_x:0.6:15 identity:1:3")
    assert [step.operation for text in policy_of(values) for step in parse_sub_policy(text)] == [
        "shear_x", "rotate", "shear_x", "identity"]  # fmt: skip
    assert {hp.name for hp in policy_space(2).space} == set(values)


class Trials:
    """Stands for a tuner: asks an oracle, rewards what it proposes."""

    def __init__(self, folder, max_trials=8):
        self.oracle = ReinforceOracle(sub_policies=2, seed=0, max_trials=max_trials)
        self.oracle.verbose = 0
        self.oracle._set_project_dir(str(folder), "search")

    def run(self, count):
        proposed = []
        for _ in range(count):
            trial = self.oracle.create_trial("tuner0")
            if trial.status == "STOPPED":
                break
            proposed.append(policy_of(trial.hyperparameters.values))
            reward = " ".join(proposed[-1]).count("rotate")
            self.oracle.update_trial(trial.trial_id, {"val_accuracy": float(reward)})
            trial.status = "COMPLETED"
            self.oracle.end_trial(trial)
        return proposed


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    whole = Trials(tmp_path / "whole")
    expected = whole.run(20)
    assert len(expected) == 8  # and no more than it may
    stopped = Trials(tmp_path / "stopped")
    first = stopped.run(3)
    left = stopped.oracle.create_trial("tuner0")  # under way when the process was killed
    resumed = Trials(tmp_path / "stopped")
    resumed.oracle.reload()
    again = resumed.run(20)
    assert again[0] == policy_of(left.hyperparameters.values)
    assert first + again == expected
    for a, b in zip(whole.oracle.controller().tables, resumed.oracle.controller().tables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_failed_trials_teach_nothing(tmp_path):
    trials = Trials(tmp_path)
    trials.run(2)
    before = trials.oracle.controller().tables
    trial = trials.oracle.create_trial("tuner0")
    trial.status, trial.message = "FAILED", "out of memory"
    trials.oracle.end_trial(trial)
    for a, b in zip(before, trials.oracle.controller().tables, strict=True):
        np.testing.assert_array_equal(a, b)
    seen = controller_after([], LEARNING_RATE, ENTROPY)
    assert seen.baseline is None


def test_options_that_contradict_each_other_are_refused():
    assert "expected --compare with it" in run("tuner.policy", "--record", expect=2).stderr
    assert "expected other seeds than the trials' own, 0" in run("tuner.policy", "--compare", 0, expect=2).stderr
    assert "trains on the validation split" in run("tuner.policy", "--recipe", "fast_94", expect=2).stderr


def test_several_machines_share_one_search(tmp_path, monkeypatch):
    for name, value in zip(VARIABLES, ("worker-0", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    (line,) = error_lines(run("tuner.policy", "--preset", "demo", "--output", tmp_path / "out", expect=2))
    assert "--searches: expected one on several machines, received reinforce random randaugment" in line
    assert not (tmp_path / "out").exists()
