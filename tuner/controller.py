"""A controller that learns by REINFORCE which augmentation policies make a network better.

Williams 1992, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning"
(doi:10.1007/BF00992696), with a baseline and an entropy bonus; after Zoph and Le 2017 (arXiv:1611.01578) and Cubuk et
al. 2019, "AutoAugment" (arXiv:1805.09501).

AutoAugment's recurrent controller saw 15,000 trials. For some dozens it would be far too large. This one has a table:
the chances of each operation, and for each operation those of its probabilities and magnitudes. All places of a policy
draw from the same table, so that each trial teaches it as many times as the policy has operations.
"""

from collections.abc import Iterable

import numpy as np

from tuner.policy_space import CHOICES, Decisions

BASELINE_DECAY = 0.9  # of the moving average of rewards
LEAST_SPREAD = 1e-3  # of rewards, by which advantages are divided
# Advantage of a policy with which training diverged, in standard deviations. Its accuracy, taken for 0, would be dozens
# of them, and would spoil baseline and spread for the trials that follow.
DIVERGED = -3.0


class Controller:
    """Chances of decisions, as logits; all equal at first.

    Args:
        learning_rate: of the logits, for an advantage of one standard deviation.
        entropy: weight of the bonus that keeps the chances from settling too early.
    """

    def __init__(self, learning_rate: float, entropy: float):
        self.learning_rate, self.entropy = learning_rate, entropy
        operations, probabilities, magnitudes = map(len, CHOICES.values())
        self.operation = np.zeros(operations)
        self.details = (np.zeros((operations, probabilities)), np.zeros((operations, magnitudes)))
        self.rewards: list[float] = []
        self.baseline: float | None = None

    def sample(self, random: np.random.RandomState, operations: int) -> Decisions:
        """Draw a policy of so many operations."""
        drawn = []
        for _ in range(operations):
            operation = random.choice(len(self.operation), p=softmax(self.operation))
            probability, magnitude = (
                int(random.choice(table.shape[1], p=softmax(table[operation]))) for table in self.details
            )
            drawn.append((int(operation), probability, magnitude))
        return drawn

    def update(self, decisions: Decisions, reward: float | None) -> None:
        """Make `decisions` likelier where `reward` is above the baseline, and less likely where it is below.

        reward: None: training diverged, which is worse than any.
        """
        if reward is None:
            self._step(decisions, DIVERGED)
            return
        self.rewards.append(reward)
        if self.baseline is None:  # the first: nothing to compare with
            self.baseline = reward
        advantage = (reward - self.baseline) / max(float(np.std(self.rewards)), LEAST_SPREAD)
        self._step(decisions, advantage)
        self.baseline = BASELINE_DECAY * self.baseline + (1 - BASELINE_DECAY) * reward

    def _step(self, decisions: Decisions, advantage: float) -> None:
        for table, gradient in zip(self.tables, self.gradients(decisions, advantage), strict=True):
            table += self.learning_rate * gradient

    @property
    def tables(self) -> list[np.ndarray]:
        return [self.operation, *self.details]

    def objective(self, decisions: Decisions, advantage: float) -> float:
        """What `gradients` is the gradient of: the mean over the operations of advantage * log(chance) + bonus."""
        total = 0.0
        for operation, *details in decisions:
            rows = [self.operation, *(table[operation] for table in self.details)]
            for logits, place in zip(rows, (operation, *details), strict=True):
                chances = softmax(logits)
                total += advantage * np.log(chances[place]) + self.entropy * entropy(chances)
        return total / len(decisions)

    def gradients(self, decisions: Decisions, advantage: float) -> list[np.ndarray]:
        """Of `objective`, for each of `tables`."""
        found = [np.zeros_like(table) for table in self.tables]
        for operation, *details in decisions:
            found[0] += self._gradient(self.operation, operation, advantage)
            for gradient, table, place in zip(found[1:], self.details, details, strict=True):
                gradient[operation] += self._gradient(table[operation], place, advantage)
        return [each / len(decisions) for each in found]

    def _gradient(self, logits: np.ndarray, place: int, advantage: float) -> np.ndarray:
        chances = softmax(logits)
        of_log = np.eye(len(chances))[place] - chances
        of_entropy = -chances * (np.log(chances) + entropy(chances))
        return advantage * of_log + self.entropy * of_entropy


def controller_after(
    trials: Iterable[tuple[Decisions, float | None]], learning_rate: float, entropy_weight: float
) -> Controller:
    """The controller that has seen these trials, in this order; a function of them alone, so that nothing is lost
    when a search is interrupted.
    """
    controller = Controller(learning_rate, entropy_weight)
    for decisions, reward in trials:
        controller.update(decisions, reward)
    return controller


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def entropy(chances: np.ndarray) -> float:
    """In nats; chances above 0, as those of `softmax`."""
    return float(-(chances * np.log(chances)).sum())
