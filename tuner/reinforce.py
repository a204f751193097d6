"""REINFORCE as a strategy of KerasTuner: storage, resuming and several workers are KerasTuner's own."""

import keras_tuner
import numpy as np

from tuner.controller import Controller, controller_after
from tuner.oracle_state import killable
from tuner.policy_space import PLACES, decisions_of, policy_space, randaugment_space, values_of
from tuner.trials import oracle_options

# Chosen on made-up rewards, where operations and magnitudes have effects of their own and trials are noisy: half the
# rate had learned two thirds as much after 60 trials, and twice the rate sometimes settled on what is bad.
LEARNING_RATE = 2.0
ENTROPY = 0.1


class ReinforceOracle(keras_tuner.Oracle):
    """Asks a `Controller` for the next policy, and lets it learn from each trial that was completed.

    The controller is made anew from the finished trials whenever a policy is wanted. These are what KerasTuner keeps,
    so that a search which was stopped goes on as if it had not been, and workers may finish in any order. With several
    workers a policy may be drawn before its neighbours' rewards are known, as in any asynchronous REINFORCE.
    """

    def __init__(
        self,
        sub_policies: int,
        seed: int,
        max_trials: int,
        learning_rate: float = LEARNING_RATE,
        entropy: float = ENTROPY,
    ):
        self.sub_policies, self.learning_rate, self.entropy = sub_policies, learning_rate, entropy
        self.controller_seed = seed  # KerasTuner takes a seed of 0 for none, and draws one
        super().__init__(max_trials=max_trials, **oracle_options(policy_space(sub_policies), seed))

    def populate_space(self, trial_id: str) -> dict:
        random = np.random.RandomState([self.controller_seed, int(trial_id)])
        decisions = self.controller().sample(random, self.sub_policies * PLACES)
        return {"status": "RUNNING", "values": values_of(decisions)}

    def controller(self) -> Controller:
        """What the trials so far have taught, in the order in which they ended."""
        ended = [self.trials[trial_id] for trial_id in self.end_order]
        seen = [
            (decisions_of(each.hyperparameters.values), each.score if each.status == "COMPLETED" else None)
            for each in ended
            if each.status == "COMPLETED" or diverged(each.message)
        ]
        return controller_after(seen, self.learning_rate, self.entropy)


def diverged(message: str | None) -> bool:
    """Whether a trial has failed by its policy, and not because it was killed, say."""
    return "training diverged" in (message or "")


def make_policy_oracle(search: str, sub_policies: int, trials: int, seed: int) -> keras_tuner.Oracle:
    """The strategy of a search: "reinforce", "random" (over the same policies) or "randaugment" (its two numbers)."""
    if search == "reinforce":
        return killable(ReinforceOracle)(sub_policies, seed, trials)
    space = policy_space(sub_policies) if search == "random" else randaugment_space()
    oracle = killable(keras_tuner.oracles.RandomSearchOracle)(max_trials=trials, **oracle_options(space, seed))
    # Draws before KerasTuner takes the settings to be used up: with its own 20 a search of RandAugment's 90 would end
    # early, and have a smaller budget than the others.
    oracle._max_collisions = 10_000
    return oracle
